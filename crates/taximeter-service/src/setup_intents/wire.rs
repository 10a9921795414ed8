//! A setup intent as clients see it, and what of it is kept as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taximeter_kernel::id::Id;

use super::{SetupIntent, Status};
use crate::params::Choice as _;
use crate::payment_intents::{AutomaticPaymentMethods, LastError, next_action};
use crate::payment_methods::Type;

/// What of a setup intent is kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The types of payment methods that can be set up, where they were named.
    pub allowed_types: Option<Vec<Type>>,
    /// Set unless the types of payment methods were named.
    pub automatic_payment_methods: Option<AutomaticPaymentMethods>,
    /// Why it was given up.
    pub cancellation_reason: Option<String>,
    /// A note of the operator's.
    pub description: Option<String>,
    /// How the last try failed.
    pub last_error: Option<LastError>,
    /// Where its owner comes back to.
    pub return_url: Option<String>,
    /// The subscription that it asks for something to pay with.
    pub subscription: Option<String>,
}

impl SetupIntent {
    /// The object `setup_intent`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let details = &self.details;
        let next_action = match self.status {
            Status::RequiresAction => next_action(details.return_url.as_deref(), self.id.as_str()),
            _ => Value::Null,
        };
        json!({
            "id": self.id.as_str(),
            "object": "setup_intent",
            "allowed_payment_method_types": details.allowed_types,
            "application": null,
            "automatic_payment_methods": details.automatic_payment_methods,
            "cancellation_reason": details.cancellation_reason,
            "client_secret": self.client_secret,
            "created": self.created.0,
            "customer": self.customer.as_ref().map(Id::as_str),
            "customer_account": null,
            "description": details.description,
            "excluded_payment_method_types": null,
            "flow_directions": null,
            "last_setup_error": details.last_error.as_ref().map(LastError::wire),
            "latest_attempt": null,
            "livemode": self.livemode,
            "managed_payments": null,
            "mandate": null,
            "metadata": self.metadata,
            "next_action": next_action,
            "on_behalf_of": null,
            "payment_method": self.payment_method.as_ref().map(Id::as_str),
            "payment_method_configuration_details": null,
            "payment_method_options": {
                "card": {
                    "mandate_options": null,
                    "network": null,
                    "request_three_d_secure": "automatic",
                },
            },
            "payment_method_types": ["card"],
            "single_use_mandate": null,
            "status": self.status.as_str(),
            "usage": self.usage.as_str(),
        })
    }
}
