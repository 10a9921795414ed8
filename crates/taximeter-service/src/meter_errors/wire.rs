//! An event that could not be counted, as clients see it.

use serde_json::{Value, json};

use super::MeterEventError;
use crate::params::Choice as _;

impl MeterEventError {
    /// The object `billing.meter_event_error`.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "billing.meter_event_error",
            "code": self.code.as_str(),
            "created": self.received.0,
            "customer": self.customer,
            "event": self.event_seq.map(|seq| format!("mevt_{seq}")),
            "event_name": self.event_name,
            "identifier": self.identifier,
            "livemode": self.livemode,
            "message": self.message,
            "meter": self.meter,
            "payload": self.payload,
            "report": self.report,
            "request": self.request,
            "resolved_at": self.resolved_at.map(|at| at.0),
            "status": self.status.as_str(),
            "timestamp": self.timestamp.0,
        })
    }
}
