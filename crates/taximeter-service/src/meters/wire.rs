//! A meter as clients see it.

use serde_json::{Value, json};

use super::{MappingType, Meter};
use crate::params::Choice as _;

impl Meter {
    /// The object `billing.meter`.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "billing.meter",
            "created": self.created.0,
            "customer_mapping": {
                "event_payload_key": self.customer_key,
                "type": MappingType::ById.as_str(),
            },
            "default_aggregation": { "formula": self.formula.as_str() },
            "display_name": self.display_name,
            "event_name": self.event_name,
            "event_time_window": self.event_time_window.map(taximeter_kernel::aggregate::Window::as_str),
            "livemode": self.livemode,
            "status": self.status.as_str(),
            "status_transitions": { "deactivated_at": self.deactivated_at.map(|t| t.0) },
            "updated": self.updated.0,
            "value_settings": { "event_payload_key": self.value_key },
        })
    }
}
