//! An event as clients see it.

use serde_json::{Value, json};

use super::Event;
use crate::outbox;
use crate::version::{self, ApiVersion, NEWEST};

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
            "pending_webhooks": self.pending_webhooks,
            "request": { "id": self.request, "idempotency_key": self.idempotency_key },
            "type": self.kind,
        })
    }

    /// The same as an endpoint of another version of the API is shown it: the event itself is the
    /// same in all, what it tells of is not.
    #[must_use]
    pub fn wire_in(&self, version: &ApiVersion) -> Value {
        let mut event = self.wire();
        event["api_version"] = version.as_str().into();
        let mut object = self.object.clone();
        version::render(&mut object, version);
        event["data"]["object"] = object;
        if let Some(previous) = &self.previous_attributes {
            event["data"]["previous_attributes"] =
                outbox::previous_in(version, &self.object, previous);
        }
        event
    }
}
