//! Reports of what could not be counted, as Stripe makes them: one for each meter, and one for the
//! lack of one, for each ten seconds in which there was something to tell.
//!
//! A report, its event and the mark on each error that it tells of are written in one transaction:
//! an error is told of once, whatever crashes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taximeter_db::{Arg, Cells, DbError, Row, Tx, args};
use taximeter_kernel::id::{
    Account, Event, Id, Kind as _, MeterErrorReport as ReportKind, Mode, Scope,
};
use taximeter_kernel::time::Timestamp;

use crate::ctx::{Ctx, Services};
use crate::error::Result;
use crate::events;
use crate::list_sql;
use crate::outbox;
use crate::page::{List as Page, ListSql};
use crate::params::Text;
use crate::stored;

/// The length of the span that one report tells of, in seconds.
pub const WINDOW_S: i64 = 10;
/// How long after the end of a span its report is made, in seconds: requests of its last moments are
/// still being answered then.
pub const DELAY_S: i64 = 2;
/// The most samples of one type of error in a report.
pub const SAMPLES_MAX: i64 = 10;
/// The most spans that one call of [`report_due`] reports.
pub const SPANS_PER_CALL_MAX: usize = 100;
/// Claimed by the process that makes reports.
const CLAIM: i64 = 0x7461_7869_6572_7230;
const TYPES_PER_SPAN_MAX: i64 = 10_000;

/// A meter got events that it could not count.
pub const TRIGGERED: &str = "v1.billing.meter.error_report_triggered";
/// Events came in that no meter counts.
pub const NO_METER_FOUND: &str = "v1.billing.meter.no_meter_found";

const SEQ: &str =
    "SELECT seq FROM meter_error_reports WHERE account = $1 AND livemode = $2 AND id = $3";

const LIST: ListSql = list_sql!(
    "SELECT * FROM meter_error_reports WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR meter = $6)",
);

crate::params! {
    /// A list of reports.
    pub struct List with page {
        /// Only reports of this meter.
        pub meter: Option<Text<255>>,
    }
}

/// The errors of one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ErrorType {
    code: String,
    error_count: i64,
    sample_errors: Vec<SampleError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SampleError {
    error_message: String,
    request: SampleRequest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SampleRequest {
    identifier: String,
}

/// What was told of the errors of one meter in one span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    id: Id<ReportKind>,
    livemode: bool,
    meter: Option<String>,
    event: String,
    validation_start: Timestamp,
    validation_end: Timestamp,
    error_count: i64,
    error_types: Vec<ErrorType>,
    created: Timestamp,
}

impl Row for Report {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            meter: cells.get("meter")?,
            event: cells.get("event")?,
            validation_start: cells.get("validation_start")?,
            validation_end: cells.get("validation_end")?,
            error_count: cells.get("error_count")?,
            error_types: stored::read(cells, "error_types")?,
            created: cells.get("created")?,
        })
    }
}

impl Report {
    fn kind(&self) -> &'static str {
        if self.meter.is_some() { TRIGGERED } else { NO_METER_FOUND }
    }

    fn summary(&self) -> String {
        match self.error_count {
            1 => "There is 1 invalid event".to_owned(),
            many => format!("There are {many} invalid events"),
        }
    }

    fn reason(&self) -> Value {
        json!({ "error_count": self.error_count, "error_types": self.error_types })
    }

    /// The `data` of the thin event.
    fn event_data(&self) -> Value {
        json!({
            "developer_message_summary": self.summary(),
            "reason": self.reason(),
            "validation_end": self.validation_end.to_rfc3339(),
            "validation_start": self.validation_start.to_rfc3339(),
        })
    }

    /// The object `billing.meter_error_report`.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "billing.meter_error_report",
            "created": self.created.0,
            "developer_message_summary": self.summary(),
            "event": events::thin_id(&self.event),
            "event_type": self.kind(),
            "livemode": self.livemode,
            "meter": self.meter,
            "reason": self.reason(),
            "validation_end": self.validation_end.0,
            "validation_start": self.validation_start.0,
        })
    }
}

/// Reads a report whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Report> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM meter_error_reports WHERE account = $1 AND livemode = $2 AND id = $3";
    match ctx.tx.optional(sql, args).await? {
        Some(report) => Ok(report),
        None => Err(ctx.no_such_path(ReportKind::NOUN, id).await?),
    }
}

/// Lists reports, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [Arg::from(input.meter.as_deref())];
    let slice: crate::page::Slice<Report> =
        ctx.page(&input.page()?, ReportKind::NOUN, (SEQ, LIST), filters).await?;
    Ok(Page {
        url: "/v1/billing/meter_error_reports".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Report::wire).collect(),
    })
}

/// Makes the reports of all accounts that are due at `now`, and says how many. To be called every few
/// seconds; processes that call it at once do not double anything.
///
/// # Errors
/// A 500 when the database cannot be used. What was not reported is reported by the next call.
pub async fn report_due(services: &Services, now: Timestamp) -> Result<usize> {
    let mut made = 0;
    for _ in 0..SPANS_PER_CALL_MAX {
        let ended = start_of(now.0.saturating_sub(DELAY_S));
        if !anything_due(services, ended).await? {
            break;
        }
        let mut tx = services.db.begin().await?;
        if !tx.try_claim(CLAIM).await? {
            break;
        }
        let Some(span) = oldest_span(&mut tx, ended).await? else { break };
        made += report_span(services, &mut tx, &span, now).await?;
        tx.commit().await?;
    }
    Ok(made)
}

