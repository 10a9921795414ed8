//! Events: what happened, to be read again. They are written by the [`crate::outbox`].

mod sql;
mod sweep;
mod thin;
mod wire;

use serde_json::Value;
pub use sweep::sweep;
use taximeter_db::{Arg, Cells, DbError, Row, Tx};
use taximeter_kernel::id::{Event as EventKind, Id, Kind as _, Scope};
use taximeter_kernel::time::{DAY_S, Timestamp};
pub use thin::{ListThin, list_thin, retrieve_thin, thin_id};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::params::{Range, Text};
use crate::stored;

/// How long events can be read, in seconds: Stripe's 30 days.
pub const KEPT_S: i64 = 30 * DAY_S;
/// The most types one list asks for (Stripe's bound).
const TYPES_MAX: usize = 20;

crate::params! {
    /// A list of events.
    pub struct List with page {
        /// Only events that happened in this span.
        pub created: Range,
        /// Only events of this type; a `*` at its end stands for anything.
        pub r#type: Option<Text<100>>,
        /// Only events of one of these types.
        pub types: Option<Vec<Text<100>>>,
        /// Only events of which all endpoints have been told, or of which one has not.
        pub delivery_success: Option<bool>,
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    seq: i64,
    /// Its id.
    pub id: Id<EventKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// What happened: `customer.created`.
    pub kind: String,
    /// When.
    pub created: Timestamp,
    /// The object it is about.
    pub object_id: String,
    /// The object as it was afterwards.
    pub object: Value,
    /// The old values of what changed.
    pub previous_attributes: Option<Value>,
    /// The request that made it happen.
    pub request: Option<String>,
    /// The idempotency key of that request.
    pub idempotency_key: Option<String>,
    /// How many endpoints are to be told of it and have not taken it.
    pub pending_webhooks: i64,
}

impl Row for Event {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            kind: cells.get("type")?,
            created: cells.get("created")?,
            object_id: cells.get("object_id")?,
            object: stored::read(cells, "object")?,
            previous_attributes: stored::read_optional(cells, "previous_attributes")?,
            request: cells.get("request")?,
            idempotency_key: cells.get("idempotency_key")?,
            pending_webhooks: cells.get("pending_webhooks")?,
        })
    }
}

impl Event {
    /// Its number, by which deliveries name it.
    pub(crate) const fn seq(&self) -> i64 {
        self.seq
    }
}

/// The event of a delivery, unless it is gone.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn of_delivery(tx: &mut Tx, seq: i64) -> Result<Option<Event>> {
    sql::of_delivery(tx, seq).await
}

/// The number of the newest event.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn latest(ctx: &mut Ctx) -> Result<i64> {
    sql::latest(&mut ctx.tx).await
}

/// The events of an account's mode after a number, without those that only v2 tells of: at most
/// `limit` after `latest`, and those between the two that were committed late.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn after(
    tx: &mut Tx,
    scope: &Scope,
    (after, latest): (i64, i64),
    limit: i64,
) -> Result<Vec<Event>> {
    sql::after(tx, scope, (after, latest), limit).await
}

/// Reads an event whose id is in the path.
///
/// # Errors
/// A 404 when there is none, or it is older than [`KEPT_S`].
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Event> {
    match sql::find(ctx, id, oldest(ctx)).await? {
        Some(event) if !event.is_thin_only() => Ok(event),
        Some(_) | None => Err(ctx.no_such_path(EventKind::NOUN, id).await?),
    }
}

/// Lists events, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing, or both `type` and `types` are given.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    if input.r#type.is_some() && input.types.is_some() {
        return Err(Error::invalid("You may only specify one of these parameters: type, types.")
            .code("parameters_exclusive")
            .param("type"));
    }
    let types = joined(input.types.as_deref())?;
    let page = input.page()?;
    let (exact, prefix) = match input.r#type.as_deref() {
        None => (None, None),
        Some(kind) => match kind.strip_suffix('*') {
            Some(prefix) => (None, Some(prefix.to_owned())),
            None => (Some(kind.to_owned()), None),
        },
    };
    let filters = [
        Arg::from(input.created.min),
        Arg::from(input.created.max),
        Arg::from(exact),
        Arg::from(prefix.as_deref().map(sql::like_prefix)),
        Arg::from(types),
        Arg::from(oldest(ctx)),
        Arg::from(input.delivery_success),
    ];
    let slice: crate::page::Slice<Event> =
        ctx.page(&page, EventKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    Ok(Page {
        url: "/v1/events".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Event::wire).collect(),
    })
}

/// The first second that can still be read, whatever time test clocks show.
fn oldest(ctx: &Ctx) -> i64 {
    ctx.wall().0.saturating_sub(KEPT_S)
}

/// The types as one text, each between commas, as the statement compares them.
fn joined<const MAX: usize>(types: Option<&[Text<MAX>]>) -> Result<Option<String>> {
    let Some(types) = types else { return Ok(None) };
    if types.len() > TYPES_MAX {
        return Err(Error::invalid(format!(
            "Invalid array: at most {TYPES_MAX} types are accepted"
        ))
        .param("types"));
    }
    Ok(Some(types.iter().map(|kind| format!(",{},", &**kind)).collect()))
}
