//! Many events at a time: the stream and batches.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};
use taximeter_kernel::id::{Customer, Id, MeterEventError};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Appended, Batch, NewEvent, RequestKey};

use super::check::{Checked, Clock, EventError, check, customer_of, when};
use super::events::{Events, RawEvent};
use super::identifier::Names;
use super::lookup::{self, Found, meter_of};
use super::record::{hash_of, refused, too_large};
use crate::catalog::{Counting, Presence};
use crate::ctx::{Caller, Services};
use crate::error::{Error, Result};
use crate::idempotency;
use crate::meter_errors::{self, Letter};
use crate::meters::Meter;

/// Keeps the request keys of neighbouring places apart.
const PLACE_STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// When a client learns what is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// In the answer: nothing is kept of the event.
    Told,
    /// Later: the event is kept among the errors.
    Kept,
}

/// What became of one event.
#[derive(Debug)]
pub enum Outcome {
    /// It is durable, counted, and in the next read.
    Recorded(u64),
    /// The customer has an event of this identifier; nothing was added.
    Duplicate(u64),
    /// An earlier attempt of the request recorded it, under this identifier.
    Replayed(u64, String),
    /// The idempotency key was used before with other parameters; nothing was added.
    Mismatch,
    /// It is not counted, and kept under this id if it is kept.
    Rejected(EventError, Option<Id<MeterEventError>>),
}

/// What became of the events of one request.
#[derive(Debug)]
pub struct Outcomes {
    list: Vec<Outcome>,
    names: Names,
}

/// How many events came to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Recorded now.
    pub recorded: usize,
    /// Recorded before: duplicates, and what a retry brought again.
    pub duplicates: usize,
    /// Not counted.
    pub rejected: usize,
}

impl Outcomes {
    /// How many events came to what.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for outcome in &self.list {
            match outcome {
                Outcome::Recorded(_) => counts.recorded += 1,
                Outcome::Duplicate(_) | Outcome::Replayed(..) => counts.duplicates += 1,
                Outcome::Mismatch | Outcome::Rejected(..) => counts.rejected += 1,
            }
        }
        counts
    }

    /// Whether an earlier attempt of the request recorded all of it.
    #[must_use]
    pub fn all_replayed(&self) -> bool {
        let mut list = self.list.iter();
        !self.list.is_empty() && list.all(|outcome| matches!(outcome, Outcome::Replayed(..)))
    }

    /// Each event's outcome, in the order in which they were sent.
    #[must_use]
    pub fn wire(&self, events: &Events<'_>) -> Value {
        let each = events.list.iter().zip(&self.list).enumerate();
        each.map(|(place, (event, outcome))| self.one(place, event, outcome)).collect()
    }

    fn one(&self, place: usize, event: &RawEvent<'_>, outcome: &Outcome) -> Value {
        let identifier = match (outcome, &event.identifier) {
            (Outcome::Replayed(_, identifier), _) => identifier.clone(),
            (_, Some(identifier)) => identifier.clone().into_owned(),
            (_, None) => self.names.at(place).as_str().to_owned(),
        };
        let done = |status: &str, seq: u64| json!({ "id": format!("mevt_{seq}"), "identifier": identifier, "status": status });
        match outcome {
            Outcome::Recorded(seq) => done("recorded", *seq),
            Outcome::Duplicate(seq) => done("duplicate", *seq),
            Outcome::Replayed(seq, _) => done("replayed", *seq),
            Outcome::Mismatch => json!({
                "id": null,
                "code": "idempotency_error",
                "identifier": identifier,
                "message": "The idempotency key was first used with other parameters.",
                "status": "error",
            }),
            Outcome::Rejected(error, kept) => json!({
                "id": kept.as_ref().map(Id::as_str),
                "code": error.code.word(),
                "identifier": identifier,
                "message": error.message,
                "status": "error",
            }),
        }
    }
}

/// An event that its meter would count, if its customer exists.
struct Ready<'e> {
    meter: usize,
    checked: Checked<'e>,
    dimensions: Range<usize>,
}

