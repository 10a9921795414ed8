//! Trying again what could not be counted.
//!
//! An event keeps the identifier it was given at its receipt, so it is counted once however often it
//! is tried and whatever crashes: the engine knows it by its name.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use taximeter_kernel::id::{Customer, Id, Kind as _, MeterEventError as ErrorKind};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Appended, Batch, NewEvent};

use super::{MeterEventError, Status, open, sql};
use crate::catalog::{Counting, Presence};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_events::{
    Clock, ErrorCode, EventError, Member, Payload, absent, check, meter_of, refused, too_large,
    when,
};
use crate::params::Text;
use crate::{customers, meters};

/// The most errors that one call replays.
pub const REPLAYED_MAX: usize = 1_000;

crate::params! {
    /// What of an event is corrected before it is tried again.
    pub struct Replay {
        /// The name of a meter's events.
        pub event_name: Option<Text<100>>,
        /// Its name among the customer's.
        pub identifier: Option<Text<100>>,
        /// The whole payload.
        pub payload: Option<Payload>,
        /// When it happened.
        pub timestamp: Option<Timestamp>,
    }
}

crate::params! {
    /// Which errors are replayed.
    pub struct ReplayAll {
        /// Only errors of this code.
        pub code: Option<ErrorCode>,
        /// Only errors of this customer's events.
        pub customer: Option<Text<255>>,
        /// Only errors of events of this name.
        pub event_name: Option<Text<100>>,
        /// Only errors after this one: the `last` of the call before.
        pub starting_after: Option<Text<255>>,
    }
}

/// An event on its second way in.
struct Attempt {
    event_name: String,
    identifier: String,
    /// Nothing when it did not say: it then happened when it came in, by the customer's time.
    timestamp: Option<Timestamp>,
    payload: Vec<Member<'static>>,
    received: Timestamp,
    clock_time: Option<Timestamp>,
}

impl Attempt {
    fn of(error: &MeterEventError) -> Self {
        let came_in = error.clock_time.unwrap_or(error.received);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            event_name: error.event_name.clone(),
            identifier: error.identifier.clone(),
            timestamp: (error.timestamp != came_in).then_some(error.timestamp),
            payload: error
                .payload
                .iter()
                .map(|(key, value)| (key.clone().into(), text(value).into()))
                .collect(),
            received: error.received,
            clock_time: error.clock_time,
        }
    }

    fn corrected(mut self, by: Replay) -> Self {
        if let Some(event_name) = by.event_name {
            self.event_name = event_name.into();
        }
        if let Some(identifier) = by.identifier {
            self.identifier = identifier.into();
        }
        if let Some(payload) = by.payload {
            self.payload = payload.0;
        }
        self.timestamp = by.timestamp.or(self.timestamp);
        self
    }

    /// What its timestamp is held against: the time of its customer.
    fn clock(&self, presence: Presence, world: Timestamp) -> Clock {
        match presence {
            Presence::ByClock(now) => {
                Clock { received: self.clock_time.unwrap_or(now).min(now), now }
            }
            Presence::Here | Presence::InOtherMode | Presence::Nowhere => {
                Clock { received: self.received, now: world }
            }
        }
    }
}

/// Tries one event again, corrected if need be. How late it is counts from when it first came in, so
/// that a correction days later still counts.
///
/// # Errors
/// A 404 when there is none; a 400 when it is not open, and when it still cannot be counted: it then
/// stays as it was.
pub async fn replay(ctx: &mut Ctx, id: &str, input: Replay) -> Result<MeterEventError> {
    let mut error = open(ctx, id).await?;
    let attempt = Attempt::of(&error).corrected(input);
    let outcome = attempt_all(ctx, &[attempt]).await?.pop();
    let seq = outcome.ok_or_else(|| Error::internal("the usage engine answered nothing"))??;
    succeed(ctx, &mut error, seq).await?;
    sql::count_down(ctx, 1).await?;
    Ok(error)
}

