//! Phases that are asked for, held against every rule before anything is kept.

use std::collections::BTreeMap;

use taximeter_kernel::money::Currency;

use super::calendar::{Calendar, bounds, checked_trial, refuse_other_start};
use super::input::{AdditionInput, ItemInput, PhaseInput};
use super::settings::{checked_invoices, checked_method};
use super::types::{Empty, Named, PhaseAddition, PhaseInvoices, PhaseItem};
use super::{DefaultSettings, Phase, PhaseAnchor, Schedule};
use crate::ctx::{Agreed, Ctx};
use crate::customers::Customer;
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Result};
use crate::params::{Clear, Metadata, MetadataChange, Text};
use crate::subscriptions::{
    self, BillingModeInput, CollectionMethod, ProrationBehavior, Subscription, ThresholdsInput,
};
use crate::{invoice_items, promotion_codes, tax_rates};

/// The most phases that are under way or to come (Stripe's).
const PHASES_MAX: usize = 10;
/// The most things sold once with a phase (Stripe's).
const ADDITIONS_MAX: usize = 20;

/// What all phases of a schedule have in common.
pub(super) struct Common<'a> {
    pub(super) customer: &'a Customer,
    pub(super) settings: &'a DefaultSettings,
    pub(super) billing_mode: BillingModeInput,
    /// What is taken off already by what the schedule names, and was held against the rules then.
    pub(super) known: Vec<Named>,
    /// The metadata of the subscription, where it has begun.
    pub(super) metadata: BTreeMap<String, String>,
}

