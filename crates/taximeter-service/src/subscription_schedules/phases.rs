//! Phases that are asked for, held against every rule before anything is kept.

use std::collections::BTreeMap;

use taximeter_kernel::calendar::{Interval, Recurrence};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::{DAY_S, Timestamp};

use super::input::{
    AdditionInput, EndType, InvoicesInput, ItemInput, PhaseInput, SettingsInput, SpanInput,
    StartType,
};
use super::types::{Bound, Empty, Named, PhaseAddition, PhaseInvoices, PhaseItem};
use super::{DefaultSettings, Phase, PhaseAnchor, Schedule};
use crate::ctx::{Agreed, Ctx};
use crate::customers::{self, Customer};
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Result};
use crate::params::{Clear, Metadata, MetadataChange, OrWord, Text};
use crate::subscriptions::{
    self, BillingModeInput, CollectionMethod, Now, ProrationBehavior, Subscription, ThresholdsInput,
};
use crate::version::CLOVER;
use crate::{invoice_items, payment_methods, promotion_codes, tax_rates};

/// The most phases that are under way or to come (Stripe's).
const PHASES_MAX: usize = 10;
/// The most things sold once with a phase (Stripe's).
const ADDITIONS_MAX: usize = 20;
/// The longest trial, in seconds (Stripe's).
const TRIAL_S_MAX: i64 = 730 * DAY_S;

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

/// The instant of a date that may be a word.
pub(super) fn instant(date: OrWord<Now, i64>, now: Timestamp) -> i64 {
    match date {
        OrWord::Word(Now::Now) => now.0,
        OrWord::Value(at) => at,
    }
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

/// Holds a payment method against the customer.
async fn checked_method(
    ctx: &mut Ctx,
    customer: &Customer,
    id: Option<Text<255>>,
    param: &str,
) -> Result<Option<String>> {
    let Some(id) = id else { return Ok(None) };
    let method = payment_methods::attached(ctx, &id, &customer.id, param).await?;
    Ok(Some(method.id.as_str().to_owned()))
}

/// Puts a change on what phases have that say nothing of it.
///
/// # Errors
/// A 400 when it is against the rules.
pub(super) async fn set_settings(
    ctx: &mut Ctx,
    customer: &Customer,
    settings: &mut DefaultSettings,
    input: SettingsInput,
) -> Result<()> {
    const AT: &str = "default_settings";
    settings.anchor = input.billing_cycle_anchor.unwrap_or(settings.anchor);
    match input.billing_thresholds {
        Clear::Keep => {}
        Clear::Unset => settings.thresholds = None,
        Clear::Set(input) => {
            settings.thresholds = Some(subscriptions::thresholds_of(&input, AT)?);
        }
    }
    settings.collection_method = input.collection_method.or(settings.collection_method);
    let param = "default_settings[default_payment_method]";
    let pays = checked_method(ctx, customer, input.default_payment_method, param).await?;
    settings.default_payment_method = pays.or_else(|| settings.default_payment_method.take());
    input.description.apply(&mut settings.description);
    if let Some(invoices) = input.invoice_settings {
        set_invoices(&mut settings.invoices, invoices, AT)?;
    }
    if settings.collection_method != Some(CollectionMethod::SendInvoice)
        && settings.invoices.days_until_due.is_some()
    {
        let charged = CollectionMethod::ChargeAutomatically;
        let checked = subscriptions::checked_days(charged, settings.invoices.days_until_due);
        checked.map_err(|error| error.within("invoice_settings").within(AT))?;
    }
    Ok(())
}

/// A phase begins where the one before ends.
fn refuse_other_start(input: &PhaseInput, start: i64, now: Timestamp, at: &str) -> Result<()> {
    let asked = input.start_date.map(|date| instant(date, now));
    if asked.is_none_or(|asked| asked == start) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Invalid start_date: a phase must start where the one before ends, at {start}."
    ))
    .param(format!("{at}[start_date]")))
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

pub(super) fn checked_invoices(input: InvoicesInput, at: &str) -> Result<PhaseInvoices> {
    let mut invoices = PhaseInvoices::default();
    set_invoices(&mut invoices, input, at)?;
    Ok(invoices)
}