/// The first second of the span that holds `at_s`.
const fn start_of(at_s: i64) -> i64 {
    at_s - at_s.rem_euclid(WINDOW_S)
}

/// What one set of reports tells of.
struct Span {
    scope: Scope,
    start: i64,
}

impl Row for Span {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let account: Id<Account> = cells.get("account")?;
        let mode: Mode = cells.get("livemode")?;
        let received: i64 = cells.get("received")?;
        Ok(Self { scope: Scope { account, mode }, start: start_of(received) })
    }
}

const OLDEST: &str = "SELECT account, livemode, received FROM meter_event_errors \
     WHERE report IS NULL AND received < $1 ORDER BY received, seq LIMIT 1";

/// Looks without writing: most calls have nothing to do.
async fn anything_due(services: &Services, ended: i64) -> Result<bool> {
    let mut tx = services.db.begin_read().await?;
    Ok(oldest_span(&mut tx, ended).await?.is_some())
}

async fn oldest_span(tx: &mut Tx, ended: i64) -> Result<Option<Span>> {
    Ok(tx.optional(OLDEST, args![ended]).await?)
}

/// How many errors of a code a meter had.
struct Counted {
    meter: Option<String>,
    code: String,
    count: i64,
}

impl Row for Counted {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            meter: cells.get("meter")?,
            code: cells.get("code")?,
            count: cells.get("count")?,
        })
    }
}

struct Sample(SampleError);

impl Row for Sample {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let request = SampleRequest { identifier: cells.get("identifier")? };
        Ok(Self(SampleError { error_message: cells.get("message")?, request }))
    }
}

async fn report_span(
    services: &Services,
    tx: &mut Tx,
    span: &Span,
    now: Timestamp,
) -> Result<usize> {
    let end = span.start.saturating_add(WINDOW_S);
    let bounds = |more: Vec<Arg>| {
        let mut all = args![&span.scope.account, span.scope.mode, span.start, end];
        all.extend(more);
        all
    };
    let sql = "SELECT meter, code, COUNT(*) AS count FROM meter_event_errors \
               WHERE account = $1 AND livemode = $2 AND received >= $3 AND received < $4 \
               AND report IS NULL GROUP BY meter, code ORDER BY code, meter NULLS LAST LIMIT $5";
    let counted: Vec<Counted> = tx.rows(sql, bounds(args![TYPES_PER_SPAN_MAX])).await?;
    let mut by_meter: BTreeMap<Option<String>, Vec<ErrorType>> = BTreeMap::new();
    for Counted { meter, code, count } in counted {
        let sql = "SELECT identifier, message FROM meter_event_errors \
                   WHERE account = $1 AND livemode = $2 AND received >= $3 AND received < $4 \
                   AND report IS NULL AND code = $5 AND ((meter IS NULL AND $6 IS NULL) OR meter = $6) \
                   ORDER BY seq LIMIT $7";
        let args = bounds(args![code.as_str(), meter.as_deref(), SAMPLES_MAX]);
        let samples: Vec<Sample> = tx.rows(sql, args).await?;
        by_meter.entry(meter).or_default().push(ErrorType {
            code,
            error_count: count,
            sample_errors: samples.into_iter().map(|sample| sample.0).collect(),
        });
    }
    let made = by_meter.len();
    for (meter, error_types) in by_meter {
        let event: Id<Event> = Id::generate((services.entropy)());
        let report = Report {
            id: Id::generate((services.entropy)()),
            livemode: span.scope.mode.is_live(),
            meter,
            event: event.as_str().to_owned(),
            validation_start: Timestamp(span.start),
            validation_end: Timestamp(end),
            error_count: error_types.iter().map(|each| each.error_count).sum(),
            error_types,
            created: now,
        };
        write(tx, &span.scope, &report, event).await?;
        let sql = "UPDATE meter_event_errors SET report = $5 \
                   WHERE account = $1 AND livemode = $2 AND received >= $3 AND received < $4 \
                   AND report IS NULL AND ((meter IS NULL AND $6 IS NULL) OR meter = $6)";
        tx.execute(sql, bounds(args![&report.id, report.meter.as_deref()])).await?;
    }
    Ok(made)
}

/// Writes a report and the event that tells of it.
async fn write(tx: &mut Tx, scope: &Scope, report: &Report, event: Id<Event>) -> Result<()> {
    let sql = "INSERT INTO meter_error_reports (account, livemode, id, meter, event, \
               validation_start, validation_end, error_count, error_types, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let args = vec![
        Arg::from(&scope.account),
        Arg::from(scope.mode),
        Arg::from(&report.id),
        Arg::from(report.meter.as_deref()),
        Arg::from(&event),
        Arg::from(report.validation_start),
        Arg::from(report.validation_end),
        Arg::from(report.error_count),
        stored::write(&report.error_types)?,
        Arg::from(report.created),
    ];
    tx.execute(sql, args).await?;
    let thin = outbox::Thin {
        id: event,
        kind: report.kind(),
        created: report.created,
        object_id: report.meter.as_deref().unwrap_or(""),
        data: report.event_data(),
    };
    outbox::push_thin(tx, scope, thin).await
}
