//! Events on their way into a backfill.

use std::collections::BTreeMap;

use taximeter_kernel::aggregate::Measure;
use taximeter_kernel::id::{Customer, Id, Kind as _, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::Batch;

use super::chunks::put;
use super::sql::{self, Staged};
use super::{Backfill, Status, locked, save};
use crate::catalog::Presence;
use crate::ctx::Ctx;
use crate::customers;
use crate::error::{Error, Result};
use crate::meter_events::{self, EventError, NAME_CHARS_MAX, Payload};
use crate::meters::{self, Meter};
use crate::params::decode::indexed;
use crate::params::{Decode, Node, Path, Schema, Text};

/// The most events that one call adds.
pub const EVENTS_PER_CALL_MAX: usize = 10_000;
/// The most events that a backfill has.
pub const EVENTS_MAX: u64 = 1_000_000;

crate::params! {
    /// An event of a backfill.
    pub struct StagedEvent {
        /// The name of the meter's events; need not be said.
        pub event_name: Option<Text<NAME_CHARS_MAX>>,
        /// Names the event among the customer's: one that is recorded already is not counted again.
        pub identifier: Option<Text<NAME_CHARS_MAX>>,
        /// Who used how much.
        pub payload: Payload,
        /// When, within the timeframe.
        pub timestamp: Timestamp,
    }
}

/// The events of one call.
#[derive(Debug, Clone)]
pub struct Events(pub Vec<StagedEvent>);

impl Decode for Events {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let nodes = match node {
            None | Some(Node::Null) => return Err(Error::missing(path.to_string())),
            Some(Node::List(nodes)) => nodes,
            Some(Node::Map(members)) => indexed(members, path)?,
            Some(_) => return Err(Error::invalid("Invalid array").param(path.to_string())),
        };
        if nodes.len() > EVENTS_PER_CALL_MAX {
            return Err(Error::invalid(format!(
                "Invalid array: at most {EVENTS_PER_CALL_MAX} elements are accepted"
            ))
            .param(path.to_string()));
        }
        let decode = |(index, node): (usize, Node)| {
            StagedEvent::decode(Some(node), path.child(&index.to_string()))
        };
        nodes.into_iter().enumerate().map(decode).collect::<Result<_>>().map(Self)
    }

    fn schema() -> Schema {
        Schema::List(Box::new(StagedEvent::schema()))
    }
}

crate::params! {
    /// Events to add to a backfill.
    pub struct AddEvents {
        /// The events.
        pub events: Events,
    }
}

/// Adds events to an open backfill: all of them or, when one is faulty, none. One whose identifier
/// the backfill has already for that customer is left out and counted as repeated.
///
/// # Errors
/// A 404 when there is no such backfill, a 400 that names the first faulty event.
pub async fn add_events(ctx: &mut Ctx, id: &str, input: AddEvents) -> Result<Backfill> {
    let mut backfill = locked(ctx, id).await?;
    backfill.require(Status::Open, "added to")?;
    let meter = meters::named(ctx, backfill.meter.as_str(), "meter").await?;
    let mut clocks = BTreeMap::new();
    for (index, event) in input.events.0.into_iter().enumerate() {
        let at = format!("events[{index}]");
        let event = checked(ctx.scope(), &backfill, &meter, event);
        let event = event.map_err(|error| error.within(&at))?;
        let clock = match clocks.get(&event.customer) {
            Some(known) => *known,
            None => {
                let param = format!("{at}[payload][{}]", meter.customer_key);
                let clock = check_customer(ctx, &event.customer, &param).await?;
                clocks.insert(event.customer.clone(), clock);
                clock
            }
        };
        if clock.is_some_and(|now| event.timestamp > now) {
            let message =
                "Invalid timestamp: must not be after the time of the customer's test clock.";
            return Err(Error::invalid(message).param(format!("{at}[timestamp]")));
        }
        if event.place > EVENTS_MAX {
            let message = format!("A backfill has at most {EVENTS_MAX} events.");
            return Err(Error::invalid(message).param("events"));
        }
        if sql::insert_event(ctx, &backfill, &event).await? {
            backfill.staged = event.place;
        } else {
            backfill.repeated = backfill.repeated.saturating_add(1);
        }
    }
    save(ctx, &mut backfill).await?;
    Ok(backfill)
}

