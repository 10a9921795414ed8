//! One event at a time.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use taximeter_kernel::id::{Id, Meter};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{
    AppendError, Appended, Batch, Event, NewEvent, REQUEST_KEY_KEPT_S, RequestKey,
};

use super::check::{Clock, EventError, check, when};
use super::identifier::Names;
use super::lookup;
use super::params::Member;
use super::plain::Plain;
use crate::ctx::{Caller, Services};
use crate::error::{Error, Kind, Result};
use crate::idempotency::{self, Fingerprint};
use crate::meter_errors::{self, Letter};

/// An event that was taken in.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// When the server took it in.
    pub created: Timestamp,
    /// The name of a meter's events.
    pub event_name: Cow<'a, str>,
    /// Its name among the customer's.
    pub identifier: Cow<'a, str>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// The payload as sent.
    pub payload: Vec<Member<'a>>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Whether an earlier attempt of the same request brought it.
    pub replayed: bool,
}

/// Takes in one event: when this returns, it is durable, counted, and in the next read. Only one of
/// a customer that does not exist is not counted, as Stripe has it: it is kept among the errors.
///
/// # Errors
/// A 400 that names what is wrong with the event, a 429 when more comes in than can be written.
pub async fn record<'a>(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    request: Option<RequestKey>,
    input: Plain<'a>,
) -> Result<Recorded<'a>> {
    let (made_up, timestamp) = (input.identifier.is_none(), input.timestamp);
    let mut taken = taken(services, caller, now, request, input);
    let meter = lookup::meter(services, caller, now, &taken.event_name).await?;
    let payload = std::mem::take(&mut taken.payload);
    let mut dimensions = Vec::new();
    let checked = check(&meter, &payload, &mut dimensions)?;
    let named = checked.customer;
    let (found, time) = lookup::customer(services, caller, now, &meter, named).await?;
    taken.timestamp = when(&meter, timestamp, Clock::at(time))?;
    let customer = match found {
        Ok(customer) => customer,
        Err(unknown) => {
            let about = (&meter.id, named, unknown);
            let first = set_aside(services, caller, &taken, (request, &payload), about).await?;
            (taken.created, taken.replayed) = (first.unwrap_or(now), first.is_some());
            return Ok(Recorded { payload, ..taken });
        }
    };
    let append = async |identifier: &str| {
        let new = NewEvent {
            meter: &meter.id,
            aggregation: meter.aggregation(),
            event_name: &taken.event_name,
            customer: &customer,
            identifier,
            timestamp: taken.timestamp,
            measure: checked.measure,
            dimensions: &dimensions,
            payload: &payload,
            request,
            backfill: None,
        };
        let mut batch = Batch::with_room(caller.scope.clone(), now, 1);
        batch.push(&new).map_err(|_| too_large())?;
        let outcome = services.usage.append(batch).await.map_err(refused)?.pop();
        outcome.ok_or_else(|| Error::internal("the usage engine answered nothing"))
    };
    let mut outcome = append(&taken.identifier).await?;
    if let (Appended::Duplicate(seq), true) = (&outcome, made_up) {
        outcome = match earlier_attempt(services, now, *seq)? {
            Some(event) => Appended::Replayed(Box::new(event)),
            // The key was used so long ago that it names another event now.
            None => {
                let identifier = Names::random((services.entropy)()).at(0);
                let outcome = append(identifier.as_str()).await?;
                taken.identifier = Cow::Owned(identifier.as_str().to_owned());
                outcome
            }
        };
    }
    match outcome {
        Appended::Recorded(_) => Ok(Recorded { payload, ..taken }),
        Appended::Replayed(event) => {
            // What the first attempt was answered; the parameters are the same.
            let (created, timestamp) = (event.received, event.timestamp);
            let identifier = Cow::Owned(event.identifier);
            Ok(Recorded { created, timestamp, identifier, payload, replayed: true, ..taken })
        }
        Appended::RequestMismatch => {
            Err(idempotency::mismatch(caller.idempotency_key.as_deref().unwrap_or("")))
        }
        Appended::Duplicate(_) => Err(duplicate(&taken.identifier)),
        Appended::TooManySeries => Err(EventError::too_many_series().into()),
    }
}

/// The event as it is answered for, if all is well.
fn taken<'a>(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    request: Option<RequestKey>,
    input: Plain<'a>,
) -> Recorded<'a> {
    let identifier = input.identifier.unwrap_or_else(|| {
        let names = request.map_or_else(|| Names::random((services.entropy)()), Names::of);
        Cow::Owned(names.at(0).as_str().to_owned())
    });
    Recorded {
        created: now,
        event_name: input.event_name,
        identifier,
        livemode: caller.scope.mode.is_live(),
        payload: input.payload,
        timestamp: now,
        replayed: false,
    }
}

/// The event that has a made up name already, if an attempt of the same request brought it: it was
/// kept as an error then, and has been replayed since.
fn earlier_attempt(services: &Services, now: Timestamp, seq: u64) -> Result<Option<Event>> {
    let event = services.usage.event_at(seq).map_err(Error::internal)?;
    Ok(event.filter(|event| now.0.saturating_sub(event.received.0) < REQUEST_KEY_KEPT_S))
}

/// Keeps an event of an unknown customer. When an earlier attempt of the request brought it, the
/// time of that is returned.
async fn set_aside(
    services: &Services,
    caller: &Caller,
    taken: &Recorded<'_>,
    (request, payload): (Option<RequestKey>, &[Member<'_>]),
    (meter, customer, error): (&Id<Meter>, &str, EventError),
) -> Result<Option<Timestamp>> {
    let letter = Letter {
        event_name: &taken.event_name,
        identifier: &taken.identifier,
        timestamp: Some(taken.timestamp),
        payload,
        meter: Some(meter),
        customer: Some(customer),
        error,
        request,
    };
    meter_errors::keep_one(services, caller, taken.created, letter).await
}

/// The error of a name that is taken: clients look for these words.
pub(super) fn duplicate(identifier: &str) -> Error {
    Error::invalid(format!("An event already exists with identifier {identifier}."))
        .v2_code("duplicate_meter_event")
}

pub(crate) fn too_large() -> Error {
    Error::invalid("The event is too large.")
}

/// What keeps the engine from taking events, as a client should see it.
pub(crate) fn refused(error: AppendError) -> Error {
    match error {
        AppendError::Full => Error::new(
            Kind::RateLimit,
            "Events are coming in faster than they can be written. Try again in a moment.",
        )
        .code("rate_limit"),
        AppendError::TooLarge => too_large(),
        other => {
            Error::new(Kind::Unavailable, "Usage cannot be recorded at the moment.").because(other)
        }
    }
}

/// What names a request of one event.
#[must_use]
pub fn request_key(key: &str, fingerprint: &Fingerprint) -> RequestKey {
    let mut params = [0; 8];
    params.copy_from_slice(&fingerprint.0[..8]);
    RequestKey { key: hash_of(key), fingerprint: u64::from_be_bytes(params) }
}

/// The hash of a client's idempotency key.
pub(super) fn hash_of(key: &str) -> u128 {
    let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    u128::from_be_bytes(half)
}
