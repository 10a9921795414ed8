//! Backfills: usage of a past span that comes in at once, is looked at, applied, and if need be
//! reverted.
//!
//! A backfill is `open` while events are staged. Applying it goes through `applying` to `applied`,
//! reverting through `reverting` to `reverted`; both in chunks, each of which is committed before the
//! next begins. What a crash cuts short goes on where it was, on the next call or at the next start:
//! the identifiers of its events are determined by their places, so nothing is counted twice.

mod apply;
mod chunks;
mod preview;
mod sql;
mod stage;
mod wire;

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{ApiKey, Customer, Id, Kind as _, Meter, MeterEventBackfill, Request};
use taximeter_kernel::time::{Period, Timestamp};

pub use apply::{CHUNK_EVENTS, CHUNKS_PER_CALL_MAX, Run, apply, finish_begun, resume_all, revert};
pub use preview::{
    PREVIEW_CUSTOMERS_MAX, PREVIEW_EVENTS_MAX, PREVIEW_SCANNED_MAX, Preview, preview,
};
pub use stage::{AddEvents, EVENTS_MAX, EVENTS_PER_CALL_MAX, Events, StagedEvent, add_events};

use crate::ctx::{Ctx, optional_word, word};
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::params::{Choice as _, Text};
use crate::{customers, meters, test_clocks};

crate::choice! {
    /// How far a backfill has come.
    pub enum Status {
        /// It takes events; nothing of it counts.
        Open = "open",
        /// Its events are being recorded.
        Applying = "applying",
        /// Its events count.
        Applied = "applied",
        /// What applying it did is being undone.
        Reverting = "reverting",
        /// Nothing of it counts any more.
        Reverted = "reverted",
        /// It was thrown away before it was applied.
        Discarded = "discarded",
    }
}

crate::choice! {
    /// What is being done to a backfill that is under way.
    pub enum Step {
        /// Events that were there are canceled.
        Replace = "replace",
        /// Its events are recorded.
        Record = "record",
        /// Its events are canceled.
        Remove = "remove",
        /// The events that it replaced are restored.
        Restore = "restore",
    }
}

crate::params! {
    /// What a new backfill is made of.
    pub struct Create {
        /// Only usage of this customer; of several, if left out.
        pub customer: Option<Id<Customer>>,
        /// What counts the usage.
        pub meter: Text<255>,
        /// Whether to cancel the events that are in the timeframe already.
        pub replace_existing: Option<bool>,
        /// The first second after the timeframe: in the past, for the customer.
        pub timeframe_end: Timestamp,
        /// The first second of the timeframe.
        pub timeframe_start: Timestamp,
    }
}

crate::params! {
    /// A list of backfills.
    pub struct List with page {
        /// Only of this customer.
        pub customer: Option<Text<255>>,
        /// Only for this meter.
        pub meter: Option<Text<255>>,
        /// Only those that have come so far.
        pub status: Option<Status>,
    }
}

crate::params! {
    /// Discarding takes no parameters.
    pub struct Discard {}
}

/// Usage of a past span that comes in at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Its id.
    pub id: Id<MeterEventBackfill>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// What counts the usage.
    pub meter: Id<Meter>,
    /// The only customer whose usage it changes, if it is of one.
    pub customer: Option<Id<Customer>>,
    /// Where its events lie.
    pub timeframe: Period,
    /// Whether it stands in for the events that were in the timeframe.
    pub replace_existing: bool,
    /// How far it has come.
    pub status: Status,
    /// What is being done, when it is under way.
    pub(crate) step: Option<Step>,
    /// Where the usage log ended when it was first applied.
    pub(crate) until_position: u64,
    /// Up to where the events to replace are chosen.
    pub(crate) chosen_position: u64,
    /// Up to where the step is done: a place in the usage log, or among the staged events.
    pub(crate) done_position: u64,
    /// How many events it has.
    pub staged: u64,
    /// How many were sent again with an identifier that it had already.
    pub repeated: u64,
    /// How many of its events were recorded.
    pub recorded: u64,
    /// How many were not: their customer has an event with that identifier, or as many combinations
    /// of dimension values as it may have.
    pub skipped: u64,
    /// How many events it stands in for.
    pub replaced: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// When all its events counted.
    pub applied_at: Option<Timestamp>,
    /// When none counted any more.
    pub reverted_at: Option<Timestamp>,
    /// When it was thrown away.
    pub discarded_at: Option<Timestamp>,
    /// Who asked for what is being done.
    pub(crate) api_key: Id<ApiKey>,
    /// The request that asked for it.
    pub(crate) request: Id<Request>,
}

