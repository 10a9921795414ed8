//! Schedules: what a subscription will be, phase by phase.
//!
//! A schedule that has not started has a job of its own, which begins its subscription. From then on
//! the subscription's job brings both what is due, so that a phase always begins before the period
//! that begins with it is billed.

mod calendar;
mod create;
mod end;
mod enter;
mod input;
mod past;
mod phases;
mod settings;
mod sql;
mod terms;
mod types;
mod update;
mod wire;

pub use create::create;
pub(crate) use end::{Ended, cancel_all_of_customer, subscription_ended};
pub use end::{cancel, release};
pub use enter::start;
pub(crate) use enter::{Entry, begun_ahead, follow_mode, give_up, named, pass, tell_expiring};
pub use input::{Cancel, Create, List, NewPhaseInput, PreviewedPhase, Release, Update};
use taximeter_db::Arg;
use taximeter_kernel::id::{Kind as _, SubscriptionSchedule};
pub(crate) use types::Coming;
pub use types::{
    Bound, DefaultSettings, Empty, EndBehavior, Named, Outline, Phase, PhaseAddition, PhaseAnchor,
    PhaseInvoices, PhaseItem, Schedule, Status,
};
pub use update::update;

use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::jobs::{self, Job};
use crate::outbox;
use crate::page::List as Page;
use crate::params::Choice as _;
use crate::subscriptions::{self, Subscription};
use crate::test_clocks;

/// Reads a schedule whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Schedule> {
    match sql::find_whole(ctx, id).await? {
        Some(schedule) => Ok(schedule),
        None => Err(ctx.no_such_path(SubscriptionSchedule::NOUN, id).await?),
    }
}

/// Lists schedules, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing, or filters exclude each other.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let page = input.page()?;
    let ranges = [
        (&input.completed_at, "completed_at"),
        (&input.released_at, "released_at"),
        (&input.canceled_at, "canceled_at"),
    ];
    for (range, name) in ranges {
        if input.scheduled.is_some() && (range.min.is_some() || range.max.is_some()) {
            return Err(Error::invalid(format!(
                "You may only specify one of these parameters: {name}, scheduled."
            ))
            .code("parameters_exclusive")
            .param(name));
        }
    }
    let filters = [
        Arg::from(input.canceled_at.min),
        Arg::from(input.canceled_at.max),
        Arg::from(input.completed_at.min),
        Arg::from(input.completed_at.max),
        Arg::from(input.created.min),
        Arg::from(input.created.max),
        Arg::from(input.released_at.min),
        Arg::from(input.released_at.max),
        Arg::from(input.customer.as_deref()),
        Arg::from((input.scheduled == Some(true)).then(|| Status::NotStarted.as_str())),
    ];
    let mut slice: crate::page::Slice<Schedule> =
        ctx.page(&page, SubscriptionSchedule::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    for schedule in &mut slice.rows {
        sql::load_rates(ctx, schedule).await?;
    }
    Ok(Page {
        url: "/v1/subscription_schedules".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Schedule::wire).collect(),
    })
}

/// The schedule that changes a subscription, if one does, without its tax rates.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn of_subscription(ctx: &mut Ctx, sub: &Subscription) -> Result<Option<Schedule>> {
    match &sub.terms.schedule {
        Some(id) => sql::find(ctx, id).await,
        None => Ok(None),
    }
}

/// As [`of_subscription`], to be written and shown: it is held.
async fn held_of(ctx: &mut Ctx, sub: &Subscription) -> Result<Option<Schedule>> {
    let Some(id) = &sub.terms.schedule else { return Ok(None) };
    sql::lock(ctx, id).await?;
    sql::find_whole(ctx, id).await
}

/// Writes a changed schedule, and the event that tells of it.
async fn save(ctx: &mut Ctx, before: &Schedule, after: &mut Schedule) -> Result<()> {
    if before == after {
        return Ok(());
    }
    sql::update(ctx, after).await?;
    sql::load_rates(ctx, after).await?;
    let kind = "subscription_schedule.updated";
    outbox::push_update(ctx, kind, &before.wire(), &after.wire()).await
}

/// Puts down when the subscription of a schedule begins.
async fn put_down(ctx: &mut Ctx, schedule: &Schedule) -> Result<()> {
    let due = (schedule.status == Status::NotStarted).then(|| schedule.start());
    let (subject, clock) = (schedule.id.as_str(), schedule.test_clock.as_ref());
    let job = Job { kind: jobs::Kind::SubscriptionSchedule, subject, clock };
    jobs::schedule(ctx, job, due).await
}

/// A schedule that is held with its customer and its subscription.
struct Held {
    schedule: Schedule,
    customer: Customer,
    subscription: Option<Subscription>,
}

/// Holds a schedule whose id is in the path; time is its customer's from then on. Whoever holds more
/// than one holds the customer first, then the subscription.
async fn held(ctx: &mut Ctx, id: &str) -> Result<Held> {
    let seen = retrieve(ctx, id).await?;
    let customer = customers::locked_any(ctx, seen.customer.as_str()).await?;
    test_clocks::follow(ctx, &customer).await?;
    // Read again: it may have begun meanwhile.
    let seen = retrieve(ctx, id).await?;
    let subscription = match &seen.subscription {
        Some(subscription) => Some(subscriptions::held(ctx, subscription.as_str()).await?.0),
        None => None,
    };
    sql::lock(ctx, id).await?;
    let schedule = retrieve(ctx, id).await?;
    Ok(Held { schedule, customer, subscription })
}

/// Refuses what can only be done to a schedule that can still change something.
fn refuse_unless_live(schedule: &Schedule, verb: &str, done: &str) -> Result<()> {
    if schedule.is_live() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "You cannot {verb} a subscription schedule that is currently in the `{}` status. It must be \
         in `not_started, active` status to be {done}.",
        schedule.status.as_str()
    )))
}
