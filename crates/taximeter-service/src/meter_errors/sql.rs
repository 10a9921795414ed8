//! The statements of meter event errors and of the reports that tell of them.

use std::sync::LazyLock;

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Id, MeterEventError as ErrorKind};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::RequestKey;

use super::{ERRORS_OPEN_MAX, Letter, MeterEventError, Status};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_events::ErrorCode;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::{list_sql, stored};

/// How many rows one statement inserts at most.
pub(super) const ROWS_PER_INSERT: usize = 50;

pub(super) const SEQ: &str =
    "SELECT seq FROM meter_event_errors WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM meter_event_errors WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR code = $6) AND ($7 IS NULL OR customer = $7)",
    " AND ($8 IS NULL OR event_name = $8) AND ($9 IS NULL OR status = $9)",
);

/// One row at a time, and as many as one statement takes.
static INSERT_ONE: LazyLock<String> = LazyLock::new(|| insert_sql(1));
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insert_sql(ROWS_PER_INSERT));

/// The columns that are set when a row is inserted, after the account and the mode.
const COLUMNS: [&str; 15] = [
    "id",
    "status",
    "code",
    "message",
    "event_name",
    "identifier",
    "payload",
    "timestamp",
    "meter",
    "customer",
    "received",
    "clock_time",
    "request",
    "request_key",
    "request_fingerprint",
];

fn insert_sql(rows: usize) -> String {
    let mut sql = format!(
        "INSERT INTO meter_event_errors (account, livemode, {}) VALUES ",
        COLUMNS.join(", ")
    );
    for row in 0..rows {
        let first = 3 + row * COLUMNS.len();
        let places: String = (first..first + COLUMNS.len()).map(|at| format!(", ${at}")).collect();
        sql.push_str(if row == 0 { "" } else { ", " });
        sql.push_str(&format!("($1, $2{places})"));
    }
    sql.push_str(" ON CONFLICT (account, livemode, request_key) DO NOTHING");
    sql
}

/// An event that is to be kept, and what was looked up about it.
pub(super) struct Kept<'l> {
    pub(super) id: Id<ErrorKind>,
    pub(super) meter: Option<String>,
    /// What the test clock of its customer shows.
    pub(super) clock_time: Option<Timestamp>,
    pub(super) letter: &'l Letter<'l>,
}

/// Inserts rows, but for those that an earlier attempt of their request brought. Returns how many.
pub(super) async fn insert(ctx: &mut Ctx, rows: &[Kept<'_>]) -> Result<u64> {
    if rows.len() == ROWS_PER_INSERT {
        let mut args = ctx.key_args();
        for row in rows {
            args.extend(row_args(ctx, row)?);
        }
        return Ok(ctx.tx.execute(&INSERT_MANY, args).await?);
    }
    let mut inserted = 0;
    for row in rows {
        let mut args = ctx.key_args();
        args.extend(row_args(ctx, row)?);
        inserted += ctx.tx.execute(&INSERT_ONE, args).await?;
    }
    Ok(inserted)
}

fn row_args(ctx: &Ctx, row: &Kept<'_>) -> Result<[Arg; COLUMNS.len()]> {
    let Kept { id, meter, clock_time, letter } = row;
    let came_in = clock_time.unwrap_or(ctx.now);
    Ok([
        Arg::from(id),
        Arg::from(Status::Open.as_str()),
        Arg::from(letter.error.code.as_str()),
        Arg::from(letter.error.message.as_str()),
        Arg::from(letter.event_name),
        Arg::from(letter.identifier),
        stored::write(&letter.payload_json())?,
        Arg::from(letter.timestamp.unwrap_or(came_in)),
        Arg::Text(meter.clone()),
        Arg::from(letter.customer),
        Arg::from(ctx.now),
        Arg::from(*clock_time),
        Arg::from(ctx.caller.request.as_str()),
        Arg::Text(letter.request.map(|request| format!("{:032x}", request.key))),
        Arg::Text(letter.request.map(fingerprint)),
    ])
}

/// The fingerprint of a request as it is stored.
pub(super) fn fingerprint(request: RequestKey) -> String {
    format!("{:016x}", request.fingerprint)
}

/// When an event of that request was first taken in, and the fingerprint it had.
pub(super) async fn first_of(ctx: &mut Ctx, request: RequestKey) -> Result<(Timestamp, String)> {
    struct First(Timestamp, String);
    impl Row for First {
        fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
            Ok(Self(cells.get("received")?, cells.get("request_fingerprint")?))
        }
    }
    let args = ctx.args([Arg::from(format!("{:032x}", request.key))]);
    let sql = "SELECT received, request_fingerprint FROM meter_event_errors \
               WHERE account = $1 AND livemode = $2 AND request_key = $3";
    let first: First = ctx.tx.one(sql, args).await?;
    Ok((first.0, first.1))
}