fn set_invoices(invoices: &mut PhaseInvoices, input: InvoicesInput, at: &str) -> Result<()> {
    match input.custom_fields {
        Clear::Keep => {}
        Clear::Unset => invoices.custom_fields = None,
        Clear::Set(fields) => {
            let path = format!("{at}[invoice_settings][custom_fields]");
            invoices.custom_fields = Some(customers::checked_custom_fields(fields, &path)?);
        }
    }
    invoices.days_until_due = input.days_until_due.or(invoices.days_until_due);
    input.description.apply(&mut invoices.description);
    input.footer.apply(&mut invoices.footer);
    Ok(())
}

/// Until when a phase is a trial.
fn checked_trial(
    (whole, trial_end): (bool, Option<OrWord<Now, i64>>),
    (start, end): (i64, i64),
    now: Timestamp,
    at: &str,
) -> Result<Option<i64>> {
    let asked = trial_end.map(|date| instant(date, now));
    let refuse = |message: String| Err(Error::invalid(message).param(format!("{at}[trial_end]")));
    match (whole, asked) {
        (true, _) if end > start.saturating_add(TRIAL_S_MAX) => {
            refuse("Invalid trial: a trial can be at most 730 days long.".to_owned())
        }
        (true, None) => Ok(Some(end)),
        (true, Some(asked)) if asked == end => Ok(Some(end)),
        (true, Some(_)) => refuse(format!(
            "Invalid trial_end: with `trial=true` it must be the end of the phase, {end}."
        )),
        (false, Some(asked)) if asked > start.saturating_add(TRIAL_S_MAX) => {
            refuse("Invalid trial_end: a trial can be at most 730 days long.".to_owned())
        }
        // A trial that is over as it begins is none.
        (false, Some(asked)) if asked == start || trial_end == Some(OrWord::Word(Now::Now)) => {
            Ok(None)
        }
        (false, Some(asked)) if start < asked && asked <= end => Ok(Some(asked)),
        (false, Some(_)) => refuse(format!(
            "Invalid trial_end: it must be within the phase, after {start} and not after {end}."
        )),
        (false, None) => Ok(None),
    }
}

