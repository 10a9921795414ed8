//! Collecting invoices: what pays them, what becomes of one that was paid, and of one that was not.

use serde_json::Value;
use taximeter_kernel::id::{Id, Invoice as InvoiceKind};
use taximeter_kernel::time::Timestamp;

use super::{Invoice, Status, finalize, sql};
use crate::billing_settings;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Kind, Result};
use crate::payment_intents::PaymentIntent;
use crate::payment_methods::{self, PaymentMethod};
use crate::payments::{self, Attempt, InvoiceToPay};
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

fn to_pay<'a>(invoice: &'a Invoice, customer: &'a Customer) -> InvoiceToPay<'a> {
    InvoiceToPay {
        invoice: &invoice.id,
        customer,
        amount_minor: invoice.amount_remaining(),
        currency: invoice.currency,
    }
}

/// Makes what an invoice is paid by, so that its customer can pay it.
pub(super) async fn open(ctx: &mut Ctx, invoice: &Invoice, customer: &Customer) -> Result<()> {
    payments::open_for_invoice(ctx, to_pay(invoice, customer)).await?;
    Ok(())
}

/// Tries to collect an open invoice from `method`, or from what pays by default. The customer is held.
/// A try that fails is noted: to answer with its error and keep the note, return
/// [`Error::keeping`] of it.
///
/// # Errors
/// A 400 when there is no such payment method.
pub async fn collect(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
    method: Option<&str>,
    off_session: bool,
) -> Result<Collected> {
    // On the heap: many verbs end in it.
    Box::pin(try_once(ctx, invoice, customer, method, off_session)).await
}

async fn try_once(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
    method: Option<&str>,
    off_session: bool,
) -> Result<Collected> {
    if ctx.is_rehearsal() {
        return Ok(Collected::NotPaid(is_processing()));
    }
    let method = match method {
        Some(id) => Some(payment_methods::attached(ctx, id, &customer.id, "payment_method").await?),
        None => default_method(ctx, invoice, customer).await?,
    };
    let Some(method) = method else {
        not_paid(ctx, invoice, customer, true).await?;
        return Ok(Collected::NotPaid(no_payment_source()));
    };
    match payments::attempt(ctx, &to_pay(invoice, customer), &method, off_session).await? {
        Attempt::Paid => {
            subscriptions::paid_with(ctx, invoice, &method.id).await?;
            charged(ctx, invoice, customer).await?;
            Ok(Collected::Paid)
        }
        Attempt::Declined { error } => {
            not_paid(ctx, invoice, customer, true).await?;
            Ok(Collected::NotPaid(error))
        }
        Attempt::RequiresAction { .. } => {
            // Whoever is there may still pay; who was to be charged without being there did not.
            let counts = ctx.caller.by_time;
            not_paid(ctx, invoice, customer, counts).await?;
            outbox::push(ctx, "invoice.payment_action_required", &invoice.wire()).await?;
            Ok(Collected::NotPaid(requires_action()))
        }
        Attempt::Processing { .. } => Ok(Collected::NotPaid(is_processing())),
    }
}

fn requires_action() -> Error {
    Error::new(
        Kind::Card,
        "Payment for this invoice requires additional user action before it can be completed.",
    )
    .code("invoice_payment_intent_requires_action")
}

fn is_processing() -> Error {
    Error::invalid("A payment of this invoice is being processed.")
}

/// What pays an invoice by default: its own payment method, its subscription's, its customer's.
async fn default_method(
    ctx: &mut Ctx,
    invoice: &Invoice,
    customer: &Customer,
) -> Result<Option<PaymentMethod>> {
    let of_subscription = match &invoice.subscription {
        Some(id) => subscriptions::default_payment_method(ctx, id).await?,
        None => None,
    };
    let own = invoice.details.default_payment_method.as_deref();
    payments::method_for(ctx, customer, of_subscription.as_deref(), own).await
}

/// Whether something pays an invoice by default.
pub(super) async fn has_method(
    ctx: &mut Ctx,
    invoice: &Invoice,
    customer: &Customer,
) -> Result<bool> {
    Ok(default_method(ctx, invoice, customer).await?.is_some())
}

/// Notes that what is still due was paid otherwise than through us.
pub(super) async fn off_stripe(
    ctx: &mut Ctx,
    invoice: &Invoice,
    customer: &Customer,
) -> Result<()> {
    payments::paid_off_stripe(ctx, &to_pay(invoice, customer)).await
}

/// Ends what was begun to collect an invoice.
pub(super) async fn give_up_collecting(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    payments::cancel_for_invoice(ctx, &invoice.id).await
}

