//! How a subscription changes and ends.

use taximeter_kernel::id::{Customer as CustomerKind, Id, Kind as _, Subscription as SubscriptionKind, SubscriptionItem};
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::Period;

use super::create::checked_days;
use super::input::{Cancel, CancellationDetailsInput, ItemUpdate, Update};
use super::{CancellationDetails, CollectionMethod, Status, Subscription, items, retrieve, sql};
use crate::ctx::Ctx;
use crate::customers;
use crate::error::{Error, Result};
use crate::invoices::{self, BillingReason, Draft, lines_of_item};
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
    let more = collection_method.is_some()
        || days_until_due.is_some()
        || !description.is_keep()
        || items.is_some()
        || proration_behavior.is_some();
    if before.has_ended() && more {
        return Err(only_metadata());
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
        let item = after.items.iter_mut().find(|item| item.id.as_str() == &*id).ok_or_else(|| {
            Error::no_such(SubscriptionItem::NOUN, &id, format!("{path}[id]"))
        })?;
        items::change(item, quantity, metadata, proration_behavior, &path)?;
        sql::update_item(ctx, item).await?;
    }
    sql::update(ctx, &after).await?;
    outbox::push_update(ctx, "customer.subscription.updated", &before.wire(), &after.wire()).await?;
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

/// Ends a subscription now.
///
/// # Errors
/// A 404 when there is none that has not ended, a 400 when unused time is to be credited.
pub async fn cancel(ctx: &mut Ctx, id: &str, input: Cancel) -> Result<Subscription> {
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    if before.has_ended() {
        return Err(Error::no_such_path(SubscriptionKind::NOUN, id));
    }
    if input.prorate == Some(true) {
        return Err(Error::invalid(
            "Unused time cannot be credited yet: leave out `prorate`, or pass `prorate=false`.",
        )
        .param("prorate"));
    }
    let mut details = before.cancellation.clone();
    if let Some(input) = input.cancellation_details {
        apply_details(input, &mut details);
    }
    end(ctx, before, details, input.invoice_now == Some(true)).await
}

/// Ends every subscription of a customer, without billing what is left.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn cancel_all_of_customer(ctx: &mut Ctx, customer: &Id<CustomerKind>) -> Result<()> {
    for subscription in super::of_customer(ctx, customer.as_str()).await? {
        sql::lock(ctx, subscription.id.as_str()).await?;
        let details = subscription.cancellation.clone();
        end(ctx, subscription, details, false).await?;
    }
    Ok(())
}

async fn end(
    ctx: &mut Ctx,
    before: Subscription,
    details: CancellationDetails,
    invoice_now: bool,
) -> Result<Subscription> {
    let mut after = before.clone();
    after.status = Status::Canceled;
    after.canceled_at = Some(ctx.now);
    after.ended_at = Some(ctx.now);
    let reason = Some("cancellation_requested".to_owned());
    after.cancellation = CancellationDetails { reason, ..details };
    if invoice_now {
        bill_usage_so_far(ctx, &mut after).await?;
    }
    sql::update(ctx, &after).await?;
    outbox::push(ctx, "customer.subscription.deleted", &after.wire()).await?;
    Ok(after)
}

/// Bills the usage of the periods that are cut short, up to now.
async fn bill_usage_so_far(ctx: &mut Ctx, subscription: &mut Subscription) -> Result<()> {
    let mut customer = customers::locked(ctx, subscription.customer.as_str(), "customer").await?;
    let mut lines = Vec::new();
    for item in subscription.items.iter().rev() {
        if item.price.usage_type() != UsageType::Metered {
            continue;
        }
        let period = Period { start: item.current_period.start, end: ctx.now };
        lines.extend(lines_of_item(ctx, subscription, item, period).await?);
    }
    if lines.is_empty() {
        return Ok(());
    }
    let draft = Draft {
        customer: &customer,
        subscription,
        billing_reason: BillingReason::SubscriptionUpdate,
        period: Period { start: ctx.now, end: ctx.now },
        created: ctx.now,
        lines,
    };
    let invoice = draft.invoice(ctx.new_id())?;
    subscription.latest_invoice = Some(invoice.id.clone());
    match subscription.collection_method {
        CollectionMethod::SendInvoice => invoices::write_draft(ctx, invoice).await?,
        CollectionMethod::ChargeAutomatically => {
            invoices::write_finalized(ctx, invoice, &mut customer).await?
        }
    };
    Ok(())
}