/// An event that is not counted, and what is known of it.
struct Fault<'e> {
    meter: Option<usize>,
    customer: Option<&'e str>,
    error: EventError,
}

/// What each event of a request is found to be, before anything is done.
struct Looked<'e> {
    meters: Vec<Arc<Meter>>,
    dimensions: Vec<&'e str>,
    events: Vec<Result<Ready<'e>, Fault<'e>>>,
}

/// Takes in the events of one request: when this returns, what is recorded is durable, counted, and
/// in the next read, and what is kept among the errors is durable there.
///
/// `fingerprint` is the hash of the request's parameters.
///
/// # Errors
/// A 429 when more comes in than can be written or kept, a 400 when an event is too large for any
/// log. Nothing was done then.
pub async fn record_many(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    events: &Events<'_>,
    (fingerprint, validation): (u64, Validation),
) -> Result<Outcomes> {
    let key = caller.idempotency_key.as_deref();
    let request = key.map(|key| RequestKey { key: hash_of(key), fingerprint });
    let names = request.map_or_else(|| Names::random((services.entropy)()), Names::of);
    let intake = Take { services, caller, now, events, request, names, validation };
    let mut looked = intake.look().await?;
    let batch = intake.encode(&mut looked).await?;
    let rejected = looked.events.iter().filter(|event| event.is_err()).count();
    if rejected > 0 && validation == Validation::Kept {
        meter_errors::has_room(services, caller, rejected).await?;
    }
    let appended = match batch.is_empty() {
        true => Vec::new(),
        false => services.usage.append(batch).await.map_err(refused)?,
    };
    let outcomes = intake.outcomes(looked, appended).await?;
    // A request whose key was used for another one did nothing: then it is answered so.
    let all = |outcome: &Outcome| matches!(outcome, Outcome::Mismatch);
    if !outcomes.is_empty() && outcomes.iter().all(all) {
        return Err(idempotency::mismatch(key.unwrap_or("")));
    }
    Ok(Outcomes { list: outcomes, names })
}

/// One request on its way in.
struct Take<'r, 'e> {
    services: &'r Services,
    caller: &'r Caller,
    now: Timestamp,
    events: &'e Events<'e>,
    request: Option<RequestKey>,
    names: Names,
    validation: Validation,
}

