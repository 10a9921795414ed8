//! The statements of events.

use taximeter_db::Arg;

use super::Event;
use crate::ctx::Ctx;
use crate::error::Result;
use crate::list_sql;
use crate::page::ListSql;

pub(super) const SEQ: &str =
    "SELECT seq FROM events WHERE account = $1 AND livemode = $2 AND id = $3";

// A type is one of the joined types when taking it out between its commas changes the text.
pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM events WHERE account = $1 AND livemode = $2",
    " AND type NOT LIKE 'v1.%' ESCAPE '\\'",
    " AND ($6 IS NULL OR created >= $6) AND ($7 IS NULL OR created <= $7)",
    " AND ($8 IS NULL OR type = $8)",
    " AND ($9 IS NULL OR type LIKE $9 ESCAPE '\\')",
    " AND ($10 IS NULL OR REPLACE($10, ',' || type || ',', '') <> $10)",
);

pub(super) const LIST_THIN: &str = "SELECT * FROM events WHERE account = $1 AND livemode = $2 \
     AND (type LIKE 'billing.meter.%' ESCAPE '\\' OR type LIKE 'v1.%' ESCAPE '\\') \
     AND ($3 IS NULL OR seq < $3) \
     AND created >= $4 AND ($5 IS NULL OR created <= $5) \
     AND ($6 IS NULL OR object_id = $6) \
     AND ($7 IS NULL OR REPLACE($7, ',v1.' || type || ',', '') <> $7 \
     OR REPLACE($7, ',' || type || ',', '') <> $7) \
     ORDER BY seq DESC LIMIT $8";

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
    let sql = "SELECT * FROM events \
               WHERE account = $1 AND livemode = $2 AND id = $3 AND created >= $4";
    Ok(ctx.tx.optional(sql, args).await?)
}
