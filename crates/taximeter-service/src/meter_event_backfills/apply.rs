//! Applying and reverting, chunk by chunk.
//!
//! Each chunk goes to the usage engine first and is then noted as done, so a chunk that a crash cut
//! short is done again: recording finds its events there already, canceling and restoring find
//! nothing to do. Which events are replaced is written down, and committed, before they are canceled:
//! afterwards they could not be told from events that were canceled before.

use taximeter_kernel::time::Timestamp;

use super::chunks::{record, remove, replace, restore};
use super::sql::{self, UnderWay};
use super::{Backfill, Status, Step, locked, save};
use crate::ctx::{Caller, Ctx, Services};
use crate::error::{Error, Result};
use crate::meter_event_adjustments::REASON_CHARS_MAX;
use crate::meters;
use crate::params::Text;
use crate::usage_audit::{self, Action, Entry};
use crate::version::ApiVersion;

/// How many events are recorded, canceled or restored before that is noted.
pub const CHUNK_EVENTS: usize = 1_000;
/// How many chunks one call does; what is left then is for the next.
pub const CHUNKS_PER_CALL_MAX: usize = 200;
/// How many chunks of each backfill the server does by itself before it looks after the others.
const CHUNKS_PER_TURN: usize = 20;

crate::params! {
    /// Applying or reverting a backfill.
    pub struct Run {
        /// Why, for the audit trail.
        pub reason: Option<Text<REASON_CHARS_MAX>>,
    }
}

/// Records the events of a backfill, after canceling those that it replaces. Goes on with one that
/// is being applied; leaves one that is applied as it is.
///
/// # Errors
/// A 404 when there is none, a 400 when it was reverted or discarded, a 429 when the usage engine is
/// busy: what is done by then stays done.
pub async fn apply(ctx: &mut Ctx, id: &str, input: Run) -> Result<Backfill> {
    let mut backfill = locked(ctx, id).await?;
    match backfill.status {
        Status::Applied => return Ok(backfill),
        Status::Applying => {}
        Status::Open | Status::Reverting | Status::Reverted | Status::Discarded => {
            backfill.require(Status::Open, "applied")?;
            let before = backfill.state();
            backfill.status = Status::Applying;
            backfill.step = Some(first_step(backfill.replace_existing));
            backfill.until_position = ctx.usage().position().map_err(Error::internal)?;
            begin(ctx, &mut backfill, Action::BackfillApply, before, input).await?;
        }
    }
    drive(ctx, id, CHUNKS_PER_CALL_MAX).await
}

/// Cancels the events of an applied backfill and restores those that it replaced. Goes on with one
/// that is being reverted; leaves one that is reverted as it is.
///
/// # Errors
/// As [`apply`], and a 400 when it was never applied.
pub async fn revert(ctx: &mut Ctx, id: &str, input: Run) -> Result<Backfill> {
    let mut backfill = locked(ctx, id).await?;
    match backfill.status {
        Status::Reverted => return Ok(backfill),
        Status::Reverting => {}
        Status::Open | Status::Applying | Status::Applied | Status::Discarded => {
            backfill.require(Status::Applied, "reverted")?;
            let before = backfill.state();
            backfill.status = Status::Reverting;
            backfill.step = Some(Step::Remove);
            begin(ctx, &mut backfill, Action::BackfillRevert, before, input).await?;
        }
    }
    drive(ctx, id, CHUNKS_PER_CALL_MAX).await
}

const fn first_step(replace_existing: bool) -> Step {
    if replace_existing { Step::Replace } else { Step::Record }
}

/// Writes down who wants it, before anything is done.
async fn begin(
    ctx: &mut Ctx,
    backfill: &mut Backfill,
    action: Action,
    before: serde_json::Value,
    input: Run,
) -> Result<()> {
    backfill.chosen_position = 0;
    backfill.done_position = 0;
    backfill.api_key = ctx.caller.key.clone();
    backfill.request = ctx.caller.request.clone();
    save(ctx, backfill).await?;
    note(ctx, backfill, action, before, input.reason.map(Into::into)).await?;
    ctx.checkpoint().await
}

/// Writes an entry into the audit trail, of what the backfill was and what it is now.
pub(super) async fn note(
    ctx: &mut Ctx,
    backfill: &Backfill,
    action: Action,
    before: serde_json::Value,
    reason: Option<String>,
) -> Result<()> {
    let entry = Entry {
        customer: backfill.customer.clone(),
        backfill: Some(backfill.id.clone()),
        before,
        after: backfill.state(),
        ..Entry::of(ctx, action, backfill.meter.clone(), reason)
    };
    usage_audit::record(ctx, &entry).await
}

/// Ends what a crash or a lost connection cut short, a little at a time: corrections without their
/// entry, and backfills under way. For the server to call from time to time.
///
/// # Errors
/// What keeps something from being ended; the next call tries again.
pub async fn finish_begun(services: &Services, now: Timestamp) -> Result<()> {
    usage_audit::settle_all(services, now).await?;
    resume_all(services, now, CHUNKS_PER_TURN).await?;
    Ok(())
}

/// Goes on with the backfills of all accounts that are under way, each by at most so many chunks.
/// Returns how many are still under way.
///
/// # Errors
/// What kept one from going on, after all others have.
pub async fn resume_all(services: &Services, now: Timestamp, chunks: usize) -> Result<usize> {
    let mut tx = services.db.begin_read().await?;
    let all = sql::under_way(&mut tx).await?;
    drop(tx);
    let (mut left, mut failed) = (0, None);
    for one in all {
        match resume(services, now, one, chunks).await {
            Ok(backfill) => left += usize::from(backfill.step.is_some()),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(left), Err)
}

async fn resume(
    services: &Services,
    now: Timestamp,
    one: UnderWay,
    chunks: usize,
) -> Result<Backfill> {
    let caller = Caller {
        scope: one.scope,
        key: one.api_key,
        version: ApiVersion::newest(),
        request: one.request,
        idempotency_key: None,
        by_time: false,
    };
    let mut ctx = Ctx::begin(services, caller, now).await?;
    let backfill = drive(&mut ctx, one.id.as_str(), chunks).await?;
    ctx.commit().await?;
    Ok(backfill)
}

/// Does at most so many chunks. All but the last are committed when it returns.
async fn drive(ctx: &mut Ctx, id: &str, chunks: usize) -> Result<Backfill> {
    // Held again for each chunk: another call may be at it, too.
    let mut backfill = locked(ctx, id).await?;
    let meter = meters::named(ctx, backfill.meter.as_str(), "meter").await?;
    for _ in 0..chunks {
        let Some(step) = backfill.step else { break };
        match step {
            Step::Replace => replace(ctx, &mut backfill).await?,
            Step::Record => record(ctx, &mut backfill, &meter).await?,
            Step::Remove => remove(ctx, &mut backfill, &meter).await?,
            Step::Restore => restore(ctx, &mut backfill).await?,
        }
        save(ctx, &mut backfill).await?;
        ctx.checkpoint().await?;
        backfill = locked(ctx, id).await?;
    }
    Ok(backfill)
}
