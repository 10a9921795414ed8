//! A payment method as clients see it, and the parts of it that are kept as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::PaymentMethod;
use crate::customers::Address;
use crate::params::Choice as _;

/// What is kept of a card: never its number, never its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The network's name.
    pub brand: String,
    /// Where it was issued.
    pub country: String,
    /// What is known of its code: `unchecked`, `pass` or `fail`; nothing when there was none.
    pub cvc_check: Option<String>,
    /// What the bank will say of the code once it is asked.
    pub cvc_answer: String,
    /// The last month in which it can be used.
    pub exp_month: i64,
    /// The year of that month.
    pub exp_year: i64,
    /// The same for the same number within an account.
    pub fingerprint: String,
    /// `credit`, `debit` or `prepaid`.
    pub funding: String,
    /// The last four digits of its number.
    pub last4: String,
}

/// Whose a payment method is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BillingDetails {
    /// Their address.
    pub address: Option<Address>,
    /// Their email.
    pub email: Option<String>,
    /// Their name.
    pub name: Option<String>,
    /// Their telephone number.
    pub phone: Option<String>,
    /// Their tax id.
    pub tax_id: Option<String>,
}

impl BillingDetails {
    /// As the wire has it: an address has its members even when none is known.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "address": self.address.clone().unwrap_or_default(),
            "email": self.email,
            "name": self.name,
            "phone": self.phone,
            "tax_id": self.tax_id,
        })
    }
}

impl Card {
    fn wire(&self) -> Value {
        json!({
            "brand": self.brand,
            "checks": self.checks(),
            "country": self.country,
            "display_brand": self.brand,
            "exp_month": self.exp_month,
            "exp_year": self.exp_year,
            "fingerprint": self.fingerprint,
            "funding": self.funding,
            "generated_from": null,
            "last4": self.last4,
            "networks": { "available": [self.brand], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        })
    }

    /// What of it was checked.
    fn checks(&self) -> Value {
        json!({
            "address_line1_check": null,
            "address_postal_code_check": null,
            "cvc_check": self.cvc_check,
        })
    }

    /// What a charge of an amount shows of it.
    #[must_use]
    pub fn charged(&self, authorized: Option<i64>) -> Value {
        json!({
            "amount_authorized": authorized,
            "authorization_code": null,
            "brand": self.brand,
            "checks": self.checks(),
            "country": self.country,
            "electronic_commerce_indicator": null,
            "exp_month": self.exp_month,
            "exp_year": self.exp_year,
            "fingerprint": self.fingerprint,
            "funding": self.funding,
            "installments": null,
            "last4": self.last4,
            "mandate": null,
            "network": self.brand,
            "network_transaction_id": null,
            "regulated_status": "unregulated",
            "three_d_secure": null,
            "transaction_link_id": null,
            "wallet": null,
        })
    }
}

impl PaymentMethod {
    /// The object `payment_method`.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "payment_method",
            "allow_redisplay": self.allow_redisplay.as_str(),
            "billing_details": self.billing_details.wire(),
            "card": self.card.wire(),
            "created": self.created.0,
            "customer": self.customer.as_ref().map(taximeter_kernel::id::Id::as_str),
            "customer_account": null,
            "livemode": self.livemode,
            "metadata": self.metadata,
            "type": self.kind.as_str(),
        })
    }
}
