//! The statements of test clocks.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Id, TestClock as TestClockKind};

use super::TestClock;
use crate::ctx::Ctx;
use crate::error::Result;
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
    let _held: Option<String> = ctx.tx.optional_for_update(sql, args).await?;
    Ok(())
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
