//! How a schedule ends: with its subscription, or leaving it to itself.

use taximeter_kernel::id::{Customer as CustomerKind, Id};

use super::{
    Cancel, EndBehavior, Held, Release, Schedule, Status, held, held_of, put_down,
    refuse_unless_live, sql,
};
use crate::ctx::Ctx;
use crate::error::Result;
use crate::outbox;
use crate::subscriptions::{self, Subscription};

/// Ends a schedule now, together with its subscription if that has begun: what was used is billed and
/// unused time given back, unless told otherwise.
///
/// # Errors
/// A 404 when there is none, a 400 when it has ended already.
pub async fn cancel(ctx: &mut Ctx, id: &str, input: Cancel) -> Result<Schedule> {
    let Held { schedule, subscription, .. } = held(ctx, id).await?;
    refuse_unless_live(&schedule, "cancel", "canceled")?;
    if let Some(subscription) = subscription.filter(|subscription| !subscription.has_ended()) {
        let how = subscriptions::Cancel {
            cancellation_details: None,
            invoice_now: Some(input.invoice_now.unwrap_or(true)),
            prorate: Some(input.prorate.unwrap_or(true)),
        };
        // The schedule ends with it.
        Box::pin(subscriptions::cancel(ctx, subscription.id.as_str(), how)).await?;
    } else {
        set_canceled(ctx, schedule, "subscription_schedule.canceled").await?;
    }
    super::retrieve(ctx, id).await
}

/// Ends every schedule of a customer whose subscription is still to begin. The caller holds the
/// customer.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn cancel_all_of_customer(
    ctx: &mut Ctx,
    customer: &Id<CustomerKind>,
) -> Result<()> {
    for id in sql::not_started(ctx, customer).await? {
        sql::lock(ctx, &id).await?;
        let found = sql::find_whole(ctx, &id).await?;
        if let Some(schedule) = found.filter(|found| found.status == Status::NotStarted) {
            set_canceled(ctx, schedule, "subscription_schedule.canceled").await?;
        }
    }
    Ok(())
}

async fn set_canceled(ctx: &mut Ctx, mut schedule: Schedule, kind: &'static str) -> Result<()> {
    schedule.status = Status::Canceled;
    schedule.canceled_at = Some(ctx.now);
    sql::update(ctx, &schedule).await?;
    put_down(ctx, &schedule).await?;
    outbox::push(ctx, kind, &schedule.wire()).await
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody asked for it.
    Asked,
    /// It was not paid.
    NotPaid,
    /// Its time was over.
    Over,
}

/// A subscription ended, and so does the schedule that changed it.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn subscription_ended(
    ctx: &mut Ctx,
    sub: &Subscription,
    why: Ended,
) -> Result<()> {
    let found = held_of(ctx, sub).await?;
    let Some(mut schedule) = found.filter(Schedule::is_live) else { return Ok(()) };
    let planned = schedule.outline.end_behavior == EndBehavior::Cancel
        && sub.ended_at.is_some_and(|at| at >= schedule.end());
    match why {
        Ended::NotPaid => set_canceled(ctx, schedule, "subscription_schedule.aborted").await,
        Ended::Over if planned => {
            schedule.status = Status::Completed;
            schedule.completed_at = sub.ended_at;
            sql::update(ctx, &schedule).await?;
            outbox::push(ctx, "subscription_schedule.completed", &schedule.wire()).await
        }
        Ended::Asked | Ended::Over => {
            set_canceled(ctx, schedule, "subscription_schedule.canceled").await
        }
    }
}

/// Has a schedule leave its subscription to itself, now.
///
/// # Errors
/// A 404 when there is none, a 400 when it has ended already.
pub async fn release(ctx: &mut Ctx, id: &str, input: Release) -> Result<Schedule> {
    let Held { schedule, mut customer, subscription } = held(ctx, id).await?;
    refuse_unless_live(&schedule, "release", "released")?;
    let Some(subscription) = subscription else { return set_released(ctx, schedule).await };
    let kept = input.preserve_cancel_date == Some(true);
    let set = schedule.ends_subscription();
    if kept || set.is_none() || subscription.cancel_at != set {
        let released = let_go(ctx, schedule, &subscription).await?;
        let subscription = subscriptions::retrieve(ctx, subscription.id.as_str()).await?;
        subscriptions::put_down(ctx, &subscription).await?;
        return Ok(released);
    }
    // The end that it had set goes with it, and what is behind that is charged.
    subscriptions::go_on_for_good(ctx, &mut customer, subscription).await?;
    set_released(ctx, schedule).await
}

/// Takes a schedule from its subscription, which is held and ends when it did.
pub(super) async fn let_go(
    ctx: &mut Ctx,
    schedule: Schedule,
    before: &Subscription,
) -> Result<Schedule> {
    let mut after = before.clone();
    after.terms.schedule = None;
    subscriptions::save(ctx, before, &after).await?;
    set_released(ctx, schedule).await
}

async fn set_released(ctx: &mut Ctx, mut schedule: Schedule) -> Result<Schedule> {
    schedule.status = Status::Released;
    schedule.released_at = Some(ctx.now);
    schedule.released_subscription = schedule.subscription.take();
    sql::update(ctx, &schedule).await?;
    put_down(ctx, &schedule).await?;
    outbox::push(ctx, "subscription_schedule.released", &schedule.wire()).await?;
    Ok(schedule)
}
