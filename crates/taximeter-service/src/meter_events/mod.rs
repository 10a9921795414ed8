//! Meter events: usage coming in, and its totals going out.
//!
//! Recording one event is the hot path: everything it needs to know of the control plane is in the
//! [`crate::catalog`], and its idempotency key is kept by the usage engine in the frame of the event.

mod list;
mod summaries;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use taximeter_kernel::aggregate::{Formula, Measure};
use taximeter_kernel::decimal::{Decimal, DecimalError};
use taximeter_kernel::id::{Customer, Id, Kind as _};
use taximeter_kernel::time::{DAY_S, Timestamp};
use taximeter_usage::{AppendError, Appended, Batch, Event, NewEvent, RequestKey, Standing};

use crate::catalog::{Counting, Presence};
use crate::ctx::{Caller, Ctx, Services};
use crate::error::{Error, Kind, Result};
use crate::idempotency::{self, Fingerprint};
use crate::meters::Meter;
use crate::params::{Decode, Node, Path, Schema, Text};
use crate::{customers, meters};
pub use list::{EVENTS_LOOKED_AT_MAX, List, Retrieve, Status, find, id_of, list, retrieve};
pub use summaries::{Summaries, summaries};
pub use wire::{v1, v2};

/// How old an event may be, in seconds: Stripe's 35 days, counted in seconds and not by calendar.
pub const AGE_S_MAX: i64 = 35 * DAY_S;
/// How far ahead of the server's clock an event may be, in seconds.
pub const AHEAD_S_MAX: i64 = 300;
/// The most digits a value may have.
pub const VALUE_DIGITS_MAX: u32 = 15;
/// The most members of a payload.
pub const PAYLOAD_MEMBERS_MAX: usize = 50;
const PAYLOAD_KEY_CHARS_MAX: usize = 100;
const PAYLOAD_VALUE_CHARS_MAX: usize = 500;

/// What happened, as texts under the sender's names, in the order they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(pub Vec<(String, String)>);

