//! The statements of jobs.

use taximeter_db::{Arg, Cells, DbError, Row, Tx, args};
use taximeter_kernel::id::{Id, Mode, Scope, TestClock};
use taximeter_kernel::time::Timestamp;

use super::{Job, Kind};
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::params::Choice as _;

/// A job that can be done now.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) scope: Scope,
    pub(super) kind: Kind,
    pub(super) subject: String,
    pub(super) due: Timestamp,
    pub(super) attempts: i64,
}

impl Row for Due {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let mode: Mode = cells.get("livemode")?;
        Ok(Self {
            scope: Scope { account: cells.get("account")?, mode },
            kind: word(cells, "kind")?,
            subject: cells.get("subject")?,
            due: cells.get("due")?,
            attempts: cells.get("attempts")?,
        })
    }
}

/// How the jobs of one kind stand, in all accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Of what kind.
    pub kind: String,
    /// How many are put down.
    pub jobs: i64,
    /// How many have failed and will be tried again.
    pub failing: i64,
    /// What the one that failed most often failed with.
    pub error: Option<String>,
    /// When the first of those that follow the time of the world is due.
    pub earliest: Option<Timestamp>,
}

impl Row for State {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            kind: cells.get("kind")?,
            jobs: cells.get("jobs")?,
            failing: cells.get("failing")?,
            error: cells.get("error")?,
            earliest: cells.get("earliest")?,
        })
    }
}

/// How the jobs of each kind stand, in all accounts: for the operator.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn states(tx: &mut Tx) -> Result<Vec<State>> {
    let sql = "SELECT j.kind AS kind, COUNT(*) AS jobs, \
               SUM(CASE WHEN j.attempts > 0 THEN 1 ELSE 0 END) AS failing, \
               (SELECT e.error FROM jobs AS e WHERE e.kind = j.kind AND e.attempts > 0 \
               ORDER BY e.attempts DESC, e.subject LIMIT 1) AS error, \
               MIN(CASE WHEN j.clock IS NULL THEN j.due END) AS earliest \
               FROM jobs AS j GROUP BY j.kind ORDER BY j.kind LIMIT 100";
    Ok(tx.rows(sql, args![]).await?)
}

pub(super) async fn put(ctx: &mut Ctx, job: Job<'_>, due: Timestamp) -> Result<()> {
    let args = ctx.args([
        Arg::from(job.kind.as_str()),
        Arg::from(job.subject),
        Arg::from(job.clock),
        Arg::from(due),
    ]);
    let sql = "INSERT INTO jobs (account, livemode, kind, subject, clock, due, not_before, attempts) \
               VALUES ($1, $2, $3, $4, $5, $6, $6, 0) \
               ON CONFLICT (account, livemode, kind, subject) DO UPDATE SET clock = $5, due = $6, \
               not_before = $6, attempts = 0, error = NULL";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn forget(ctx: &mut Ctx, job: Job<'_>) -> Result<()> {
    let args = ctx.args([Arg::from(job.kind.as_str()), Arg::from(job.subject)]);
    let sql =
        "DELETE FROM jobs WHERE account = $1 AND livemode = $2 AND kind = $3 AND subject = $4";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// Strikes a job out that is due, once what it is about is held, and says whether it was still there:
/// if not, another process has done it meanwhile.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn take(ctx: &mut Ctx, kind: Kind, subject: &str) -> Result<bool> {
    let args = ctx.args([Arg::from(kind.as_str()), Arg::from(subject), Arg::from(ctx.now)]);
    let sql = "DELETE FROM jobs WHERE account = $1 AND livemode = $2 AND kind = $3 \
               AND subject = $4 AND not_before <= $5";
    Ok(ctx.tx.execute(sql, args).await? == 1)
}

/// Jobs of any account that follow the time of the world, those first that wait longest.
pub(super) async fn due(tx: &mut Tx, now: Timestamp, most: i64) -> Result<Vec<Due>> {
    let sql = "SELECT * FROM jobs WHERE clock IS NULL AND not_before <= $1 \
               ORDER BY not_before LIMIT $2";
    Ok(tx.rows(sql, args![now, most]).await?)
}

/// The first job that is due by a clock at `until` or before.
pub(super) async fn first_of_clock(
    ctx: &mut Ctx,
    clock: &Id<TestClock>,
    until: Timestamp,
) -> Result<Option<Due>> {
    let args = ctx.args([Arg::from(clock), Arg::from(until)]);
    let sql = "SELECT * FROM jobs WHERE account = $1 AND livemode = $2 AND clock = $3 AND due <= $4 \
               ORDER BY due, kind DESC, subject LIMIT 1";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Puts off a job that failed.
pub(super) async fn put_off(
    ctx: &mut Ctx,
    job: &Due,
    not_before: Timestamp,
    error: &str,
) -> Result<()> {
    let args = ctx.args([
        Arg::from(job.kind.as_str()),
        Arg::from(job.subject.as_str()),
        Arg::from(not_before),
        Arg::from(job.attempts.saturating_add(1)),
        Arg::from(error),
    ]);
    let sql = "UPDATE jobs SET not_before = $5, attempts = $6, error = $7 \
               WHERE account = $1 AND livemode = $2 AND kind = $3 AND subject = $4";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
