//! What is done with an invoice by hand: finalizing, paying, sending, taking it back, giving it up.

use taximeter_kernel::id::{Invoice as InvoiceKind, Kind as _};

use super::advance::after_finalizing;
use super::collect::{self, Collected};
use super::details::UncollectibleReason;
use super::{Invoice, Status, finalize as settle, locked_with_customer, sql};
use crate::balance_transactions::{self, BalanceChange};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::params::Text;
use crate::{outbox, subscriptions, test_clocks};

crate::params! {
    /// How an invoice is finalized.
    pub struct Finalize {
        /// Whether it moves on by itself from then on.
        pub auto_advance: Option<bool>,
    }
}

crate::params! {
    /// How an invoice is paid.
    pub struct Pay {
        /// To take what is there of a source that cannot pay all of it, and to forgive the rest. No
        /// source here is of that kind: a card pays all, or is refused as without this.
        pub forgive: Option<bool>,
        /// Whether the customer is not there to be asked.
        pub off_session: Option<bool>,
        /// Whether it was paid otherwise than through us.
        pub paid_out_of_band: Option<bool>,
        /// With what, if not what pays by default.
        pub payment_method: Option<Text<255>>,
    }
}

crate::params! {
    /// No parameters.
    pub struct Plain {}
}

async fn held(ctx: &mut Ctx, id: &str) -> Result<(Invoice, Customer)> {
    let Some((invoice, customer)) = locked_with_customer(ctx, id).await? else {
        return Err(ctx.no_such_path(InvoiceKind::NOUN, id).await?);
    };
    test_clocks::follow(ctx, &customer).await?;
    Ok((invoice, customer))
}

/// Finalizes a draft. With nothing due it is paid; what is collected automatically and moves on by
/// itself is collected at once.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is no draft or an amount does not fit.
pub(super) async fn finalize(ctx: &mut Ctx, id: &str, input: Finalize) -> Result<Invoice> {
    let (mut invoice, mut customer) = held(ctx, id).await?;
    if let Some(auto_advance) = input.auto_advance {
        invoice.auto_advance = auto_advance;
        if !auto_advance {
            invoice.details.next_payment_attempt = None;
        }
    }
    settle::finalize(ctx, &mut invoice, &mut customer).await?;
    after_finalizing(ctx, &mut invoice, &mut customer).await?;
    Ok(invoice)
}

/// Pays an invoice: from what pays by default, from a payment method, or out of band. A draft is
/// finalized first.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it cannot be paid, a 402 when it was refused.
pub async fn pay(ctx: &mut Ctx, id: &str, input: Pay) -> Result<Invoice> {
    let (mut invoice, mut customer) = held(ctx, id).await?;
    match invoice.status {
        Status::Paid => return Err(Error::invalid("Invoice is already paid")),
        Status::Void => return Err(Error::invalid("You cannot pay a voided invoice.")),
        Status::Draft | Status::Open | Status::Uncollectible => {}
    }
    if input.forgive == Some(true) && input.paid_out_of_band == Some(true) {
        return Err(Error::invalid(
            "You may only specify one of these parameters: forgive, paid_out_of_band.",
        )
        .code("parameters_exclusive")
        .param("forgive"));
    }
    if invoice.status == Status::Draft {
        settle::finalize(ctx, &mut invoice, &mut customer).await?;
        if invoice.status == Status::Paid {
            subscriptions::invoice_paid(ctx, &invoice).await?;
            return Ok(invoice);
        }
    }
    if input.paid_out_of_band == Some(true) {
        let remaining = invoice.amount_remaining();
        collect::off_stripe(ctx, &invoice, &customer).await?;
        collect::paid(ctx, &mut invoice, &mut customer, remaining).await?;
        return Ok(invoice);
    }
    let method = input.payment_method.as_deref();
    if method.is_none() && !collect::has_method(ctx, &invoice, &customer).await? {
        return Err(collect::no_payment_source());
    }
    let off_session = input.off_session.unwrap_or(true);
    match collect::collect(ctx, &mut invoice, &mut customer, method, off_session).await? {
        Collected::Paid => Ok(invoice),
        Collected::NotPaid(error) => Err(error.keeping()),
    }
}

