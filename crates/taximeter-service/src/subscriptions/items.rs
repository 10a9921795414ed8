//! The items of subscriptions.

use serde_json::{Value, json};
use taximeter_kernel::id::{Kind as _, SubscriptionItem};

use super::change::Sent;
use super::input::{ItemUpdate, PaymentBehavior, ProrationBehavior};
use super::update::{Plan, not_while_incomplete, only_metadata};
use super::{Item, ItemThresholdsInput, Status, Subscription, held, named, pending_update, sql};
use crate::ctx::Ctx;
use crate::discounts::DiscountInput;
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::params::{Clear, MetadataChange, Text};
use crate::prices::PriceData;
use crate::subscriptions;

crate::params! {
    /// The items of a subscription.
    pub struct List with page {
        /// Which subscription.
        pub subscription: Text<255>,
    }
}

crate::params! {
    /// What of an item changes.
    pub struct Update {
        /// When its usage is billed before its time.
        pub billing_thresholds: Clear<ItemThresholdsInput>,
        /// What is taken off its lines.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// Whether the customer is not there to be asked when an invoice is paid.
        pub off_session: Option<bool>,
        /// What happens when an invoice that is made at once cannot be paid.
        pub payment_behavior: Option<PaymentBehavior>,
        /// The price, by its old name.
        pub plan: Option<Text<255>>,
        /// The price.
        pub price: Option<Text<255>>,
        /// A price made for this subscription.
        pub price_data: Option<PriceData>,
        /// How the change is billed.
        pub proration_behavior: Option<ProrationBehavior>,
        /// As of when it is reckoned.
        pub proration_date: Option<i64>,
        /// How many, for a licensed price.
        pub quantity: Option<i64>,
        /// What its lines are taxed by, instead of the subscription's rates.
        pub tax_rates: Clear<Vec<Text<255>>>,
    }
}

crate::params! {
    /// An item for a subscription that exists.
    pub struct Create {
        /// When its usage is billed before its time.
        pub billing_thresholds: Clear<ItemThresholdsInput>,
        /// What is taken off its lines.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// What happens when an invoice that is made at once cannot be paid.
        pub payment_behavior: Option<PaymentBehavior>,
        /// The price, by its old name.
        pub plan: Option<Text<255>>,
        /// The price.
        pub price: Option<Text<255>>,
        /// A price made for this subscription.
        pub price_data: Option<PriceData>,
        /// How the rest of the period is billed.
        pub proration_behavior: Option<ProrationBehavior>,
        /// As of when it is reckoned.
        pub proration_date: Option<i64>,
        /// How many, for a licensed price.
        pub quantity: Option<i64>,
        /// Which subscription.
        pub subscription: Text<255>,
        /// What its lines are taxed by, instead of the subscription's rates.
        pub tax_rates: Clear<Vec<Text<255>>>,
    }
}

crate::params! {
    /// How an item is taken away.
    pub struct Delete {
        /// Whether its usage is forgotten.
        pub clear_usage: Option<bool>,
        /// What happens when an invoice that is made at once cannot be paid.
        pub payment_behavior: Option<PaymentBehavior>,
        /// How unused time is given back.
        pub proration_behavior: Option<ProrationBehavior>,
        /// As of when it is reckoned.
        pub proration_date: Option<i64>,
    }
}

/// Adds an item to a subscription. It is billed with the period that the subscription is in: usage
/// from now on for a metered price, in proportion for a licensed one.
///
/// # Errors
/// A 400 when there is no such subscription, or the item is against the rules.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Item> {
    let seen = named(ctx, &input.subscription).await?;
    let how = subscriptions::Update {
        payment_behavior: input.payment_behavior,
        proration_behavior: input.proration_behavior,
        proration_date: input.proration_date,
        ..subscriptions::Update::default()
    };
    let new = ItemUpdate {
        billing_thresholds: input.billing_thresholds,
        discounts: input.discounts,
        metadata: input.metadata,
        plan: input.plan,
        price: input.price,
        price_data: input.price_data,
        quantity: input.quantity,
        tax_rates: input.tax_rates,
        ..ItemUpdate::default()
    };
    let after = change(ctx, seen.id.as_str(), new, how).await?;
    let known = |item: &Item| seen.items.iter().any(|old| old.id == item.id);
    // Until it is paid for, it is only among those that will be.
    let pending = after.pending_items.into_iter().flatten();
    let added = after.items.into_iter().chain(pending).find(|item| !known(item));
    added.ok_or_else(|| Error::internal("an item that was added is not there"))
}

