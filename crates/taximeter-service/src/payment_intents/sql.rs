//! The statements of payment intents.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Id, Invoice};

use super::PaymentIntent;
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::stored;

pub(super) const SEQ: &str =
    "SELECT seq FROM payment_intents WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM payment_intents WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR created >= $6) AND ($7 IS NULL OR created <= $7)",
    " AND ($8 IS NULL OR customer = $8)",
);

pub(super) const ALL: ListSql =
    list_sql!("SELECT * FROM payment_intents WHERE account = $1 AND livemode = $2");

impl Row for PaymentIntent {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            status: word(cells, "status")?,
            amount: cells.get("amount")?,
            amount_capturable: cells.get("amount_capturable")?,
            amount_received: cells.get("amount_received")?,
            currency: cells.get("currency")?,
            customer: cells.get("customer")?,
            payment_method: cells.get("payment_method")?,
            latest_charge: cells.get("latest_charge")?,
            invoice: cells.get("invoice")?,
            capture_method: word(cells, "capture_method")?,
            client_secret: cells.get("client_secret")?,
            attempts: cells.get("attempts")?,
            canceled_at: cells.get("canceled_at")?,
            details: stored::read(cells, "details")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<PaymentIntent>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM payment_intents WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Reads a payment intent that is to be written back.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<Option<PaymentIntent>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM payment_intents WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional_for_update(sql, args).await?)
}

/// The payment intents of an invoice that can still collect, to be written back.
pub(super) async fn lock_of_invoice(
    ctx: &mut Ctx,
    invoice: &Id<Invoice>,
) -> Result<Vec<PaymentIntent>> {
    let args = ctx.args([Arg::from(invoice)]);
    let sql = "SELECT * FROM payment_intents WHERE account = $1 AND livemode = $2 AND invoice = $3 \
               AND status <> 'canceled' ORDER BY seq LIMIT 100";
    Ok(ctx.tx.rows_for_update(sql, args).await?)
}

/// The columns that can change, in the order of both statements below.
fn columns(intent: &PaymentIntent) -> Result<[Arg; 13]> {
    Ok([
        Arg::from(intent.status.as_str()),
        Arg::from(intent.amount),
        Arg::from(intent.amount_capturable),
        Arg::from(intent.amount_received),
        Arg::from(intent.currency),
        Arg::from(intent.customer.as_ref()),
        Arg::from(intent.payment_method.as_ref()),
        Arg::from(intent.latest_charge.as_ref()),
        Arg::from(intent.capture_method.as_str()),
        Arg::from(intent.attempts),
        Arg::from(intent.canceled_at),
        stored::write(&intent.details)?,
        stored::write(&intent.metadata)?,
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, intent: &PaymentIntent) -> Result<()> {
    let mut args = ctx.args([Arg::from(&intent.id)]);
    args.extend(columns(intent)?);
    args.extend([
        Arg::from(intent.invoice.as_ref()),
        Arg::from(intent.client_secret.as_str()),
        Arg::from(intent.created),
    ]);
    let sql = "INSERT INTO payment_intents (account, livemode, id, status, amount, \
               amount_capturable, amount_received, currency, customer, payment_method, \
               latest_charge, capture_method, attempts, canceled_at, details, metadata, invoice, \
               client_secret, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
               $17, $18, $19)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, intent: &PaymentIntent) -> Result<()> {
    let mut args = ctx.args([Arg::from(&intent.id)]);
    args.extend(columns(intent)?);
    let sql = "UPDATE payment_intents SET status = $4, amount = $5, amount_capturable = $6, \
               amount_received = $7, currency = $8, customer = $9, payment_method = $10, \
               latest_charge = $11, capture_method = $12, attempts = $13, canceled_at = $14, \
               details = $15, metadata = $16 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
