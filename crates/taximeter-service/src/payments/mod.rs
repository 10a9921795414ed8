//! Collecting what invoices ask for.
//!
//! An invoice that is finalized with something due gets a payment intent and an invoice payment
//! ([`open_for_invoice`]). Each try is an [`attempt`] at that intent; the one who pays may confirm the
//! intent themselves, and then [`succeeded`] or [`failed`] tells the invoice. Voiding it gives the intent up ([`cancel_for_invoice`]).

pub mod cards;
mod decline;
pub mod number;
mod provider;

use taximeter_kernel::id::{Id, Invoice, PaymentIntent as PaymentIntentKind};
use taximeter_kernel::money::Currency;

pub use decline::Decline;
pub use provider::{Answer, Ask, Behaviour, Presence, Provider, Session};

use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Error, Result};
use crate::invoice_payments::{self, InvoicePayment};
use crate::payment_intents::{self, Authentication, Outcome, PaymentIntent, Status};
use crate::payment_methods::{self, PaymentMethod};

/// An invoice, as far as collecting it goes.
#[derive(Debug, Clone, Copy)]
pub struct InvoiceToPay<'a> {
    /// Which.
    pub invoice: &'a Id<Invoice>,
    /// Who pays.
    pub customer: &'a Customer,
    /// What remains to be paid, in minor units.
    pub amount_minor: i64,
    /// Of what.
    pub currency: Currency,
}

/// What came of an attempt to collect an invoice.
#[derive(Debug)]
pub enum Attempt {
    /// It is paid.
    Paid,
    /// The one who pays must authenticate first, and then the intent goes on by itself.
    RequiresAction {
        /// The intent that waits.
        payment_intent: Id<PaymentIntentKind>,
    },
    /// The provider was asked and has not answered. The test provider always answers.
    Processing {
        /// The intent that waits.
        payment_intent: Id<PaymentIntentKind>,
    },
    /// It was declined, and that it was is on record. To answer with the error without undoing
    /// that record, return [`Error::keeping`] of it.
    Declined {
        /// 402, with the charge, the intent and the payment method as they are now.
        error: Error,
    },
}

/// What an invoice is paid with: its own default, or else that of its subscription, or else the
/// customer's. One that was detached since is passed over.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn method_for(
    ctx: &mut Ctx,
    customer: &Customer,
    subscription_default: Option<&str>,
    invoice_default: Option<&str>,
) -> Result<Option<PaymentMethod>> {
    let customers = customer.invoice_settings.default_payment_method.as_deref();
    for id in [invoice_default, subscription_default, customers].into_iter().flatten() {
        let method = payment_methods::still_attached(ctx, id, &customer.id).await?;
        if method.is_some() {
            return Ok(method);
        }
    }
    Ok(None)
}

/// Makes the payment intent of an invoice that was finalized with something due, and notes that it
/// is to pay the invoice. The invoice must be written already, and held by whoever calls. Where
/// there is a payment that was not given up it is returned.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn open_for_invoice(ctx: &mut Ctx, to_pay: InvoiceToPay<'_>) -> Result<InvoicePayment> {
    let all = of_invoice(ctx, to_pay.invoice).await?;
    let given_up = |payment: &InvoicePayment| payment.status == invoice_payments::Status::Canceled;
    if let Some(payment) = all.into_iter().rfind(|payment| !given_up(payment)) {
        return Ok(payment);
    }
    let intent = payment_intents::create_for_invoice(ctx, &to_pay).await?;
    invoice_payments::open(ctx, to_pay.invoice, &intent).await
}

