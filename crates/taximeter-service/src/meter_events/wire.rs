//! A meter event as clients see it.

use serde_json::{Map, Value, json};
use taximeter_usage::Event;

/// The object `billing.meter_event`.
#[must_use]
pub fn v1(event: &Event) -> Value {
    json!({
        "object": "billing.meter_event",
        "created": event.received.0,
        "event_name": event.event_name,
        "identifier": event.identifier,
        "livemode": event.scope.mode.is_live(),
        "payload": payload(event),
        "timestamp": event.timestamp.0,
    })
}

/// The object `v2.billing.meter_event`.
#[must_use]
pub fn v2(event: &Event) -> Value {
    json!({
        "object": "v2.billing.meter_event",
        "created": event.received.to_rfc3339(),
        "event_name": event.event_name,
        "identifier": event.identifier,
        "livemode": event.scope.mode.is_live(),
        "payload": payload(event),
        "timestamp": event.timestamp.to_rfc3339(),
    })
}

fn payload(event: &Event) -> Value {
    let members = event.payload.iter().map(|(k, v)| (k.clone(), Value::from(v.clone())));
    Value::Object(members.collect::<Map<_, _>>())
}