/// Sends an invoice to its customer. A draft is finalized first.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is collected automatically and cannot be sent.
pub async fn send(ctx: &mut Ctx, id: &str, _: Plain) -> Result<Invoice> {
    let (mut invoice, mut customer) = held(ctx, id).await?;
    if matches!(invoice.status, Status::Void | Status::Uncollectible) {
        return Err(not_open());
    }
    if invoice.status == Status::Draft {
        settle::finalize(ctx, &mut invoice, &mut customer).await?;
        if invoice.status == Status::Paid {
            subscriptions::invoice_paid(ctx, &invoice).await?;
        }
    }
    outbox::push(ctx, "invoice.sent", &invoice.wire()).await?;
    Ok(invoice)
}

fn not_open() -> Error {
    Error::invalid("You can only pass in open invoices. This invoice isn't open.")
}

/// Takes an invoice back. What of the customer's balance went into it is given back.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is neither open nor given up.
pub async fn void(ctx: &mut Ctx, id: &str, _: Plain) -> Result<Invoice> {
    let (mut invoice, mut customer) = held(ctx, id).await?;
    if !matches!(invoice.status, Status::Open | Status::Uncollectible) {
        return Err(not_open());
    }
    void_held(ctx, &mut invoice, &mut customer).await?;
    subscriptions::invoice_void(ctx, &invoice).await?;
    Ok(invoice)
}

/// Takes back an invoice that is held with its customer, and leaves its subscription alone.
pub(crate) async fn void_held(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
) -> Result<()> {
    let wire_before = invoice.wire();
    collect::give_up_collecting(ctx, invoice).await?;
    invoice.status = Status::Void;
    invoice.voided_at = Some(ctx.now);
    invoice.auto_advance = false;
    invoice.details.next_payment_attempt = None;
    sql::update(ctx, invoice).await?;
    settle::put_down(ctx, invoice).await?;
    let before = customer.clone();
    let taken = invoice.ending_balance.unwrap_or(0).checked_sub(invoice.starting_balance);
    let given = taken.and_then(i64::checked_neg).ok_or_else(super::too_large)?;
    let (kind, id) = (BalanceChange::UnappliedFromInvoice, Some(&invoice.id));
    balance_transactions::record(ctx, customer, given, kind, id, None, None).await?;
    customers::save(ctx, &before, customer).await?;
    outbox::push_update(ctx, "invoice.updated", &wire_before, &invoice.wire()).await?;
    outbox::push(ctx, "invoice.voided", &invoice.wire()).await
}

/// Gives an invoice up.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is not open.
pub async fn mark_uncollectible(ctx: &mut Ctx, id: &str, _: Plain) -> Result<Invoice> {
    let (mut invoice, mut customer) = held(ctx, id).await?;
    if invoice.status != Status::Open {
        return Err(not_open());
    }
    give_up(ctx, &mut invoice, UncollectibleReason::UserForgiven).await?;
    collect::set_delinquent(ctx, &mut customer, false).await?;
    subscriptions::invoice_paid(ctx, &invoice).await?;
    Ok(invoice)
}

/// Gives up an open invoice that is held.
pub(crate) async fn give_up(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    reason: UncollectibleReason,
) -> Result<()> {
    let before = invoice.wire();
    invoice.status = Status::Uncollectible;
    invoice.auto_advance = false;
    invoice.details.next_payment_attempt = None;
    invoice.details.marked_uncollectible_at = Some(ctx.now.0);
    invoice.details.uncollectible_reason = Some(reason);
    sql::update(ctx, invoice).await?;
    settle::put_down(ctx, invoice).await?;
    outbox::push_update(ctx, "invoice.updated", &before, &invoice.wire()).await?;
    outbox::push(ctx, "invoice.marked_uncollectible", &invoice.wire()).await
}
