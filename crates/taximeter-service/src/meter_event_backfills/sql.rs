//! The statements of backfills, their events, and the events that they replace.

use taximeter_db::{Arg, Cells, DbError, Row, Tx, args};
use taximeter_kernel::id::{ApiKey, Customer, Id, MeterEventBackfill, Mode, Request, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::Event;

use super::Backfill;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::stored;

/// The most backfills that are found under way at once.
const UNDER_WAY_MAX: i64 = 1_000;

pub(super) const SEQ: &str =
    "SELECT seq FROM meter_event_backfills WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM meter_event_backfills WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR customer = $6) AND ($7 IS NULL OR meter = $7)",
    " AND ($8 IS NULL OR status = $8)",
);

const FIND: &str =
    "SELECT * FROM meter_event_backfills WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Backfill>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional(FIND, args).await?)
}

pub(super) async fn find_locked(ctx: &mut Ctx, id: &str) -> Result<Option<Backfill>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional_for_update(FIND, args).await?)
}

fn count(number: u64) -> Result<Arg> {
    i64::try_from(number).map(Arg::from).map_err(Error::internal)
}

pub(super) async fn insert(ctx: &mut Ctx, backfill: &Backfill) -> Result<()> {
    let args = ctx.args([
        Arg::from(&backfill.id),
        Arg::from(&backfill.meter),
        Arg::from(backfill.customer.as_ref()),
        Arg::from(backfill.timeframe.start),
        Arg::from(backfill.timeframe.end),
        Arg::from(backfill.replace_existing),
        Arg::from(backfill.status.as_str()),
        Arg::from(backfill.created),
        Arg::from(&backfill.api_key),
        Arg::from(&backfill.request),
    ]);
    let sql = "INSERT INTO meter_event_backfills (account, livemode, id, meter, customer, \
               timeframe_start, timeframe_end, replace_existing, status, created, updated, \
               api_key, request, until_position, chosen_position, done_position, staged, repeated, \
               recorded, skipped, replaced) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, \
               $11, $12, 0, 0, 0, 0, 0, 0, 0, 0)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, backfill: &Backfill) -> Result<()> {
    let args = ctx.args([
        Arg::from(&backfill.id),
        Arg::from(backfill.status.as_str()),
        Arg::Text(backfill.step.map(|step| step.as_str().to_owned())),
        count(backfill.until_position)?,
        count(backfill.chosen_position)?,
        count(backfill.done_position)?,
        count(backfill.staged)?,
        count(backfill.repeated)?,
        count(backfill.recorded)?,
        count(backfill.skipped)?,
        count(backfill.replaced)?,
        Arg::from(backfill.updated),
        Arg::from(backfill.applied_at),
        Arg::from(backfill.reverted_at),
        Arg::from(backfill.discarded_at),
        Arg::from(&backfill.api_key),
        Arg::from(&backfill.request),
    ]);
    let sql = "UPDATE meter_event_backfills SET status = $4, step = $5, until_position = $6, \
               chosen_position = $7, done_position = $8, staged = $9, repeated = $10, \
               recorded = $11, skipped = $12, replaced = $13, updated = $14, applied_at = $15, \
               reverted_at = $16, discarded_at = $17, api_key = $18, request = $19 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// A backfill of any account that is under way, and who asked for it.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) scope: Scope,
    pub(super) id: Id<MeterEventBackfill>,
    pub(super) api_key: Id<ApiKey>,
    pub(super) request: Id<Request>,
}

impl Row for UnderWay {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let mode: Mode = cells.get("livemode")?;
        Ok(Self {
            scope: Scope { account: cells.get("account")?, mode },
            id: cells.get("id")?,
            api_key: cells.get("api_key")?,
            request: cells.get("request")?,
        })
    }
}

/// The backfills of all accounts that are under way, oldest first.
pub(super) async fn under_way(tx: &mut Tx) -> Result<Vec<UnderWay>, DbError> {
    let sql = "SELECT account, livemode, id, api_key, request FROM meter_event_backfills \
               WHERE step IS NOT NULL ORDER BY seq LIMIT $1";
    tx.rows(sql, args![UNDER_WAY_MAX]).await
}

/// An event of a backfill.
#[derive(Debug, Clone)]
pub(super) struct Staged {
    pub(super) place: u64,
    pub(super) customer: Id<Customer>,
    pub(super) identifier: Option<String>,
    pub(super) timestamp: Timestamp,
    pub(super) payload: Vec<(String, String)>,
}

impl Row for Staged {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            place: cells.get("place")?,
            customer: cells.get("customer")?,
            identifier: cells.get("identifier")?,
            timestamp: cells.get("timestamp")?,
            payload: stored::read(cells, "payload")?,
        })
    }
}

