//! A phase as a subscription is told it: how it begins with it, or changes.

use taximeter_kernel::id::{Discount as DiscountKind, Id};

use super::input::{EndType as PhaseEnd, StartType as PhaseStart};
use super::phases::{change_of, currency_of};
use super::types::{Named, PhaseAddition, PhaseInvoices, PhaseItem};
use super::{Phase, PhaseAnchor, Schedule};
use crate::ctx::Ctx;
use crate::customers::{CustomFieldInput, Customer};
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::Result;
use crate::params::{Clear, Metadata, OrWord, Text};
use crate::subscriptions::{
    self, AddInvoiceItem, AnchorChange, BillingModeInput, CollectionMethod, EndInput, EndType,
    FlexibleInput, InvoiceSettingsInput, Item, ItemInput, ItemThresholdsInput, ItemUpdate,
    Scheduled, SpanInput, StartInput, StartType, Subscription, ThresholdsInput,
};
use crate::{invoices, payment_methods};

/// A phase in the terms of a subscription: what it says itself, and else what its schedule does.
pub(super) struct Terms<'a> {
    pub(super) schedule: &'a Schedule,
    pub(super) phase: &'a Phase,
    /// The phase as it was, where it has begun and changes.
    pub(super) was: Option<&'a Phase>,
    pub(super) customer: &'a Customer,
}

