//! Changes of a subscription's items, and what they cost.

use taximeter_kernel::id::{Id, Kind as _, SubscriptionItem};
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{Period, Timestamp};

use super::input::{ITEMS_MAX, ItemUpdate, ProrationBehavior};
use super::periods::whole_at;
use super::propose::{
    check_recurrences, checked_quantity, only_supports, price_of, recurring_of, too_many_items,
    within,
};
use super::prorate::Change;
use super::{BillingModeType, Item, ItemTerms, Status, Subscription, sql, thresholds};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::discounts::{self, Holder};
use crate::error::{Error, Result};
use crate::params::{Clear, Text};
use crate::prices::Price;
use crate::tax_rates;

/// How changes of items are billed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) behavior: Option<ProrationBehavior>,
    pub(super) date: Option<i64>,
}

impl Terms {
    /// The change that items undergo, and whether an invoice of it is made at once.
    ///
    /// # Errors
    /// A 400 when its date is not in the period that the subscription is in.
    pub(super) fn change(self, sub: &Subscription, now: Timestamp) -> Result<(Change, bool)> {
        let behavior = self.behavior.unwrap_or(ProrationBehavior::CreateProrations);
        let at = match self.date {
            None => now,
            Some(at) => {
                let holds = |item: &Item| item.current_period.contains(Timestamp(at));
                if !sub.items.iter().all(holds) {
                    return Err(Error::invalid(
                        "Invalid proration_date: it must be within the current period of the \
                         subscription.",
                    )
                    .param("proration_date"));
                }
                Timestamp(at)
            }
        };
        // What is free is not charged for in part.
        let free = matches!(sub.status, Status::Trialing | Status::Paused);
        let billed = behavior != ProrationBehavior::None && !free;
        Ok((Change { at, billed }, behavior == ProrationBehavior::AlwaysInvoice && !free))
    }
}

/// How changes of items were sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sent {
    /// As the list `items` of a subscription.
    Listed,
    /// As a request of its own, which is about one item.
    Alone,
}

impl Sent {
    fn path(self, place: usize) -> String {
        match self {
            Self::Listed => format!("items[{place}]"),
            Self::Alone => String::new(),
        }
    }

    /// Holds all items of a subscription against the rules that are about them together.
    fn check(self, sub: &Subscription) -> Result<()> {
        let (too_many, recurrence) = match self {
            Self::Listed => ("items", "items"),
            Self::Alone => ("subscription", "price"),
        };
        if sub.items.len() > ITEMS_MAX {
            return Err(too_many_items().param(too_many));
        }
        check_recurrences(&sub.items, sub.billing_mode, recurrence)
    }
}

/// Makes changes of items on `after`, which is what `before` will be, and writes them, with what they
/// give back and charge. Says whether anything was billed for.
///
/// # Errors
/// A 400 when a change is against the rules.
pub(super) async fn change_items(
    ctx: &mut Ctx,
    customer: &Customer,
    before: &Subscription,
    after: &mut Subscription,
    (sent, inputs): (Sent, Vec<ItemUpdate>),
    change: Change,
) -> Result<bool> {
    let (mut changed, mut repriced) = (false, Vec::new());
    for (place, input) in inputs.into_iter().enumerate() {
        let at = sent.path(place);
        let mut one = One { customer, before, after, change, repriced: &mut repriced, at: &at };
        changed |= match (&input.id, input.deleted) {
            (Some(_), Some(true)) => one.remove(ctx, input).await?,
            (Some(_), _) => one.modify(ctx, input).await?,
            (None, Some(true)) => return Err(Error::missing(format!("{at}[id]"))),
            (None, _) => one.add(ctx, input).await?,
        };
    }
    sent.check(after)?;
    let as_it_will_be = after.clone();
    for item in after.items.iter_mut().filter(|item| repriced.contains(&item.id)) {
        change.charge(ctx, &as_it_will_be, item).await?;
    }
    Ok(changed)
}

impl ItemUpdate {
    /// Whether it changes what an item costs, or which items there are.
    pub(super) fn is_billed(&self) -> bool {
        self.id.is_none()
            || self.deleted == Some(true)
            || self.plan.is_some()
            || self.price.is_some()
            || self.price_data.is_some()
            || self.quantity.is_some()
    }
}

/// A change of one item.
struct One<'a> {
    customer: &'a Customer,
    before: &'a Subscription,
    after: &'a mut Subscription,
    change: Change,
    /// The items that are charged once all changes are made.
    repriced: &'a mut Vec<Id<SubscriptionItem>>,
    /// Where it was sent.
    at: &'a str,
}

