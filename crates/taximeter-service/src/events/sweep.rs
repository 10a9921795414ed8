//! Deleting events that can no longer be read.

use taximeter_db::args;
use taximeter_kernel::time::Timestamp;

use super::KEPT_S;
use crate::ctx::Services;
use crate::error::Result;

/// How many events one transaction deletes at most.
const EVENTS_PER_SWEEP_MAX: i64 = 1_000;

/// Deletes the oldest events that are older than [`KEPT_S`], with their deliveries. Returns how many;
/// when it is not 0, there may be more.
///
/// # Errors
/// A 500 when the database cannot be written.
pub async fn sweep(services: &Services, now: Timestamp) -> Result<u64> {
    // Events are written in the order of their numbers, so the oldest are the first. Mostly the very
    // first is young enough, and nothing else is looked at.
    let before = now.0.saturating_sub(KEPT_S);
    let mut tx = services.db.begin_read().await?;
    let sql = "SELECT written FROM events ORDER BY seq LIMIT 1";
    let first: Option<i64> = tx.optional(sql, args![]).await?;
    if first.is_none_or(|written| written >= before) {
        return Ok(0);
    }
    let sql = "SELECT MAX(seq) AS seq FROM (SELECT seq, written FROM events ORDER BY seq LIMIT $1) \
               AS oldest WHERE written < $2";
    let last: Option<i64> = tx.one(sql, args![EVENTS_PER_SWEEP_MAX, before]).await?;
    drop(tx);
    let Some(last) = last else { return Ok(0) };
    let mut tx = services.db.begin().await?;
    let sql = "DELETE FROM webhook_deliveries WHERE event IN \
               (SELECT seq FROM events WHERE seq <= $1 AND written < $2)";
    tx.execute(sql, args![last, before]).await?;
    let sql = "DELETE FROM events WHERE seq <= $1 AND written < $2";
    let deleted = tx.execute(sql, args![last, before]).await?;
    tx.commit().await?;
    Ok(deleted)
}
