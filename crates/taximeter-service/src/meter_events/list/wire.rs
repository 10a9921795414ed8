//! A recorded event as clients see it.

use serde_json::{Map, Value, json};
use taximeter_kernel::aggregate::Measure;
use taximeter_usage::Event;

use super::Status;
use crate::meters::Meter;
use crate::params::Choice as _;

/// The object `billing.meter_event` with what Stripe's lacks.
pub(super) fn wire(id: &str, event: &Event, meter: &Meter) -> Value {
    let payload = event.payload.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str())));
    let keys = meter.dimension_keys.iter().zip(&event.dimensions);
    let dimensions: Map<_, _> = keys.map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    let value = match event.measure {
        Measure::Number(value) if meter.formula.needs_value() => Value::from(value.to_string()),
        Measure::Number(_) | Measure::Member(_) => Value::Null,
    };
    json!({
        "id": id,
        "object": "billing.meter_event",
        "backfill": event.backfill,
        "created": event.received.0,
        "customer": event.customer.as_str(),
        "dimensions": if meter.dimension_keys.is_empty() { Value::Null } else { dimensions.into() },
        "event_name": event.event_name,
        "identifier": event.identifier,
        "livemode": event.scope.mode.is_live(),
        "meter": event.meter.as_str(),
        "payload": payload.collect::<Map<_, _>>(),
        "status": Status::from(event.standing).as_str(),
        "timestamp": event.timestamp.0,
        "value": value,
    })
}
