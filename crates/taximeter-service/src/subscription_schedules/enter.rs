//! How phases begin: what each makes of its subscription.

use taximeter_kernel::id::{Kind as _, SubscriptionSchedule};
use taximeter_kernel::time::Timestamp;

use super::end::let_go;
use super::terms::Terms;
use super::{Schedule, Status, held_of, put_down, save, sql};
use crate::ctx::{Agreed, Ctx};
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::subscriptions::{self, Subscription};
use crate::{jobs, outbox};

/// What a phase makes of a subscription.
pub(crate) struct Entry {
    /// The change.
    pub(crate) update: subscriptions::Update,
    /// Whether the customer's own discount is not inherited, if that changes.
    pub(crate) own_discounts_only: Option<bool>,
}

/// Begins the subscription of a schedule, if that is due: at the instant at which it was.
///
/// # Errors
/// A 500 when the database cannot be used.
pub async fn start(ctx: &mut Ctx, id: &str) -> Result<()> {
    let kind = jobs::Kind::SubscriptionSchedule;
    let Some(seen) = sql::find(ctx, id).await? else {
        return jobs::take(ctx, kind, id).await.map(drop);
    };
    let customer = customers::locked_any(ctx, seen.customer.as_str()).await?;
    sql::lock(ctx, id).await?;
    if !jobs::take(ctx, kind, id).await? {
        return Ok(());
    }
    let Some(before) = sql::find_whole(ctx, id).await? else { return Ok(()) };
    if before.status != Status::NotStarted {
        return Ok(());
    }
    if before.start() > ctx.now {
        return put_down(ctx, &before).await;
    }
    let world = std::mem::replace(&mut ctx.now, before.start());
    let begun = begin(ctx, before.clone(), &customer).await;
    ctx.now = world;
    let after = begun?;
    let kind = "subscription_schedule.updated";
    outbox::push_update(ctx, kind, &before.wire(), &after.wire()).await?;
    settle(ctx, &after).await
}

/// A schedule whose id came as a parameter.
///
/// # Errors
/// A 400 when there is none.
pub(crate) async fn named(ctx: &mut Ctx, id: &str, param: &str) -> Result<Schedule> {
    match sql::find_whole(ctx, id).await? {
        Some(schedule) => Ok(schedule),
        None => Err(ctx.no_such(SubscriptionSchedule::NOUN, id, param).await?),
    }
}

/// The subscription that a schedule has, or will have: one that is still to begin begins ahead of its
/// time, to be looked at and undone.
///
/// # Errors
/// A 400 when it has let its subscription go, or begins against the rules.
pub(crate) async fn begun_ahead(
    ctx: &mut Ctx,
    schedule: Schedule,
    customer: &Customer,
) -> Result<Subscription> {
    let schedule = match schedule.status {
        Status::NotStarted => {
            let world = std::mem::replace(&mut ctx.now, schedule.start());
            let by_time = std::mem::replace(&mut ctx.caller.by_time, true);
            let begun = begin(ctx, schedule, customer).await;
            (ctx.now, ctx.caller.by_time) = (world, by_time);
            begun?
        }
        _ => schedule,
    };
    let Some(id) = &schedule.subscription else {
        let message = "You can only preview a schedule with a subscription: this one has none.";
        return Err(Error::invalid(message).param("schedule"));
    };
    subscriptions::retrieve(ctx, id.as_str()).await
}

/// Makes the subscription of a schedule that is kept already, with its first phase.
pub(super) async fn begin(
    ctx: &mut Ctx,
    mut schedule: Schedule,
    customer: &Customer,
) -> Result<Schedule> {
    let Some(phase) = schedule.outline.phases.first().cloned() else {
        return Err(Error::internal("a schedule has no phases"));
    };
    let agreed = ctx.agree(Agreed::All);
    let terms = Terms { schedule: &schedule, phase: &phase, was: None, customer };
    let begun = terms.begin(ctx).await;
    ctx.agree(agreed);
    schedule.subscription = Some(begun?.id);
    schedule.status = Status::Active;
    schedule.outline.entered = Some(phase.start);
    sql::update(ctx, &schedule).await?;
    put_down(ctx, &schedule).await?;
    Ok(schedule)
}

/// Does what is due already of a schedule that began or changed, and puts down what comes next.
pub(super) async fn settle(ctx: &mut Ctx, schedule: &Schedule) -> Result<()> {
    match &schedule.subscription {
        Some(id) => Box::pin(subscriptions::go_on(ctx, id.as_str())).await,
        None => put_down(ctx, schedule).await,
    }
}

/// Takes the schedule of a subscription, which is held, past an instant: to its next phase, which is
/// to be made of the subscription, or over its end.
///
/// # Errors
/// A 500 when the database cannot be used.
pub(crate) async fn pass(
    ctx: &mut Ctx,
    sub: &Subscription,
    customer: &Customer,
    at: Timestamp,
) -> Result<Option<Entry>> {
    let Some(before) = held_of(ctx, sub).await? else { return Ok(None) };
    let Some(phase) = before.following().filter(|phase| phase.start <= at.0).cloned() else {
        let_go(ctx, before, sub).await?;
        return Ok(None);
    };
    let mut after = before.clone();
    after.outline.entered = Some(phase.start);
    save(ctx, &before, &mut after).await?;
    let terms = Terms { schedule: &after, phase: &phase, was: None, customer };
    let update = terms.update(ctx, sub).await?;
    Ok(Some(Entry { update, own_discounts_only: Some(phase.empty.discounts) }))
}

/// Takes the schedule of a subscription, which is held, from it: its next phase cannot begin. The end
/// that it has set stays, since nobody asked for more.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn give_up(ctx: &mut Ctx, sub: &Subscription) -> Result<()> {
    let Some(schedule) = held_of(ctx, sub).await? else { return Ok(()) };
    let_go(ctx, schedule, sub).await?;
    Ok(())
}

/// Tells that the end of a subscription's schedule is near.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn tell_expiring(ctx: &mut Ctx, sub: &Subscription) -> Result<()> {
    let Some(mut schedule) = held_of(ctx, sub).await? else { return Ok(()) };
    schedule.outline.told_expiring = Some(schedule.end().0);
    sql::update(ctx, &schedule).await?;
    outbox::push(ctx, "subscription_schedule.expiring", &schedule.wire()).await
}

/// Notes on the schedule of a subscription which rules that is billed by from now on.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn follow_mode(ctx: &mut Ctx, sub: &Subscription) -> Result<()> {
    let Some(before) = held_of(ctx, sub).await? else { return Ok(()) };
    let mut after = before.clone();
    after.outline.billing_mode = sub.billing_mode;
    after.outline.proration_discounts = sub.proration_discounts;
    save(ctx, &before, &mut after).await
}
