//! The items of subscriptions.

use taximeter_kernel::id::{Kind as _, SubscriptionItem};

use super::input::ProrationBehavior;
use super::propose::checked_quantity;
use super::update::{not_while_incomplete, only_metadata};
use super::{Item, Status, named, sql};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::outbox;
use crate::page::List as Page;
use crate::params::{MetadataChange, Text};

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
