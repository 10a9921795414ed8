//! Meter events that were accepted and could not be counted: the dead letters of metering.
//!
//! Where validation comes after the answer (the stream, and the customer of a single event), an event
//! at fault is durable here before it is answered. It stays until it is replayed or dismissed, and
//! the [`reports`] tell of it.

mod keep;
mod replay;
pub mod reports;
mod sql;
mod wire;

use serde_json::{Map, Value};
use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Id, Kind as _, MeterEventError as ErrorKind};
use taximeter_kernel::time::Timestamp;

use crate::ctx::{Ctx, word};
use crate::error::{Error, Result};
use crate::meter_events::ErrorCode;
use crate::page::List as Page;
use crate::params::{Choice as _, Text};
use crate::stored;

pub use keep::Letter;
pub(crate) use keep::{has_room, keep, keep_one};
pub use replay::{REPLAYED_MAX, Replay, ReplayAll, replay, replay_all};

/// The most open errors of one account and mode. Beyond it requests with more are refused, so that
/// nothing is lost silently.
pub const ERRORS_OPEN_MAX: i64 = 100_000;

crate::choice! {
    /// What became of an event that could not be counted.
    pub enum Status {
        /// It waits to be replayed or dismissed.
        Open = "open",
        /// It is counted now.
        Replayed = "replayed",
        /// It will not be counted.
        Dismissed = "dismissed",
    }
}

crate::params! {
    /// A list of errors.
    pub struct List with page {
        /// Only errors of this code.
        pub code: Option<ErrorCode>,
        /// Only errors of this customer's events.
        pub customer: Option<Text<255>>,
        /// Only errors of events of this name.
        pub event_name: Option<Text<100>>,
        /// Only errors of this status.
        pub status: Option<Status>,
    }
}

crate::params! {
    /// Dismissing takes no parameters.
    pub struct Dismiss {}
}

/// An event that was accepted and could not be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterEventError {
    seq: i64,
    /// Its id.
    pub id: Id<ErrorKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// What became of it.
    pub status: Status,
    /// The class of the fault.
    pub code: ErrorCode,
    /// The sentence for the developer who reads it.
    pub message: String,
    /// The name the event was sent under.
    pub event_name: String,
    /// The event's name among the customer's.
    pub identifier: String,
    /// The payload as sent: texts by key.
    pub payload: Map<String, Value>,
    /// When the usage happened.
    pub timestamp: Timestamp,
    /// The meter of its name.
    pub meter: Option<String>,
    /// The customer, as the payload names it.
    pub customer: Option<String>,
    /// When the server took the event in.
    pub received: Timestamp,
    /// What the test clock of its customer showed then, if it has one.
    pub clock_time: Option<Timestamp>,
    /// The request that brought it.
    pub request: String,
    /// When it was replayed or dismissed.
    pub resolved_at: Option<Timestamp>,
    /// Where it is counted, in the order of events.
    pub event_seq: Option<i64>,
    /// The report that told of it.
    pub report: Option<String>,
}

impl Row for MeterEventError {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            status: word(cells, "status")?,
            code: word(cells, "code")?,
            message: cells.get("message")?,
            event_name: cells.get("event_name")?,
            identifier: cells.get("identifier")?,
            payload: stored::read(cells, "payload")?,
            timestamp: cells.get("timestamp")?,
            meter: cells.get("meter")?,
            customer: cells.get("customer")?,
            received: cells.get("received")?,
            clock_time: cells.get("clock_time")?,
            request: cells.get("request")?,
            resolved_at: cells.get("resolved_at")?,
            event_seq: cells.get("event_seq")?,
            report: cells.get("report")?,
        })
    }
}

/// Reads an error whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<MeterEventError> {
    match sql::find(ctx, id).await? {
        Some(error) => Ok(error),
        None => Err(ctx.no_such_path(ErrorKind::NOUN, id).await?),
    }
}

/// Lists errors, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::from(input.code.map(ErrorCode::as_str)),
        Arg::from(input.customer.as_deref()),
        Arg::from(input.event_name.as_deref()),
        Arg::from(input.status.map(Status::as_str)),
    ];
    let slice: crate::page::Slice<MeterEventError> =
        ctx.page(&input.page()?, ErrorKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    Ok(Page {
        url: "/v1/billing/meter_event_errors".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(MeterEventError::wire).collect(),
    })
}

/// Gives up an event: it will not be counted.
///
/// # Errors
/// A 404 when there is none, a 400 when it is not open.
pub async fn dismiss(ctx: &mut Ctx, id: &str, _: Dismiss) -> Result<MeterEventError> {
    let mut error = open(ctx, id).await?;
    (error.status, error.resolved_at) = (Status::Dismissed, Some(ctx.now));
    sql::resolve(ctx, &error).await?;
    sql::count_down(ctx, 1).await?;
    Ok(error)
}

/// An error that waits, held until the transaction ends.
async fn open(ctx: &mut Ctx, id: &str) -> Result<MeterEventError> {
    let Some(error) = sql::find_for_update(ctx, id).await? else {
        return Err(ctx.no_such_path(ErrorKind::NOUN, id).await?);
    };
    match error.status {
        Status::Open => Ok(error),
        Status::Replayed | Status::Dismissed => Err(Error::invalid(format!(
            "This meter event error was {} already.",
            error.status.as_str()
        ))),
    }
}
