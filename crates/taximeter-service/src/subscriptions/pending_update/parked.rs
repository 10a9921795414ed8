//! What an update that waits for its payment makes of a subscription, as it is kept and as clients see
//! it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taximeter_kernel::id::Id;
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{HOUR_S, Period, Timestamp};

use super::super::update::set_end;
use super::super::{Item, ItemTerms, Status, Subscription};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::invoices::Invoice;
use crate::params::Clear;
use crate::prices;

/// How long an update waits for its payment at the most, in seconds (Stripe's).
const WAITS_S: i64 = 23 * HOUR_S;

/// What a subscription becomes once an invoice is paid. Instants are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingUpdate {
    /// Which invoice.
    pub invoice: String,
    /// Until when it can be paid.
    pub expires_at: i64,
    /// Whether clients see it: not while the invoice is tried for the first time.
    pub shown: bool,
    /// What periods are counted from.
    billing_cycle_anchor: Option<i64>,
    /// Whether it ends with its period.
    cancel_at_period_end: Option<bool>,
    /// Keys that are set; empty for those that are deleted.
    metadata: BTreeMap<String, String>,
    /// Its trial.
    trial: Option<ParkedTrial>,
    /// Whether that is its prices'.
    trial_from_plan: Option<bool>,
    /// Its items, where they change.
    items: Option<Vec<ParkedItem>>,
}

/// How a subscription is in its trial, or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ParkedTrial {
    status: Status,
    start: Option<i64>,
    end: Option<i64>,
}

/// An item as it will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ParkedItem {
    id: String,
    /// Nothing where the item stays as it is.
    becomes: Option<Becomes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Becomes {
    price: String,
    quantity: Option<i64>,
    start: i64,
    end: i64,
    created: i64,
    terms: ItemTerms,
}

impl PendingUpdate {
    /// What makes `after` of `before`, once the invoice is paid. It expires with the period or the
    /// trial that the subscription is in, if that is over in less than 23 hours.
    pub(super) fn park(
        before: &Subscription,
        after: &Subscription,
        invoice: &Invoice,
        trial_from_plan: bool,
        now: Timestamp,
    ) -> Self {
        let trial_end = before.trial_end.filter(|_| before.status == Status::Trialing);
        let ends = [before.next_boundary(), trial_end, before.cancel_at];
        let ends = ends.into_iter().flatten().filter(|end| *end > now).map(|end| end.0);
        let longest = now.0.saturating_add(WAITS_S);
        let anchor = after.billing_cycle_anchor;
        let trial = |sub: &Subscription| (sub.status, sub.trial_start, sub.trial_end);
        Self {
            invoice: invoice.id.as_str().to_owned(),
            expires_at: ends.fold(longest, i64::min),
            shown: false,
            billing_cycle_anchor: (anchor != before.billing_cycle_anchor).then_some(anchor.0),
            cancel_at_period_end: (after.cancel_at_period_end != before.cancel_at_period_end)
                .then_some(after.cancel_at_period_end),
            metadata: changed_keys(&before.metadata, &after.metadata),
            trial: (trial(before) != trial(after)).then(|| ParkedTrial {
                status: after.status,
                start: after.trial_start.map(|at| at.0),
                end: after.trial_end.map(|at| at.0),
            }),
            trial_from_plan: trial_from_plan.then_some(true),
            items: (before.items != after.items)
                .then(|| after.items.iter().map(|item| park_item(before, item)).collect()),
        }
    }

    /// The items as they will be, where they change: `held` are those of the subscription now.
    ///
    /// # Errors
    /// A 500 when a price cannot be read.
    pub(in super::super) async fn items(
        &self,
        ctx: &mut Ctx,
        sub: &Subscription,
    ) -> Result<Option<Vec<Item>>> {
        let Some(parked) = &self.items else { return Ok(None) };
        let mut items = Vec::with_capacity(parked.len());
        for ParkedItem { id, becomes } in parked {
            let held = sub.items.iter().find(|item| item.id.as_str() == id);
            match (held, becomes) {
                (Some(held), None) => items.push(held.clone()),
                (held, Some(becomes)) => {
                    let price = prices::retrieve(ctx, &becomes.price).await?;
                    items.push(becomes.item(sub, id, held, price)?);
                }
                // It was taken away meanwhile.
                (None, None) => {}
            }
        }
        Ok(Some(items))
    }

