//! Test clocks: time that can be moved, for customers of the test dataset.
//!
//! Whatever is a clock's customer's happens by the clock: its jobs wait for the clock instead of the
//! world. Moving a clock on does them one by one, each at its own instant, so that a year is lived
//! through in order in however little time it takes.

mod sql;
mod times;
mod wire;

use serde_json::Value;
use taximeter_db::{Cells, DbError, Row};
use taximeter_kernel::calendar::{Interval, Recurrence};
use taximeter_kernel::id::{Id, Kind as _, TestClock as TestClockKind};
use taximeter_kernel::time::{DAY_S, Timestamp};

use crate::ctx::{Ctx, word};
use crate::customers::{self, Customer};
use crate::error::{Error, Kind, Result};
use crate::jobs::{self, Job};
use crate::outbox;
use crate::page::List as Page;
use crate::params::Text;
pub use times::{of_customer, reached, shown_at, time_of};

/// How long a clock is said to be kept, in seconds of the world's time.
const KEPT_S: i64 = 30 * DAY_S;
/// How many jobs of a clock are done in one transaction.
const STEPS: usize = 64;

crate::choice! {
    /// What a clock is doing.
    pub enum Status {
        /// Moving on.
        Advancing = "advancing",
        /// It could not be moved on.
        InternalFailure = "internal_failure",
        /// Standing.
        Ready = "ready",
    }
}

/// Time that can be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestClock {
    seq: i64,
    /// Its id.
    pub id: Id<TestClockKind>,
    /// What the operator calls it.
    pub name: Option<String>,
    /// What it is doing.
    pub status: Status,
    /// The time that it shows.
    pub frozen_time: Timestamp,
    /// The time that it is moving to.
    pub target: Option<Timestamp>,
    /// When it was made, in the time of the world.
    pub created: Timestamp,
    /// When it may be deleted.
    pub deletes_after: Timestamp,
}

impl Row for TestClock {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            name: cells.get("name")?,
            status: word(cells, "status")?,
            frozen_time: cells.get("frozen_time")?,
            target: cells.get("target_time")?,
            created: cells.get("created")?,
            deletes_after: cells.get("deletes_after")?,
        })
    }
}

crate::params! {
    /// A new clock.
    pub struct Create {
        /// The time that it shows at first.
        pub frozen_time: i64,
        /// What the operator calls it.
        pub name: Option<Text<300>>,
    }
}

crate::params! {
    /// Where a clock is moved to.
    pub struct Advance {
        /// The time that it shows then.
        pub frozen_time: i64,
    }
}

crate::params! {
    /// A list of clocks.
    pub struct List with page {}
}

crate::params! {
    /// Deleting takes no parameters.
    pub struct Delete {}
}

/// Makes a clock.
///
/// # Errors
/// A 400 in live mode, and when the time is outside the calendar.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<TestClock> {
    if ctx.scope().mode.is_live() {
        return Err(Error::invalid("Test clocks can only be used in test mode."));
    }
    let clock = TestClock {
        seq: 0,
        id: ctx.new_id(),
        name: input.name.map(Into::into),
        status: Status::Ready,
        frozen_time: within_calendar(input.frozen_time)?,
        target: None,
        created: ctx.now,
        deletes_after: Timestamp(ctx.now.0.saturating_add(KEPT_S)),
    };
    sql::insert(ctx, &clock).await?;
    times::note(ctx, &clock).await?;
    outbox::push(ctx, "test_helpers.test_clock.created", &clock.wire()).await?;
    Ok(clock)
}

fn within_calendar(seconds: i64) -> Result<Timestamp> {
    let day = Recurrence::new(Interval::Day, 1).map_err(Error::internal)?;
    // So far ahead that whatever is reckoned from it still has a date.
    let far = seconds.checked_add(10_000 * DAY_S).map(Timestamp);
    match far.and_then(|far| day.period_at(far, far).ok()) {
        Some(_) if seconds >= 0 => Ok(Timestamp(seconds)),
        _ => Err(Error::invalid(format!("Invalid timestamp: {seconds}")).param("frozen_time")),
    }
}