/// Says whether the event is new to the backfill.
pub(super) async fn insert_event(
    ctx: &mut Ctx,
    backfill: &Backfill,
    event: &Staged,
) -> Result<bool> {
    let args = ctx.args([
        Arg::from(&backfill.id),
        count(event.place)?,
        Arg::from(&event.customer),
        Arg::Text(event.identifier.clone()),
        Arg::from(event.timestamp),
        stored::write(&event.payload)?,
    ]);
    let sql = "INSERT INTO meter_event_backfill_events (account, livemode, backfill, place, \
               customer, identifier, timestamp, payload) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    Ok(ctx.tx.execute(sql, args).await? > 0)
}

pub(super) async fn delete_events(ctx: &mut Ctx, backfill: &Backfill) -> Result<()> {
    let args = ctx.args([Arg::from(&backfill.id)]);
    let sql = "DELETE FROM meter_event_backfill_events \
               WHERE account = $1 AND livemode = $2 AND backfill = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// The events after a place, in order.
pub(super) async fn events_after(
    ctx: &mut Ctx,
    backfill: &Backfill,
    place: u64,
    limit: i64,
) -> Result<Vec<Staged>> {
    let args = ctx.args([Arg::from(&backfill.id), count(place)?, Arg::from(limit)]);
    let sql = "SELECT place, customer, identifier, timestamp, payload \
               FROM meter_event_backfill_events \
               WHERE account = $1 AND livemode = $2 AND backfill = $3 AND place > $4 \
               ORDER BY place LIMIT $5";
    Ok(ctx.tx.rows(sql, args).await?)
}

/// The events of a customer after a place, in order.
pub(super) async fn events_of_customer_after(
    ctx: &mut Ctx,
    backfill: &Backfill,
    customer: &str,
    place: u64,
    limit: i64,
) -> Result<Vec<Staged>> {
    let id = Arg::from(&backfill.id);
    let args = ctx.args([id, count(place)?, Arg::from(limit), Arg::from(customer)]);
    let sql = "SELECT place, customer, identifier, timestamp, payload \
               FROM meter_event_backfill_events \
               WHERE account = $1 AND livemode = $2 AND backfill = $3 AND place > $4 \
               AND customer = $6 ORDER BY place LIMIT $5";
    Ok(ctx.tx.rows(sql, args).await?)
}

/// The customers that have events, in the order of their ids.
pub(super) async fn customers(
    ctx: &mut Ctx,
    backfill: &Backfill,
    limit: i64,
) -> Result<Vec<String>> {
    let args = ctx.args([Arg::from(&backfill.id), Arg::from(limit)]);
    let sql = "SELECT DISTINCT customer FROM meter_event_backfill_events \
               WHERE account = $1 AND livemode = $2 AND backfill = $3 ORDER BY customer LIMIT $4";
    Ok(ctx.tx.rows(sql, args).await?)
}

/// A recorded event that a backfill replaces.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) position: u64,
    pub(super) customer: Id<Customer>,
    pub(super) event_name: String,
    pub(super) identifier: String,
}

impl Row for Replaced {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            position: cells.get("event_position")?,
            customer: cells.get("customer")?,
            event_name: cells.get("event_name")?,
            identifier: cells.get("identifier")?,
        })
    }
}

pub(super) async fn insert_replaced(
    ctx: &mut Ctx,
    backfill: &Backfill,
    event: &Event,
) -> Result<()> {
    let args = ctx.args([
        Arg::from(&backfill.id),
        count(event.seq)?,
        Arg::from(&event.customer),
        Arg::from(&event.event_name),
        Arg::from(&event.identifier),
    ]);
    let sql = "INSERT INTO meter_event_backfill_replaced (account, livemode, backfill, \
               event_position, customer, event_name, identifier) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// The replaced events after a place in the usage log and up to another, in order.
pub(super) async fn replaced_between(
    ctx: &mut Ctx,
    backfill: &Backfill,
    after: u64,
    until: u64,
    limit: i64,
) -> Result<Vec<Replaced>> {
    let id = Arg::from(&backfill.id);
    let args = ctx.args([id, count(after)?, count(until)?, Arg::from(limit)]);
    let sql = "SELECT event_position, customer, event_name, identifier \
               FROM meter_event_backfill_replaced \
               WHERE account = $1 AND livemode = $2 AND backfill = $3 \
               AND event_position > $4 AND event_position <= $5 \
               ORDER BY event_position LIMIT $6";
    Ok(ctx.tx.rows(sql, args).await?)
}