/// Changes an item.
///
/// # Errors
/// A 404 when there is none, a 400 when the change is against the rules.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Item> {
    let item = retrieve(ctx, id).await?;
    let how = subscriptions::Update {
        off_session: input.off_session,
        payment_behavior: input.payment_behavior,
        proration_behavior: input.proration_behavior,
        proration_date: input.proration_date,
        ..subscriptions::Update::default()
    };
    let changed = ItemUpdate {
        billing_thresholds: input.billing_thresholds,
        discounts: input.discounts,
        id: Some(Text(id.to_owned())),
        metadata: input.metadata,
        plan: input.plan,
        price: input.price,
        price_data: input.price_data,
        quantity: input.quantity,
        tax_rates: input.tax_rates,
        ..ItemUpdate::default()
    };
    change(ctx, item.subscription.as_str(), changed, how).await?;
    retrieve(ctx, id).await
}

/// Takes an item away.
///
/// # Errors
/// A 404 when there is none, a 400 when an amount does not fit.
pub async fn delete(ctx: &mut Ctx, id: &str, input: Delete) -> Result<Value> {
    let item = retrieve(ctx, id).await?;
    let how = subscriptions::Update {
        payment_behavior: input.payment_behavior,
        proration_behavior: input.proration_behavior,
        proration_date: input.proration_date,
        ..subscriptions::Update::default()
    };
    let gone = ItemUpdate {
        clear_usage: input.clear_usage,
        deleted: Some(true),
        id: Some(Text(id.to_owned())),
        ..ItemUpdate::default()
    };
    change(ctx, item.subscription.as_str(), gone, how).await?;
    Ok(json!({ "id": id, "object": "subscription_item", "deleted": true }))
}

/// Makes a change of one item as a change of its subscription. `how` is how that is billed and paid.
async fn change(
    ctx: &mut Ctx,
    id: &str,
    input: ItemUpdate,
    how: subscriptions::Update,
) -> Result<Subscription> {
    let (before, mut customer) = held(ctx, id).await?;
    if before.has_ended() {
        return Err(only_metadata());
    }
    if before.status == Status::Incomplete {
        return Err(not_while_incomplete());
    }
    if how.payment_behavior == Some(PaymentBehavior::PendingIfIncomplete) {
        pending_update::refuse_item(&before, &input, how.off_session)?;
    }
    let after = before.clone();
    let (_, plan) = Plan::take(subscriptions::Update { items: Some(vec![input]), ..how });
    let plan = Plan { sent: Sent::Alone, ..plan };
    // On the heap: it is large.
    Box::pin(plan.carry_out(ctx, &mut customer, before, after)).await
}

/// Reads an item whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Item> {
    if let Some(item) = sql::find_item(ctx, id).await? {
        return Ok(item);
    }
    Err(ctx.no_such_path(SubscriptionItem::NOUN, id).await?)
}

/// Lists the items of a subscription, oldest first: the one list of Stripe's in that order.
///
/// # Errors
/// A 400 when there is no such subscription, or a cursor names none of its items.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let subscription = named(ctx, &input.subscription).await?;
    let page = input.page()?;
    let slice =
        page.cut_from(subscription.items, SubscriptionItem::NOUN, |item| item.id.as_str())?;
    Ok(Page {
        url: format!("/v1/subscription_items?subscription={}", subscription.id),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Item::wire).collect(),
    })
}
