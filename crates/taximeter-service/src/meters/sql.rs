//! The statements of meters.

use taximeter_db::Arg;

use super::{Meter, name_taken};
use crate::ctx::Ctx;
use crate::error::Result;
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::stored;

pub(super) const SEQ: &str =
    "SELECT seq FROM meters WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM meters WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR status = $6)",
);

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Meter>> {
    if let Some(known) = ctx.known().meters.get(id) {
        return Ok(Some(known.clone()));
    }
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM meters WHERE account = $1 AND livemode = $2 AND id = $3";
    let found: Option<Meter> = ctx.tx.optional(sql, args).await?;
    if let Some(found) = &found {
        ctx.known().meters.insert(id.to_owned(), found.clone());
    }
    Ok(found)
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    ctx.known().meters.remove(id);
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT id FROM meters WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.hold(sql, args).await?)
}

pub(super) async fn find_active_by_event_name(
    ctx: &mut Ctx,
    event_name: &str,
) -> Result<Option<Meter>> {
    let args = ctx.args([Arg::from(event_name)]);
    let sql = "SELECT * FROM meters \
               WHERE account = $1 AND livemode = $2 AND event_name = $3 AND status = 'active'";
    Ok(ctx.tx.optional(sql, args).await?)
}

pub(super) async fn has_any_of_event_name(ctx: &mut Ctx, event_name: &str) -> Result<bool> {
    let args = ctx.args([Arg::from(event_name)]);
    let sql = "SELECT id FROM meters \
               WHERE account = $1 AND livemode = $2 AND event_name = $3 ORDER BY seq LIMIT 1";
    let found: Option<String> = ctx.tx.optional(sql, args).await?;
    Ok(found.is_some())
}

pub(super) async fn all(ctx: &mut Ctx, max: usize) -> Result<Vec<Meter>> {
    let args = ctx.args([limit(max)]);
    let sql = "SELECT * FROM meters WHERE account = $1 AND livemode = $2 ORDER BY seq LIMIT $3";
    Ok(ctx.tx.rows(sql, args).await?)
}

pub(super) async fn find_all_by_event_name(
    ctx: &mut Ctx,
    event_name: &str,
    max: usize,
) -> Result<Vec<Meter>> {
    let args = ctx.args([Arg::from(event_name), limit(max)]);
    let sql = "SELECT * FROM meters \
               WHERE account = $1 AND livemode = $2 AND event_name = $3 ORDER BY seq LIMIT $4";
    Ok(ctx.tx.rows(sql, args).await?)
}

fn limit(max: usize) -> Arg {
    Arg::from(i64::try_from(max).unwrap_or(i64::MAX))
}

pub(super) async fn insert(ctx: &mut Ctx, meter: &Meter) -> Result<()> {
    let args = ctx.args([
        Arg::from(&meter.id),
        Arg::from(meter.display_name.as_str()),
        Arg::from(meter.event_name.as_str()),
        Arg::from(meter.formula.as_str()),
        Arg::Text(meter.formula.percentile().map(|p| p.to_string())),
        Arg::from(meter.customer_key.as_str()),
        Arg::from(meter.value_key.as_str()),
        Arg::from(i64::from(meter.value_digits_max)),
        stored::write_optional(Some(&meter.dimension_keys).filter(|keys| !keys.is_empty()))?,
        Arg::Text(meter.event_time_window.map(|w| w.as_str().to_owned())),
        Arg::from(meter.late_window_s),
        Arg::from(meter.adjustment_window_s),
        Arg::from(meter.status.as_str()),
        Arg::from(meter.deactivated_at),
        Arg::from(meter.created),
        Arg::from(meter.updated),
    ]);
    let sql = "INSERT INTO meters (account, livemode, id, display_name, event_name, formula, \
               percentile, customer_key, value_key, value_digits_max, dimension_keys, \
               event_time_window, late_window_s, adjustment_window_s, status, deactivated_at, \
               created, updated) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
               $14, $15, $16, $17, $18)";
    match ctx.tx.execute(sql, args).await {
        Ok(_) => Ok(()),
        // Another request took the name between the look and the insert.
        Err(error) if error.is_unique() => Err(name_taken(&meter.event_name, "one just created")),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn update(ctx: &mut Ctx, meter: &Meter) -> Result<()> {
    ctx.known().meters.remove(meter.id.as_str());
    let args = ctx.args([
        Arg::from(&meter.id),
        Arg::from(meter.display_name.as_str()),
        Arg::from(i64::from(meter.value_digits_max)),
        Arg::from(meter.late_window_s),
        Arg::from(meter.adjustment_window_s),
        Arg::from(meter.status.as_str()),
        Arg::from(meter.deactivated_at),
        Arg::from(meter.updated),
    ]);
    let sql = "UPDATE meters SET display_name = $4, value_digits_max = $5, late_window_s = $6, \
               adjustment_window_s = $7, status = $8, deactivated_at = $9, updated = $10 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    match ctx.tx.execute(sql, args).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_unique() => Err(name_taken(&meter.event_name, "one just created")),
        Err(error) => Err(error.into()),
    }
}
