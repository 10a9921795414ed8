//! A meter as clients see it.

use serde_json::{Value, json};

use super::Meter;
use super::input::MappingType;
use crate::params::Choice as _;

impl Meter {
    /// The object `billing.meter`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let mut aggregation = json!({ "formula": self.formula.as_str() });
        if let Some(percentile) = self.formula.percentile() {
            aggregation["percentile"] = percentile.to_string().into();
        }
        let dimensions = (!self.dimension_keys.is_empty()).then_some(&self.dimension_keys);
        json!({
            "id": self.id.as_str(),
            "object": "billing.meter",
            "adjustment_window_seconds": self.adjustment_window_s,
            "created": self.created.0,
            "customer_mapping": {
                "event_payload_key": self.customer_key,
                "type": MappingType::ById.as_str(),
            },
            "default_aggregation": aggregation,
            "dimension_payload_keys": dimensions,
            "display_name": self.display_name,
            "event_name": self.event_name,
            "event_time_window": self.event_time_window.map(taximeter_kernel::aggregate::Window::as_str),
            "late_event_window_seconds": self.late_window_s,
            "livemode": self.livemode,
            "status": self.status.as_str(),
            "status_transitions": { "deactivated_at": self.deactivated_at.map(|t| t.0) },
            "updated": self.updated.0,
            "value_settings": {
                "event_payload_key": self.value_key,
                "max_digits": self.value_digits_max,
            },
        })
    }
}
