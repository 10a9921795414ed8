//! How a subscription ends: by time, by being asked to, by not being paid.

use taximeter_kernel::time::{Period, Timestamp};

use super::thresholds::usage_so_far;
use super::{CancellationDetails, Status, Subscription, pending_update, sql};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::Result;
use crate::invoices::{self, BillingReason, Draft, Invoice};
use crate::outbox;
use crate::subscription_schedules::{self, Ended};

/// Marks a subscription as over.
pub(super) fn set_ended(sub: &mut Subscription, at: Timestamp) {
    sub.status = Status::Canceled;
    sub.canceled_at = sub.canceled_at.or(Some(at));
    sub.ended_at = Some(at);
    sub.terms.pause_collection = None;
    sub.terms.next_pending_invoice = None;
    if sub.cancellation.reason.is_none() {
        sub.cancellation.reason = Some("cancellation_requested".to_owned());
    }
}

/// Ends a subscription at an instant, without billing anything.
///
/// # Errors
/// A 500 when the database does not take it.
pub(super) async fn end_at(
    ctx: &mut Ctx,
    sub: Subscription,
    at: Timestamp,
    reason: &str,
) -> Result<()> {
    let mut sub = pending_update::give_up_alone(ctx, sub).await?;
    sub.cancellation.reason = Some(reason.to_owned());
    set_ended(&mut sub, at);
    sql::update(ctx, &sub).await?;
    stop_collecting(ctx, &sub, None).await?;
    super::put_down(ctx, &sub).await?;
    outbox::push(ctx, "customer.subscription.deleted", &sub.wire()).await?;
    subscription_schedules::subscription_ended(ctx, &sub, Ended::NotPaid).await
}

/// Ends one whose first invoice was not paid in time: the invoice is taken back.
///
/// # Errors
/// A 500 when the database does not take it.
pub(super) async fn expire(
    ctx: &mut Ctx,
    before: Subscription,
    customer: &mut Customer,
) -> Result<()> {
    let mut sub = before.clone();
    sub.status = Status::IncompleteExpired;
    sub.ended_at = Some(ctx.now);
    super::save(ctx, &before, &sub).await?;
    subscription_schedules::subscription_ended(ctx, &sub, Ended::NotPaid).await?;
    if let Some(id) = &sub.latest_invoice
        && let Some((mut invoice, mut held)) =
            invoices::locked_with_customer(ctx, id.as_str()).await?
    {
        if invoice.status == invoices::Status::Open {
            invoices::void_held(ctx, &mut invoice, &mut held).await?;
        }
        *customer = held;
    }
    Ok(())
}

/// Lets the open invoices of a subscription that is over lie, but for `kept`.
///
/// # Errors
/// A 500 when the database does not take it.
pub(super) async fn stop_collecting(
    ctx: &mut Ctx,
    sub: &Subscription,
    kept: Option<&Invoice>,
) -> Result<()> {
    invoices::let_lie(ctx, &sub.id, kept.map(|invoice| &invoice.id)).await
}

/// Ends a subscription now, and bills its customer for the usage so far and for pending items if
/// there is one to bill.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(super) async fn end_now(
    ctx: &mut Ctx,
    before: Subscription,
    details: CancellationDetails,
    billed: Option<Customer>,
) -> Result<Subscription> {
    let mut after = before;
    after.cancellation = details;
    after.cancellation.reason = Some("cancellation_requested".to_owned());
    after.canceled_at = Some(ctx.now);
    let was_free = matches!(after.status, Status::Trialing | Status::Paused);
    set_ended(&mut after, ctx.now);
    let mut last = None;
    if let Some(mut customer) = billed {
        last = bill_so_far(ctx, &mut after, &mut customer, was_free).await?;
    }
    sql::update(ctx, &after).await?;
    stop_collecting(ctx, &after, last.as_ref()).await?;
    super::put_down(ctx, &after).await?;
    outbox::push(ctx, "customer.subscription.deleted", &after.wire()).await?;
    subscription_schedules::subscription_ended(ctx, &after, Ended::Asked).await?;
    if let Some(mut invoice) = last {
        let mut customer = crate::customers::locked_any(ctx, after.customer.as_str()).await?;
        super::settle_at_once(ctx, &mut invoice, &mut customer).await?;
    }
    Ok(after)
}

/// The invoice of the usage of the periods that are cut short, `[start, now)`, as a draft.
async fn bill_so_far(
    ctx: &mut Ctx,
    subscription: &mut Subscription,
    customer: &mut Customer,
    was_free: bool,
) -> Result<Option<Invoice>> {
    let lines =
        if was_free { Vec::new() } else { usage_so_far(ctx, subscription, ctx.now).await? };
    let draft = Draft {
        customer,
        subscription,
        billing_reason: BillingReason::SubscriptionUpdate,
        period: Period { start: ctx.now, end: ctx.now },
        created: ctx.now,
        lines,
    };
    let mut invoice = draft.invoice(ctx.new_id())?;
    invoices::sweep_pending(ctx, &mut invoice).await?;
    if invoice.lines.is_empty() {
        return Ok(None);
    }
    invoices::keep_draft(ctx, &mut invoice).await?;
    subscription.latest_invoice = Some(invoice.id.clone());
    Ok(Some(invoice))
}
