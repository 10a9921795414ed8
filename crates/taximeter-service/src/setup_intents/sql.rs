//! The statements of setup intents.

use taximeter_db::{Arg, Cells, DbError, Row};

use super::SetupIntent;
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::stored;

pub(super) const SEQ: &str =
    "SELECT seq FROM setup_intents WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM setup_intents WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR created >= $6) AND ($7 IS NULL OR created <= $7)",
    " AND ($8 IS NULL OR customer = $8)",
    " AND ($9 IS NULL OR payment_method = $9)",
);

impl Row for SetupIntent {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            status: word(cells, "status")?,
            customer: cells.get("customer")?,
            payment_method: cells.get("payment_method")?,
            usage: word(cells, "usage")?,
            client_secret: cells.get("client_secret")?,
            details: stored::read(cells, "details")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<SetupIntent>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM setup_intents WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Reads a setup intent that is to be written back.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<Option<SetupIntent>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM setup_intents WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional_for_update(sql, args).await?)
}

/// The columns that can change, in the order of both statements below.
fn columns(intent: &SetupIntent) -> Result<[Arg; 5]> {
    Ok([
        Arg::from(intent.status.as_str()),
        Arg::from(intent.customer.as_ref()),
        Arg::from(intent.payment_method.as_ref()),
        stored::write(&intent.details)?,
        stored::write(&intent.metadata)?,
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, intent: &SetupIntent) -> Result<()> {
    let mut args = ctx.args([Arg::from(&intent.id)]);
    args.extend(columns(intent)?);
    args.extend([
        Arg::from(intent.usage.as_str()),
        Arg::from(intent.client_secret.as_str()),
        Arg::from(intent.created),
    ]);
    let sql = "INSERT INTO setup_intents (account, livemode, id, status, customer, \
               payment_method, details, metadata, usage, client_secret, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, intent: &SetupIntent) -> Result<()> {
    let mut args = ctx.args([Arg::from(&intent.id)]);
    args.extend(columns(intent)?);
    let sql = "UPDATE setup_intents SET status = $4, customer = $5, payment_method = $6, \
               details = $7, metadata = $8 WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
