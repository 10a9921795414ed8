//! A meter event as clients see it.

use serde_json::{Map, Value, json};

use super::Recorded;

/// The object `billing.meter_event`.
#[must_use]
pub fn v1(event: &Recorded) -> Value {
    json!({
        "object": "billing.meter_event",
        "created": event.created.0,
        "event_name": event.event_name,
        "identifier": event.identifier,
        "livemode": event.livemode,
        "payload": payload(event),
        "timestamp": event.timestamp.0,
    })
}

/// The object `v2.billing.meter_event`.
#[must_use]
pub fn v2(event: &Recorded) -> Value {
    json!({
        "object": "v2.billing.meter_event",
        "created": event.created.to_rfc3339(),
        "event_name": event.event_name,
        "identifier": event.identifier,
        "livemode": event.livemode,
        "payload": payload(event),
        "timestamp": event.timestamp.to_rfc3339(),
    })
}

fn payload(event: &Recorded) -> Value {
    let members = event.payload.iter().map(|(k, v)| (k.to_string(), Value::from(v.to_string())));
    Value::Object(members.collect::<Map<_, _>>())
}