/// Reads a clock whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<TestClock> {
    match sql::find(ctx, id).await? {
        Some(clock) => Ok(clock),
        None => Err(ctx.no_such_path(TestClockKind::NOUN, id).await?),
    }
}

/// Lists clocks, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let page = input.page()?;
    let slice = ctx.page(&page, TestClockKind::NOUN, (sql::SEQ, sql::LIST), []).await?;
    Ok(Page {
        url: "/v1/test_helpers/test_clocks".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(TestClock::wire).collect(),
    })
}

/// The clock that a new customer joins, which becomes the time of this work.
///
/// # Errors
/// A 400 when there is none.
pub async fn joined(ctx: &mut Ctx, id: &str) -> Result<Id<TestClockKind>> {
    match sql::find(ctx, id).await? {
        Some(clock) => {
            ctx.now = clock.frozen_time;
            Ok(clock.id)
        }
        None => Err(ctx.no_such(TestClockKind::NOUN, id, "test_clock").await?),
    }
}

/// Makes the clock of a customer the time of this work, if it has one.
///
/// # Errors
/// A 429 while the clock is being moved on.
pub async fn follow(ctx: &mut Ctx, customer: &Customer) -> Result<()> {
    let Some(id) = &customer.test_clock else { return Ok(()) };
    if ctx.caller.by_time {
        // Work that the clock itself brings has its time already.
        return Ok(());
    }
    // With a clock its customers are deleted: what is left of them can be told of.
    let Some(clock) = sql::find(ctx, id.as_str()).await? else { return Ok(()) };
    if clock.status == Status::Advancing {
        return Err(Error::new(
            Kind::RateLimit,
            "Test clock advancement underway - cannot perform modifications until it is ready.",
        )
        .code("rate_limit"));
    }
    ctx.now = clock.frozen_time;
    Ok(())
}

/// Asks for a clock to be moved on. It is moved by whoever does what is due.
///
/// # Errors
/// A 400 when the clock would go back, too far, or is being moved already; a 404 when there is none.
pub async fn advance(ctx: &mut Ctx, id: &str, input: Advance) -> Result<TestClock> {
    sql::lock(ctx, id).await?;
    let mut clock = retrieve(ctx, id).await?;
    if clock.status == Status::Advancing {
        return Err(Error::invalid(
            "The test clock is already advancing. Wait until its status is `ready`.",
        ));
    }
    let target = within_calendar(input.frozen_time)?;
    if target <= clock.frozen_time {
        return Err(Error::invalid(format!(
            "`frozen_time` must be after the clock's current time, {}.",
            clock.frozen_time.0
        ))
        .param("frozen_time"));
    }
    let furthest = furthest(ctx, &clock).await?;
    if target > furthest {
        return Err(Error::invalid(format!(
            "Cannot advance the test clock past {}: at most two intervals of its shortest \
             subscription at a time, or two years when it has none.",
            furthest.0
        ))
        .param("frozen_time"));
    }
    clock.status = Status::Advancing;
    clock.target = Some(target);
    sql::update(ctx, &clock).await?;
    outbox::push(ctx, "test_helpers.test_clock.advancing", &clock.wire()).await?;
    let job = Job { kind: jobs::Kind::TestClock, subject: id, clock: None };
    jobs::schedule(ctx, job, Some(ctx.now)).await?;
    Ok(clock)
}