impl Terms<'_> {
    fn method(&self) -> CollectionMethod {
        let common = self.schedule.outline.settings.collection_method;
        self.phase.collection_method.or(common).unwrap_or(CollectionMethod::ChargeAutomatically)
    }

    fn invoices(&self) -> PhaseInvoices {
        let common = self.schedule.outline.settings.invoices.clone();
        let own = self.phase.invoices.clone().unwrap_or_default();
        let sent = self.method() == CollectionMethod::SendInvoice;
        PhaseInvoices {
            custom_fields: own.custom_fields.or(common.custom_fields),
            days_until_due: own.days_until_due.or(common.days_until_due).filter(|_| sent),
            description: own.description.or(common.description),
            footer: own.footer.or(common.footer),
        }
    }

    fn description(&self) -> Option<String> {
        let common = &self.schedule.outline.settings.description;
        let common = common.clone().filter(|_| !self.phase.empty.description);
        self.phase.description.clone().or(common)
    }

    fn thresholds(&self) -> Clear<ThresholdsInput> {
        let common = self.schedule.outline.settings.thresholds.as_ref();
        let common = common.filter(|_| !self.phase.empty.billing_thresholds);
        let thresholds = self.phase.thresholds.as_ref().or(common);
        thresholds.map_or(Clear::Unset, |thresholds| Clear::Set(thresholds.into()))
    }

    /// What pays, unless the customer has it no more.
    async fn pays(&self, ctx: &mut Ctx) -> Result<Option<Text<255>>> {
        let common = &self.schedule.outline.settings.default_payment_method;
        let Some(id) = self.phase.default_payment_method.as_ref().or(common.as_ref()) else {
            return Ok(None);
        };
        let found = payment_methods::still_attached(ctx, id, &self.customer.id).await?;
        Ok(found.map(|method| Text(method.id.as_str().to_owned())))
    }

    /// What is taken off. What can be redeemed no more when time has come for it is left out.
    async fn discounts(&self, ctx: &mut Ctx, names: &[Named]) -> Result<Vec<DiscountInput>> {
        let mut inputs = Vec::with_capacity(names.len());
        for name in names {
            let text = |id: &Option<String>| id.clone().map(Text);
            let input = DiscountInput {
                coupon: text(&name.coupon),
                discount: text(&name.discount),
                promotion_code: text(&name.promotion_code),
            };
            if ctx.has_agreed_to_all() && !self.is_redeemable(ctx, input.clone()).await? {
                continue;
            }
            inputs.push(input);
        }
        Ok(inputs)
    }

    /// The change of what is taken off something that has `held` discounts. What was taken off already
    /// stays, and is not redeemed again; what of it is over, or was taken away by hand, is left out.
    async fn discounts_beside(
        &self,
        ctx: &mut Ctx,
        names: &[Named],
        (was, held): (&[Named], &[String]),
    ) -> Result<Clear<Vec<DiscountInput>>> {
        if names == was {
            return Ok(Clear::Keep);
        }
        let held = discounts::of(ctx, &invoices::parsed(held)?).await?;
        let mut inputs = Vec::with_capacity(names.len());
        for name in names {
            if !was.contains(name) {
                inputs.extend(self.discounts(ctx, std::slice::from_ref(name)).await?);
                continue;
            }
            let kept = held.iter().find(|held| name.names(held) && held.active_at(ctx.now));
            inputs.extend(kept.map(|kept| DiscountInput {
                coupon: None,
                discount: Some(Text(kept.id.as_str().to_owned())),
                promotion_code: None,
            }));
        }
        Ok(set_or_unset(inputs))
    }

    async fn is_redeemable(&self, ctx: &mut Ctx, input: DiscountInput) -> Result<bool> {
        let undo = ctx.tx.savepoint().await?;
        let currency = currency_of(self.phase)?;
        let customer = self.customer;
        let anyone = ctx.new_id();
        let holder = Holder::Subscription(&anyone);
        let tried = discounts::apply(ctx, holder, customer, currency, vec![input], "discounts");
        let tried: Result<Vec<Id<DiscountKind>>> =
            tried.await.map(|made| made.into_iter().map(|discount| discount.id).collect());
        ctx.tx.rollback_to(undo).await?;
        match tried {
            Ok(_) => Ok(true),
            Err(error) if error.is_outcome() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn mode(&self) -> BillingModeInput {
        let outline = &self.schedule.outline;
        billing_mode(outline.billing_mode, outline.proration_discounts)
    }

    /// Begins the subscription with the phase.
    pub(super) async fn begin(&self, ctx: &mut Ctx) -> Result<Subscription> {
        let input = self.creation(ctx).await?;
        let scheduled = Scheduled {
            schedule: self.schedule.id.clone(),
            own_discounts_only: self.phase.empty.discounts,
        };
        Box::pin(subscriptions::begin(ctx, input, scheduled)).await
    }

    /// The subscription that begins with the phase, as a request would ask for it.
    async fn creation(&self, ctx: &mut Ctx) -> Result<subscriptions::Create> {
        let phase = self.phase;
        let now = ctx.now.0;
        let invoices = self.invoices();
        let mut items = Vec::with_capacity(phase.items.len());
        for item in &phase.items {
            items.push(ItemInput {
                billing_thresholds: thresholds_of(item),
                discounts: Clear::Set(self.discounts(ctx, &item.discounts).await?),
                metadata: Metadata(without_empty(&item.metadata)),
                plan: None,
                price: Some(Text(item.price.clone())),
                price_data: None,
                quantity: item.quantity,
                tax_rates: Clear::Set(texts(&item.tax_rates)),
            });
        }
        let anchored = phase.anchor.unwrap_or(self.schedule.outline.settings.anchor);
        let backdated = phase.start < now;
        let ends = self.schedule.ends_subscription();
        Ok(subscriptions::Create {
            add_invoice_items: Some(self.additions(ctx, &phase.additions).await?),
            backdate_start_date: backdated.then_some(phase.start),
            billing_cycle_anchor: (anchored == PhaseAnchor::PhaseStart && backdated)
                .then_some(phase.start),
            billing_cycle_anchor_config: None,
            billing_mode: Some(self.mode()),
            billing_thresholds: self.thresholds(),
            cancel_at: ends.map(|at| OrWord::Value(at.0)),
            cancel_at_period_end: None,
            collection_method: Some(self.method()),
            currency: Some(currency_of(phase)?),
            customer: Text(self.customer.id.as_str().to_owned()),
            days_until_due: invoices.days_until_due,
            default_payment_method: self.pays(ctx).await?,
            default_tax_rates: Clear::Set(texts(&phase.default_tax_rates)),
            description: self.description().map(Text),
            discounts: Clear::Set(self.discounts(ctx, &phase.discounts).await?),
            invoice_settings: Some(settings_of(invoices)),
            items,
            metadata: Metadata(without_empty(&phase.metadata)),
            off_session: Some(true),
            payment_behavior: None,
            payment_settings: None,
            pending_invoice_item_interval: Clear::Keep,
            proration_behavior: Some(phase.proration_behavior),
            trial_end: phase.trial_end.filter(|end| *end > now).map(OrWord::Value),
            trial_from_plan: None,
            trial_period_days: None,
            trial_settings: None,
        })
    }

    /// The change that makes a subscription what it is in the phase.
    pub(super) async fn update(
        &self,
        ctx: &mut Ctx,
        sub: &Subscription,
    ) -> Result<subscriptions::Update> {
        let phase = self.phase;
        let now = ctx.now.0;
        let invoices = self.invoices();
        let trial = phase.trial_end.filter(|end| *end > now);
        let anchored = phase.anchor.unwrap_or(self.schedule.outline.settings.anchor);
        let trialing = sub.status == subscriptions::Status::Trialing;
        let anew = anchored == PhaseAnchor::PhaseStart && trial.is_none() && !trialing;
        let discounts = match self.was {
            Some(was) => {
                let held = (&*was.discounts, &*sub.terms.discounts);
                self.discounts_beside(ctx, &phase.discounts, held).await?
            }
            None => set_or_unset(self.discounts(ctx, &phase.discounts).await?),
        };
        Ok(subscriptions::Update {
            add_invoice_items: Some(self.additions(ctx, &phase.additions).await?),
            billing_cycle_anchor: anew.then_some(OrWord::Word(AnchorChange::Now)),
            billing_thresholds: self.thresholds(),
            collection_method: Some(self.method()),
            days_until_due: invoices.days_until_due,
            default_payment_method: self.pays(ctx).await?.map_or(Clear::Unset, Clear::Set),
            default_tax_rates: set_or_unset(texts(&phase.default_tax_rates)),
            description: self.description().map_or(Clear::Unset, |text| Clear::Set(Text(text))),
            discounts,
            invoice_settings: Some(settings_of(invoices)),
            items: Some(self.items(ctx, sub).await?),
            metadata: change_of(&phase.metadata),
            off_session: Some(true),
            proration_behavior: Some(phase.proration_behavior),
            trial_end: trial.map(OrWord::Value),
            ..subscriptions::Update::default()
        })
    }

    /// The changes that make the items of a subscription those of the phase. An item stays the same
    /// if its price does; else one of the same product changes its price.
    async fn items(&self, ctx: &mut Ctx, sub: &Subscription) -> Result<Vec<ItemUpdate>> {
        let mut old: Vec<&Item> = sub.items.iter().collect();
        let mut kept: Vec<Option<&Item>> = vec![None; self.phase.items.len()];
        for rule in [same_price, same_product] {
            for (place, planned) in kept.iter_mut().zip(&self.phase.items) {
                if place.is_none()
                    && let Some(at) = old.iter().position(|item| rule(item, planned))
                {
                    *place = Some(old.remove(at));
                }
            }
        }
        let mut updates: Vec<ItemUpdate> = old
            .into_iter()
            .map(|item| ItemUpdate {
                id: Some(Text(item.id.as_str().to_owned())),
                deleted: Some(true),
                ..ItemUpdate::default()
            })
            .collect();
        for (item, planned) in kept.into_iter().zip(&self.phase.items) {
            updates.push(self.item(ctx, item, planned).await?);
        }
        Ok(updates)
    }

    /// The change that makes an item what is planned, or adds it.
    async fn item(
        &self,
        ctx: &mut Ctx,
        item: Option<&Item>,
        planned: &PhaseItem,
    ) -> Result<ItemUpdate> {
        let named = item.is_none_or(|item| item.price.id.as_str() != planned.price);
        let mut was = self.was.into_iter().flat_map(|was| &was.items);
        let was = was.find(|was| item.is_some_and(|item| same_price(item, was)));
        let discounts = match item.zip(was) {
            Some((item, was)) => {
                let held = (&*was.discounts, &*item.terms.discounts);
                self.discounts_beside(ctx, &planned.discounts, held).await?
            }
            None => set_or_unset(self.discounts(ctx, &planned.discounts).await?),
        };
        Ok(ItemUpdate {
            billing_thresholds: thresholds_of(planned),
            discounts,
            id: item.map(|item| Text(item.id.as_str().to_owned())),
            metadata: change_of(&planned.metadata),
            price: named.then(|| Text(planned.price.clone())),
            quantity: planned.quantity,
            tax_rates: set_or_unset(texts(&planned.tax_rates)),
            ..ItemUpdate::default()
        })
    }

    /// What is sold once with the phase, as a subscription takes it.
    pub(super) async fn additions(
        &self,
        ctx: &mut Ctx,
        additions: &[PhaseAddition],
    ) -> Result<Vec<AddInvoiceItem>> {
        let mut inputs = Vec::with_capacity(additions.len());
        for addition in additions {
            inputs.push(AddInvoiceItem {
                discountable: addition.discountable,
                discounts: Clear::Set(self.discounts(ctx, &addition.discounts).await?),
                metadata: Metadata(addition.metadata.clone()),
                period: Some(self.span(addition)),
                price: Some(Text(addition.price.clone())),
                price_data: None,
                quantity: Some(addition.quantity),
                tax_rates: Clear::Set(texts(&addition.tax_rates)),
            });
        }
        Ok(inputs)
    }

    fn span(&self, addition: &PhaseAddition) -> SpanInput {
        let begins = (addition.start.r#type == PhaseStart::PhaseStart).then_some(self.phase.start);
        let start = addition.start.timestamp.or(begins);
        let ends = (addition.end.r#type == PhaseEnd::PhaseEnd).then_some(self.phase.end);
        let end = addition.end.timestamp.or(ends);
        SpanInput {
            start: StartInput {
                timestamp: start,
                r#type: start.map_or(StartType::MaxItemPeriodStart, |_| StartType::Timestamp),
            },
            end: EndInput {
                timestamp: end,
                r#type: end.map_or(EndType::MinItemPeriodEnd, |_| EndType::Timestamp),
            },
        }
    }
}

fn same_price(item: &Item, planned: &PhaseItem) -> bool {
    item.price.id.as_str() == planned.price
}

fn same_product(item: &Item, planned: &PhaseItem) -> bool {
    item.price.product.as_str() == planned.product
}

/// The rules that a subscription is billed by, as a request would have them.
pub(super) fn billing_mode(
    mode: subscriptions::BillingModeType,
    discounts: Option<subscriptions::ProrationDiscounts>,
) -> BillingModeInput {
    let flexible =
        discounts.map(|discounts| FlexibleInput { proration_discounts: Some(discounts) });
    BillingModeInput { flexible, r#type: mode }
}

fn thresholds_of(item: &PhaseItem) -> Clear<ItemThresholdsInput> {
    match item.thresholds {
        None => Clear::Unset,
        Some(thresholds) => Clear::Set(ItemThresholdsInput { usage_gte: thresholds.usage_gte }),
    }
}

fn settings_of(invoices: PhaseInvoices) -> InvoiceSettingsInput {
    let fields = invoices.custom_fields.map(|fields| {
        let fields = fields.into_iter();
        let fields = fields
            .map(|field| CustomFieldInput { name: Text(field.name), value: Text(field.value) });
        fields.collect::<Vec<_>>()
    });
    InvoiceSettingsInput {
        custom_fields: fields.map_or(Clear::Unset, Clear::Set),
        description: invoices.description.map_or(Clear::Unset, |text| Clear::Set(Text(text))),
        footer: invoices.footer.map_or(Clear::Unset, |text| Clear::Set(Text(text))),
    }
}

fn texts(ids: &[String]) -> Vec<Text<255>> {
    ids.iter().cloned().map(Text).collect()
}

fn set_or_unset<T>(list: Vec<T>) -> Clear<Vec<T>> {
    if list.is_empty() { Clear::Unset } else { Clear::Set(list) }
}

fn without_empty(
    metadata: &std::collections::BTreeMap<String, String>,
) -> std::collections::BTreeMap<String, String> {
    let some = metadata.iter().filter(|(_, value)| !value.is_empty());
    some.map(|(key, value)| (key.clone(), value.clone())).collect()
}
