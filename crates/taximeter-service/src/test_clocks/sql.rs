//! The statements of test clocks.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Id, TestClock as TestClockKind};
use taximeter_kernel::time::Timestamp;

use super::TestClock;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;

pub(super) const SEQ: &str =
    "SELECT seq FROM test_clocks WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql =
    list_sql!("SELECT * FROM test_clocks WHERE account = $1 AND livemode = $2");

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<TestClock>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM test_clocks WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT id FROM test_clocks WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.hold(sql, args).await?)
}

pub(super) async fn insert(ctx: &mut Ctx, clock: &TestClock) -> Result<()> {
    let args = ctx.args([
        Arg::from(&clock.id),
        Arg::from(clock.name.as_deref()),
        Arg::from(clock.status.as_str()),
        Arg::from(clock.frozen_time),
        Arg::from(clock.created),
        Arg::from(clock.deletes_after),
    ]);
    let sql = "INSERT INTO test_clocks \
               (account, livemode, id, name, status, frozen_time, created, deletes_after) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, clock: &TestClock) -> Result<()> {
    let args = ctx.args([
        Arg::from(&clock.id),
        Arg::from(clock.status.as_str()),
        Arg::from(clock.frozen_time),
        Arg::from(clock.target),
    ]);
    let sql = "UPDATE test_clocks SET status = $4, frozen_time = $5, target_time = $6 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn delete(ctx: &mut Ctx, id: &Id<TestClockKind>) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "DELETE FROM test_clocks WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn forget_jobs(ctx: &mut Ctx, id: &Id<TestClockKind>) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "DELETE FROM jobs WHERE account = $1 AND livemode = $2 \
               AND (clock = $3 OR (kind = 'test_clock' AND subject = $3))";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// Notes what a clock shows to events behind a place in the usage log.
pub(super) async fn note_time(ctx: &mut Ctx, clock: &TestClock, position: u64) -> Result<()> {
    let position = i64::try_from(position).map_err(Error::internal)?;
    let args = ctx.args([Arg::from(&clock.id), Arg::from(position), Arg::from(clock.frozen_time)]);
    let sql = "INSERT INTO test_clock_times \
               (account, livemode, clock, after_position, frozen_time) \
               VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (account, livemode, clock, after_position) \
               DO UPDATE SET frozen_time = excluded.frozen_time";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// What a clock showed when the event at a place in the usage log came in.
pub(super) async fn shown_at(
    ctx: &mut Ctx,
    id: &Id<TestClockKind>,
    position: u64,
) -> Result<Option<Timestamp>> {
    let position = i64::try_from(position).map_err(Error::internal)?;
    let args = ctx.args([Arg::from(id), Arg::from(position)]);
    let sql = "SELECT frozen_time FROM test_clock_times \
               WHERE account = $1 AND livemode = $2 AND clock = $3 AND after_position < $4 \
               ORDER BY after_position DESC LIMIT 1";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Behind which place in the usage log a clock has shown an instant or a later one.
pub(super) async fn reached(
    ctx: &mut Ctx,
    id: &Id<TestClockKind>,
    instant: Timestamp,
) -> Result<Option<u64>> {
    let args = ctx.args([Arg::from(id), Arg::from(instant)]);
    let sql = "SELECT after_position FROM test_clock_times \
               WHERE account = $1 AND livemode = $2 AND clock = $3 AND frozen_time >= $4 \
               ORDER BY after_position LIMIT 1";
    Ok(ctx.tx.optional(sql, args).await?)
}

pub(super) async fn forget_times(ctx: &mut Ctx, id: &Id<TestClockKind>) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "DELETE FROM test_clock_times \
               WHERE account = $1 AND livemode = $2 AND clock = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// The clock of a customer, even of a deleted one.
pub(super) async fn of_customer(ctx: &mut Ctx, customer: &str) -> Result<Option<TestClock>> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT t.* FROM customers AS c JOIN test_clocks AS t \
               ON t.account = c.account AND t.livemode = c.livemode AND t.id = c.test_clock \
               WHERE c.account = $1 AND c.livemode = $2 AND c.id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// The customers of a clock that were not deleted.
pub(super) async fn customers(ctx: &mut Ctx, id: &Id<TestClockKind>) -> Result<Vec<String>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT id FROM customers WHERE account = $1 AND livemode = $2 AND test_clock = $3 \
               AND NOT deleted ORDER BY seq LIMIT 10000";
    Ok(ctx.tx.rows(sql, args).await?)
}

struct Recurs(String, i64);

impl Row for Recurs {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self(cells.get("interval")?, cells.get("interval_count")?))
    }
}

/// How often the prices recur that customers of a clock are subscribed to.
pub(super) async fn recurrences(
    ctx: &mut Ctx,
    id: &Id<TestClockKind>,
) -> Result<Vec<(String, i64)>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT DISTINCT p.interval AS interval, \
               p.interval_count AS interval_count \
               FROM subscriptions AS s JOIN subscription_items AS i ON i.account = s.account \
               AND i.livemode = s.livemode AND i.subscription = s.id JOIN prices AS p \
               ON p.account = i.account AND p.livemode = i.livemode AND p.id = i.price \
               WHERE s.account = $1 AND s.livemode = $2 AND s.test_clock = $3 \
               AND s.status NOT IN ('canceled', 'incomplete_expired') LIMIT 10000";
    let rows: Vec<Recurs> = ctx.tx.rows(sql, args).await?;
    Ok(rows.into_iter().map(|Recurs(interval, count)| (interval, count)).collect())
}