/// Tries the open errors of a filter again, oldest first, at most [`REPLAYED_MAX`] of them. What
/// still cannot be counted stays open, with the reason that it has now.
///
/// # Errors
/// A 400 when the cursor names nothing, a 429 when more comes in than can be written.
pub async fn replay_all(ctx: &mut Ctx, input: ReplayAll) -> Result<Value> {
    let after = match input.starting_after.as_deref() {
        None => None,
        Some(id) => match sql::seq_of(ctx, id).await? {
            None => return Err(ctx.no_such(ErrorKind::NOUN, id, "starting_after").await?),
            found => found,
        },
    };
    let filter = (input.code, input.customer.as_deref(), input.event_name.as_deref());
    let mut errors = sql::open_for_update(ctx, filter, after, REPLAYED_MAX + 1).await?;
    let has_more = errors.len() > REPLAYED_MAX;
    errors.truncate(REPLAYED_MAX);
    let attempts: Vec<Attempt> = errors.iter().map(Attempt::of).collect();
    let outcomes = attempt_all(ctx, &attempts).await?;
    let (mut succeeded, mut failed) = (0, 0);
    for (error, outcome) in errors.iter_mut().zip(outcomes) {
        match outcome {
            Ok(seq) => {
                succeed(ctx, error, seq).await?;
                succeeded += 1;
            }
            Err(reason) => {
                failed += 1;
                if (reason.code, &reason.message) != (error.code, &error.message) {
                    (error.code, error.message) = (reason.code, reason.message);
                    sql::resolve(ctx, error).await?;
                }
            }
        }
    }
    sql::count_down(ctx, succeeded).await?;
    Ok(json!({
        "object": "billing.meter_event_error_replay",
        "failed": failed,
        "has_more": has_more,
        "last": errors.last().map(|error| error.id.as_str()),
        "livemode": ctx.scope().mode.is_live(),
        "succeeded": succeeded,
    }))
}

async fn succeed(ctx: &mut Ctx, error: &mut MeterEventError, seq: u64) -> Result<()> {
    error.status = Status::Replayed;
    error.resolved_at = Some(ctx.now);
    error.event_seq = Some(i64::try_from(seq).map_err(Error::internal)?);
    sql::resolve(ctx, error).await
}

/// Where each event is counted, or why it is not.
async fn attempt_all(ctx: &mut Ctx, attempts: &[Attempt]) -> Result<Vec<Result<u64, EventError>>> {
    let mut countings: BTreeMap<&str, Counting> = BTreeMap::new();
    let mut batch = Batch::new(ctx.scope().clone(), ctx.now);
    let mut outcomes = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        let counting = match countings.get(attempt.event_name.as_str()) {
            Some(known) => known.clone(),
            None => {
                let read = meters::counting(ctx, &attempt.event_name).await?;
                countings.insert(&attempt.event_name, read.clone());
                read
            }
        };
        outcomes.push(push(ctx, attempt, counting, &mut batch).await?.map(|()| 0));
    }
    if batch.is_empty() {
        return Ok(outcomes);
    }
    let appended = ctx.usage().append(batch).await.map_err(refused)?;
    let pushed = outcomes.iter_mut().filter(|outcome| outcome.is_ok());
    for (outcome, appended) in pushed.zip(appended) {
        *outcome = match appended {
            // The customer has it already: from an attempt whose answer was lost, or sent again.
            Appended::Recorded(seq) | Appended::Duplicate(seq) => Ok(seq),
            Appended::Replayed(event) => Ok(event.seq),
            Appended::TooManySeries => Err(EventError::too_many_series()),
            Appended::RequestMismatch => {
                return Err(Error::internal("an event without a request has a mismatch"));
            }
        };
    }
    Ok(outcomes)
}

async fn push(
    ctx: &mut Ctx,
    attempt: &Attempt,
    counting: Counting,
    batch: &mut Batch,
) -> Result<Result<(), EventError>> {
    let meter = match meter_of(counting, &attempt.event_name) {
        Ok(meter) => meter,
        Err(error) => return Ok(Err(error)),
    };
    let mut dimensions = Vec::new();
    let checked = match check(&meter, &attempt.payload, &mut dimensions) {
        Ok(checked) => checked,
        Err(error) => return Ok(Err(error)),
    };
    let id = Id::<Customer>::parse(checked.customer).ok();
    let presence = match id {
        Some(_) => customers::presence(ctx, checked.customer).await?,
        None => Presence::Nowhere,
    };
    let timestamp = match when(&meter, attempt.timestamp, attempt.clock(presence, ctx.now)) {
        Ok(timestamp) => timestamp,
        Err(error) => return Ok(Err(error)),
    };
    let Some((customer, _)) = id.zip(presence.time(ctx.now)) else {
        return Ok(Err(absent(&ctx.caller, &meter, checked.customer, presence)));
    };
    let new = NewEvent {
        meter: &meter.id,
        aggregation: meter.aggregation(),
        event_name: &attempt.event_name,
        customer: &customer,
        identifier: &attempt.identifier,
        timestamp,
        measure: checked.measure,
        dimensions: &dimensions,
        payload: &attempt.payload,
        request: None,
        backfill: None,
    };
    batch.push(&new).map_err(|_| too_large())?;
    Ok(Ok(()))
}
