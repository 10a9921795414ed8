//! Ours: an event is canceled, restored and amended at its own address.

use serde_json::Value;
use taximeter_kernel::id::{Customer, Id};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Amendment, Event};

use super::REASON_CHARS_MAX;
use super::correct::{Change, correct};
use super::name::named_in_path;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_events::{self, Clock, Payload};
use crate::meters::{self, Meter};
use crate::params::Text;
use crate::test_clocks;

crate::params! {
    /// Canceling an event.
    pub struct Cancel {
        /// Whose event, where several customers have one with the identifier.
        pub customer: Option<Id<Customer>>,
        /// Why, for the audit trail.
        pub reason: Option<Text<REASON_CHARS_MAX>>,
    }
}

crate::params! {
    /// Counting a canceled event again.
    pub struct Restore {
        /// Whose event, where several customers have one with the identifier.
        pub customer: Option<Id<Customer>>,
        /// Why, for the audit trail.
        pub reason: Option<Text<REASON_CHARS_MAX>>,
    }
}

crate::params! {
    /// What an event should have said.
    pub struct Amend {
        /// Whose event, where several customers have one with the identifier.
        pub customer: Option<Id<Customer>>,
        /// The whole payload. Its customer stays the same.
        pub payload: Option<Payload>,
        /// Why, for the audit trail.
        pub reason: Option<Text<REASON_CHARS_MAX>>,
        /// When it happened.
        pub timestamp: Option<Timestamp>,
    }
}

/// Stops counting an event. Its identifier stays taken. Canceling it again is no error.
///
/// # Errors
/// A 404 when there is no such event, a 400 when it was received too long ago.
pub async fn cancel(ctx: &mut Ctx, id: &str, input: Cancel) -> Result<Value> {
    let event = named_in_path(ctx, id, input.customer.as_ref())?;
    done(ctx, &event, Change::Cancel, input.reason).await
}

/// Counts a canceled event again. Restoring one that counts is no error.
///
/// # Errors
/// As [`cancel`].
pub async fn restore(ctx: &mut Ctx, id: &str, input: Restore) -> Result<Value> {
    let event = named_in_path(ctx, id, input.customer.as_ref())?;
    done(ctx, &event, Change::Restore, input.reason).await
}

/// Counts another version in the place of an event.
///
/// # Errors
/// As [`cancel`], and a 400 when the new version is none that the meter could count, or of another
/// customer.
pub async fn amend(ctx: &mut Ctx, id: &str, input: Amend) -> Result<Value> {
    let event = named_in_path(ctx, id, input.customer.as_ref())?;
    let meter = meter_of(ctx, &event).await?;
    let now = test_clocks::time_of(ctx, &event.customer).await?;
    let change = amendment(now, &meter, &event, input.payload, input.timestamp)?;
    let event = correct(ctx, &meter, &event, change, input.reason.map(Into::into)).await?;
    Ok(meter_events::shown(&event, &meter))
}

async fn done(
    ctx: &mut Ctx,
    event: &Event,
    change: Change,
    reason: Option<Text<REASON_CHARS_MAX>>,
) -> Result<Value> {
    let meter = meter_of(ctx, event).await?;
    let event = correct(ctx, &meter, event, change, reason.map(Into::into)).await?;
    Ok(meter_events::shown(&event, &meter))
}

async fn meter_of(ctx: &mut Ctx, event: &Event) -> Result<Meter> {
    meters::named(ctx, event.meter.as_str(), "id").await
}

/// The new version, checked as a new event of the meter would be. A timestamp that stays need not be
/// within the meter's window of lateness.
fn amendment(
    now: Timestamp,
    meter: &Meter,
    event: &Event,
    payload: Option<Payload>,
    timestamp: Option<Timestamp>,
) -> Result<Change> {
    if payload.is_none() && timestamp.is_none() {
        return Err(Error::missing("payload"));
    }
    let kept = || event.payload.iter().map(|(k, v)| (k.clone().into(), v.clone().into()));
    let members = payload.map_or_else(|| kept().collect(), |payload| payload.0);
    let moved = timestamp.filter(|at| *at != event.timestamp);
    let mut dimensions = Vec::new();
    let checked = meter_events::check(meter, &members, &mut dimensions)?;
    if moved.is_some() {
        meter_events::when(meter, moved, Clock::at(now))?;
    }
    if checked.customer != event.customer.as_str() {
        let key = &meter.customer_key;
        return Err(Error::invalid(format!(
            "Invalid payload: the customer of a meter event cannot change; it is {}.",
            event.customer
        ))
        .param(format!("payload[{key}]")));
    }
    let (measure, dimensions) =
        (checked.measure, dimensions.into_iter().map(str::to_owned).collect());
    Ok(Change::Amend(Amendment {
        timestamp: moved.unwrap_or(event.timestamp),
        measure,
        dimensions,
        payload: members.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
    }))
}
