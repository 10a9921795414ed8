//! What is done now and then: what a process left, what a deleted endpoint left, what is late.

use taximeter_db::{Cells, Db, DbError, Kind, Row, args};
use taximeter_kernel::time::Timestamp;

use crate::ctx::Services;
use crate::error::Result;

/// How many deliveries one transaction deletes at most.
const DELIVERIES_PER_SWEEP_MAX: i64 = 1_000;
/// How many endpoints are told of at most.
const BACKLOGS_MAX: i64 = 100;

/// Takes back what a process that is gone had claimed. On PostgreSQL it may be another's that lives,
/// and leases end by themselves.
///
/// # Errors
/// A 500 when the database cannot be written.
pub async fn release(services: &Services, now: Timestamp) -> Result<u64> {
    if services.db.kind() == Kind::Postgres {
        return Ok(0);
    }
    let mut tx = services.db.begin().await?;
    let sql = "UPDATE webhook_deliveries SET claimed = FALSE, due = $1 \
               WHERE due IS NOT NULL AND claimed";
    let released = tx.execute(sql, args![now]).await?;
    tx.commit().await?;
    Ok(released)
}

/// Deletes what deleted endpoints left. Returns how much; when it is not 0, there may be more.
///
/// # Errors
/// A 500 when the database cannot be written.
pub async fn sweep(services: &Services) -> Result<u64> {
    let sql = "SELECT seq FROM webhook_endpoints WHERE deleted ORDER BY seq LIMIT 1";
    let gone: Option<i64> = services.db.begin_read().await?.optional(sql, args![]).await?;
    let Some(gone) = gone else { return Ok(0) };
    let mut tx = services.db.begin().await?;
    let sql = "DELETE FROM webhook_deliveries WHERE seq IN (SELECT seq FROM webhook_deliveries \
               WHERE endpoint = $1 ORDER BY seq LIMIT $2)";
    let deleted = tx.execute(sql, args![gone, DELIVERIES_PER_SWEEP_MAX]).await?;
    if deleted == 0 {
        tx.execute("DELETE FROM webhook_endpoints WHERE seq = $1", args![gone]).await?;
    }
    tx.commit().await?;
    Ok(deleted.max(1))
}

/// What is still to be delivered to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The endpoint's id.
    pub endpoint: String,
    /// Where it is.
    pub url: String,
    /// How many deliveries are to be tried.
    pub pending: i64,
    /// How many of them have failed before.
    pub failing: i64,
    /// When the oldest was written.
    pub oldest: Timestamp,
}

impl Row for Backlog {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            endpoint: cells.get("id")?,
            url: cells.get("url")?,
            pending: cells.get("pending")?,
            failing: cells.get("failing")?,
            oldest: cells.get("oldest")?,
        })
    }
}

/// What is still to be delivered, by endpoint, of all accounts.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn backlog(db: &Db) -> Result<Vec<Backlog>> {
    let sql = "SELECT w.id, w.url, COUNT(*) AS pending, \
               CAST(SUM(CASE WHEN d.tries > 0 THEN 1 ELSE 0 END) AS BIGINT) AS failing, \
               MIN(d.created) AS oldest FROM webhook_deliveries AS d \
               JOIN webhook_endpoints AS w ON w.seq = d.endpoint \
               WHERE d.due IS NOT NULL AND NOT w.deleted \
               GROUP BY w.seq, w.id, w.url ORDER BY w.seq LIMIT $1";
    Ok(db.begin_read().await?.rows(sql, args![BACKLOGS_MAX]).await?)
}
