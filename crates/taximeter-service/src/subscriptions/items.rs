//! The items of subscriptions.

use taximeter_kernel::id::{Kind as _, SubscriptionItem};
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::Period;

use super::input::{ITEMS_MAX, ProrationBehavior};
use super::propose::{
    check_recurrences, checked_quantity, only_supports, price_of, recurring_of, too_many_items,
};
use super::update::{not_while_incomplete, only_metadata};
use super::{Item, Status, Subscription, named, sql};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::outbox;
use crate::page::List as Page;
use crate::params::{Metadata, MetadataChange, Text};
use crate::prices::{Price, PriceData};

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
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// How the change is billed: for now, not at all.
        pub proration_behavior: Option<ProrationBehavior>,
        /// How many, for a licensed price. Needs `proration_behavior=none`.
        pub quantity: Option<i64>,
    }
}

crate::params! {
    /// An item for a subscription that exists.
    pub struct Create {
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// The price, by its old name.
        pub plan: Option<Text<255>>,
        /// The price.
        pub price: Option<Text<255>>,
        /// A price made for this subscription.
        pub price_data: Option<PriceData>,
        /// How the rest of the period is billed: for a licensed price, for now, not at all.
        pub proration_behavior: Option<ProrationBehavior>,
        /// How many, for a licensed price.
        pub quantity: Option<i64>,
        /// Which subscription.
        pub subscription: Text<255>,
    }
}

/// Adds an item to a subscription. It is billed with the period that the subscription is in: usage
/// from now on for a metered price, nothing before the next period for a licensed one.
///
/// # Errors
/// A 400 when there is no such subscription, the item is against the rules, or it would have to be
/// prorated.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Item> {
    sql::lock(ctx, &input.subscription).await?;
    let before = named(ctx, &input.subscription).await?;
    if before.has_ended() {
        return Err(only_metadata());
    }
    if before.status == Status::Incomplete {
        return Err(not_while_incomplete());
    }
    let Create { metadata, plan, price, price_data, proration_behavior, quantity, .. } = input;
    let price = price_of(ctx, price.as_ref(), plan.as_ref(), price_data, "").await?;
    let recurring = recurring_of(ctx, &price, "").await?;
    refuse_used_price(&before, &price)?;
    if price.scheme_in(before.currency).is_none() {
        return Err(only_supports(price.currency, before.currency).param("price"));
    }
    let licensed = recurring.usage_type == UsageType::Licensed;
    if licensed && proration_behavior != Some(ProrationBehavior::None) {
        return Err(Error::invalid(
            "The rest of the period cannot be prorated yet. Pass `proration_behavior=none` to bill \
             the item from the next period on.",
        )
        .param("proration_behavior"));
    }
    // Counted from the subscription's anchor, so that all its items renew together.
    let whole = recurring
        .recurrence
        .period_at(before.billing_cycle_anchor, ctx.now)
        .map_err(Error::internal)?;
    let item = Item {
        id: ctx.new_id(),
        subscription: before.id.clone(),
        quantity: checked_quantity(&price, quantity, "quantity")?,
        price,
        metadata: metadata.0,
        current_period: Period { start: ctx.now, end: whole.end },
        created: ctx.now,
        tax_rates: Vec::new(),
        terms: super::ItemTerms::default(),
    };
    let mut after = before.clone();
    after.items.push(item.clone());
    if after.items.len() > ITEMS_MAX {
        return Err(too_many_items().param("subscription"));
    }
    check_recurrences(&after.items, after.billing_mode, "price")?;
    sql::insert_item(ctx, &item).await?;
    outbox::push_update(ctx, "customer.subscription.updated", &before.wire(), &after.wire())
        .await?;
    Ok(item)
}

fn refuse_used_price(subscription: &Subscription, price: &Price) -> Result<()> {
    let Some(item) = subscription.items.iter().find(|item| item.price.id == price.id) else {
        return Ok(());
    };
    Err(Error::invalid(format!(
        "A new item with Price {} can't be added to this Subscription because an existing \
         Subscription Item {} is already using that Price.",
        price.id, item.id
    ))
    .param("plan"))
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

/// Changes an item.
///
/// # Errors
/// A 404 when there is none, a 400 when the change is against the rules or cannot be billed yet.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Item> {
    let item = retrieve(ctx, id).await?;
    sql::lock(ctx, item.subscription.as_str()).await?;
    let before = super::retrieve(ctx, item.subscription.as_str()).await?;
    let mut after = before.clone();
    let item = after
        .items
        .iter_mut()
        .find(|item| item.id.as_str() == id)
        .ok_or_else(|| Error::no_such_path(SubscriptionItem::NOUN, id))?;
    if before.has_ended() {
        return Err(only_metadata());
    }
    if before.status == Status::Incomplete && input.quantity.is_some() {
        return Err(not_while_incomplete());
    }
    change(item, input.quantity, input.metadata, input.proration_behavior, "quantity")?;
    let item = item.clone();
    sql::update_item(ctx, &item).await?;
    outbox::push_update(ctx, "customer.subscription.updated", &before.wire(), &after.wire())
        .await?;
    Ok(item)
}

/// Puts a change on an item. `quantity_param` is where the quantity came from: `quantity`, or
/// `items[0][quantity]`.
pub(super) fn change(
    item: &mut Item,
    quantity: Option<i64>,
    metadata: MetadataChange,
    proration: Option<ProrationBehavior>,
    quantity_param: &str,
) -> Result<()> {
    if let Some(asked) = quantity {
        let quantity = checked_quantity(&item.price, Some(asked), quantity_param)?;
        if quantity != item.quantity && proration != Some(ProrationBehavior::None) {
            return Err(Error::invalid(
                "Changes of quantity cannot be prorated yet. Pass `proration_behavior=none` to \
                 change the quantity from the next period on.",
            )
            .param("proration_behavior"));
        }
        item.quantity = quantity;
    }
    metadata.apply(&mut item.metadata)
}
