//! The statements of refunds. Whom and what money went back to is the charge's to say.

use taximeter_db::{Arg, Cells, DbError, Row};

use super::Refund;
use crate::ctx::{Ctx, optional_word, word};
use crate::error::Result;
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice;
use crate::stored;

pub(super) const SEQ: &str =
    "SELECT seq FROM refunds WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT r.*, (SELECT c.customer FROM charges AS c WHERE c.account = $1 AND c.livemode = $2",
    " AND c.id = r.charge) AS customer, (SELECT c.payment_method FROM charges AS c",
    " WHERE c.account = $1 AND c.livemode = $2 AND c.id = r.charge) AS payment_method",
    " FROM refunds AS r WHERE r.account = $1 AND r.livemode = $2",
    " AND ($6 IS NULL OR charge = $6)",
    " AND ($7 IS NULL OR created >= $7) AND ($8 IS NULL OR created <= $8)",
    " AND ($9 IS NULL OR payment_intent = $9)",
);

impl Row for Refund {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            status: word(cells, "status")?,
            amount: cells.get("amount")?,
            currency: cells.get("currency")?,
            charge: cells.get("charge")?,
            payment_intent: cells.get("payment_intent")?,
            customer: cells.get("customer")?,
            payment_method: cells.get("payment_method")?,
            reason: optional_word(cells, "reason")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Refund>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT r.*, c.customer, c.payment_method FROM refunds AS r JOIN charges AS c \
               ON c.account = r.account AND c.livemode = r.livemode AND c.id = r.charge \
               WHERE r.account = $1 AND r.livemode = $2 AND r.id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT id FROM refunds WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.hold(sql, args).await?)
}

pub(super) async fn insert(ctx: &mut Ctx, refund: &Refund) -> Result<()> {
    let args = ctx.args([
        Arg::from(&refund.id),
        Arg::from(refund.status.as_str()),
        Arg::from(refund.amount),
        Arg::from(refund.currency),
        Arg::from(&refund.charge),
        Arg::from(&refund.payment_intent),
        Arg::from(refund.reason.map(Choice::as_str)),
        stored::write(&refund.metadata)?,
        Arg::from(refund.created),
    ]);
    let sql = "INSERT INTO refunds (account, livemode, id, status, amount, currency, charge, \
               payment_intent, reason, metadata, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, refund: &Refund) -> Result<()> {
    let args = ctx.args([Arg::from(&refund.id), stored::write(&refund.metadata)?]);
    let sql = "UPDATE refunds SET metadata = $4 WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
