//! Payment intents: an amount to be collected, over as many attempts as it takes.

mod attempt;
mod input;
mod sql;
mod types;
mod verbs;
mod wire;

use std::collections::BTreeMap;

pub(crate) use attempt::{Authenticated, Authentication, Outcome, begin};
pub use input::{
    AllowRedirects, Authenticate, Authentication as Authenticates, AutomaticInput, Cancel,
    CancellationReason, Capture, Confirm, Create, List, Retrieve, ShippingInput, Update,
};
pub(crate) use input::{Named, automatic};
use taximeter_kernel::id::{Id, Invoice, Kind as _, PaymentIntent as PaymentIntentKind};
pub use types::{
    AutomaticPaymentMethods, CaptureMethod, Details, FutureUsage, LastError, PaymentIntent,
    Shipping, Status,
};
pub use verbs::{authenticate, cancel, capture, confirm, create, list, read, search, update};
pub(crate) use wire::next_action;

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::params::Choice as _;
use crate::payments::InvoiceToPay;
use crate::search::{Field, FieldKind, FieldValue, Searchable};
use crate::{charges, invoice_payments, outbox};

/// Reads a payment intent whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<PaymentIntent> {
    match sql::find(ctx, id).await? {
        Some(intent) => Ok(intent),
        None => Err(ctx.no_such_path(PaymentIntentKind::NOUN, id).await?),
    }
}

/// Reads a payment intent whose id came as a parameter, held until the transaction ends.
///
/// # Errors
/// A 400 when there is none.
pub async fn locked(ctx: &mut Ctx, id: &str, param: &str) -> Result<PaymentIntent> {
    match sql::lock(ctx, id).await? {
        Some(intent) => Ok(intent),
        None => Err(ctx.no_such(PaymentIntentKind::NOUN, id, param).await?),
    }
}

/// The payment intents of an invoice that were not given up, held until the transaction ends.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn locked_of_invoice(
    ctx: &mut Ctx,
    invoice: &Id<Invoice>,
) -> Result<Vec<PaymentIntent>> {
    sql::lock_of_invoice(ctx, invoice).await
}

/// Makes the payment intent of an invoice.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn create_for_invoice(
    ctx: &mut Ctx,
    to_pay: &InvoiceToPay<'_>,
) -> Result<PaymentIntent> {
    let id: Id<PaymentIntentKind> = ctx.new_id();
    let intent = PaymentIntent {
        seq: 0,
        client_secret: client_secret(ctx, id.as_str()),
        id,
        livemode: ctx.scope().mode.is_live(),
        status: Status::RequiresPaymentMethod,
        amount: to_pay.amount_minor,
        amount_capturable: 0,
        amount_received: 0,
        currency: to_pay.currency,
        customer: Some(to_pay.customer.id.clone()),
        payment_method: None,
        latest_charge: None,
        invoice: Some(to_pay.invoice.clone()),
        capture_method: CaptureMethod::Automatic,
        attempts: 0,
        canceled_at: None,
        details: Details {
            description: Some("Payment for Invoice".to_owned()),
            // What pays a customer's invoice becomes the customer's, as Stripe does it for a
            // subscription's.
            setup_future_usage: Some(FutureUsage::OffSession),
            ..Details::default()
        },
        metadata: BTreeMap::new(),
        created: ctx.now,
    };
    insert(ctx, &intent).await?;
    Ok(intent)
}

impl Searchable for PaymentIntent {
    const FIELDS: &'static [Field] = &[
        Field { name: "amount", kind: FieldKind::Numeric },
        Field { name: "created", kind: FieldKind::Numeric },
        Field { name: "currency", kind: FieldKind::Token },
        Field { name: "customer", kind: FieldKind::Token },
        Field { name: "metadata", kind: FieldKind::Map },
        Field { name: "status", kind: FieldKind::Token },
    ];

    fn seq(&self) -> i64 {
        self.seq
    }

    fn field(&self, name: &str) -> FieldValue<'_> {
        match name {
            "amount" => FieldValue::Number(self.amount),
            "created" => FieldValue::Number(self.created.0),
            "currency" => Some(self.currency.code()).into(),
            "customer" => self.customer.as_ref().map(Id::as_str).into(),
            "metadata" => FieldValue::Map(&self.metadata),
            "status" => Some(self.status.as_str()).into(),
            _ => FieldValue::Null,
        }
    }
}

async fn insert(ctx: &mut Ctx, intent: &PaymentIntent) -> Result<()> {
    sql::insert(ctx, intent).await?;
    outbox::push(ctx, "payment_intent.created", &intent.wire()).await
}

/// `pi_…_secret_…`: what lets somebody without a secret key read and confirm one intent.
pub(crate) fn client_secret(ctx: &Ctx, id: &str) -> String {
    let random: Id<PaymentIntentKind> = Id::generate(ctx.entropy());
    let tail = random.as_str().rsplit('_').next().unwrap_or("");
    format!("{id}_secret_{tail}")
}

/// Gives a payment intent up: what it holds is let go, and what it was to pay is not paid by it.
///
/// # Errors
/// A 400 when it is past that.
pub(crate) async fn give_up(
    ctx: &mut Ctx,
    intent: &mut PaymentIntent,
    reason: Option<&str>,
) -> Result<()> {
    match intent.status {
        Status::Succeeded | Status::Canceled | Status::Processing => {
            return Err(wrong_state(intent, ("cancel", "canceled"), CANCELABLE));
        }
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction
        | Status::RequiresCapture => {}
    }
    if intent.status == Status::RequiresCapture
        && let Some(charge) = &intent.latest_charge
    {
        charges::release(ctx, charge).await?;
    }
    intent.status = Status::Canceled;
    intent.amount_capturable = 0;
    intent.canceled_at = Some(ctx.now);
    intent.details.cancellation_reason = reason.map(str::to_owned);
    sql::update(ctx, intent).await?;
    outbox::push(ctx, "payment_intent.canceled", &intent.wire()).await?;
    invoice_payments::canceled(ctx, &intent.id).await
}

/// Asks for another amount from now on.
///
/// # Errors
/// A 400 when the money was asked for already, and what came of it is not known.
pub(crate) async fn resize(ctx: &mut Ctx, intent: &mut PaymentIntent, amount: i64) -> Result<()> {
    match intent.status {
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction => {}
        Status::Processing | Status::RequiresCapture | Status::Canceled | Status::Succeeded => {
            return Err(wrong_state(intent, ("update", "updated"), CANCELABLE));
        }
    }
    // What was authenticated was another amount.
    if intent.status == Status::RequiresAction {
        intent.status = Status::RequiresConfirmation;
    }
    intent.amount = amount;
    sql::update(ctx, intent).await?;
    invoice_payments::follow(ctx, intent).await
}

const CANCELABLE: &str =
    "requires_payment_method, requires_capture, requires_confirmation, requires_action";

/// Stripe's refusal of what an intent's status does not allow.
fn wrong_state(intent: &PaymentIntent, (verb, done): (&str, &str), allowed: &str) -> Error {
    Error::invalid(format!(
        "You cannot {verb} this PaymentIntent because it has a status of {}. Only a PaymentIntent \
         with one of the following statuses may be {done}: {allowed}.",
        intent.status.as_str()
    ))
    .code("payment_intent_unexpected_state")
}