/// How far a clock may be moved at once: two intervals of the shortest of its subscriptions, two
/// years if it has none.
async fn furthest(ctx: &mut Ctx, clock: &TestClock) -> Result<Timestamp> {
    let year = Recurrence::new(Interval::Year, 1).map_err(Error::internal)?;
    let mut shortest = year.boundary(clock.frozen_time, 2).map_err(Error::internal)?;
    for (interval, count) in sql::recurrences(ctx, &clock.id).await? {
        let interval = Interval::parse(&interval);
        let count = u32::try_from(count).ok();
        let recurrence = interval.zip(count).and_then(|(i, c)| Recurrence::new(i, c).ok());
        let Some(recurrence) = recurrence else {
            return Err(Error::internal("a price that does not recur is subscribed to"));
        };
        let two = recurrence.boundary(clock.frozen_time, 2).map_err(Error::internal)?;
        shortest = shortest.min(two);
    }
    Ok(shortest)
}

/// Moves a clock on by some of what is due until the time it is to show. The rest is put down again.
///
/// # Errors
/// A 500 when the database cannot be used. What a job of the clock fails with becomes its status.
pub async fn go_on(ctx: &mut Ctx, id: &str) -> Result<()> {
    sql::lock(ctx, id).await?;
    if !jobs::take(ctx, jobs::Kind::TestClock, id).await? {
        return Ok(());
    }
    let Some(mut clock) = sql::find(ctx, id).await? else { return Ok(()) };
    let Some(target) = clock.target.filter(|_| clock.status == Status::Advancing) else {
        return Ok(());
    };
    let world = ctx.now;
    let mut steps = 0;
    while steps < STEPS {
        let undo = ctx.tx.savepoint().await?;
        // What the job does must find the clock at its own instant.
        if let Some(at) = jobs::next_of_clock(ctx, &clock.id, target).await?
            && at > clock.frozen_time
        {
            clock.frozen_time = at;
            sql::update(ctx, &clock).await?;
        }
        match jobs::run_next_of_clock(ctx, &clock.id, target).await {
            Ok(Some(_)) => {
                ctx.tx.release(undo).await?;
                steps += 1;
            }
            Ok(None) => {
                ctx.tx.release(undo).await?;
                ctx.now = world;
                return arrive(ctx, clock, target).await;
            }
            Err(error) => {
                ctx.tx.rollback_to(undo).await?;
                ctx.now = world;
                return fail(ctx, id, &error).await;
            }
        }
    }
    ctx.now = world;
    times::note(ctx, &clock).await?;
    let job = Job { kind: jobs::Kind::TestClock, subject: id, clock: None };
    jobs::schedule(ctx, job, Some(world)).await
}

async fn arrive(ctx: &mut Ctx, mut clock: TestClock, target: Timestamp) -> Result<()> {
    clock.frozen_time = target;
    clock.target = None;
    clock.status = Status::Ready;
    sql::update(ctx, &clock).await?;
    times::note(ctx, &clock).await?;
    outbox::push(ctx, "test_helpers.test_clock.ready", &clock.wire()).await
}

async fn fail(ctx: &mut Ctx, id: &str, error: &Error) -> Result<()> {
    tracing::error!(clock.id = id, error = jobs::told(error), "a test clock cannot be moved on");
    let Some(mut clock) = sql::find(ctx, id).await? else { return Ok(()) };
    clock.target = None;
    clock.status = Status::InternalFailure;
    sql::update(ctx, &clock).await?;
    times::note(ctx, &clock).await?;
    outbox::push(ctx, "test_helpers.test_clock.internal_failure", &clock.wire()).await
}

/// Deletes a clock and, with it, its customers and their subscriptions.
///
/// # Errors
/// A 404 when there is none.
pub async fn delete(ctx: &mut Ctx, id: &str, _: Delete) -> Result<Value> {
    sql::lock(ctx, id).await?;
    let clock = retrieve(ctx, id).await?;
    for customer in sql::customers(ctx, &clock.id).await? {
        Box::pin(customers::delete(ctx, &customer, customers::Delete {})).await?;
    }
    sql::forget_jobs(ctx, &clock.id).await?;
    sql::forget_times(ctx, &clock.id).await?;
    sql::delete(ctx, &clock.id).await?;
    outbox::push(ctx, "test_helpers.test_clock.deleted", &clock.wire()).await?;
    Ok(clock.deleted_wire())
}