impl Common<'_> {
    /// The phases that a request asks for, the first of them from `start`. `offset` is how many the
    /// request has before them.
    ///
    /// # Errors
    /// A 400 when one is against the rules.
    pub(super) async fn phases(
        &self,
        ctx: &mut Ctx,
        inputs: Vec<PhaseInput>,
        start: i64,
        offset: usize,
    ) -> Result<Vec<Phase>> {
        if inputs.is_empty() {
            return Err(Error::missing("phases"));
        }
        if inputs.len() > PHASES_MAX {
            return Err(Error::invalid(format!(
                "A subscription schedule can have at most {PHASES_MAX} current or future phases."
            ))
            .param("phases"));
        }
        let mut phases: Vec<Phase> = Vec::with_capacity(inputs.len());
        let mut calendar = Calendar::from(start);
        let count = inputs.len();
        for (place, input) in inputs.into_iter().enumerate() {
            let at = format!("phases[{}]", place.saturating_add(offset));
            let begins = calendar.at;
            refuse_other_start(&input, begins, ctx.now, &at)?;
            let last = place.saturating_add(1) == count;
            let mut phase = self.phase(ctx, input, (&mut calendar, last), &at).await?;
            phase.start = begins;
            if let Some(first) = phases.first()
                && first.currency != phase.currency
            {
                return Err(Error::invalid(format!(
                    "All phases of a subscription schedule must have the same currency. The first \
                     has `{}`, this one `{}`.",
                    first.currency, phase.currency
                ))
                .param(format!("{at}[currency]")));
            }
            phases.push(phase);
        }
        self.check_metadata(&phases, offset)?;
        Ok(phases)
    }

    /// What phases put on the subscription's metadata stays there: all of it must fit.
    fn check_metadata(&self, phases: &[Phase], offset: usize) -> Result<()> {
        let mut metadata = self.metadata.clone();
        for (place, phase) in phases.iter().enumerate() {
            let at = format!("phases[{}]", place.saturating_add(offset));
            let put = change_of(&phase.metadata).apply(&mut metadata);
            put.map_err(|error| error.within(&at))?;
        }
        Ok(())
    }

    async fn phase(
        &self,
        ctx: &mut Ctx,
        input: PhaseInput,
        (calendar, last): (&mut Calendar, bool),
        at: &str,
    ) -> Result<Phase> {
        let empty = Empty::from(&input);
        let trial = (input.trial == Some(true), input.trial_end);
        let ends = (input.duration, input.iterations, input.end_date);
        let (items, asked) = items_apart(input.items, at)?;
        let path = format!("{at}[items]");
        let mode = Some(self.billing_mode.clone());
        let mut sub =
            subscriptions::propose(ctx, self.customer, items, mode, input.currency, &path).await?;
        self.set_thresholds(&mut sub, input.billing_thresholds, at)?;
        let begins = calendar.at;
        let end = calendar.end(ctx, ends, last, (&sub, at))?;
        let trial_end = checked_trial(trial, (begins, end), ctx.now, at)?;
        let anchor = input.billing_cycle_anchor;
        if trial_end.is_some() && anchor == Some(PhaseAnchor::PhaseStart) {
            return Err(Error::invalid(
                "`billing_cycle_anchor` cannot be `phase_start` in a phase with a trial.",
            )
            .param(format!("{at}[billing_cycle_anchor]")));
        }
        let path = format!("{at}[default_tax_rates]");
        let rates = input.default_tax_rates.or_none().unwrap_or_default();
        let rates = tax_rates::named(ctx, &rates, &path).await?;
        let discounts = input.discounts.or_none().unwrap_or_default();
        let path = format!("{at}[discounts]");
        let discounts = self.discounts(ctx, &sub, discounts, &path).await?;
        self.check_minimum(ctx, &sub, &discounts, &path).await?;
        let invoices =
            input.invoice_settings.map(|input| checked_invoices(input, at)).transpose()?;
        let method = input.collection_method;
        self.check_days(method, invoices.as_ref(), at)?;
        let param = format!("{at}[default_payment_method]");
        let pays = checked_method(ctx, self.customer, input.default_payment_method, &param).await?;
        Ok(Phase {
            start: begins,
            end,
            additions: self
                .additions(ctx, &sub, (input.add_invoice_items, (begins, end)), at)
                .await?,
            items: self.items(ctx, &sub, asked, at).await?,
            anchor,
            thresholds: sub.terms.billing_thresholds.clone(),
            collection_method: method,
            currency: sub.currency.code().to_owned(),
            default_payment_method: pays,
            default_tax_rates: ids_of(&rates),
            description: input.description.or_none().map(Into::into),
            discounts,
            invoices,
            metadata: changes_of(input.metadata),
            proration_behavior: input
                .proration_behavior
                .unwrap_or(ProrationBehavior::CreateProrations),
            trial: trial.0,
            trial_end,
            empty,
        })
    }

    /// Holds when it is billed before its time against what it costs in any case: what the phase
    /// says, or else the schedule.
    fn set_thresholds(
        &self,
        sub: &mut Subscription,
        input: Clear<ThresholdsInput>,
        at: &str,
    ) -> Result<()> {
        match (input, &self.settings.thresholds) {
            (Clear::Set(input), _) => {
                subscriptions::set_thresholds(sub, input).map_err(|error| error.within(at))
            }
            (Clear::Keep, Some(common)) => {
                let checked = subscriptions::set_thresholds(sub, common.into());
                sub.terms.billing_thresholds = None;
                checked.map_err(|error| error.within("default_settings"))
            }
            (Clear::Unset, _) | (Clear::Keep, None) => Ok(()),
        }
    }

    /// Holds what phases cost against the least amounts of their new promotion codes.
    async fn check_minimum(
        &self,
        ctx: &mut Ctx,
        sub: &Subscription,
        names: &[Named],
        path: &str,
    ) -> Result<()> {
        let fixed = subscriptions::fixed_minor(sub)?;
        for name in names.iter().filter(|name| !self.known.contains(name)) {
            if let Some(code) = &name.promotion_code {
                promotion_codes::check_minimum(ctx, code, fixed, sub.currency, path).await?;
            }
        }
        Ok(())
    }

    /// Holds discounts against what they will be taken off, without redeeming them: that is done
    /// when the phase begins. What the schedule names already may have been redeemed since.
    async fn discounts(
        &self,
        ctx: &mut Ctx,
        sub: &Subscription,
        inputs: Vec<DiscountInput>,
        path: &str,
    ) -> Result<Vec<Named>> {
        let names: Vec<Named> = inputs.iter().map(Named::from).collect();
        let twice = names.iter().enumerate().any(|(place, name)| names[..place].contains(name));
        let all = twice || names.len() > discounts::DISCOUNTS_MAX;
        let is_new = |input: &DiscountInput| all || !self.known.contains(&Named::from(input));
        let inputs = inputs.into_iter().filter(is_new).collect();
        let undo = ctx.tx.savepoint().await?;
        let holder = Holder::Subscription(&sub.id);
        let made = discounts::apply(ctx, holder, self.customer, sub.currency, inputs, path).await;
        ctx.tx.rollback_to(undo).await?;
        made.map(|_| names)
    }

    async fn items(
        &self,
        ctx: &mut Ctx,
        sub: &Subscription,
        asked: Vec<Apart>,
        at: &str,
    ) -> Result<Vec<PhaseItem>> {
        let mut items = Vec::with_capacity(asked.len());
        for (place, (item, asked)) in sub.items.iter().zip(asked).enumerate() {
            let path = format!("{at}[items][{place}][discounts]");
            items.push(PhaseItem {
                price: item.price.id.as_str().to_owned(),
                product: item.price.product.as_str().to_owned(),
                quantity: item.quantity,
                thresholds: item.terms.billing_thresholds,
                discounts: self.discounts(ctx, sub, asked.discounts, &path).await?,
                metadata: asked.metadata,
                tax_rates: item.terms.tax_rates.clone(),
            });
        }
        Ok(items)
    }

    async fn additions(
        &self,
        ctx: &mut Ctx,
        sub: &Subscription,
        (inputs, phase): (Option<Vec<AdditionInput>>, (i64, i64)),
        at: &str,
    ) -> Result<Vec<PhaseAddition>> {
        let inputs = inputs.unwrap_or_default();
        if inputs.len() > ADDITIONS_MAX {
            return Err(Error::invalid(format!(
                "You can add at most {ADDITIONS_MAX} invoice items to a phase."
            ))
            .param(format!("{at}[add_invoice_items]")));
        }
        let mut additions = Vec::with_capacity(inputs.len());
        for (place, input) in inputs.into_iter().enumerate() {
            let at = format!("{at}[add_invoice_items][{place}]");
            let (start, end) = bounds(input.period, phase, &at)?;
            let one = (input.price, input.price_data, input.quantity);
            let (price, quantity) =
                invoice_items::check_addition(ctx, sub.currency, one, &at).await?;
            let rates = input.tax_rates.or_none().unwrap_or_default();
            let rates = tax_rates::named(ctx, &rates, &format!("{at}[tax_rates]")).await?;
            let discounts = input.discounts.or_none().unwrap_or_default();
            additions.push(PhaseAddition {
                price: price.as_str().to_owned(),
                quantity,
                discountable: input.discountable,
                discounts: self.discounts(ctx, sub, discounts, &format!("{at}[discounts]")).await?,
                metadata: input.metadata.0,
                tax_rates: ids_of(&rates),
                start,
                end,
            });
        }
        Ok(additions)
    }

    /// Holds phases that stay as they are against what is new of what they have in common.
    ///
    /// # Errors
    /// A 400 when one does not go with it.
    pub(super) async fn check_kept(&self, ctx: &mut Ctx, schedule: &Schedule) -> Result<()> {
        let agreed = ctx.agree(Agreed::All);
        let checked = self.check_each(ctx, schedule).await;
        ctx.agree(agreed);
        checked
    }

    async fn check_each(&self, ctx: &mut Ctx, schedule: &Schedule) -> Result<()> {
        for (place, phase) in schedule.to_come() {
            let at = format!("phases[{place}]");
            self.check_days(phase.collection_method, phase.invoices.as_ref(), &at)?;
            let own = phase.thresholds.is_some() || phase.empty.billing_thresholds;
            if own || self.settings.thresholds.is_none() {
                continue;
            }
            let items = phase.items.iter().map(unbound).collect();
            let (mode, path) = (Some(self.billing_mode.clone()), format!("{at}[items]"));
            let currency = Some(currency_of(phase)?);
            let mut sub =
                subscriptions::propose(ctx, self.customer, items, mode, currency, &path).await?;
            self.set_thresholds(&mut sub, Clear::Keep, &at)?;
        }
        Ok(())
    }

    /// `days_until_due` belongs to phases whose invoices are sent.
    pub(super) fn check_days(
        &self,
        method: Option<CollectionMethod>,
        invoices: Option<&PhaseInvoices>,
        at: &str,
    ) -> Result<()> {
        let method = method
            .or(self.settings.collection_method)
            .unwrap_or(CollectionMethod::ChargeAutomatically);
        let own = invoices.and_then(|invoices| invoices.days_until_due);
        let common = self.settings.invoices.days_until_due;
        let sent = method == CollectionMethod::SendInvoice;
        let days = own.or(common.filter(|_| sent));
        let checked = subscriptions::checked_days(method, days);
        checked.map(|_| ()).map_err(|error| error.within("invoice_settings").within(at))
    }
}

