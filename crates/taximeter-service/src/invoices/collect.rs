//! Collecting invoices: what pays them, what becomes of one that was paid, and of one that was not.

use taximeter_kernel::time::Timestamp;

use super::{Invoice, Status, finalize, sql};
use crate::billing_settings;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Kind, Result};
use crate::{outbox, subscriptions};

/// How a try to collect an invoice ended.
#[derive(Debug)]
pub enum Collected {
    /// It is paid.
    Paid,
    /// It is not: what the client is told.
    NotPaid(Error),
}

/// Stripe's refusal of an invoice that nothing can pay.
pub(crate) fn no_payment_source() -> Error {
    Error::new(
        Kind::InvalidRequest,
        "This customer has no attached payment source or default payment method. Please consider \
         adding a default payment method. For more information, visit \
         https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.",
    )
    .code("resource_missing")
}

/// Tries to collect an open invoice from `method`, or from what pays by default. The customer is held.
///
/// # Errors
/// A 400 when there is no such payment method.
pub async fn collect(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
    _method: Option<&str>,
    _off_session: bool,
) -> Result<Collected> {
    not_paid(ctx, invoice, customer, true).await?;
    Ok(Collected::NotPaid(no_payment_source()))
}

/// Notes that what is still due was paid otherwise than through us.
pub(super) async fn off_stripe(
    _ctx: &mut Ctx,
    _invoice: &Invoice,
    _customer: &Customer,
) -> Result<()> {
    Ok(())
}

/// Ends what was begun to collect an invoice.
pub(super) async fn give_up_collecting(_ctx: &mut Ctx, _invoice: &Invoice) -> Result<()> {
    Ok(())
}

/// Whether there is something that would pay a subscription's invoices.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn can_be_charged(
    _ctx: &mut Ctx,
    _customer: &Customer,
    _subscription_default: Option<&str>,
) -> Result<bool> {
    Ok(false)
}

/// Makes an open or uncollectible invoice a paid one, and tells its subscription. `off_stripe_minor`
/// of it came otherwise than through us.
///
/// # Errors
/// A 500 when the database does not take it.
pub(super) async fn paid(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
    off_stripe_minor: i64,
) -> Result<()> {
    let before = invoice.wire();
    let remaining = invoice.amount_remaining();
    invoice.amount_paid = invoice.amount_paid.saturating_add(remaining);
    invoice.details.paid_off_stripe =
        invoice.details.paid_off_stripe.saturating_add(off_stripe_minor);
    invoice.status = Status::Paid;
    invoice.paid_at = Some(ctx.now);
    invoice.auto_advance = false;
    invoice.details.next_payment_attempt = None;
    sql::update(ctx, invoice).await?;
    finalize::put_down(ctx, invoice).await?;
    let wire = invoice.wire();
    outbox::push_update(ctx, "invoice.updated", &before, &wire).await?;
    outbox::push(ctx, "invoice.paid", &wire).await?;
    outbox::push(ctx, "invoice.payment_succeeded", &wire).await?;
    set_delinquent(ctx, customer, false).await?;
    subscriptions::invoice_paid(ctx, invoice).await
}

/// Notes a try that failed: when the next one is made, if `counts` and one is, and what becomes of
/// the subscription.
pub(super) async fn not_paid(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
    counts: bool,
) -> Result<()> {
    let before = invoice.wire();
    invoice.attempted = true;
    let mut exhausted = false;
    if counts {
        invoice.details.attempt_count = invoice.details.attempt_count.saturating_add(1);
    }
    if invoice.auto_advance {
        let settings = billing_settings::retrieve(ctx).await?;
        let wait = settings.retry_after_s(invoice.details.attempt_count);
        invoice.details.next_payment_attempt = wait.and_then(|s| ctx.now.0.checked_add(s));
        exhausted = wait.is_none();
    }
    if exhausted {
        invoice.auto_advance = false;
    }
    sql::update(ctx, invoice).await?;
    finalize::put_down(ctx, invoice).await?;
    let wire = invoice.wire();
    outbox::push_update(ctx, "invoice.updated", &before, &wire).await?;
    outbox::push(ctx, "invoice.payment_failed", &wire).await?;
    set_delinquent(ctx, customer, true).await?;
    subscriptions::invoice_not_paid(ctx, invoice, exhausted).await
}

pub(super) async fn set_delinquent(
    ctx: &mut Ctx,
    customer: &mut Customer,
    delinquent: bool,
) -> Result<()> {
    let before = customer.clone();
    customer.delinquent = delinquent;
    customers::save(ctx, &before, customer).await
}

/// The instant by which an open invoice is retried.
pub(super) fn is_due(at: Option<i64>, now: Timestamp) -> bool {
    at.is_some_and(|at| at <= now.0)
}
