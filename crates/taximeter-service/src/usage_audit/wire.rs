//! An entry of the audit trail as clients see it.

use serde_json::{Map, Value, json};
use taximeter_usage::Event;

use super::Entry;
use crate::meter_events::{Status, id_of};
use crate::params::Choice as _;

impl Entry {
    /// The object `billing.usage_audit_entry`, which is ours.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "billing.usage_audit_entry",
            "action": self.action.as_str(),
            "after": self.after,
            "api_key": self.api_key.as_str(),
            "backfill": self.backfill.as_ref().map(taximeter_kernel::id::Id::as_str),
            "before": self.before,
            "created": self.created.0,
            "customer": self.customer.as_ref().map(taximeter_kernel::id::Id::as_str),
            "event": self.event_position.map(id_of),
            "identifier": self.identifier,
            "livemode": self.livemode,
            "meter": self.meter.as_str(),
            "reason": self.reason,
            "request": self.request.as_str(),
        })
    }
}

/// What of an event a correction can change.
pub(crate) fn state_of(event: &Event) -> Value {
    let payload = event.payload.iter().map(|(k, v)| (k.clone(), Value::from(v.clone())));
    json!({
        "status": Status::from(event.standing).as_str(),
        "timestamp": event.timestamp.0,
        "payload": payload.collect::<Map<_, _>>(),
    })
}