    /// Makes the update. `sub` has the items that it will have beside those that it has.
    ///
    /// # Errors
    /// A 400 when its metadata would be too much by now.
    pub(super) fn apply(self, sub: &mut Subscription, now: Timestamp) -> Result<()> {
        if let Some(items) = sub.pending_items.take() {
            sub.items = items;
        }
        if let Some(anchor) = self.billing_cycle_anchor {
            sub.billing_cycle_anchor = Timestamp(anchor);
            sub.terms.anchor_config = None;
        }
        if let Some(ParkedTrial { status, start, end }) = self.trial {
            sub.status = status;
            sub.trial_start = start.map(Timestamp);
            sub.trial_end = end.map(Timestamp);
        }
        for (key, value) in self.metadata {
            if value.is_empty() {
                sub.metadata.remove(&key);
            } else {
                sub.metadata.insert(key, value);
            }
        }
        set_end(sub, Clear::Keep, self.cancel_at_period_end, now)?;
        if sub.status != Status::Paused {
            sub.end_with_period();
        }
        Ok(())
    }

    /// The member `pending_update` of a subscription that will have `items`.
    pub(in super::super) fn wire(&self, items: Option<&[Item]>) -> Value {
        json!({
            "billing_cycle_anchor": self.billing_cycle_anchor,
            "cancel_at_period_end": self.cancel_at_period_end,
            "discount": null,
            "discounts": null,
            "expires_at": self.expires_at,
            "metadata": Some(&self.metadata).filter(|keys| !keys.is_empty()),
            "subscription_items":
                items.map(|items| items.iter().map(Item::wire).collect::<Vec<_>>()),
            "trial_end": self.trial.and_then(|trial| trial.end),
            "trial_from_plan": self.trial_from_plan,
        })
    }
}

fn changed_keys(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let set = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let set = set.map(|(key, value)| (key.clone(), value.clone()));
    set.chain(gone.map(|key| (key.clone(), String::new()))).collect()
}

fn park_item(before: &Subscription, item: &Item) -> ParkedItem {
    let stays = before.items.contains(item);
    let becomes = (!stays).then(|| Becomes {
        price: item.price.id.as_str().to_owned(),
        quantity: item.quantity,
        start: item.current_period.start.0,
        end: item.current_period.end.0,
        created: item.created.0,
        terms: item.terms.clone(),
    });
    ParkedItem { id: item.id.as_str().to_owned(), becomes }
}

impl Becomes {
    /// The item: what of it does not depend on its price and its period is as it is by now.
    fn item(
        &self,
        sub: &Subscription,
        id: &str,
        held: Option<&Item>,
        price: prices::Price,
    ) -> Result<Item> {
        let mut terms = held.map_or_else(|| self.terms.clone(), |held| held.terms.clone());
        terms.billed_early.clone_from(&self.terms.billed_early);
        terms.debits.clone_from(&self.terms.debits);
        terms.usage_from = self.terms.usage_from;
        terms.paid_until = self.terms.paid_until;
        if price.usage_type() == UsageType::Licensed {
            terms.billing_thresholds = None;
        }
        Ok(Item {
            id: Id::parse(id).map_err(Error::internal)?,
            subscription: sub.id.clone(),
            quantity: self.quantity,
            price,
            metadata: held.map_or_else(BTreeMap::new, |held| held.metadata.clone()),
            current_period: Period { start: Timestamp(self.start), end: Timestamp(self.end) },
            created: Timestamp(self.created),
            tax_rates: held.map_or_else(Vec::new, |held| held.tax_rates.clone()),
            terms,
        })
    }
}
