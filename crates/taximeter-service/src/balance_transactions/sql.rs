//! The statements of the ledger, and how a row of it is read.

use taximeter_db::{Arg, Cells, DbError, Row};

use super::BalanceTransaction;
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::stored;

/// What a row is read from: one that was written while its customer had no currency has the one that
/// the customer has got since.
macro_rules! rows {
    () => {
        "SELECT t.seq AS seq, t.id AS id, t.livemode AS livemode, t.customer AS customer, \
         t.amount AS amount, t.ending_balance AS ending_balance, \
         COALESCE(t.currency, c.currency) AS currency, t.type AS type, t.invoice AS invoice, \
         t.credit_note AS credit_note, t.description AS description, t.metadata AS metadata, \
         t.created AS created \
         FROM customer_balance_transactions AS t JOIN customers AS c \
         ON c.account = t.account AND c.livemode = t.livemode AND c.id = t.customer \
         WHERE t.account = $1 AND t.livemode = $2"
    };
}

impl Row for BalanceTransaction {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            customer: cells.get("customer")?,
            amount: cells.get("amount")?,
            ending_balance: cells.get("ending_balance")?,
            currency: cells.get("currency")?,
            kind: word(cells, "type")?,
            invoice: cells.get("invoice")?,
            credit_note: cells.get("credit_note")?,
            description: cells.get("description")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) const SEQ: &str = "SELECT seq FROM customer_balance_transactions \
                              WHERE account = $1 AND livemode = $2 AND id = $3";

macro_rules! list {
    ($order:literal) => {
        concat!(
            rows!(),
            " AND t.customer = $6",
            " AND ($7 IS NULL OR t.created >= $7) AND ($8 IS NULL OR t.created <= $8)",
            " AND ($9 IS NULL OR t.invoice = $9)",
            " AND ($3 IS NULL OR t.seq < $3) AND ($4 IS NULL OR t.seq > $4)",
            " ORDER BY t.seq ",
            $order,
            " LIMIT $5",
        )
    };
}

pub(super) const LIST: ListSql = ListSql { descending: list!("DESC"), ascending: list!("ASC") };

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<BalanceTransaction>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional(concat!(rows!(), " AND t.id = $3"), args).await?)
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.hold(SEQ, args).await?)
}

pub(super) async fn insert(ctx: &mut Ctx, row: &BalanceTransaction) -> Result<()> {
    let args = ctx.args([
        Arg::from(&row.id),
        Arg::from(&row.customer),
        Arg::from(row.amount),
        Arg::from(row.ending_balance),
        Arg::from(row.currency),
        Arg::from(row.kind.as_str()),
        Arg::from(row.invoice.as_ref()),
        Arg::from(row.credit_note.as_ref()),
        Arg::Text(row.description.clone()),
        stored::write(&row.metadata)?,
        Arg::from(row.created),
    ]);
    let sql = "INSERT INTO customer_balance_transactions (account, livemode, id, customer, amount, \
               ending_balance, currency, type, invoice, credit_note, description, metadata, \
               created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, row: &BalanceTransaction) -> Result<()> {
    let args = ctx.args([
        Arg::from(&row.id),
        Arg::Text(row.description.clone()),
        stored::write(&row.metadata)?,
    ]);
    let sql = "UPDATE customer_balance_transactions SET description = $4, metadata = $5 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
