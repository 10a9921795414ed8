//! Correcting one recorded event: what is common to canceling, restoring and amending.
//!
//! The correction is in the usage engine before this transaction ends, so a crash may come between
//! the two. The request is then tried again: the engine finds nothing left to do, and the entry of
//! the audit trail is made of the intent that was committed before.

use serde_json::{Value, json};
use taximeter_kernel::time::{DAY_S, HOUR_S, Timestamp};
use taximeter_usage::{Action as EngineAction, Amendment, Corrected, Correction, Event, Standing};

use super::name::current;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_events::refused;
use crate::meters::Meter;
use crate::test_clocks;
use crate::usage_audit::{self, Action, Entry};

/// What is to be done to an event.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Stop counting it.
    Cancel,
    /// Count it again.
    Restore,
    /// Count something else in its place.
    Amend(Amendment),
}

impl Change {
    const fn action(&self) -> Action {
        match self {
            Self::Cancel => Action::Cancel,
            Self::Restore => Action::Restore,
            Self::Amend(_) => Action::Amend,
        }
    }

    /// As the middle of `A meter event can be ... for 24 hours after it was received`.
    const fn participle(&self) -> &'static str {
        match self {
            Self::Cancel => "canceled",
            Self::Restore => "restored",
            Self::Amend(_) => "amended",
        }
    }

    /// Whether there is something to do.
    fn changes(&self, event: &Event) -> Result<bool> {
        match (self, event.standing) {
            (Self::Cancel, Standing::Counts) | (Self::Restore, Standing::Cancelled) => Ok(true),
            (Self::Cancel | Self::Restore, _) => Ok(false),
            (Self::Amend(_), Standing::Cancelled) => {
                Err(Error::invalid("This meter event is canceled. Restore it before you amend it."))
            }
            (Self::Amend(new), Standing::Counts | Standing::Amended) => Ok(new.timestamp
                != event.timestamp
                || new.payload != event.payload
                || new.measure != event.measure
                || new.dimensions != event.dimensions),
        }
    }

    /// What the event is afterwards.
    fn after(&self, event: &Event) -> Value {
        let mut after = usage_audit::state_of(event);
        match self {
            Self::Cancel => after["status"] = "canceled".into(),
            Self::Restore => after["status"] = "counted".into(),
            Self::Amend(new) => {
                let payload = new.payload.iter().map(|(k, v)| (k.clone(), Value::from(v.clone())));
                after = json!({
                    "status": "counted",
                    "timestamp": new.timestamp.0,
                    "payload": payload.collect::<serde_json::Map<_, _>>(),
                });
            }
        }
        after
    }

    fn order(self) -> EngineAction {
        match self {
            Self::Cancel => EngineAction::Cancel,
            Self::Restore => EngineAction::Restore,
            Self::Amend(amendment) => EngineAction::Amend(Box::new(amendment)),
        }
    }
}

/// Corrects an event of `meter` and returns it as it is since. What is done already is left as it is.
///
/// # Errors
/// A 400 when the event was received too long ago, a 429 and a 503 as for new events.
pub(crate) async fn correct(
    ctx: &mut Ctx,
    meter: &Meter,
    event: &Event,
    change: Change,
    reason: Option<String>,
) -> Result<Event> {
    usage_audit::settle_event(ctx, &event.customer, &event.identifier).await?;
    // Read again: it is held now.
    let event = reread(ctx, event)?;
    if !change.changes(&event)? {
        return Ok(event);
    }
    let window_s = meter.adjustment_window_s;
    let by_clock = by_clock(ctx, &event).await?;
    let (received, now) = by_clock.unwrap_or((event.received, ctx.now));
    let too_old = || too_old(&event, received, &change, window_s);
    if now.0.saturating_sub(received.0) > window_s {
        return Err(too_old());
    }
    let after = change.after(&event);
    let entry = Entry::of_event(ctx, change.action(), &event, after, reason);
    usage_audit::intend(ctx, &entry).await?;
    ctx.checkpoint().await?;
    let order = Correction {
        scope: event.scope.clone(),
        event_name: event.event_name.clone(),
        identifier: event.identifier.clone(),
        customer: Some(event.customer.clone()),
        now: ctx.now,
        // The engine knows the world's time only.
        window_s: by_clock.is_none().then_some(window_s),
        action: change.clone().order(),
    };
    let outcome = ctx.usage().correct(vec![order]).await.map_err(refused)?;
    match outcome.first() {
        Some(Corrected::Done(_)) => usage_audit::confirm(ctx, &entry).await?,
        // Another request did it since.
        Some(Corrected::NothingToDo) => usage_audit::withdraw(ctx, &entry).await?,
        Some(Corrected::TooOld) => return Err(too_old()),
        Some(Corrected::TooManySeries) => return Err(too_many_series()),
        Some(Corrected::NotFound | Corrected::Ambiguous) | None => {
            return Err(Error::internal("the usage engine lost an event"));
        }
    }
    reread(ctx, &event)
}

/// When an event was received, and what time it is now, by the test clock of its customer: if it has
/// one, and that was noted.
async fn by_clock(ctx: &mut Ctx, event: &Event) -> Result<Option<(Timestamp, Timestamp)>> {
    let Some(clock) = test_clocks::of_customer(ctx, event.customer.as_str()).await? else {
        return Ok(None);
    };
    // An amended event stands where it was amended. Its first correction says where it came in.
    let first = usage_audit::first_position(ctx, &event.customer, &event.identifier).await?;
    let first = first.map_or(event.seq, |first| first.min(event.seq));
    let received = test_clocks::shown_at(ctx, &clock, first).await?;
    Ok(received.map(|received| (received, clock.frozen_time)))
}

fn reread(ctx: &Ctx, event: &Event) -> Result<Event> {
    current(ctx, event)?.ok_or_else(|| Error::internal("the usage engine lost an event"))
}

fn too_old(event: &Event, received: Timestamp, change: &Change, window_s: i64) -> Error {
    Error::invalid(format!(
        "A meter event can be {} for {} after it was received. '{}' was received at {}.",
        change.participle(),
        length(window_s),
        event.identifier,
        received.to_rfc3339(),
    ))
}

fn too_many_series() -> Error {
    let message = "The customer has too many combinations of dimension values for this meter.";
    Error::invalid(message).param("payload")
}

/// A length of time in words: 86400 is `24 hours`, as Stripe has it.
fn length(seconds: i64) -> String {
    let (count, unit) = match (seconds % DAY_S, seconds % HOUR_S) {
        (0, _) if seconds > 2 * DAY_S => (seconds / DAY_S, "day"),
        (_, 0) => (seconds / HOUR_S, "hour"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_in_the_largest_unit_that_fits() {
        for (seconds, words) in [
            (86_400, "24 hours"),
            (3_600, "1 hour"),
            (2 * 86_400, "48 hours"),
            (35 * 86_400, "35 days"),
            (7, "7 seconds"),
            (90_000, "25 hours"),
            (1, "1 second"),
        ] {
            assert_eq!(length(seconds), words);
        }
    }
}
