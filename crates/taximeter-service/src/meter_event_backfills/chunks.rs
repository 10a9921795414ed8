//! One chunk of each step: replacing, recording, removing, restoring.

use taximeter_kernel::id::{Customer, Id};
use taximeter_usage::{
    Action as EngineAction, Appended, Batch, Correction, Event, EventQuery, NewEvent, Order,
    Standing, TooLarge,
};

use super::apply::{CHUNK_EVENTS, note};
use super::sql::{self, Replaced, Staged};
use super::stage::{Measured, measured};
use super::{Backfill, Status, Step};
use crate::aside::aside;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_event_adjustments::of_identifier;
use crate::meter_events::{Member, refused};
use crate::meters::Meter;
use crate::usage_audit::Action;

/// How many bytes of payload go to the engine at once.
const BATCH_BYTES: usize = 4 * 1_024 * 1_024;

fn limit() -> i64 {
    i64::try_from(CHUNK_EVENTS).unwrap_or(i64::MAX)
}

/// Cancels the events that were chosen and chooses the next ones.
pub(super) async fn replace(ctx: &mut Ctx, backfill: &mut Backfill) -> Result<()> {
    let (done, chosen) = (backfill.done_position, backfill.chosen_position);
    if done < chosen {
        let events = sql::replaced_between(ctx, backfill, done, chosen, limit()).await?;
        correct(ctx, &events, EngineAction::Cancel).await?;
        backfill.done_position = chosen;
    }
    if chosen >= backfill.until_position {
        backfill.step = Some(Step::Record);
        backfill.done_position = 0;
        return Ok(());
    }
    let query = EventQuery {
        scope: ctx.scope().clone(),
        customer: backfill.customer.clone(),
        meter: Some(backfill.meter.clone()),
        period: Some(backfill.timeframe),
        order: Order::Oldest,
        after: Some(chosen).filter(|position| *position > 0),
        limit: CHUNK_EVENTS,
    };
    let page =
        aside(ctx.usage(), move |engine| engine.events(&query)).await?.map_err(Error::internal)?;
    for event in &page.events {
        if event.seq <= backfill.until_position && event.standing == Standing::Counts {
            sql::insert_replaced(ctx, backfill, event).await?;
            backfill.replaced = backfill.replaced.saturating_add(1);
        }
    }
    let until = backfill.until_position;
    backfill.chosen_position = page.next.map_or(until, |next| next.min(until));
    Ok(())
}

/// Cancels or restores replaced events, whenever they were received.
async fn correct(ctx: &Ctx, events: &[Replaced], action: EngineAction) -> Result<()> {
    let orders = events
        .iter()
        .map(|event| {
            let (name, identifier) = (&event.event_name, event.identifier.clone());
            order(ctx, name, identifier, &event.customer, action.clone())
        })
        .collect();
    ctx.usage().correct(orders).await.map_err(refused)?;
    Ok(())
}

fn order(
    ctx: &Ctx,
    event_name: &str,
    identifier: String,
    customer: &Id<Customer>,
    action: EngineAction,
) -> Correction {
    Correction {
        scope: ctx.scope().clone(),
        event_name: event_name.to_owned(),
        identifier,
        customer: Some(customer.clone()),
        now: ctx.now,
        window_s: None,
        action,
    }
}

/// Records the next events.
pub(super) async fn record(ctx: &mut Ctx, backfill: &mut Backfill, meter: &Meter) -> Result<()> {
    let events = sql::events_after(ctx, backfill, backfill.done_position, limit()).await?;
    let Some(last) = events.last() else {
        let before = backfill.state();
        backfill.status = Status::Applied;
        backfill.step = None;
        backfill.applied_at = Some(ctx.now);
        return note(ctx, backfill, Action::BackfillApply, before, None).await;
    };
    backfill.done_position = last.place;
    let mut pending: Vec<(&Staged, String)> = Vec::new();
    for event in &events {
        let identifier = event.identifier.clone();
        pending.push((event, identifier.unwrap_or_else(|| backfill.identifier_of(event.place))));
    }
    let mut recorded = 0_u64;
    // Twice, since an event may have to take another identifier.
    for _ in 0..2 {
        let mut renamed = Vec::new();
        for (event, identifier, outcome) in append(ctx, backfill, meter, pending).await? {
            match became(ctx, backfill, event, &identifier, outcome.as_ref())? {
                Became::Recorded => recorded = recorded.saturating_add(1),
                Became::Renamed(identifier) => renamed.push((event, identifier)),
                Became::Skipped => {}
            }
        }
        pending = renamed;
    }
    let all = u64::try_from(events.len()).map_err(Error::internal)?;
    backfill.recorded = backfill.recorded.saturating_add(recorded);
    backfill.skipped = backfill.skipped.saturating_add(all.saturating_sub(recorded));
    Ok(())
}

/// What became of an event of a backfill.
enum Became {
    /// It counts, since now or since an earlier attempt.
    Recorded,
    /// Its identifier is that of an event which it replaces: it needs this one.
    Renamed(String),
    /// It does not count.
    Skipped,
}

fn became(
    ctx: &Ctx,
    backfill: &Backfill,
    event: &Staged,
    identifier: &str,
    outcome: Option<&Appended>,
) -> Result<Became> {
    match outcome {
        Some(Appended::Recorded(_)) => Ok(Became::Recorded),
        Some(Appended::TooManySeries) | None => Ok(Became::Skipped),
        Some(Appended::Duplicate(_)) => {
            let there = of_identifier(ctx, Some(&event.customer), identifier)?;
            Ok(match there.first() {
                Some(there) if is_own(backfill, there) => Became::Recorded,
                // It was replaced, or canceled before that.
                Some(there)
                    if backfill.replace_existing && there.standing == Standing::Cancelled =>
                {
                    Became::Renamed(backfill.identifier_of(event.place))
                }
                _ => Became::Skipped,
            })
        }
        Some(Appended::Replayed(_) | Appended::RequestMismatch) => {
            Err(Error::internal("a backfill's event was taken for a request's"))
        }
    }
}