/// Whether there is something that would pay a subscription's invoices.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn can_be_charged(
    ctx: &mut Ctx,
    customer: &Customer,
    subscription_default: Option<&str>,
) -> Result<bool> {
    let method = payments::method_for(ctx, customer, subscription_default, None).await?;
    Ok(method.is_some())
}

/// The customer paid an invoice by confirming its payment intent.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn payment_succeeded(
    ctx: &mut Ctx,
    invoice: &Id<InvoiceKind>,
    intent: &PaymentIntent,
) -> Result<()> {
    let held = super::locked_with_customer(ctx, invoice.as_str()).await?;
    let Some((mut invoice, mut customer)) = held else { return Ok(()) };
    match invoice.status {
        Status::Open | Status::Uncollectible => {}
        Status::Draft | Status::Paid | Status::Void => return Ok(()),
    }
    // Its intent follows what remains to be paid, see `remaining_changed`.
    if intent.amount_received != invoice.amount_remaining() {
        let (received, remaining) = (intent.amount_received, invoice.amount_remaining());
        let id = &invoice.id;
        let told = format!("{remaining} remain to be paid of {id}, and {received} were charged");
        return Err(Error::internal(told));
    }
    if let Some(method) = &intent.payment_method {
        subscriptions::paid_with(ctx, &invoice, method).await?;
    }
    charged(ctx, &mut invoice, &mut customer).await
}

/// The customer tried to pay an invoice by confirming its payment intent, and was refused.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn payment_failed(ctx: &mut Ctx, invoice: &Id<InvoiceKind>) -> Result<()> {
    let held = super::locked_with_customer(ctx, invoice.as_str()).await?;
    let Some((mut invoice, mut customer)) = held else { return Ok(()) };
    match invoice.status {
        Status::Open => not_paid(ctx, &mut invoice, &mut customer, true).await,
        Status::Draft | Status::Uncollectible | Status::Paid | Status::Void => Ok(()),
    }
}

/// Brings what the customer is asked for in line with what remains to be paid.
///
/// # Errors
/// A 400 while a provider has not said what came of an attempt.
pub(super) async fn remaining_changed(
    ctx: &mut Ctx,
    invoice: &Invoice,
    customer: &Customer,
) -> Result<()> {
    match invoice.status {
        Status::Open | Status::Uncollectible => {
            payments::remaining_changed(ctx, &to_pay(invoice, customer)).await
        }
        Status::Draft | Status::Paid | Status::Void => Ok(()),
    }
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
    settle(ctx, invoice, customer, (&before, off_stripe_minor)).await
}

/// Whether a try counts: the first one whoever makes it, of the later ones those by the schedule
/// (Stripe's `attempt_count`).
const fn is_counted(ctx: &Ctx, invoice: &Invoice) -> bool {
    invoice.details.attempt_count == 0 || ctx.caller.by_time
}

/// Makes an invoice a paid one by a charge: the try that succeeds counts as well.
async fn charged(ctx: &mut Ctx, invoice: &mut Invoice, customer: &mut Customer) -> Result<()> {
    let before = invoice.wire();
    invoice.attempted = true;
    if is_counted(ctx, invoice) {
        invoice.details.attempt_count = invoice.details.attempt_count.saturating_add(1);
    }
    settle(ctx, invoice, customer, (&before, 0)).await
}

async fn settle(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
    (before, off_stripe_minor): (&Value, i64),
) -> Result<()> {
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
    outbox::push_update(ctx, "invoice.updated", before, &wire).await?;
    outbox::push(ctx, "invoice.paid", &wire).await?;
    outbox::push(ctx, "invoice.payment_succeeded", &wire).await?;
    set_delinquent(ctx, customer, false).await?;
    subscriptions::invoice_paid(ctx, invoice).await
}

/// Notes a try that failed, and what becomes of the subscription. If it `counts` and is of the
/// schedule, so does it move on: to the next try, or to its end.
pub(super) async fn not_paid(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
    counts: bool,
) -> Result<()> {
    let before = invoice.wire();
    invoice.attempted = true;
    let mut exhausted = false;
    let scheduled = is_counted(ctx, invoice);
    if counts && scheduled {
        invoice.details.attempt_count = invoice.details.attempt_count.saturating_add(1);
    }
    if invoice.auto_advance && scheduled {
        let settings = billing_settings::retrieve(ctx).await?;
        // One that waits for the customer is followed by what follows a first one.
        let wait = settings.retry_after_s(invoice.details.attempt_count.max(1));
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
