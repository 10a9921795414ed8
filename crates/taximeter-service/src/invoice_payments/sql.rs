//! The statements of invoice payments.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Id, Invoice, PaymentIntent};

use super::InvoicePayment;
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;

pub(super) const SEQ: &str =
    "SELECT seq FROM invoice_payments WHERE account = $1 AND livemode = $2 AND id = $3";

/// All columns, and the secret of the payment intent.
macro_rules! selected {
    ($rest:literal) => {
        concat!(
            "SELECT p.*, (SELECT i.client_secret FROM payment_intents AS i WHERE i.account = $1 ",
            "AND i.livemode = $2 AND i.id = p.payment_intent) AS client_secret ",
            "FROM invoice_payments AS p WHERE p.account = $1 AND p.livemode = $2",
            $rest
        )
    };
}

pub(super) const LIST: ListSql = list_sql!(
    "SELECT p.*, (SELECT i.client_secret FROM payment_intents AS i WHERE i.account = $1",
    " AND i.livemode = $2 AND i.id = p.payment_intent) AS client_secret",
    " FROM invoice_payments AS p WHERE p.account = $1 AND p.livemode = $2",
    " AND ($6 IS NULL OR created >= $6) AND ($7 IS NULL OR created <= $7)",
    " AND ($8 IS NULL OR invoice = $8)",
    " AND ($9 IS NULL OR payment_intent = $9)",
    " AND ($10 IS NULL OR status = $10)",
);

impl Row for InvoicePayment {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            invoice: cells.get("invoice")?,
            payment_intent: cells.get("payment_intent")?,
            client_secret: cells.get("client_secret")?,
            status: word(cells, "status")?,
            amount_requested: cells.get("amount_requested")?,
            amount_paid: cells.get("amount_paid")?,
            currency: cells.get("currency")?,
            is_default: cells.get("is_default")?,
            paid_at: cells.get("paid_at")?,
            canceled_at: cells.get("canceled_at")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<InvoicePayment>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional(selected!(" AND p.id = $3"), args).await?)
}

/// The payments of an invoice. There are few: one unless something was attached.
pub(super) async fn of_invoice(
    ctx: &mut Ctx,
    invoice: &Id<Invoice>,
) -> Result<Vec<InvoicePayment>> {
    let args = ctx.args([Arg::from(invoice)]);
    let sql = selected!(" AND p.invoice = $3 ORDER BY p.seq LIMIT 100");
    Ok(ctx.tx.rows(sql, args).await?)
}

/// What a payment intent, which the caller holds, is still to pay.
pub(super) async fn lock_open(
    ctx: &mut Ctx,
    intent: &Id<PaymentIntent>,
) -> Result<Vec<InvoicePayment>> {
    let args = ctx.args([Arg::from(intent)]);
    let sql =
        selected!(" AND p.payment_intent = $3 AND p.status = 'open' ORDER BY p.seq LIMIT 100");
    Ok(ctx.tx.rows_for_update(sql, args).await?)
}

pub(super) async fn insert(ctx: &mut Ctx, payment: &InvoicePayment) -> Result<()> {
    let args = ctx.args([
        Arg::from(&payment.id),
        Arg::from(&payment.invoice),
        Arg::from(&payment.payment_intent),
        Arg::from(payment.status.as_str()),
        Arg::from(payment.amount_requested),
        Arg::from(payment.amount_paid),
        Arg::from(payment.currency),
        Arg::from(payment.is_default),
        Arg::from(payment.paid_at),
        Arg::from(payment.canceled_at),
        Arg::from(payment.created),
    ]);
    let sql = "INSERT INTO invoice_payments (account, livemode, id, invoice, payment_intent, \
               status, amount_requested, amount_paid, currency, is_default, paid_at, canceled_at, \
               created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, payment: &InvoicePayment) -> Result<()> {
    let args = ctx.args([
        Arg::from(&payment.id),
        Arg::from(payment.status.as_str()),
        Arg::from(payment.amount_requested),
        Arg::from(payment.amount_paid),
        Arg::from(payment.paid_at),
        Arg::from(payment.canceled_at),
    ]);
    let sql = "UPDATE invoice_payments SET status = $4, amount_requested = $5, amount_paid = $6, \
               paid_at = $7, canceled_at = $8 WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
