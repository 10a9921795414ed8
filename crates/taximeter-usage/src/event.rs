//! What goes into the engine and what it answers.

use std::borrow::Cow;

use taximeter_kernel::aggregate::{Aggregation, Measure};
use taximeter_kernel::id::{Customer, Id, Meter, Scope};
use taximeter_kernel::time::{HOUR_S, Timestamp};

/// How long a [`RequestKey`] is remembered, in seconds between the `received` of the request and of
/// its retry.
pub const REQUEST_KEY_KEPT_S: i64 = 24 * HOUR_S;

/// Names one attempt-independent request of a client, so that a retry of it is answered like the
/// first attempt. Unique within account and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// The hash of the client's idempotency key. An event that is one of several in its request
    /// has a key of its own, made of the client's key and its place in the request.
    pub key: u128,
    /// The hash of the request's parameters: a retry has the same.
    pub fingerprint: u64,
}

/// An event that was validated and is to be recorded. Borrowed, because it is encoded at once
/// when it is [pushed](crate::Batch::push) onto a batch.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent<'a> {
    /// What counts it.
    pub meter: &'a Id<Meter>,
    /// How that meter counts: always the same for one meter.
    pub aggregation: Aggregation,
    /// The name it was sent under.
    pub event_name: &'a str,
    /// Who used something.
    pub customer: &'a Id<Customer>,
    /// Unique within account, mode and customer for as long as events are kept.
    pub identifier: &'a str,
    /// When the usage happened: it is counted in the UTC hour that holds this second.
    pub timestamp: Timestamp,
    /// How much was used, or what is counted once however often it is seen.
    pub measure: Measure,
    /// The values of the meter's dimensions, in the meter's order; empty when it has none.
    pub dimensions: &'a [&'a str],
    /// The payload as sent, in the order it was sent.
    pub payload: &'a [(Cow<'a, str>, Cow<'a, str>)],
    /// Set when a retry of the request must be recognised.
    pub request: Option<RequestKey>,
    /// The backfill that brought it, if one did.
    pub backfill: Option<&'a str>,
}

/// Whether and why a recorded event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is in the totals.
    Counts,
    /// It was cancelled.
    Cancelled,
    /// It was amended: a later version of it counts in its place.
    Amended,
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of arrival, from 1.
    pub seq: u64,
    /// Whether it counts.
    pub standing: Standing,
    /// Whose it is.
    pub scope: Scope,
    /// What counts it.
    pub meter: Id<Meter>,
    /// How that meter counts.
    pub aggregation: Aggregation,
    /// Who used something.
    pub customer: Id<Customer>,
    /// The name it was sent under.
    pub event_name: String,
    /// Unique within account, mode and customer.
    pub identifier: String,
    /// When the usage happened.
    pub timestamp: Timestamp,
    /// How much was used.
    pub measure: Measure,
    /// The values of the meter's dimensions, in the meter's order.
    pub dimensions: Vec<String>,
    /// The payload as sent, in the order it was sent.
    pub payload: Vec<(String, String)>,
    /// When the server took the event in.
    pub received: Timestamp,
    /// The request that brought it, when a retry of that request must be recognised.
    pub request: Option<RequestKey>,
    /// The backfill that brought it, if one did.
    pub backfill: Option<String>,
}

/// What became of one event of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is durable, at this place in the order, and in every total that is read from now on.
    Recorded(u64),
    /// The same request recorded this event before; nothing was added.
    Replayed(Box<Event>),
    /// The idempotency key was used before with other parameters; nothing was added.
    RequestMismatch,
    /// The customer has an event with this identifier, at this place; nothing was added.
    Duplicate(u64),
    /// The customer has as many combinations of dimension values for the meter as it may have, and
    /// this would be another; nothing was added.
    TooManySeries,
}

/// An order to correct what was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Whose event it is.
    pub scope: Scope,
    /// The name the event was sent under.
    pub event_name: String,
    /// The event's identifier.
    pub identifier: String,
    /// The event's customer. May be left out where the identifier is of one customer only.
    pub customer: Option<Id<Customer>>,
    /// When the order was given.
    pub now: Timestamp,
    /// How many seconds after its receipt an event can still be corrected; `None` for ever.
    pub window_s: Option<i64>,
    /// What is to be done to it.
    pub action: Action,
}

/// What a [`Correction`] does to its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Stop counting it. Its identifier stays taken.
    Cancel,
    /// Count it again after a cancel.
    Restore,
    /// Count another version in its place. The event keeps its identifier, customer and meter.
    Amend(Box<Amendment>),
}

/// What an amended event says instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// When the usage happened.
    pub timestamp: Timestamp,
    /// How much was used.
    pub measure: Measure,
    /// The values of the meter's dimensions, in the meter's order.
    pub dimensions: Vec<String>,
    /// The payload.
    pub payload: Vec<(String, String)>,
}

/// What became of a [`Correction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corrected {
    /// It is durable, at this place in the order, and in every total that is read from now on.
    Done(u64),
    /// The event was in that state already: cancelled, or not cancelled for a restore. Amending a
    /// cancelled event is answered so, too: restore it first.
    NothingToDo,
    /// No event has that name and identifier.
    NotFound,
    /// There is something to do, and the event was received more than `window_s` before `now`.
    TooOld,
    /// Events of several customers have that name and identifier: the order must name the customer.
    Ambiguous,
    /// As [`Appended::TooManySeries`], for an amendment.
    TooManySeries,
}

/// The events of one customer for one meter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// Whose they are.
    pub scope: Scope,
    /// What counts them.
    pub meter: Id<Meter>,
    /// Who used something.
    pub customer: Id<Customer>,
}