/// The time that something sold once is for.
pub(super) fn bounds(
    period: Option<SpanInput>,
    (begins, ends): (i64, i64),
    at: &str,
) -> Result<(Bound<StartType>, Bound<EndType>)> {
    let Some(period) = period else {
        let start = Bound { r#type: StartType::MaxItemPeriodStart, timestamp: None };
        return Ok((start, Bound { r#type: EndType::MinItemPeriodEnd, timestamp: None }));
    };
    let checked = |name: &str, is_instant: bool, timestamp: Option<i64>| {
        let path = format!("{at}[period][{name}][timestamp]");
        match (is_instant, timestamp) {
            (true, None) => Err(Error::missing(path)),
            (false, Some(_)) => {
                let message = format!("You can only specify `{path}` with `type=timestamp`.");
                Err(Error::invalid(message).param(path))
            }
            (_, timestamp) => Ok(timestamp),
        }
    };
    let (start, end) = (period.start, period.end);
    let timestamp = checked("start", start.r#type == StartType::Timestamp, start.timestamp)?;
    let from = Bound { r#type: start.r#type, timestamp };
    let timestamp = checked("end", end.r#type == EndType::Timestamp, end.timestamp)?;
    let to = Bound { r#type: end.r#type, timestamp };
    // A period of the items holds the start of the phase, whichever it will be.
    let earliest = from.timestamp.unwrap_or(begins);
    let latest = match end.r#type {
        EndType::MinItemPeriodEnd => begins,
        EndType::PhaseEnd => ends,
        EndType::Timestamp => to.timestamp.unwrap_or(ends),
    };
    if latest < earliest {
        return Err(Error::invalid("Invalid period: `end` must not be before `start`.")
            .param(format!("{at}[period][end]")));
    }
    Ok((from, to))
}

/// Where phases end. Months that follow one another are counted from where the first of them began,
/// and never from each other: from 31 January on, two phases of a month end on 28 February and on 31
/// March.
struct Calendar {
    /// Where the next phase begins.
    at: i64,
    /// From where months are counted, and how many there were.
    months: (i64, i64),
}

impl Calendar {
    const fn from(start: i64) -> Self {
        Self { at: start, months: (start, 0) }
    }

    /// The end of the phase that begins here.
    fn end(
        &mut self,
        ctx: &Ctx,
        ends: (Option<super::input::DurationInput>, Option<i64>, Option<OrWord<Now, i64>>),
        last: bool,
        (sub, at): (&Subscription, &str),
    ) -> Result<i64> {
        let (duration, iterations, end_date) = ends;
        if iterations.is_some() && !ctx.caller.version.is_before(CLOVER) {
            let full = format!("{at}[iterations]");
            return Err(Error::invalid(format!(
                "Received unknown parameter: {full}. Did you mean duration?"
            ))
            .code("parameter_unknown")
            .param(full));
        }
        let begins = self.at;
        let given = [duration.is_some(), iterations.is_some(), end_date.is_some()];
        if given.iter().filter(|given| **given).count() > 1 {
            return Err(Error::invalid(
                "You may only specify one of these parameters: duration, end_date, iterations.",
            )
            .code("parameters_exclusive")
            .param(format!("{at}[end_date]")));
        }
        let end = match (duration, iterations, end_date) {
            (Some(duration), ..) => {
                let count = duration.interval_count.unwrap_or(1);
                let path = format!("{at}[duration][interval_count]");
                self.after(duration.interval, count, &path)?
            }
            (None, Some(count), _) => {
                self.after_periods(sub, count, &format!("{at}[iterations]"))?
            }
            (None, None, Some(date)) => self.restart(instant(date, ctx.now)),
            (None, None, None) if last => self.after_periods(sub, 1, at)?,
            (None, None, None) => return Err(Error::missing(format!("{at}[end_date]"))),
        };
        if end <= begins {
            return Err(Error::invalid(format!(
                "Invalid end_date: a phase must end after it starts, at {begins}."
            ))
            .param(format!("{at}[end_date]")));
        }
        self.at = end;
        Ok(end)
    }

    const fn restart(&mut self, end: i64) -> i64 {
        self.months = (end, 0);
        end
    }

    /// So many periods of the price that recurs most often.
    fn after_periods(&mut self, sub: &Subscription, count: i64, path: &str) -> Result<i64> {
        let recurring = sub.items.iter().filter_map(|item| item.price.recurring.as_ref());
        let from = Timestamp(self.at);
        let shortest = recurring
            .map(|recurring| recurring.recurrence)
            .min_by_key(|recurrence| recurrence.boundary(from, 1).ok().map(|at| at.0));
        let shortest = shortest.ok_or_else(|| Error::missing(path))?;
        let all = count.saturating_mul(i64::from(shortest.count()));
        self.after(shortest.interval(), all, path)
    }

    fn after(&mut self, interval: Interval, count: i64, path: &str) -> Result<i64> {
        let outside = || {
            Error::invalid("Invalid duration: it must be at least 1, and end within the calendar.")
                .param(path)
        };
        if count < 1 {
            return Err(outside());
        }
        let one = |interval| Recurrence::new(interval, 1).map_err(Error::internal);
        let months = match interval {
            Interval::Day | Interval::Week => {
                let end = one(interval)?.boundary(Timestamp(self.at), count);
                return Ok(self.restart(end.map_err(|error| outside().because(error))?.0));
            }
            Interval::Month => count,
            Interval::Year => count.saturating_mul(12),
        };
        let (from, gone) = self.months;
        let all = gone.saturating_add(months);
        let end = one(Interval::Month)?.boundary(Timestamp(from), all);
        self.months = (from, all);
        Ok(end.map_err(|error| outside().because(error))?.0)
    }
}

/// The currency of a phase.
///
/// # Errors
/// A 500 when what was kept is none.
pub(super) fn currency_of(phase: &Phase) -> Result<Currency> {
    Currency::parse(&phase.currency).map_err(Error::internal)
}