impl Row for Backfill {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            meter: cells.get("meter")?,
            customer: cells.get("customer")?,
            timeframe: Period {
                start: cells.get("timeframe_start")?,
                end: cells.get("timeframe_end")?,
            },
            replace_existing: cells.get("replace_existing")?,
            status: word(cells, "status")?,
            step: optional_word(cells, "step")?,
            until_position: cells.get("until_position")?,
            chosen_position: cells.get("chosen_position")?,
            done_position: cells.get("done_position")?,
            staged: cells.get("staged")?,
            repeated: cells.get("repeated")?,
            recorded: cells.get("recorded")?,
            skipped: cells.get("skipped")?,
            replaced: cells.get("replaced")?,
            created: cells.get("created")?,
            updated: cells.get("updated")?,
            applied_at: cells.get("applied_at")?,
            reverted_at: cells.get("reverted_at")?,
            discarded_at: cells.get("discarded_at")?,
            api_key: cells.get("api_key")?,
            request: cells.get("request")?,
        })
    }
}

/// Makes a backfill without events.
///
/// # Errors
/// A 400 when there is no such meter or customer, or the timeframe is none.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Backfill> {
    let meter = meters::named(ctx, &input.meter, "meter").await?;
    let mut now = ctx.now;
    if let Some(customer) = &input.customer {
        customers::named(ctx, customer.as_str(), "customer").await?;
        now = test_clocks::time_of(ctx, customer).await?;
    }
    let backfill = Backfill {
        id: ctx.new_id(),
        livemode: ctx.scope().mode.is_live(),
        meter: meter.id,
        customer: input.customer,
        timeframe: timeframe(input.timeframe_start, input.timeframe_end, now)?,
        replace_existing: input.replace_existing.unwrap_or(false),
        status: Status::Open,
        step: None,
        until_position: 0,
        chosen_position: 0,
        done_position: 0,
        staged: 0,
        repeated: 0,
        recorded: 0,
        skipped: 0,
        replaced: 0,
        created: ctx.now,
        updated: ctx.now,
        applied_at: None,
        reverted_at: None,
        discarded_at: None,
        api_key: ctx.caller.key.clone(),
        request: ctx.caller.request.clone(),
    };
    sql::insert(ctx, &backfill).await?;
    Ok(backfill)
}

fn timeframe(start: Timestamp, end: Timestamp, now: Timestamp) -> Result<Period> {
    let refuse = |must: &str| {
        let message = format!("Invalid timeframe_end: must be {must}.");
        Err(Error::invalid(message).param("timeframe_end"))
    };
    if end <= start {
        return refuse("after timeframe_start");
    }
    if end > now {
        return refuse("in the past");
    }
    Ok(Period { start, end })
}

/// Reads a backfill whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Backfill> {
    match sql::find(ctx, id).await? {
        Some(backfill) => Ok(backfill),
        None => Err(ctx.no_such_path(MeterEventBackfill::NOUN, id).await?),
    }
}

/// As [`retrieve`], held until the transaction ends.
async fn locked(ctx: &mut Ctx, id: &str) -> Result<Backfill> {
    match sql::find_locked(ctx, id).await? {
        Some(backfill) => Ok(backfill),
        None => Err(ctx.no_such_path(MeterEventBackfill::NOUN, id).await?),
    }
}

/// Lists backfills, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let page = input.page()?;
    let filters = [
        Arg::Text(input.customer.map(Into::into)),
        Arg::Text(input.meter.map(Into::into)),
        Arg::Text(input.status.map(|status| status.as_str().to_owned())),
    ];
    let noun = MeterEventBackfill::NOUN;
    let slice = ctx.page(&page, noun, (sql::SEQ, sql::LIST), filters).await?;
    Ok(Page {
        url: "/v1/billing/meter_event_backfills".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Backfill::wire).collect(),
    })
}

/// Throws away a backfill that was never applied, and its events with it.
///
/// # Errors
/// A 404 when there is none, a 400 when it was applied.
pub async fn discard(ctx: &mut Ctx, id: &str, _: Discard) -> Result<Backfill> {
    let mut backfill = locked(ctx, id).await?;
    if backfill.status == Status::Discarded {
        return Ok(backfill);
    }
    backfill.require(Status::Open, "discarded")?;
    backfill.status = Status::Discarded;
    backfill.discarded_at = Some(ctx.now);
    sql::delete_events(ctx, &backfill).await?;
    save(ctx, &mut backfill).await?;
    Ok(backfill)
}

async fn save(ctx: &mut Ctx, backfill: &mut Backfill) -> Result<()> {
    backfill.updated = ctx.now;
    sql::update(ctx, backfill).await
}

impl Backfill {
    /// Refuses what a backfill of another status is asked for.
    fn require(&self, status: Status, participle: &str) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "This meter event backfill is {}; only one that is {} can be {participle}.",
            self.status.as_str(),
            status.as_str(),
        )))
    }

    /// The identifier that the event at a place gets when it has none of its own, or when that is
    /// of an event which the backfill replaces.
    fn identifier_of(&self, place: u64) -> String {
        format!("{}-{place}", self.id)
    }
}
