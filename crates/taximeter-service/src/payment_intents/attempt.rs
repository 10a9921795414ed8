//! One attempt at a payment intent: a provider is asked, and what it says is recorded.

use taximeter_kernel::id::{Charge, Id};

use super::{CaptureMethod, FutureUsage, LastError, PaymentIntent, Status, sql};
use crate::ctx::Ctx;
use crate::error::{Error, RefusedPayment, Result};
use crate::payment_methods::{self, Keep, PaymentMethod};
use crate::payments::{Answer, Ask, Decline, Presence, Provider, Session};
use crate::{charges, invoice_payments, outbox};

/// What came of an attempt.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The money is there, or held.
    Paid,
    /// The one who pays must do something.
    RequiresAction,
    /// Nobody knows yet.
    Processing,
    /// It was declined: the error that tells of it.
    Declined(Error),
}

/// What an attempt does where the one who pays would have to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// It waits for them.
    Wait,
    /// It is a decline: nobody is there, or nobody wants to wait.
    Refuse,
}

/// Asks the provider for a new attempt, and records what it says.
///
/// # Errors
/// A 400 when nobody collects in this mode. A decline is no error: it is recorded.
pub(crate) async fn begin(
    ctx: &mut Ctx,
    intent: &mut PaymentIntent,
    method: PaymentMethod,
    (session, authentication): (Session, Authentication),
) -> Result<Outcome> {
    intent.attempts = intent.attempts.saturating_add(1);
    let ask = ask(intent, &method, Presence::Begins(session));
    let answer = match Provider::of(ctx.scope().mode).ask(&ask)? {
        Answer::RequiresAction if authentication == Authentication::Refuse => {
            Answer::Declined(Decline::AuthenticationRequired)
        }
        answer => answer,
    };
    record(ctx, intent, method, answer).await
}

/// Goes on with the attempt that waits for the one who pays: they authenticated, or failed to.
///
/// # Errors
/// As [`begin`].
pub(crate) async fn resume(
    ctx: &mut Ctx,
    intent: &mut PaymentIntent,
    method: PaymentMethod,
    authenticated: Authenticated,
) -> Result<Outcome> {
    let asked = key(intent);
    let answer = match authenticated {
        Authenticated::Yes => {
            let ask = ask(intent, &method, Presence::Authenticated { asked: &asked });
            Provider::of(ctx.scope().mode).ask(&ask)?
        }
        Authenticated::No => Answer::Declined(Decline::AuthenticationFailed),
    };
    record(ctx, intent, method, answer).await
}

/// Whether the one who pays showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authenticated {
    /// They did.
    Yes,
    /// They did not.
    No,
}

/// The name of the attempt: the same however often it is begun again.
fn key(intent: &PaymentIntent) -> String {
    format!("{}/{}", intent.id, intent.attempts)
}

fn ask<'a>(intent: &PaymentIntent, method: &PaymentMethod, presence: Presence<'a>) -> Ask<'a> {
    Ask {
        key: key(intent),
        amount_minor: intent.amount,
        currency: intent.currency,
        behaviour: method.test,
        set_up: method.set_up,
        presence,
    }
}

/// Records what a provider says of the latest attempt.
async fn record(
    ctx: &mut Ctx,
    intent: &mut PaymentIntent,
    method: PaymentMethod,
    answer: Answer,
) -> Result<Outcome> {
    match answer {
        Answer::Paid => paid(ctx, intent, method).await,
        Answer::Declined(decline) => declined(ctx, intent, &method, decline).await,
        Answer::RequiresAction => {
            wait(ctx, intent, &method, Status::RequiresAction).await?;
            Ok(Outcome::RequiresAction)
        }
        Answer::Unknown => {
            wait(ctx, intent, &method, Status::Processing).await?;
            Ok(Outcome::Processing)
        }
    }
}

async fn paid(ctx: &mut Ctx, intent: &mut PaymentIntent, method: PaymentMethod) -> Result<Outcome> {
    let charge = charges::record(ctx, intent, &method, None).await?;
    intent.payment_method = Some(method.id.clone());
    intent.latest_charge = Some(charge.id);
    intent.details.last_error = None;
    if intent.capture_method == CaptureMethod::Manual {
        intent.status = Status::RequiresCapture;
        intent.amount_capturable = intent.amount;
    } else {
        intent.status = Status::Succeeded;
        intent.amount_received = intent.amount;
    }
    let usage = intent.details.setup_future_usage;
    let keep = match (&intent.customer, usage) {
        (Some(customer), Some(usage)) => {
            Keep::For { customer, off_session: usage == FutureUsage::OffSession }
        }
        _ => Keep::Once,
    };
    payment_methods::used(ctx, method, keep).await?;
    sql::update(ctx, intent).await?;
    if intent.status == Status::RequiresCapture {
        outbox::push(ctx, "payment_intent.amount_capturable_updated", &intent.wire()).await?;
    } else {
        succeeded(ctx, intent).await?;
    }
    Ok(Outcome::Paid)
}

/// Tells that an intent is paid, and of the invoice that it paid.
pub(super) async fn succeeded(ctx: &mut Ctx, intent: &PaymentIntent) -> Result<()> {
    outbox::push(ctx, "payment_intent.succeeded", &intent.wire()).await?;
    if intent.invoice.is_some() {
        invoice_payments::paid(ctx, intent).await?;
    }
    Ok(())
}

async fn wait(
    ctx: &mut Ctx,
    intent: &mut PaymentIntent,
    method: &PaymentMethod,
    status: Status,
) -> Result<()> {
    intent.status = status;
    intent.payment_method = Some(method.id.clone());
    intent.details.last_error = None;
    sql::update(ctx, intent).await?;
    let kind = match status {
        Status::Processing => "payment_intent.processing",
        _ => "payment_intent.requires_action",
    };
    outbox::push(ctx, kind, &intent.wire()).await
}

async fn declined(
    ctx: &mut Ctx,
    intent: &mut PaymentIntent,
    method: &PaymentMethod,
    decline: Decline,
) -> Result<Outcome> {
    // Who failed to authenticate was never charged.
    let charge: Option<Id<Charge>> = match decline {
        Decline::AuthenticationFailed => None,
        _ => Some(charges::record(ctx, intent, method, Some(decline)).await?.id),
    };
    let shown = method.wire();
    let charge_id = charge.as_ref().map(|id| id.as_str().to_owned());
    intent.status = Status::RequiresPaymentMethod;
    intent.payment_method = None;
    if charge.is_some() {
        intent.latest_charge = charge;
    }
    intent.details.last_error =
        Some(LastError { decline, charge: charge_id.clone(), payment_method: shown.clone() });
    sql::update(ctx, intent).await?;
    outbox::push(ctx, "payment_intent.payment_failed", &intent.wire()).await?;
    Ok(Outcome::Declined(decline.error(RefusedPayment {
        charge: charge_id,
        payment_intent: Some(intent.wire()),
        payment_method: Some(shown),
        ..RefusedPayment::default()
    })))
}