/// The event at the next place of the backfill.
fn checked(
    scope: &Scope,
    backfill: &Backfill,
    meter: &Meter,
    event: StagedEvent,
) -> Result<Staged> {
    if let Some(name) = &event.event_name
        && **name != meter.event_name
    {
        let message = format!(
            "Invalid event_name: the events of this meter are called {}.",
            meter.event_name
        );
        return Err(Error::invalid(message).param("event_name"));
    }
    if let Some(identifier) = &event.identifier
        && identifier.starts_with(backfill.id.as_str())
    {
        let message = "Invalid identifier: must not begin with the id of the backfill.";
        return Err(Error::invalid(message).param("identifier"));
    }
    let measured = measured(meter, &event.payload.0)?;
    let customer = &measured.customer;
    let customer = Id::parse(customer).map_err(|_| no_such_customer(meter, customer))?;
    if backfill.customer.as_ref().is_some_and(|only| *only != customer) {
        let message = "Invalid payload: the backfill is for another customer.";
        return Err(Error::invalid(message).param(format!("payload[{}]", meter.customer_key)));
    }
    if !backfill.timeframe.contains(event.timestamp) {
        let message = format!(
            "Invalid timestamp: must be at least {} and less than {}, the timeframe of the backfill.",
            backfill.timeframe.start.0, backfill.timeframe.end.0
        );
        return Err(Error::invalid(message).param("timestamp"));
    }
    let payload = event.payload.0;
    let staged = Staged {
        place: backfill.staged.saturating_add(1),
        customer,
        identifier: event.identifier.map(Into::into),
        timestamp: event.timestamp,
        payload: payload.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
    };
    let identifier = backfill.identifier_of(EVENTS_MAX);
    let identifier = staged.identifier.as_deref().unwrap_or(&identifier);
    let mut batch = Batch::new(scope.clone(), backfill.created);
    put(&mut batch, backfill, meter, (&staged, identifier), &payload, &measured)
        .map_err(|_| Error::invalid("The event is too large.").param("payload"))?;
    Ok(staged)
}

/// What the meter makes of a payload.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) customer: String,
    pub(super) measure: Measure,
    pub(super) dimensions: Vec<String>,
}

/// Holds a payload against the meter as for a new event; of the timestamp the backfill's rules hold.
pub(super) fn measured(
    meter: &Meter,
    payload: &[meter_events::Member<'_>],
) -> std::result::Result<Measured, EventError> {
    let mut dimensions = Vec::new();
    let checked = meter_events::check(meter, payload, &mut dimensions)?;
    Ok(Measured {
        customer: checked.customer.to_owned(),
        measure: checked.measure,
        dimensions: dimensions.into_iter().map(str::to_owned).collect(),
    })
}

fn no_such_customer(meter: &Meter, id: &str) -> Error {
    Error::no_such(Customer::NOUN, id, format!("payload[{}]", meter.customer_key))
}

/// What the customer's test clock shows, if it has one.
async fn check_customer(
    ctx: &mut Ctx,
    id: &Id<Customer>,
    param: &str,
) -> Result<Option<Timestamp>> {
    let elsewhere = match customers::presence(ctx, id.as_str()).await? {
        Presence::Here => return Ok(None),
        Presence::ByClock(time) => return Ok(Some(time)),
        Presence::InOtherMode => true,
        Presence::Nowhere => false,
    };
    let refusal = Error::no_such(Customer::NOUN, id.as_str(), param);
    Err(refusal.in_other_mode(elsewhere, ctx.scope().mode))
}