/// Tries to collect what remains to be paid of an invoice with a payment method of its customer.
/// What is paid already is not charged again; what was asked for and not answered is not asked
/// for again.
///
/// # Errors
/// A 400 when nobody collects in this mode. A decline is no error: it is recorded.
pub async fn attempt(
    ctx: &mut Ctx,
    to_pay: &InvoiceToPay<'_>,
    method: &PaymentMethod,
    off_session: bool,
) -> Result<Attempt> {
    Provider::of(ctx.scope().mode).ready()?;
    let payment = open_for_invoice(ctx, *to_pay).await?;
    let id = payment.payment_intent;
    let mut intent = payment_intents::locked(ctx, id.as_str(), "payment_intent").await?;
    match intent.status {
        Status::Succeeded | Status::RequiresCapture => return Ok(Attempt::Paid),
        Status::Processing => return Ok(Attempt::Processing { payment_intent: id }),
        Status::Canceled
        | Status::RequiresAction
        | Status::RequiresConfirmation
        | Status::RequiresPaymentMethod => {}
    }
    if intent.amount != to_pay.amount_minor {
        intent.amount = to_pay.amount_minor;
        invoice_payments::follow(ctx, &intent).await?;
    }
    let session = if off_session { Session::Off } else { Session::On };
    // An invoice waits for whoever must authenticate, even when they are away: they are told.
    let how = (session, Authentication::Wait);
    let outcome = payment_intents::begin(ctx, &mut intent, method.clone(), how).await?;
    Ok(match outcome {
        Outcome::Paid => Attempt::Paid,
        Outcome::RequiresAction => Attempt::RequiresAction { payment_intent: id },
        Outcome::Processing => Attempt::Processing { payment_intent: id },
        Outcome::Declined(error) => Attempt::Declined { error },
    })
}

/// Brings what the one who pays is asked for in line with what remains to be paid of an invoice, as
/// after a credit note. Where nothing remains the intent is given up.
///
/// # Errors
/// A 400 while a provider has not said what came of an attempt.
pub async fn remaining_changed(ctx: &mut Ctx, to_pay: &InvoiceToPay<'_>) -> Result<()> {
    for mut intent in payment_intents::locked_of_invoice(ctx, to_pay.invoice).await? {
        match intent.status {
            Status::Succeeded | Status::Canceled => {}
            _ if to_pay.amount_minor <= 0 => {
                payment_intents::give_up(ctx, &mut intent, Some("automatic")).await?;
            }
            _ if intent.amount == to_pay.amount_minor => {}
            _ => payment_intents::resize(ctx, &mut intent, to_pay.amount_minor).await?,
        }
    }
    Ok(())
}

/// Gives up collecting an invoice that is voided.
///
/// # Errors
/// A 400 while a provider has not said what came of an attempt.
pub async fn cancel_for_invoice(ctx: &mut Ctx, invoice: &Id<Invoice>) -> Result<()> {
    give_up(ctx, invoice, "void_invoice").await
}

/// Gives up collecting an invoice whose money came in some other way.
///
/// # Errors
/// A 400 while a provider has not said what came of an attempt.
pub async fn paid_off_stripe(ctx: &mut Ctx, to_pay: &InvoiceToPay<'_>) -> Result<()> {
    give_up(ctx, to_pay.invoice, "automatic").await
}

async fn give_up(ctx: &mut Ctx, invoice: &Id<Invoice>, reason: &str) -> Result<()> {
    for mut intent in payment_intents::locked_of_invoice(ctx, invoice).await? {
        if intent.status != Status::Succeeded {
            payment_intents::give_up(ctx, &mut intent, Some(reason)).await?;
        }
    }
    Ok(())
}

/// The payments of an invoice, oldest first: its `payments`, and of the open one its
/// `confirmation_secret`.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn of_invoice(ctx: &mut Ctx, invoice: &Id<Invoice>) -> Result<Vec<InvoicePayment>> {
    invoice_payments::of_invoice(ctx, invoice).await
}

/// Tells an invoice that the one who pays confirmed its payment intent and the money is there. The
/// intent, its charge and the invoice payment are written, and their events.
///
/// # Errors
/// Whatever the invoice finds wrong with it.
pub(crate) async fn succeeded(
    ctx: &mut Ctx,
    invoice: &Id<Invoice>,
    intent: &PaymentIntent,
) -> Result<()> {
    crate::invoices::payment_succeeded(ctx, invoice, intent).await
}

/// Tells an invoice that the one who pays tried to, and was refused. That is written, with its events.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn failed(ctx: &mut Ctx, invoice: &Id<Invoice>) -> Result<()> {
    crate::invoices::payment_failed(ctx, invoice).await
}
