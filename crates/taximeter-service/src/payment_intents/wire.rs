//! A payment intent as clients see it.

use serde_json::{Value, json};
use taximeter_kernel::id::Id;

use super::{LastError, PaymentIntent, Status};
use crate::params::Choice as _;
use crate::wire::seconds;

impl PaymentIntent {
    /// The object `payment_intent`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let details = &self.details;
        json!({
            "id": self.id.as_str(),
            "object": "payment_intent",
            "allowed_payment_method_types": details.allowed_types,
            "amount": self.amount,
            "amount_capturable": self.amount_capturable,
            "amount_details": { "tip": {} },
            "amount_received": self.amount_received,
            "application": null,
            "application_fee_amount": null,
            "automatic_payment_methods": details.automatic_payment_methods,
            "canceled_at": seconds(self.canceled_at),
            "cancellation_reason": details.cancellation_reason,
            "capture_method": self.capture_method.as_str(),
            "client_secret": self.client_secret,
            "confirmation_method": "automatic",
            "created": self.created.0,
            "currency": self.currency.code(),
            "customer": self.customer.as_ref().map(Id::as_str),
            "customer_account": null,
            "description": details.description,
            "excluded_payment_method_types": null,
            "last_payment_error": details.last_error.as_ref().map(LastError::wire),
            "latest_charge": self.latest_charge.as_ref().map(Id::as_str),
            "livemode": self.livemode,
            "managed_payments": null,
            "metadata": self.metadata,
            "next_action": self.next_action(),
            "on_behalf_of": null,
            "payment_method": self.payment_method.as_ref().map(Id::as_str),
            "payment_method_configuration_details": null,
            "payment_method_options": {
                "card": {
                    "installments": null,
                    "mandate_options": null,
                    "network": null,
                    "request_three_d_secure": "automatic",
                },
            },
            "payment_method_types": ["card"],
            "payment_record": null,
            "processing": null,
            "receipt_email": details.receipt_email,
            "review": null,
            "setup_future_usage": details.setup_future_usage,
            "shipping": details.shipping,
            "source": null,
            "statement_descriptor": details.statement_descriptor,
            "statement_descriptor_suffix": details.statement_descriptor_suffix,
            "status": self.status.as_str(),
            "transfer_data": null,
            "transfer_group": null,
        })
    }

    fn next_action(&self) -> Value {
        if self.status != Status::RequiresAction {
            return Value::Null;
        }
        next_action(self.details.return_url.as_deref(), self.id.as_str())
    }
}

/// What the one who pays must do: go where they authenticate, and come back.
pub(crate) fn next_action(return_url: Option<&str>, intent: &str) -> Value {
    let url = format!("https://hooks.stripe.com/3d_secure_2/{intent}");
    match return_url {
        Some(back) => json!({
            "redirect_to_url": { "return_url": back, "url": url },
            "type": "redirect_to_url",
        }),
        None => json!({
            "type": "use_stripe_sdk",
            "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": url },
        }),
    }
}
