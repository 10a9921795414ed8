//! The statements of the audit trail. There is none that changes or deletes an entry.

use taximeter_db::{Arg, DbError, Tx, args};
use taximeter_kernel::id::{Customer, Id, UsageAuditEntry};

use super::{Entry, INTENTS_PER_SETTLE_MAX, Owner};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::stored;

pub(super) const SEQ: &str =
    "SELECT seq FROM usage_audit WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM usage_audit WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR meter = $6) AND ($7 IS NULL OR customer = $7)",
    " AND ($8 IS NULL OR identifier = $8) AND ($9 IS NULL OR backfill = $9)",
);

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Entry>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM usage_audit WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// The latest entry about the event of an intent.
pub(super) async fn latest_of_event(ctx: &mut Ctx, intent: &Entry) -> Result<Option<Entry>> {
    let identifier = Arg::Text(intent.identifier.clone());
    let args = ctx.args([Arg::from(intent.customer.as_ref()), identifier]);
    let sql = "SELECT * FROM usage_audit WHERE account = $1 AND livemode = $2 \
               AND customer = $3 AND identifier = $4 ORDER BY seq DESC LIMIT 1";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Where the event of the first entry about an identifier stood.
pub(super) async fn first_position(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
    identifier: &str,
) -> Result<Option<u64>> {
    let args = ctx.args([Arg::from(customer), Arg::from(identifier)]);
    let sql = "SELECT event_position FROM usage_audit WHERE account = $1 AND livemode = $2 \
               AND customer = $3 AND identifier = $4 ORDER BY seq LIMIT 1";
    Ok(ctx.tx.optional(sql, args).await?)
}

pub(super) async fn insert(ctx: &mut Ctx, entry: &Entry) -> Result<()> {
    let mut args = args_of(ctx, entry)?;
    args.push(Arg::from(entry.backfill.as_ref()));
    let sql = "INSERT INTO usage_audit (account, livemode, id, action, meter, customer, \
               event_position, identifier, state_before, state_after, reason, api_key, request, \
               created, backfill) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn intend(ctx: &mut Ctx, entry: &Entry) -> Result<()> {
    let args = args_of(ctx, entry)?;
    let sql = "INSERT INTO usage_audit_intents (account, livemode, id, action, meter, customer, \
               event_position, identifier, state_before, state_after, reason, api_key, request, \
               created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

fn args_of(ctx: &Ctx, entry: &Entry) -> Result<Vec<Arg>> {
    let position = entry.event_position.map(i64::try_from).transpose().map_err(Error::internal)?;
    Ok(ctx.args([
        Arg::from(&entry.id),
        Arg::from(entry.action.as_str()),
        Arg::from(&entry.meter),
        Arg::from(entry.customer.as_ref()),
        Arg::Int(position),
        Arg::Text(entry.identifier.clone()),
        stored::write(&entry.before)?,
        stored::write(&entry.after)?,
        Arg::Text(entry.reason.clone()),
        Arg::from(&entry.api_key),
        Arg::from(&entry.request),
        Arg::from(entry.created),
    ]))
}

/// Once, whoever does it: the request itself, or another that found the intent.
pub(super) async fn copy_into_trail(ctx: &mut Ctx, id: &Id<UsageAuditEntry>) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "INSERT INTO usage_audit (account, livemode, id, action, meter, customer, \
               event_position, identifier, state_before, state_after, reason, api_key, request, \
               created) \
               SELECT account, livemode, id, action, meter, customer, event_position, identifier, \
               state_before, state_after, reason, api_key, request, created \
               FROM usage_audit_intents WHERE account = $1 AND livemode = $2 AND id = $3 \
               ORDER BY id LIMIT 1 ON CONFLICT DO NOTHING";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn forget(ctx: &mut Ctx, id: &Id<UsageAuditEntry>) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "DELETE FROM usage_audit_intents WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// Holds the customer, deleted or not: the usage of a deleted one can be corrected, too.
pub(super) async fn lock_customer(ctx: &mut Ctx, customer: &Id<Customer>) -> Result<()> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT id FROM customers WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.hold(sql, args).await?)
}

/// `backfill` is for [`Entry`]: an intent is about one event.
const INTENT: &str = "SELECT *, CAST(NULL AS TEXT) AS backfill FROM usage_audit_intents \
     WHERE account = $1 AND livemode = $2 AND id = $3";
const INTENTS_OF_EVENT: &str = "SELECT *, CAST(NULL AS TEXT) AS backfill FROM usage_audit_intents \
     WHERE account = $1 AND livemode = $2 AND customer = $3 AND identifier = $4 \
     ORDER BY created, id LIMIT $5";

pub(super) async fn find_intent(ctx: &mut Ctx, id: &Id<UsageAuditEntry>) -> Result<Option<Entry>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional(INTENT, args).await?)
}

pub(super) async fn intents_of_event(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
    identifier: &str,
) -> Result<Vec<Entry>> {
    let limit = Arg::from(INTENTS_PER_SETTLE_MAX);
    let args = ctx.args([Arg::from(customer), Arg::from(identifier), limit]);
    Ok(ctx.tx.rows(INTENTS_OF_EVENT, args).await?)
}

/// The intents of all accounts that are at least so old, oldest first.
pub(super) async fn all_intents(tx: &mut Tx, oldest: i64) -> Result<Vec<Owner>, DbError> {
    let sql = "SELECT account, livemode, id, api_key, request FROM usage_audit_intents \
               WHERE created <= $1 ORDER BY created, id LIMIT $2";
    tx.rows(sql, args![oldest, INTENTS_PER_SETTLE_MAX]).await
}