/// The inactive meter that counted events of this name last.
pub(super) async fn archived_meter(ctx: &mut Ctx, event_name: &str) -> Result<Option<String>> {
    let args = ctx.args([Arg::from(event_name)]);
    let sql = "SELECT id FROM meters WHERE account = $1 AND livemode = $2 AND event_name = $3 \
               ORDER BY seq DESC LIMIT 1";
    Ok(ctx.tx.optional(sql, args).await?)
}

pub(super) async fn count_open(ctx: &mut Ctx) -> Result<i64> {
    let sql = "SELECT open FROM meter_event_error_counts WHERE account = $1 AND livemode = $2";
    let args = ctx.key_args();
    let open: Option<i64> = ctx.tx.optional(sql, args).await?;
    Ok(open.unwrap_or(0))
}

/// Notes that there are more open errors; false when that would be too many.
pub(super) async fn count_up(ctx: &mut Ctx, more: u64) -> Result<bool> {
    if more == 0 {
        return Ok(true);
    }
    let more = i64::try_from(more).map_err(Error::internal)?;
    let args = ctx.args([Arg::from(more), Arg::from(ERRORS_OPEN_MAX.saturating_sub(more))]);
    let sql = "INSERT INTO meter_event_error_counts (account, livemode, open) VALUES ($1, $2, $3) \
               ON CONFLICT (account, livemode) DO UPDATE \
               SET open = meter_event_error_counts.open + excluded.open \
               WHERE meter_event_error_counts.open <= $4";
    Ok(ctx.tx.execute(sql, args).await? == 1)
}

/// Notes that there are fewer open errors.
pub(super) async fn count_down(ctx: &mut Ctx, fewer: i64) -> Result<()> {
    let args = ctx.args([Arg::from(fewer)]);
    let sql = "UPDATE meter_event_error_counts SET open = open - $3 \
               WHERE account = $1 AND livemode = $2";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<MeterEventError>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM meter_event_errors WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

pub(super) async fn find_for_update(ctx: &mut Ctx, id: &str) -> Result<Option<MeterEventError>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM meter_event_errors WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional_for_update(sql, args).await?)
}

pub(super) async fn seq_of(ctx: &mut Ctx, id: &str) -> Result<Option<i64>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional(SEQ, args).await?)
}

/// The open errors of a filter after a place, oldest first, held until the transaction ends.
pub(super) async fn open_for_update(
    ctx: &mut Ctx,
    filter: (Option<ErrorCode>, Option<&str>, Option<&str>),
    after: Option<i64>,
    limit: usize,
) -> Result<Vec<MeterEventError>> {
    let (code, customer, event_name) = filter;
    let args = ctx.args([
        Arg::from(code.map(ErrorCode::as_str)),
        Arg::from(customer),
        Arg::from(event_name),
        Arg::from(after.unwrap_or(0)),
        Arg::from(i64::try_from(limit).map_err(Error::internal)?),
    ]);
    let sql = "SELECT * FROM meter_event_errors \
               WHERE account = $1 AND livemode = $2 AND status = 'open' \
               AND ($3 IS NULL OR code = $3) AND ($4 IS NULL OR customer = $4) \
               AND ($5 IS NULL OR event_name = $5) AND seq > $6 ORDER BY seq LIMIT $7";
    Ok(ctx.tx.rows_for_update(sql, args).await?)
}

/// Writes what became of an error.
pub(super) async fn resolve(ctx: &mut Ctx, error: &MeterEventError) -> Result<()> {
    let args = ctx.args([
        Arg::from(&error.id),
        Arg::from(error.status.as_str()),
        Arg::from(error.resolved_at),
        Arg::from(error.event_seq),
        Arg::from(error.code.as_str()),
        Arg::from(error.message.as_str()),
    ]);
    let sql = "UPDATE meter_event_errors SET status = $4, resolved_at = $5, event_seq = $6, \
               code = $7, message = $8 WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