impl One<'_> {
    fn find(&self, id: &str) -> Result<usize> {
        let place = self.after.items.iter().position(|item| item.id.as_str() == id);
        place.ok_or_else(|| Error::no_such(SubscriptionItem::NOUN, id, within(self.at, "id")))
    }

    /// Takes an item away.
    async fn remove(&mut self, ctx: &mut Ctx, input: ItemUpdate) -> Result<bool> {
        let place = self.find(input.id.as_deref().unwrap_or_default())?;
        let item = self.after.items.remove(place);
        // In classic mode discounts are shared by the items that stay.
        let classic = self.before.billing_mode == BillingModeType::Classic;
        let of = if classic { &*self.after } else { self.before };
        self.change.give_back(ctx, of, &item).await?;
        // `clear_usage` is of usage records: with a meter it has no effect (Stripe's).
        self.change.bill_usage(ctx, self.before, &item).await?;
        sql::delete_item(ctx, &item.id).await?;
        Ok(true)
    }

    /// Changes an item: its price, its quantity, what it says.
    async fn modify(&mut self, ctx: &mut Ctx, input: ItemUpdate) -> Result<bool> {
        let place = self.find(input.id.as_deref().unwrap_or_default())?;
        let Some(old) = self.after.items.get(place).cloned() else {
            return Err(Error::internal("an item that was found is not there"));
        };
        let mut item = old.clone();
        input.metadata.apply(&mut item.metadata)?;
        let named = input.price.is_some() || input.plan.is_some() || input.price_data.is_some();
        if named {
            let (price, plan) = (input.price.as_ref(), input.plan.as_ref());
            let price = price_of(ctx, price, plan, input.price_data, self.at).await?;
            if price.id != old.price.id {
                self.check_price(ctx, &price, Some(place)).await?;
                item.price = price;
            }
        }
        let new_price = item.price.id != old.price.id;
        if new_price || input.quantity.is_some() {
            let path = within(self.at, "quantity");
            item.quantity = checked_quantity(&item.price, input.quantity, &path)?;
        }
        let path = within(self.at, "billing_thresholds");
        thresholds::set_of_item(&mut item, &input.billing_thresholds, &path)?;
        self.set_terms(ctx, &mut item, input.tax_rates, input.discounts).await?;
        let costs = new_price || item.quantity != old.quantity;
        if costs {
            self.reprice(ctx, &old, &mut item).await?;
        }
        sql::update_item(ctx, &item).await?;
        if let Some(kept) = self.after.items.get_mut(place) {
            *kept = item;
        }
        Ok(costs)
    }

    async fn reprice(&mut self, ctx: &mut Ctx, old: &Item, item: &mut Item) -> Result<()> {
        let debits = self.change.give_back(ctx, self.before, old).await?;
        let new_price = item.price.id != old.price.id;
        if new_price {
            self.change.bill_usage(ctx, self.before, old).await?;
            if self.before.status != Status::Trialing {
                let end = self.end_of_period(ctx, item)?;
                item.current_period = Period { start: old.current_period.start, end };
                // An end within the old period that gave nothing back cuts the new one neither.
                let known = self.after.cancel_at.is_none_or(|at| at < old.current_period.end);
                if old.terms.paid_until.is_some() || !known {
                    let within = self.after.ends_within(item.current_period);
                    item.terms.paid_until = within.map(|at| at.0);
                }
            }
            let metered = item.price.usage_type() == UsageType::Metered;
            item.terms.usage_from = metered.then_some(ctx.now.0);
            item.terms.billed_early = None;
            if metered && old.price.usage_type() == UsageType::Metered {
                let same_meter = item.price.meter() == old.price.meter();
                let classic = self.before.billing_mode == BillingModeType::Classic;
                if same_meter && !classic && !self.change.billed {
                    // Not billed at the old price, so it is at the new one.
                    item.terms.usage_from = old.terms.usage_from;
                    item.terms.billed_early.clone_from(&old.terms.billed_early);
                }
            }
        }
        if self.change.billed {
            item.terms.debits = match self.before.billing_mode {
                BillingModeType::Flexible => debits,
                BillingModeType::Classic => Vec::new(),
            };
        }
        self.charge(ctx, item).await
    }

    /// Charges an item for the rest of its period. In flexible mode discounts are shared by what all
    /// items cost, so that waits for the changes of the others: of 10.00 and 20.00 with 5.00 off, both
    /// doubled, the first is charged 20.00 − 1.67 for a month.
    async fn charge(&mut self, ctx: &mut Ctx, item: &mut Item) -> Result<()> {
        match self.before.billing_mode {
            BillingModeType::Flexible => {
                self.repriced.push(item.id.clone());
                Ok(())
            }
            BillingModeType::Classic => self.change.charge(ctx, self.after, item).await,
        }
    }

    /// Adds an item. It is in the period that the subscription is in: usage from now on for a metered
    /// price, in proportion for a licensed one.
    async fn add(&mut self, ctx: &mut Ctx, input: ItemUpdate) -> Result<bool> {
        let (price, plan) = (input.price.as_ref(), input.plan.as_ref());
        let price = price_of(ctx, price, plan, input.price_data, self.at).await?;
        self.check_price(ctx, &price, None).await?;
        let path = within(self.at, "quantity");
        let mut item = Item {
            id: ctx.new_id(),
            subscription: self.before.id.clone(),
            quantity: checked_quantity(&price, input.quantity, &path)?,
            price,
            metadata: std::collections::BTreeMap::new(),
            current_period: Period { start: ctx.now, end: ctx.now },
            created: ctx.now,
            tax_rates: Vec::new(),
            terms: ItemTerms::default(),
        };
        input.metadata.apply(&mut item.metadata)?;
        let end = match (self.before.status, self.before.trial_end) {
            (Status::Trialing, Some(end)) => end,
            _ => self.end_of_period(ctx, &item)?,
        };
        // Usage is its own from now on only: what was used before is another item's, or nobody's.
        let metered = item.price.usage_type() == UsageType::Metered;
        let start = if metered { ctx.now } else { self.change.at.min(ctx.now) };
        item.current_period = Period { start, end };
        item.terms.paid_until = self.after.ends_within(item.current_period).map(|at| at.0);
        let path = within(self.at, "billing_thresholds");
        thresholds::set_of_item(&mut item, &input.billing_thresholds, &path)?;
        self.set_terms(ctx, &mut item, input.tax_rates, input.discounts).await?;
        self.charge(ctx, &mut item).await?;
        sql::insert_item(ctx, &item).await?;
        self.after.items.push(item);
        Ok(true)
    }

    /// The end of the period that an item is in as of the change. It must not be over.
    fn end_of_period(&self, ctx: &Ctx, item: &Item) -> Result<Timestamp> {
        let end = whole_at(self.after, item, self.change.at)?.end;
        if end <= ctx.now {
            return Err(Error::invalid(
                "Invalid proration_date: the period of the new price that it is in is over.",
            )
            .param("proration_date"));
        }
        Ok(end)
    }

    async fn check_price(&self, ctx: &mut Ctx, price: &Price, but: Option<usize>) -> Result<()> {
        recurring_of(ctx, price, self.at).await?;
        let others = self.after.items.iter().enumerate().filter(|(place, _)| Some(*place) != but);
        for (_, item) in others {
            if item.price.id == price.id {
                return Err(Error::invalid(format!(
                    "A new item with Price {} can't be added to this Subscription because an \
                     existing Subscription Item {} is already using that Price.",
                    price.id, item.id
                ))
                .param("plan"));
            }
        }
        if price.scheme_in(self.after.currency).is_none() {
            let error = only_supports(price.currency, self.after.currency);
            return Err(error.param(within(self.at, "price")));
        }
        Ok(())
    }

    async fn set_terms(
        &self,
        ctx: &mut Ctx,
        item: &mut Item,
        rates: Clear<Vec<Text<255>>>,
        discounts: Clear<Vec<discounts::DiscountInput>>,
    ) -> Result<()> {
        match rates {
            Clear::Keep => {}
            Clear::Unset => item.tax_rates = Vec::new(),
            Clear::Set(ids) => {
                let path = within(self.at, "tax_rates");
                item.tax_rates = tax_rates::named(ctx, &ids, &path).await?;
            }
        }
        item.terms.tax_rates =
            item.tax_rates.iter().map(|rate| rate.id.as_str().to_owned()).collect();
        let inputs = match discounts {
            Clear::Keep => return Ok(()),
            Clear::Unset => Vec::new(),
            Clear::Set(inputs) => inputs,
        };
        let held = crate::invoices::parsed(&item.terms.discounts)?;
        let holder = Holder::SubscriptionItem(&item.id);
        let currency = self.after.currency;
        let path = within(self.at, "discounts");
        let made =
            discounts::replace(ctx, holder, self.customer, currency, &held, inputs, &path).await?;
        item.terms.discounts = made.iter().map(|made| made.id.as_str().to_owned()).collect();
        Ok(())
    }
}
