//! How a subscription changes and ends.

use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Kind as _, Subscription as SubscriptionKind, SubscriptionItem,
};

use super::create::checked_days;
use super::ending::end_now;
use super::input::{Cancel, CancellationDetailsInput, ItemUpdate, Update};
use super::{CancellationDetails, CollectionMethod, Status, Subscription, items, retrieve, sql};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::outbox;
use crate::params::Clear;

/// Changes a subscription.
///
/// # Errors
/// A 404 when there is none, a 400 when the change is against the rules or cannot be billed yet.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Subscription> {
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    let mut after = before.clone();
    let Update {
        cancellation_details,
        collection_method,
        days_until_due,
        description,
        items,
        metadata,
        proration_behavior,
    } = input;
    let billing = collection_method.is_some()
        || days_until_due.is_some()
        || items.is_some()
        || proration_behavior.is_some();
    if before.has_ended() && (billing || !description.is_keep()) {
        return Err(only_metadata());
    }
    if before.status == Status::Incomplete && billing {
        return Err(not_while_incomplete());
    }
    if collection_method.is_some() || days_until_due.is_some() {
        let method = collection_method.unwrap_or(before.collection_method);
        let kept = before.days_until_due.filter(|_| method == CollectionMethod::SendInvoice);
        after.collection_method = method;
        after.days_until_due = checked_days(method, days_until_due.or(kept))?;
    }
    description.apply(&mut after.description);
    metadata.apply(&mut after.metadata)?;
    if let Some(details) = cancellation_details {
        apply_details(details, &mut after.cancellation);
    }
    for (index, change) in items.unwrap_or_default().into_iter().enumerate() {
        let path = format!("items[{index}]");
        let ItemUpdate { id, metadata, quantity } = change;
        let item =
            after.items.iter_mut().find(|item| item.id.as_str() == &*id).ok_or_else(|| {
                Error::no_such(SubscriptionItem::NOUN, &id, format!("{path}[id]"))
            })?;
        let quantity_path = format!("{path}[quantity]");
        items::change(item, quantity, metadata, proration_behavior, &quantity_path)?;
        sql::update_item(ctx, item).await?;
    }
    sql::update(ctx, &after).await?;
    outbox::push_update(ctx, "customer.subscription.updated", &before.wire(), &after.wire())
        .await?;
    Ok(after)
}

fn apply_details(input: CancellationDetailsInput, details: &mut CancellationDetails) {
    input.comment.apply(&mut details.comment);
    match input.feedback {
        Clear::Keep => {}
        Clear::Unset => details.feedback = None,
        Clear::Set(feedback) => details.feedback = Some(feedback),
    }
}

/// What may still be said of a subscription that is over.
pub(super) fn only_metadata() -> Error {
    Error::invalid("A canceled subscription can only update its cancellation_details and metadata.")
        .code("invalid_canceled_subscription_fields")
}

/// What may not change before the first invoice is paid.
pub(super) fn not_while_incomplete() -> Error {
    Error::invalid(
        "This subscription is `incomplete`: until its first invoice is paid, only what it says \
         about itself can be updated, such as its `description` and `metadata`.",
    )
}

/// Ends a subscription now.
///
/// # Errors
/// A 404 when there is none that has not ended, a 400 when unused time is to be credited.
pub async fn cancel(ctx: &mut Ctx, id: &str, input: Cancel) -> Result<Subscription> {
    let Cancel { cancellation_details, invoice_now, prorate } = input;
    let billed = match invoice_now {
        Some(true) => Some(locked_customer_of(ctx, id).await?),
        Some(false) | None => None,
    };
    let Some(before) = locked_unless_ended(ctx, id).await? else {
        return Err(ctx.no_such_path(SubscriptionKind::NOUN, id).await?);
    };
    if prorate == Some(true) {
        return Err(Error::invalid(
            "Unused time cannot be credited yet: leave out `prorate`, or pass `prorate=false`.",
        )
        .param("prorate"));
    }
    let mut details = before.cancellation.clone();
    if let Some(input) = cancellation_details {
        apply_details(input, &mut details);
    }
    end_now(ctx, before, details, billed).await
}

/// Ends every subscription of a customer, without billing what is left. The caller holds the
/// customer.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn cancel_all_of_customer(ctx: &mut Ctx, customer: &Id<CustomerKind>) -> Result<()> {
    for listed in super::of_customer(ctx, customer.as_str()).await? {
        // Read again once it is held: another request may have ended it meanwhile.
        if let Some(before) = locked_unless_ended(ctx, listed.id.as_str()).await? {
            let details = before.cancellation.clone();
            end_now(ctx, before, details, None).await?;
        }
    }
    Ok(())
}

fn is_gone(id: &str) -> Error {
    Error::no_such_path(SubscriptionKind::NOUN, id)
}

/// The customer of a subscription, held. Whoever holds both holds the customer first, so that no
/// two wait for each other.
async fn locked_customer_of(ctx: &mut Ctx, id: &str) -> Result<Customer> {
    let subscription = retrieve(ctx, id).await?;
    if subscription.has_ended() {
        return Err(is_gone(id));
    }
    let customer = customers::locked(ctx, subscription.customer.as_str(), "customer").await;
    // Deleted meanwhile, which ended the subscription.
    customer.map_err(|error| match error.code {
        Some("resource_missing") => is_gone(id),
        _ => error,
    })
}

/// Holds a subscription and reads it, unless it is over.
async fn locked_unless_ended(ctx: &mut Ctx, id: &str) -> Result<Option<Subscription>> {
    sql::lock(ctx, id).await?;
    let found = super::find(ctx, id).await?;
    Ok(found.filter(|subscription| !subscription.has_ended()))
}
