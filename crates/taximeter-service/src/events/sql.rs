//! The statements of events.

use taximeter_db::{Arg, Tx, args};
use taximeter_kernel::id::Scope;

use super::Event;
use crate::ctx::Ctx;
use crate::error::Result;
use crate::page::ListSql;

pub(super) const SEQ: &str =
    "SELECT seq FROM events WHERE account = $1 AND livemode = $2 AND id = $3";

/// An event and how many endpoints have not taken it: as a literal, since statements are.
macro_rules! select {
    ($($rest:literal),+ $(,)?) => {
        concat!(
            "SELECT *, (SELECT COUNT(*) FROM webhook_deliveries AS d ",
            "JOIN webhook_endpoints AS w ON w.seq = d.endpoint ",
            "WHERE d.event = events.seq AND d.status <> 'succeeded' AND NOT w.deleted) ",
            "AS pending_webhooks FROM events",
            $($rest),+
        )
    };
}

// A type is one of the joined types when taking it out between its commas changes the text.
macro_rules! page {
    ($order:literal) => {
        select!(
            " WHERE account = $1 AND livemode = $2",
            " AND type NOT LIKE 'v1.%' ESCAPE '\\'",
            " AND ($6 IS NULL OR created >= $6) AND ($7 IS NULL OR created <= $7)",
            " AND ($8 IS NULL OR type = $8)",
            " AND ($9 IS NULL OR type LIKE $9 ESCAPE '\\')",
            " AND ($10 IS NULL OR REPLACE($10, ',' || type || ',', '') <> $10)",
            " AND written >= $11",
            " AND ($12 IS NULL OR $12 = NOT EXISTS (SELECT 1 FROM webhook_deliveries AS d ",
            "JOIN webhook_endpoints AS w ON w.seq = d.endpoint ",
            "WHERE d.event = events.seq AND d.status <> 'succeeded' AND NOT w.deleted))",
            " AND ($3 IS NULL OR seq < $3) AND ($4 IS NULL OR seq > $4)",
            $order,
        )
    };
}

pub(super) const LIST: ListSql = ListSql {
    descending: page!(" ORDER BY seq DESC LIMIT $5"),
    ascending: page!(" ORDER BY seq ASC LIMIT $5"),
};

pub(super) const LIST_THIN: &str = select!(
    " WHERE account = $1 AND livemode = $2 ",
    "AND (type LIKE 'billing.meter.%' ESCAPE '\\' OR type LIKE 'v1.%' ESCAPE '\\') ",
    "AND ($3 IS NULL OR seq < $3) ",
    "AND created >= $4 AND ($5 IS NULL OR created <= $5) ",
    "AND ($6 IS NULL OR object_id = $6) ",
    "AND ($7 IS NULL OR REPLACE($7, ',v1.' || type || ',', '') <> $7 ",
    "OR REPLACE($7, ',' || type || ',', '') <> $7) ",
    "ORDER BY seq DESC LIMIT $8",
);

const FIND: &str = select!(" WHERE account = $1 AND livemode = $2 AND id = $3 AND written >= $4");

const AFTER: &str = select!(
    " WHERE account = $1 AND livemode = $2 AND seq > $3 AND seq <= $4",
    " AND type NOT LIKE 'v1.%' ESCAPE '\\' ORDER BY seq LIMIT $5",
);

const OF_DELIVERY: &str = select!(" WHERE seq = $1");

/// A pattern for what begins with `prefix`.
pub(super) fn like_prefix(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for c in prefix.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

pub(super) async fn find(ctx: &mut Ctx, id: &str, oldest: i64) -> Result<Option<Event>> {
    let args = ctx.args([Arg::from(id), Arg::from(oldest)]);
    Ok(ctx.tx.optional(FIND, args).await?)
}

/// The event of a delivery.
pub(super) async fn of_delivery(tx: &mut Tx, seq: i64) -> Result<Option<Event>> {
    Ok(tx.optional(OF_DELIVERY, args![seq]).await?)
}

/// The number of the newest event, of any account.
pub(super) async fn latest(tx: &mut Tx) -> Result<i64> {
    let newest: Option<i64> =
        tx.optional("SELECT seq FROM events ORDER BY seq DESC LIMIT 1", args![]).await?;
    Ok(newest.unwrap_or(0))
}

/// What was committed late, and then what is new.
pub(super) async fn after(
    tx: &mut Tx,
    scope: &Scope,
    (after, latest): (i64, i64),
    limit: i64,
) -> Result<Vec<Event>> {
    let of = |after: i64, to: i64, limit: i64| args![&scope.account, scope.mode, after, to, limit];
    let mut events: Vec<Event> =
        tx.rows(AFTER, of(after, latest, latest.saturating_sub(after))).await?;
    events.extend(tx.rows::<Event>(AFTER, of(latest, i64::MAX, limit)).await?);
    Ok(events)
}
