//! Doing what is due.

use sha2::{Digest as _, Sha256};
use taximeter_db::{Kind as DbKind, Tx};
use taximeter_kernel::id::{Id, TestClock};
use taximeter_kernel::time::{HOUR_S, Timestamp};

use super::Kind;
use super::sql::{self, Due};
use crate::ctx::{Caller, Ctx, Services};
use crate::error::{Error, Result};
use crate::params::Choice as _;
use crate::{invoices, subscription_schedules, subscriptions, test_clocks};

/// How many jobs are done in one transaction where one writes at a time: few enough that requests wait
/// but for milliseconds, many enough that a sync is shared.
const BATCH: i64 = 16;
/// How many of those that wait longest are looked at where several work: others may be doing the first.
const LOOKED_AT: i64 = 32;
/// After the first failure, a job is tried again in so many seconds; after each further one in twice
/// as many, to an hour at most.
const RETRY_S: i64 = 10;
/// The longest text of an error that is kept.
const ERROR_CHARS_MAX: usize = 500;

/// What a pass over the jobs that are due came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// How many were done.
    pub done: usize,
    /// How many failed, and were put off.
    pub failed: usize,
}

impl Pass {
    /// Whether there may be more to do at once.
    #[must_use]
    pub const fn found_any(self) -> bool {
        self.done > 0 || self.failed > 0
    }
}

/// Does some of the jobs that are due `now`, in one transaction. One that fails is undone by itself
/// and put off. On PostgreSQL it is one job, so that the customers of several are not held in an
/// order of chance.
///
/// # Errors
/// A 500 when the database cannot be used: then nothing was done.
pub async fn run_due(services: &Services, now: Timestamp) -> Result<Pass> {
    let mut tx = services.db.begin().await?;
    let claimed = claim(&mut tx, now).await?;
    let mut pass = Pass::default();
    let Some(first) = claimed.first() else { return Ok(pass) };
    let request = Id::generate((services.entropy)());
    let caller = Caller::time(first.scope.clone(), request);
    let mut ctx = Ctx::in_transaction(tx, services, caller, now);
    for job in claimed {
        ctx.work_for(&job.scope, now);
        let undo = ctx.tx.savepoint().await?;
        match run(&mut ctx, &job).await {
            Ok(()) => {
                ctx.tx.release(undo).await?;
                pass.done += 1;
            }
            Err(error) => {
                ctx.tx.rollback_to(undo).await?;
                put_off(&mut ctx, &job, now, &error).await?;
                pass.failed += 1;
            }
        }
    }
    ctx.commit().await?;
    Ok(pass)
}

/// Jobs that are due, and that nobody else does until the transaction ends. Their rows are not held:
/// a request that holds a customer may put one down again.
async fn claim(tx: &mut Tx, now: Timestamp) -> Result<Vec<Due>> {
    if tx.kind() == DbKind::Sqlite {
        return sql::due(tx, now, BATCH).await;
    }
    for job in sql::due(tx, now, LOOKED_AT).await? {
        if tx.try_claim(key_of(&job)).await? {
            return Ok(vec![job]);
        }
    }
    Ok(Vec::new())
}

/// What a job is claimed by. Two that share it are done one after the other.
fn key_of(job: &Due) -> i64 {
    let mut hash = Sha256::new();
    for part in [job.scope.account.as_str(), job.kind.as_str(), &job.subject] {
        hash.update(part);
        hash.update([0]);
    }
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = hash.finalize().into();
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

async fn put_off(ctx: &mut Ctx, job: &Due, now: Timestamp, error: &Error) -> Result<()> {
    let doublings = u32::try_from(job.attempts).unwrap_or(u32::MAX).min(16);
    let wait = RETRY_S.saturating_mul(2_i64.saturating_pow(doublings)).min(HOUR_S);
    tracing::warn!(
        job.kind = job.kind.as_str(),
        job.subject = job.subject,
        job.attempts = job.attempts,
        error = told(error),
        "work that is due failed, and is put off"
    );
    sql::put_off(ctx, job, Timestamp(now.0.saturating_add(wait)), &told(error)).await
}

/// What an error says, with what is behind it, for the operator.
pub(crate) fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().filter(|c| *c != '\0').take(ERROR_CHARS_MAX).collect()
}

/// When the next job by a clock is due, if one is at `until` or before.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn next_of_clock(
    ctx: &mut Ctx,
    clock: &Id<TestClock>,
    until: Timestamp,
) -> Result<Option<Timestamp>> {
    Ok(sql::first_of_clock(ctx, clock, until).await?.map(|job| job.due))
}

/// Does the next job that is due by a clock at `until` or before, at its own instant, and says which
/// instant that was.
///
/// # Errors
/// What the job failed with.
pub(crate) async fn run_next_of_clock(
    ctx: &mut Ctx,
    clock: &Id<TestClock>,
    until: Timestamp,
) -> Result<Option<Timestamp>> {
    let Some(job) = sql::first_of_clock(ctx, clock, until).await? else { return Ok(None) };
    ctx.now = job.due;
    run(ctx, &job).await?;
    Ok(Some(job.due))
}

async fn run(ctx: &mut Ctx, job: &Due) -> Result<()> {
    // On the heap: they are large, and a clock does jobs of its own.
    match job.kind {
        Kind::Invoice => Box::pin(invoices::advance(ctx, &job.subject)).await,
        Kind::Subscription => Box::pin(subscriptions::advance(ctx, &job.subject)).await,
        Kind::SubscriptionSchedule => {
            Box::pin(subscription_schedules::start(ctx, &job.subject)).await
        }
        Kind::TestClock => Box::pin(test_clocks::go_on(ctx, &job.subject)).await,
    }
}
