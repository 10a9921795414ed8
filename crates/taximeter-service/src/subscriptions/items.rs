//! The items of subscriptions.

use serde_json::{Value, json};
use taximeter_kernel::id::{Kind as _, SubscriptionItem};

use super::change::{One, Terms};
use super::input::{ITEMS_MAX, ItemUpdate, PaymentBehavior, ProrationBehavior};
use super::pending_update::{self, Billed, Made};
use super::propose::{check_recurrences, too_many_items};
use super::update::{Pay, not_while_incomplete, only_metadata};
use super::{Item, ItemThresholdsInput, Status, Subscription, held, named, sql};
use crate::ctx::Ctx;
use crate::discounts::DiscountInput;
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::params::{Clear, MetadataChange, Text};
use crate::prices::PriceData;

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

/// How a change of one item is billed and paid.
struct How {
    terms: Terms,
    behavior: Option<PaymentBehavior>,
    off_session: Option<bool>,
}

/// Adds an item to a subscription. It is billed with the period that the subscription is in: usage
/// from now on for a metered price, in proportion for a licensed one.
///
/// # Errors
/// A 400 when there is no such subscription, or the item is against the rules.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Item> {
    let seen = named(ctx, &input.subscription).await?;
    let how = How {
        terms: Terms { behavior: input.proration_behavior, date: input.proration_date },
        behavior: input.payment_behavior,
        off_session: None,
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
    let how = How {
        terms: Terms { behavior: input.proration_behavior, date: input.proration_date },
        behavior: input.payment_behavior,
        off_session: input.off_session,
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
    let how = How {
        terms: Terms { behavior: input.proration_behavior, date: input.proration_date },
        behavior: input.payment_behavior,
        off_session: None,
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

/// Makes a change of one item as a change of its subscription.
async fn change(ctx: &mut Ctx, id: &str, input: ItemUpdate, how: How) -> Result<Subscription> {
    let (before, mut customer) = held(ctx, id).await?;
    if before.has_ended() {
        return Err(only_metadata());
    }
    if before.status == Status::Incomplete {
        return Err(not_while_incomplete());
    }
    let behavior = how.behavior.unwrap_or(PaymentBehavior::AllowIncomplete);
    if behavior == PaymentBehavior::PendingIfIncomplete {
        pending_update::refuse_item(&before, &input, how.off_session)?;
    }
    let before = if input.is_billed() {
        pending_update::give_up(ctx, before, &mut customer).await?
    } else {
        before
    };
    let mut after = before.clone();
    let pay = Pay { behavior, off_session: how.off_session.unwrap_or(false) };
    let tried = pay.begin(ctx, &before).await?;
    let (change, at_once) = how.terms.change(&before, ctx.now)?;
    let mut one = One { customer: &customer, before: &before, after: &mut after, change, at: "" };
    let changed = match (&input.id, input.deleted) {
        (Some(_), Some(true)) => one.remove(ctx, input).await?,
        (Some(_), _) => one.modify(ctx, input).await?,
        (None, _) => one.add(ctx, input).await?,
    };
    if after.items.len() > ITEMS_MAX {
        return Err(too_many_items().param("subscription"));
    }
    check_recurrences(&after.items, after.billing_mode, "price")?;
    let made = Made {
        after,
        additions: Vec::new(),
        billed: Billed { lines: Vec::new(), at: change.at, left: Vec::new() },
        invoiced: at_once && changed,
        trial_from_plan: false,
        tried,
    };
    pay.finish(ctx, &mut customer, &before, made).await
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
