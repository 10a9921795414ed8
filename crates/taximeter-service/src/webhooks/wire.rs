//! An endpoint as clients see it.

use serde_json::{Value, json};

use super::WebhookEndpoint;
use crate::version::ApiVersion;

impl WebhookEndpoint {
    /// The object `webhook_endpoint`, without its secret.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "webhook_endpoint",
            "api_version": self.api_version.as_ref().map(ApiVersion::as_str),
            "application": null,
            "created": self.created.0,
            "description": self.description,
            "enabled_events": self.enabled_events,
            "livemode": self.livemode,
            "metadata": self.metadata,
            "status": if self.disabled { "disabled" } else { "enabled" },
            "url": self.url,
        })
    }

    /// The same with its secret, for when it has just been made.
    pub(super) fn wire_with_secret(&self) -> Value {
        let mut object = self.wire();
        object["secret"] = self.secret.expose().into();
        object
    }
}