impl<'e> Take<'_, 'e> {
    /// Holds each event against the meter of its name, which is looked up once.
    async fn look(&self) -> Result<Looked<'e>> {
        let events = self.events;
        let mut meters: Vec<Arc<Meter>> = Vec::new();
        let mut known: BTreeMap<&str, Result<usize, Counting>> = BTreeMap::new();
        let mut looked = Vec::with_capacity(events.len());
        let mut dimensions = Vec::new();
        let mut last: Option<(&str, usize)> = None;
        for event in &events.list {
            let name = event.event_name.as_ref();
            // Neighbours often have the same name.
            let same = last.filter(|(before, _)| *before == name).map(|(_, meter)| Ok(meter));
            let meter = match same.or_else(|| known.get(name).cloned()) {
                Some(meter) => meter,
                None => {
                    let (services, caller) = (self.services, self.caller);
                    let found = match lookup::counting(services, caller, self.now, name).await? {
                        Counting::By(meter) => {
                            meters.push(meter);
                            Ok(meters.len() - 1)
                        }
                        none => Err(none),
                    };
                    known.insert(name, found.clone());
                    found
                }
            };
            looked.push(match meter {
                Ok(at) => {
                    last = Some((name, at));
                    self.check(event, (at, &meters[at]), &mut dimensions)
                }
                Err(none) => {
                    Err(Fault { meter: None, customer: None, error: why_none(none, name) })
                }
            });
        }
        Ok(Looked { meters, dimensions, events: looked })
    }

    fn check(
        &self,
        event: &RawEvent<'e>,
        (at, meter): (usize, &Meter),
        dimensions: &mut Vec<&'e str>,
    ) -> Result<Ready<'e>, Fault<'e>> {
        let payload = self.events.payload(event);
        let first = dimensions.len();
        match check(meter, payload, dimensions) {
            Ok(checked) => Ok(Ready { meter: at, checked, dimensions: first..dimensions.len() }),
            Err(error) => {
                Err(Fault { meter: Some(at), customer: customer_of(meter, payload), error })
            }
        }
    }

    /// Encodes what is ready and has its customer; what has none becomes an error.
    async fn encode(&self, looked: &mut Looked<'e>) -> Result<Batch> {
        let (scope, now) = (&self.caller.scope, self.now);
        let mut found = Found::new();
        loop {
            let mut batch = Batch::with_room(scope.clone(), now, self.events.len());
            let unknown = self.services.catalog.look_at_customers(scope, now, |known| {
                let customer = |id: &str| {
                    known.get(id).or_else(|| found.get(id).map(|(id, presence)| (id, *presence)))
                };
                self.push_all(looked, &mut batch, customer)
            })?;
            if unknown.is_empty() {
                return Ok(batch);
            }
            // One look at the database for all that the catalog does not know, then once more.
            lookup::customers(self.services, self.caller, now, &unknown, &mut found).await?;
        }
    }

    /// Pushes all events whose customer is here. Gives the customers that the catalog does not know:
    /// then what was pushed is of no use.
    fn push_all<'c>(
        &self,
        looked: &mut Looked<'e>,
        batch: &mut Batch,
        customer: impl Fn(&str) -> Option<(&'c Id<Customer>, Presence)>,
    ) -> Result<Vec<&'e str>> {
        let Looked { meters, dimensions, events } = looked;
        let mut unknown = Vec::new();
        for (place, (event, looked)) in self.events.list.iter().zip(events).enumerate() {
            let Ok(ready) = looked else { continue };
            let named = ready.checked.customer;
            let (id, presence) = match customer(named) {
                Some((id, presence)) => (Some(id), presence),
                // What cannot be an id costs no look at the database.
                None if Id::<Customer>::parse(named).is_err() => (None, Presence::Nowhere),
                None => {
                    unknown.push(named);
                    continue;
                }
            };
            let (meter, time) = (&meters[ready.meter], presence.time(self.now));
            let clock = Clock::at(time.unwrap_or(self.now));
            let error = match (when(meter, event.timestamp, clock), id.zip(time)) {
                (Err(error), _) => error,
                (Ok(_), None) => lookup::absent(self.caller, meter, named, presence),
                (Ok(at), Some((id, _))) => {
                    if unknown.is_empty() {
                        let values = dimensions.get(ready.dimensions.clone());
                        let ready: &Ready<'e> = ready;
                        let new = (place, event, ready, values.unwrap_or_default());
                        self.push(batch, meter, (id, at), new)?;
                    }
                    continue;
                }
            };
            *looked = Err(Fault { meter: Some(ready.meter), customer: Some(named), error });
        }
        Ok(unknown)
    }

    fn push(
        &self,
        batch: &mut Batch,
        meter: &Meter,
        (customer, timestamp): (&Id<Customer>, Timestamp),
        (place, event, ready, dimensions): (usize, &RawEvent<'e>, &Ready<'e>, &[&'e str]),
    ) -> Result<()> {
        let made_up;
        let identifier = match &event.identifier {
            Some(identifier) => identifier.as_ref(),
            None => {
                made_up = self.names.at(place);
                made_up.as_str()
            }
        };
        let new = NewEvent {
            meter: &meter.id,
            aggregation: meter.aggregation(),
            event_name: &event.event_name,
            customer,
            identifier,
            timestamp,
            measure: ready.checked.measure,
            dimensions,
            payload: self.events.payload(event),
            request: self.request_to_remember(place),
            backfill: None,
        };
        batch.push(&new).map_err(|_| too_large().param(format!("events[{place}]")))
    }

    /// An event's name: its own, or one that is made up for its place.
    fn identifier(&self, place: usize, event: &'e RawEvent<'e>) -> Cow<'e, str> {
        match &event.identifier {
            Some(identifier) => Cow::Borrowed(identifier),
            None => Cow::Owned(self.names.at(place).as_str().to_owned()),
        }
    }

    /// What names the event at `place` among those of requests with an idempotency key.
    fn request_of(&self, place: usize) -> Option<RequestKey> {
        let RequestKey { key, fingerprint } = self.request?;
        let place = u128::try_from(place).ok()?.wrapping_mul(PLACE_STEP);
        Some(RequestKey { key: key.wrapping_add(place), fingerprint })
    }

    /// The engine remembers the requests of batches, whose answer says what was replayed. On the
    /// stream a retry is known by its identifiers: those that are made up come out the same.
    fn request_to_remember(&self, place: usize) -> Option<RequestKey> {
        match self.validation {
            Validation::Told => self.request_of(place),
            Validation::Kept => None,
        }
    }

    /// What became of each event, with the errors kept if they are to be.
    async fn outcomes(&self, looked: Looked<'e>, appended: Vec<Appended>) -> Result<Vec<Outcome>> {
        let mut appended = appended.into_iter();
        let mut outcomes = Vec::with_capacity(looked.events.len());
        let mut about = Vec::new();
        for (place, event) in looked.events.into_iter().enumerate() {
            let (meter, customer) = match &event {
                Ok(ready) => (Some(ready.meter), Some(ready.checked.customer)),
                Err(fault) => (fault.meter, fault.customer),
            };
            let outcome = match event {
                Err(fault) => Outcome::Rejected(fault.error, None),
                Ok(_) => match appended.next() {
                    Some(Appended::Recorded(seq)) => Outcome::Recorded(seq),
                    Some(Appended::Duplicate(seq)) => Outcome::Duplicate(seq),
                    Some(Appended::Replayed(event)) => {
                        Outcome::Replayed(event.seq, event.identifier)
                    }
                    Some(Appended::RequestMismatch) => Outcome::Mismatch,
                    Some(Appended::TooManySeries) => {
                        Outcome::Rejected(EventError::too_many_series(), None)
                    }
                    None => return Err(Error::internal("the usage engine answered too little")),
                },
            };
            if matches!(outcome, Outcome::Rejected(..)) {
                about.push((place, meter, customer));
            }
            outcomes.push(outcome);
        }
        if !about.is_empty() && self.validation == Validation::Kept {
            self.keep(&looked.meters, &about, &mut outcomes).await?;
        }
        Ok(outcomes)
    }

    async fn keep(
        &self,
        meters: &[Arc<Meter>],
        about: &[(usize, Option<usize>, Option<&str>)],
        outcomes: &mut [Outcome],
    ) -> Result<()> {
        let mut letters = Vec::with_capacity(about.len());
        let identifiers: Vec<Cow<'_, str>> = about
            .iter()
            .map(|(place, ..)| self.identifier(*place, &self.events.list[*place]))
            .collect();
        for ((place, meter, customer), identifier) in about.iter().zip(&identifiers) {
            let event = &self.events.list[*place];
            let Outcome::Rejected(error, _) = &outcomes[*place] else { continue };
            letters.push(Letter {
                event_name: &event.event_name,
                identifier,
                timestamp: event.timestamp,
                payload: self.events.payload(event),
                meter: meter.map(|at| &meters[at].id),
                customer: *customer,
                error: error.clone(),
                request: self.request_of(*place),
            });
        }
        let ids = meter_errors::keep(self.services, self.caller, self.now, &letters).await?;
        for ((place, ..), id) in about.iter().zip(ids) {
            if let Outcome::Rejected(_, kept) = &mut outcomes[*place] {
                *kept = Some(id);
            }
        }
        Ok(())
    }
}

fn why_none(counting: Counting, event_name: &str) -> EventError {
    match meter_of(counting, event_name) {
        Ok(_) => EventError::no_meter(event_name),
        Err(error) => error,
    }
}