impl Payload {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl Decode for Payload {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let members = match node {
            None | Some(Node::Null) => return Err(Error::missing(path.to_string())),
            Some(Node::Map(members)) => members,
            Some(_) => return Err(Error::invalid("Invalid object").param(path.to_string())),
        };
        if members.len() > PAYLOAD_MEMBERS_MAX {
            return Err(Error::invalid(format!(
                "Invalid payload: at most {PAYLOAD_MEMBERS_MAX} keys are accepted."
            ))
            .param(path.to_string()));
        }
        let mut payload = Vec::with_capacity(members.len());
        for (name, node) in members {
            let name = Text::<PAYLOAD_KEY_CHARS_MAX>::decode(Some(Node::Text(name)), path)?;
            let value = payload_value(node, path.child(&name))?;
            payload.push((name.into(), value));
        }
        Ok(Self(payload))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

/// A value of a payload: a text, empty or not. v2 insists on JSON strings, as Stripe does.
fn payload_value(node: Node, path: Path<'_>) -> Result<String> {
    match node {
        Node::Text(text) if text.is_empty() => Ok(text),
        node => Text::<PAYLOAD_VALUE_CHARS_MAX>::decode(Some(node), path).map(Into::into),
    }
}

crate::params! {
    /// An event of the v1 API.
    pub struct Create {
        /// The name of a meter's events.
        pub event_name: Text<100>,
        /// Names the event among the customer's: a second one of the same name is refused.
        pub identifier: Option<Text<100>>,
        /// Who used how much, under the keys that the meter names.
        pub payload: Payload,
        /// When; now, if left out.
        pub timestamp: Option<Timestamp>,
    }
}

/// An instant as v2 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339(pub Timestamp);

impl Decode for Rfc3339 {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text = Text::<100>::decode(node, path)?;
        Timestamp::from_rfc3339(&text).map(Self).map_err(|error| {
            Error::invalid(format!("Invalid {path}: {error}.")).param(path.to_string())
        })
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

crate::params! {
    /// An event of the v2 API.
    pub struct CreateV2 {
        /// The name of a meter's events.
        pub event_name: Text<100>,
        /// Names the event among the customer's.
        pub identifier: Option<Text<100>>,
        /// Who used how much.
        pub payload: Payload,
        /// When; now, if left out.
        pub timestamp: Option<Rfc3339>,
    }
}

impl From<CreateV2> for Create {
    fn from(input: CreateV2) -> Self {
        let CreateV2 { event_name, identifier, payload, timestamp } = input;
        Self { event_name, identifier, payload, timestamp: timestamp.map(|at| at.0) }
    }
}

/// An event that is durable and counted.
#[derive(Debug)]
pub struct Recorded {
    /// The event.
    pub event: Event,
    /// Whether an earlier attempt of the same request recorded it.
    pub replayed: bool,
}

/// Records one event: when this returns, it is durable, counted, and in the next read.
///
/// # Errors
/// A 400 that names what is wrong with the event, a 429 when more comes in than can be written.
pub async fn record(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    fingerprint: &Fingerprint,
    input: Create,
) -> Result<Recorded> {
    let event_name = String::from(input.event_name);
    let meter = meter(services, caller, now, &event_name).await?;
    let named = customer_of(&meter, &input.payload)?;
    let value = value_of(&meter, &input.payload)?;
    let timestamp = checked_timestamp(input.timestamp, now)?;
    let customer = customer(services, caller, now, &meter, named).await?;
    let identifier =
        input.identifier.map_or_else(|| random_identifier((services.entropy)()), Into::into);
    let payload: Vec<(Cow<'_, str>, Cow<'_, str>)> =
        input.payload.0.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect();
    let new = NewEvent {
        meter: &meter.id,
        aggregation: meter.aggregation(),
        event_name: &event_name,
        customer: &customer,
        identifier: &identifier,
        timestamp,
        measure: Measure::Number(value),
        dimensions: &[],
        payload: &payload,
        request: caller.idempotency_key.as_deref().map(|key| request_key(key, fingerprint)),
        backfill: None,
    };
    let mut batch = Batch::new(caller.scope.clone(), now);
    batch.push(&new).map_err(|_| Error::invalid("The event is too large."))?;
    let outcome = services.usage.append(batch).await.map_err(refused)?.into_iter().next();
    match outcome {
        Some(Appended::Recorded(seq)) => {
            let event = recorded(seq, caller, now, &new);
            Ok(Recorded { event, replayed: false })
        }
        Some(Appended::Replayed(event)) => Ok(Recorded { event: *event, replayed: true }),
        Some(Appended::RequestMismatch) => {
            Err(idempotency::mismatch(caller.idempotency_key.as_deref().unwrap_or("")))
        }
        Some(Appended::Duplicate(_)) => {
            Err(Error::invalid(format!("An event already exists with identifier {identifier}."))
                .v2_code("duplicate_meter_event"))
        }
        Some(Appended::TooManySeries) => Err(Error::invalid(
            "The customer has too many combinations of dimension values for this meter.",
        )
        .param("payload")),
        None => Err(Error::internal("the usage engine answered nothing")),
    }
}

/// The event that was just recorded.
fn recorded(seq: u64, caller: &Caller, now: Timestamp, new: &NewEvent<'_>) -> Event {
    Event {
        seq,
        standing: Standing::Counts,
        scope: caller.scope.clone(),
        meter: new.meter.clone(),
        aggregation: new.aggregation,
        customer: new.customer.clone(),
        event_name: new.event_name.to_owned(),
        identifier: new.identifier.to_owned(),
        timestamp: new.timestamp,
        measure: new.measure,
        dimensions: new.dimensions.iter().map(|&text| text.to_owned()).collect(),
        payload: new.payload.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        received: now,
        request: new.request,
        backfill: None,
    }
}

/// What keeps the engine from taking an event, as a client should see it.
fn refused(error: AppendError) -> Error {
    match error {
        AppendError::Full => Error::new(
            Kind::RateLimit,
            "Events are coming in faster than they can be written. Try again in a moment.",
        )
        .code("rate_limit"),
        AppendError::TooLarge => Error::invalid("The event is too large."),
        other => {
            Error::new(Kind::Unavailable, "Usage cannot be recorded at the moment.").because(other)
        }
    }
}

fn request_key(key: &str, fingerprint: &Fingerprint) -> RequestKey {
    let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let (mut name, mut params) = ([0; 16], [0; 8]);
    name.copy_from_slice(&hash[..16]);
    params.copy_from_slice(&fingerprint.0[..8]);
    RequestKey { key: u128::from_be_bytes(name), fingerprint: u64::from_be_bytes(params) }
}

/// A random name in the form of a UUID, version 4.
fn random_identifier(random: [u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&random[..16]);
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

async fn meter(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    event_name: &str,
) -> Result<Arc<Meter>> {
    let catalog = &services.catalog;
    let counting = match catalog.meter(&caller.scope, event_name, now) {
        Some(known) => known,
        None => {
            let ticket = catalog.ticket();
            let mut ctx = Ctx::begin_read(services, caller.clone(), now).await?;
            let read = meters::counting(&mut ctx, event_name).await?;
            catalog.keep_meter(ticket, &caller.scope, event_name, read.clone(), now);
            read
        }
    };
    let v2_code = match counting {
        Counting::By(meter) => return Ok(meter),
        Counting::NoMore => "archived_meter",
        Counting::Never => "no_meter",
    };
    Err(Error::invalid(format!("No active meter found for event name: {event_name}."))
        .v2_code(v2_code)
        .param("event_name"))
}

fn customer_of<'a>(meter: &Meter, payload: &'a Payload) -> Result<&'a str> {
    let key = &meter.customer_key;
    match payload.get(key) {
        Some(id) if !id.is_empty() => Ok(id),
        _ => Err(Error::invalid(format!("Customer mapping key {key} not found in payload."))
            .v2_code("payload_no_customer_defined")
            .param(format!("payload[{key}]"))),
    }
}

async fn customer(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    meter: &Meter,
    named: &str,
) -> Result<Id<Customer>> {
    let refuse =
        || Error::no_such(Customer::NOUN, named, format!("payload[{}]", meter.customer_key));
    let id = Id::parse(named).map_err(|_| refuse())?;
    let catalog = &services.catalog;
    let presence = match catalog.customer(&caller.scope, named, now) {
        Some(known) => known,
        None => {
            let ticket = catalog.ticket();
            let mut ctx = Ctx::begin_read(services, caller.clone(), now).await?;
            let presence = customers::presence(&mut ctx, named).await?;
            catalog.keep_customer(ticket, &caller.scope, named, presence, now);
            presence
        }
    };
    match presence {
        Presence::Here => Ok(id),
        Presence::InOtherMode => Err(refuse().in_other_mode(true, caller.scope.mode)),
        Presence::Nowhere => Err(refuse()),
    }
}

/// How much was used. A count takes an event without a value, since it does not look at it.
fn value_of(meter: &Meter, payload: &Payload) -> Result<Decimal> {
    let key = &meter.value_key;
    let param = format!("payload[{key}]");
    let Some(text) = payload.get(key) else {
        if meter.formula == Formula::Count {
            return Ok(Decimal::ONE);
        }
        return Err(Error::invalid(format!("Value key {key} not found in payload."))
            .v2_code("payload_no_value_defined")
            .param(param));
    };
    let value = text.parse::<Decimal>();
    let too_long = match &value {
        Ok(value) => value.significant_digits() > VALUE_DIGITS_MAX,
        Err(error) => *error == DecimalError::Overflow,
    };
    if too_long {
        return Err(Error::invalid(format!(
            "The value in the event payload can have at most {VALUE_DIGITS_MAX} digits. Received \
             {text}."
        ))
        .v2_code("payload_invalid_value")
        .param(param));
    }
    value.map_err(|error| {
        let is = if error == DecimalError::Syntax { "is" } else { "has" };
        Error::invalid(format!("Invalid value in the event payload: '{text}' {is} {error}."))
            .v2_code("payload_invalid_value")
            .param(param)
    })
}

fn checked_timestamp(timestamp: Option<Timestamp>, now: Timestamp) -> Result<Timestamp> {
    let at = timestamp.unwrap_or(now);
    let (oldest, newest) = (now.0.saturating_sub(AGE_S_MAX), now.0.saturating_add(AHEAD_S_MAX));
    if at.0 < oldest {
        return Err(Error::invalid(format!(
            "The event timestamp cannot be more than 35 days in past. Expected a timestamp greater \
             than or equal to {oldest}."
        ))
        .param("timestamp"));
    }
    if at.0 > newest {
        return Err(Error::invalid(format!(
            "The event timestamp cannot be more than 5 minutes in the future. Expected a timestamp \
             less than or equal to {newest}."
        ))
        .param("timestamp"));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_identifier_has_the_form_of_a_uuid() {
        let id = random_identifier([0xff; 32]);
        assert_eq!(id, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(random_identifier([0; 32]), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn an_event_may_be_35_days_old_and_5_minutes_ahead_to_the_second() {
        let now = Timestamp(1_761_165_836);
        let at = |offset: i64| checked_timestamp(Some(Timestamp(now.0 + offset)), now);
        assert!(at(-AGE_S_MAX).is_ok());
        assert!(at(AHEAD_S_MAX).is_ok());
        assert!(at(AHEAD_S_MAX + 1).is_err());
        // The worked figure of a real answer: 1761165836 - 35 * 86400.
        assert_eq!(
            at(-AGE_S_MAX - 1).unwrap_err().message,
            "The event timestamp cannot be more than 35 days in past. Expected a timestamp greater \
             than or equal to 1758141836."
        );
    }
}
