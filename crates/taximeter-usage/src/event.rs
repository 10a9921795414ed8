//! What goes into the engine and what it answers.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Customer, Id, Meter, Scope};
use taximeter_kernel::time::{HOUR_S, Period, Timestamp};

/// How long a [`RequestKey`] is remembered, in seconds between the `received` of the request and of
/// its retry.
pub const REQUEST_KEY_KEPT_S: i64 = 24 * HOUR_S;

/// Names one attempt-independent request of a client, so that a retry of it is answered like the
/// first attempt. Unique within account and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// The hash of the client's idempotency key.
    pub key: u128,
    /// The hash of the request's parameters: a retry has the same.
    pub fingerprint: u64,
}

/// An event that was validated and is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Whose it is.
    pub scope: Scope,
    /// What counts it.
    pub meter: Id<Meter>,
    /// Who used something.
    pub customer: Id<Customer>,
    /// The name it was sent under.
    pub event_name: String,
    /// Unique within account, mode and customer for as long as events are kept.
    pub identifier: String,
    /// When the usage happened: it is counted in the UTC hour that holds this second.
    pub timestamp: Timestamp,
    /// How much was used.
    pub value: Decimal,
    /// The payload as sent, in the order it was sent.
    pub payload: Vec<(String, String)>,
    /// When the server took the event in.
    pub received: Timestamp,
    /// Set when a retry of the request must be recognised.
    pub request: Option<RequestKey>,
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of arrival, from 1.
    pub seq: u64,
    /// Whether it was cancelled, and so counts in no total.
    pub cancelled: bool,
    /// Whose it is.
    pub scope: Scope,
    /// What counts it.
    pub meter: Id<Meter>,
    /// Who used something.
    pub customer: Id<Customer>,
    /// The name it was sent under.
    pub event_name: String,
    /// Unique within account, mode and customer.
    pub identifier: String,
    /// When the usage happened.
    pub timestamp: Timestamp,
    /// How much was used.
    pub value: Decimal,
    /// The payload as sent, in the order it was sent.
    pub payload: Vec<(String, String)>,
    /// When the server took the event in.
    pub received: Timestamp,
    /// The request that brought it, when a retry of that request must be recognised.
    pub request: Option<RequestKey>,
}

impl Event {
    pub(crate) fn new(seq: u64, new: NewEvent) -> Self {
        Self {
            seq,
            cancelled: false,
            scope: new.scope,
            meter: new.meter,
            customer: new.customer,
            event_name: new.event_name,
            identifier: new.identifier,
            timestamp: new.timestamp,
            value: new.value,
            payload: new.payload,
            received: new.received,
            request: new.request,
        }
    }
}

/// What became of one event of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is durable and in every total that is read from now on.
    Recorded(Event),
    /// The same request recorded this event before; nothing was added.
    Replayed(Event),
    /// The idempotency key was used before with other parameters; nothing was added.
    RequestMismatch,
    /// The customer has an event with this identifier; nothing was added.
    DuplicateIdentifier,
    /// The total of its hour would not fit; nothing was added.
    Overflow,
}

/// An order to stop counting one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
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
    /// How many seconds after its receipt an event can still be cancelled.
    pub window_s: i64,
}

/// What became of a [`Cancel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the plain answer to a cancel is `cancelled`")]
pub enum Cancelled {
    /// The event is in no total that is read from now on. Its identifier stays taken.
    Cancelled,
    /// An earlier order had cancelled it.
    AlreadyCancelled,
    /// No event has that name and identifier.
    NotFound,
    /// The event was received more than `window_s` before `now`.
    TooOld,
    /// Events of several customers have that name and identifier: the order must name the customer.
    Ambiguous,
    /// The total of its hour would not fit without the event (it offset another huge value).
    Overflow,
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

/// The UTC buckets that totals are asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    /// One total per UTC hour.
    Hour,
    /// One total per UTC day.
    Day,
}

/// Which recorded events to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Of which customer and meter.
    pub series: Series,
    /// With a timestamp in this span.
    pub period: Period,
    /// Only events that arrived after this one: 0 for all, or the last `seq` of the page before.
    pub after: u64,
    /// At most so many, and at most [`EVENTS_PER_READ_MAX`](crate::EVENTS_PER_READ_MAX).
    pub limit: usize,
}
