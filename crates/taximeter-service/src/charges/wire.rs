//! A charge as clients see it, and what of it is kept as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taximeter_kernel::id::Id;

use super::{Charge, Status};
use crate::params::Choice as _;
use crate::payment_intents::{PaymentIntent, Shipping};
use crate::payment_methods::{BillingDetails, Card, PaymentMethod};
use crate::payments::Decline;

/// What of a charge is kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Who paid, as they were then.
    pub billing_details: BillingDetails,
    /// What with, as it was then.
    pub card: Card,
    /// What it is for.
    pub description: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Where a receipt is sent.
    pub receipt_email: Option<String>,
    /// Where goods go.
    pub shipping: Option<Shipping>,
    /// What the statement of the one who pays says.
    pub statement_descriptor: Option<String>,
    /// What it says after that.
    pub statement_descriptor_suffix: Option<String>,
}

/// Why a charge failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error's code.
    pub code: String,
    /// The bank's reason, or the code again.
    pub reason: String,
    /// What the one who pays is told.
    pub message: String,
}

impl Details {
    pub(super) fn of(
        intent: &PaymentIntent,
        method: &PaymentMethod,
        declined: Option<Decline>,
    ) -> Self {
        let from = &intent.details;
        Self {
            billing_details: method.billing_details.clone(),
            card: method.card.clone(),
            description: from.description.clone(),
            failure: declined.map(|decline| Failure {
                code: decline.code().to_owned(),
                reason: decline.decline_code().unwrap_or_else(|| decline.code()).to_owned(),
                message: decline.message().to_owned(),
            }),
            receipt_email: from.receipt_email.clone(),
            shipping: from.shipping.clone(),
            statement_descriptor: from.statement_descriptor.clone(),
            statement_descriptor_suffix: from.statement_descriptor_suffix.clone(),
        }
    }
}

impl Charge {
    /// The object `charge`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let details = &self.details;
        let failure = details.failure.as_ref();
        let authorized = (self.status == Status::Succeeded).then_some(self.amount);
        json!({
            "id": self.id.as_str(),
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.amount_captured,
            "amount_refunded": self.amount_refunded,
            "application": null,
            "application_fee": null,
            "application_fee_amount": null,
            "balance_transaction": null,
            "billing_details": details.billing_details.wire(),
            "calculated_statement_descriptor": details.statement_descriptor,
            "captured": self.captured,
            "created": self.created.0,
            "currency": self.currency.code(),
            "customer": self.customer.as_ref().map(Id::as_str),
            "description": details.description,
            "disputed": false,
            "failure_balance_transaction": null,
            "failure_code": failure.map(|failure| &failure.code),
            "failure_message": failure.map(|failure| &failure.message),
            "fraud_details": {},
            "livemode": self.livemode,
            "metadata": self.metadata,
            "on_behalf_of": null,
            "outcome": self.outcome(),
            "paid": self.status == Status::Succeeded,
            "payment_intent": self.payment_intent.as_str(),
            "payment_method": self.payment_method.as_str(),
            "payment_method_details": {
                "card": details.card.charged(authorized),
                "type": "card",
            },
            "receipt_email": details.receipt_email,
            "receipt_number": null,
            "receipt_url": null,
            "refunded": self.amount_refunded > 0 && self.refundable() <= 0,
            "review": null,
            "shipping": details.shipping,
            "source": null,
            "source_transfer": null,
            "statement_descriptor": details.statement_descriptor,
            "statement_descriptor_suffix": details.statement_descriptor_suffix,
            "status": self.status.as_str(),
            "transfer_data": null,
            "transfer_group": null,
        })
    }

    fn outcome(&self) -> Value {
        let failure = self.details.failure.as_ref();
        let (status, kind, told) = match failure {
            None => ("approved_by_network", "authorized", "Payment complete."),
            Some(_) => (
                "declined_by_network",
                "issuer_declined",
                "The bank did not return any further details with this decline.",
            ),
        };
        json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": status,
            "reason": failure.map(|failure| &failure.reason),
            "risk_level": "normal",
            "seller_message": told,
            "type": kind,
        })
    }
}
