//! The statements of charges.

use taximeter_db::{Arg, Cells, DbError, Row};

use super::Charge;
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::stored;

pub(super) const SEQ: &str =
    "SELECT seq FROM charges WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM charges WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR created >= $6) AND ($7 IS NULL OR created <= $7)",
    " AND ($8 IS NULL OR customer = $8)",
    " AND ($9 IS NULL OR payment_intent = $9)",
);

impl Row for Charge {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            status: word(cells, "status")?,
            amount: cells.get("amount")?,
            amount_captured: cells.get("amount_captured")?,
            amount_refunded: cells.get("amount_refunded")?,
            captured: cells.get("captured")?,
            currency: cells.get("currency")?,
            customer: cells.get("customer")?,
            payment_intent: cells.get("payment_intent")?,
            attempt: cells.get("attempt")?,
            payment_method: cells.get("payment_method")?,
            details: stored::read(cells, "details")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Charge>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM charges WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Reads a charge that is to be written back.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<Option<Charge>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM charges WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional_for_update(sql, args).await?)
}

pub(super) async fn insert(ctx: &mut Ctx, charge: &Charge) -> Result<()> {
    let args = ctx.args([
        Arg::from(&charge.id),
        Arg::from(charge.status.as_str()),
        Arg::from(charge.amount),
        Arg::from(charge.amount_captured),
        Arg::from(charge.amount_refunded),
        Arg::from(charge.captured),
        Arg::from(charge.currency),
        Arg::from(charge.customer.as_ref()),
        Arg::from(&charge.payment_intent),
        Arg::from(charge.attempt),
        Arg::from(&charge.payment_method),
        stored::write(&charge.details)?,
        stored::write(&charge.metadata)?,
        Arg::from(charge.created),
    ]);
    let sql = "INSERT INTO charges (account, livemode, id, status, amount, amount_captured, \
               amount_refunded, captured, currency, customer, payment_intent, attempt, \
               payment_method, details, metadata, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, charge: &Charge) -> Result<()> {
    let args = ctx.args([
        Arg::from(&charge.id),
        Arg::from(charge.amount_captured),
        Arg::from(charge.amount_refunded),
        Arg::from(charge.captured),
    ]);
    let sql = "UPDATE charges SET amount_captured = $4, amount_refunded = $5, captured = $6 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