impl From<&PhaseInput> for Empty {
    fn from(input: &PhaseInput) -> Self {
        Self {
            billing_thresholds: matches!(input.billing_thresholds, Clear::Unset),
            description: matches!(input.description, Clear::Unset),
            discounts: matches!(input.discounts, Clear::Unset),
        }
    }
}

/// The item of a phase as one of a subscription that is only looked at for what it costs.
fn unbound(item: &PhaseItem) -> subscriptions::ItemInput {
    subscriptions::ItemInput {
        billing_thresholds: Clear::Keep,
        discounts: Clear::Keep,
        metadata: Metadata::default(),
        plan: None,
        price: Some(Text(item.price.clone())),
        price_data: None,
        quantity: item.quantity,
        tax_rates: Clear::Keep,
    }
}

/// What of an item a subscription is not proposed with.
struct Apart {
    discounts: Vec<DiscountInput>,
    metadata: BTreeMap<String, String>,
}

/// The items of a phase as those of a subscription, and what is kept apart from it: discounts, which
/// are not redeemed yet.
fn items_apart(
    inputs: Vec<ItemInput>,
    at: &str,
) -> Result<(Vec<subscriptions::ItemInput>, Vec<Apart>)> {
    let mut items = Vec::with_capacity(inputs.len());
    let mut apart = Vec::with_capacity(inputs.len());
    for (place, input) in inputs.into_iter().enumerate() {
        // The same id may be given by both names.
        let twice = input.price.is_some() && input.price == input.plan;
        if input.price.is_none() && input.plan.is_none() && input.price_data.is_none() {
            return Err(Error::missing(format!("{at}[items][{place}][price]")));
        }
        items.push(subscriptions::ItemInput {
            billing_thresholds: input.billing_thresholds,
            discounts: Clear::Keep,
            metadata: Metadata::default(),
            plan: input.plan.filter(|_| !twice),
            price: input.price,
            price_data: input.price_data,
            quantity: input.quantity,
            tax_rates: input.tax_rates,
        });
        apart.push(Apart {
            discounts: input.discounts.or_none().unwrap_or_default(),
            metadata: changes_of(input.metadata),
        });
    }
    Ok((items, apart))
}

/// A change of metadata as it is kept until it is made: an empty value takes its key away.
pub(super) fn changes_of(change: MetadataChange) -> BTreeMap<String, String> {
    match change {
        MetadataChange::Keep | MetadataChange::ClearAll => BTreeMap::new(),
        MetadataChange::Merge(changes) => {
            changes.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
        }
    }
}

/// The change of metadata that is kept so.
pub(super) fn change_of(kept: &BTreeMap<String, String>) -> MetadataChange {
    let some = |value: &String| (!value.is_empty()).then(|| value.clone());
    MetadataChange::Merge(kept.iter().map(|(key, value)| (key.clone(), some(value))).collect())
}

fn ids_of(rates: &[tax_rates::TaxRate]) -> Vec<String> {
    rates.iter().map(|rate| rate.id.as_str().to_owned()).collect()
}

/// The currency of a phase.
///
/// # Errors
/// A 500 when what was kept is none.
pub(super) fn currency_of(phase: &Phase) -> Result<Currency> {
    Currency::parse(&phase.currency).map_err(Error::internal)
}
