//! An event as clients see it.

use serde_json::{Value, json};

use super::Event;
use crate::version::NEWEST;

impl Event {
    /// The object `event`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let mut data = json!({ "object": self.object });
        if let Some(previous) = &self.previous_attributes {
            data["previous_attributes"] = previous.clone();
        }
        json!({
            "id": self.id.as_str(),
            "object": "event",
            "api_version": NEWEST,
            "created": self.created.0,
            "data": data,
            "livemode": self.livemode,
            "pending_webhooks": 0,
            "request": { "id": self.request, "idempotency_key": self.idempotency_key },
            "type": self.kind,
        })
    }
}