pub(super) fn is_own(backfill: &Backfill, event: &Event) -> bool {
    event.backfill.as_deref() == Some(backfill.id.as_str())
}

/// Whether the event lies where a backfill replaces what there is.
pub(super) fn is_in_the_way(backfill: &Backfill, event: &Event) -> bool {
    event.meter == backfill.meter
        && backfill.timeframe.contains(event.timestamp)
        && backfill.customer.as_ref().is_none_or(|only| *only == event.customer)
        && (backfill.status == Status::Open || event.seq <= backfill.until_position)
}

/// An event, the identifier it was tried under, and what the engine says; nothing when the event is
/// none that the meter could count any more.
type Outcome<'e> = (&'e Staged, String, Option<Appended>);

/// Hands events to the engine, as many at once as fit.
async fn append<'e>(
    ctx: &Ctx,
    backfill: &Backfill,
    meter: &Meter,
    events: Vec<(&'e Staged, String)>,
) -> Result<Vec<Outcome<'e>>> {
    let mut out = Vec::with_capacity(events.len());
    let mut waiting: Vec<(&'e Staged, String)> = Vec::new();
    let (mut batch, mut bytes) = (Batch::new(ctx.scope().clone(), ctx.now), 0_usize);
    for (event, identifier) in events {
        let members: Vec<Member<'_>> =
            event.payload.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect();
        // The meter may take fewer digits than it did when the event was staged.
        let Ok(measured) = measured(meter, &members) else {
            out.push((event, identifier, None));
            continue;
        };
        if put(&mut batch, backfill, meter, (event, &identifier), &members, &measured).is_err() {
            out.push((event, identifier, None));
            continue;
        }
        bytes = bytes.saturating_add(members.iter().map(|(k, v)| k.len() + v.len()).sum());
        waiting.push((event, identifier));
        if bytes >= BATCH_BYTES {
            let full = std::mem::replace(&mut batch, Batch::new(ctx.scope().clone(), ctx.now));
            flush(ctx, full, &mut waiting, &mut out).await?;
            bytes = 0;
        }
    }
    flush(ctx, batch, &mut waiting, &mut out).await?;
    Ok(out)
}

/// Puts an event of a backfill on a batch.
pub(super) fn put(
    batch: &mut Batch,
    backfill: &Backfill,
    meter: &Meter,
    (event, identifier): (&Staged, &str),
    payload: &[Member<'_>],
    measured: &Measured,
) -> std::result::Result<(), TooLarge> {
    let dimensions: Vec<&str> = measured.dimensions.iter().map(String::as_str).collect();
    batch.push(&NewEvent {
        meter: &meter.id,
        aggregation: meter.aggregation(),
        event_name: &meter.event_name,
        customer: &event.customer,
        identifier,
        timestamp: event.timestamp,
        measure: measured.measure,
        dimensions: &dimensions,
        payload,
        request: None,
        backfill: Some(backfill.id.as_str()),
    })
}

async fn flush<'e>(
    ctx: &Ctx,
    batch: Batch,
    waiting: &mut Vec<(&'e Staged, String)>,
    out: &mut Vec<Outcome<'e>>,
) -> Result<()> {
    let outcomes = ctx.usage().append(batch).await.map_err(refused)?;
    if outcomes.len() != waiting.len() {
        return Err(Error::internal("the usage engine did not answer for each event"));
    }
    let done = waiting.drain(..).zip(outcomes);
    out.extend(done.map(|((event, identifier), outcome)| (event, identifier, Some(outcome))));
    Ok(())
}

/// Cancels the next of the events that were recorded.
pub(super) async fn remove(ctx: &mut Ctx, backfill: &mut Backfill, meter: &Meter) -> Result<()> {
    let events = sql::events_after(ctx, backfill, backfill.done_position, limit()).await?;
    let Some(last) = events.last() else {
        backfill.step = Some(Step::Restore);
        backfill.done_position = 0;
        return Ok(());
    };
    backfill.done_position = last.place;
    let mut orders = Vec::with_capacity(events.len());
    for event in &events {
        // Under its own identifier stands perhaps an event that is not the backfill's.
        for identifier in
            event.identifier.iter().cloned().chain([backfill.identifier_of(event.place)])
        {
            let there = of_identifier(ctx, Some(&event.customer), &identifier)?;
            if there.first().is_some_and(|there| is_own(backfill, there)) {
                let name = &meter.event_name;
                orders.push(order(ctx, name, identifier, &event.customer, EngineAction::Cancel));
            }
        }
    }
    ctx.usage().correct(orders).await.map_err(refused)?;
    Ok(())
}

/// Restores the next of the events that were replaced.
pub(super) async fn restore(ctx: &mut Ctx, backfill: &mut Backfill) -> Result<()> {
    let (done, until) = (backfill.done_position, backfill.until_position);
    let events = sql::replaced_between(ctx, backfill, done, until, limit()).await?;
    let Some(last) = events.last() else {
        let before = backfill.state();
        backfill.status = Status::Reverted;
        backfill.step = None;
        backfill.reverted_at = Some(ctx.now);
        return note(ctx, backfill, Action::BackfillRevert, before, None).await;
    };
    correct(ctx, &events, EngineAction::Restore).await?;
    backfill.done_position = last.position;
    Ok(())
}
