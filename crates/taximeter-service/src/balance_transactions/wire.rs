//! A change of a balance as clients see it.

use serde_json::{Value, json};
use taximeter_kernel::id::Id;
use taximeter_kernel::money::Currency;

use super::BalanceTransaction;
use crate::params::Choice as _;

/// Shown while the customer has no currency: the SDKs' types have no row without one.
const CURRENCY_SHOWN: &str = "usd";

impl BalanceTransaction {
    /// The object `customer_balance_transaction`.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "customer_balance_transaction",
            "amount": self.amount,
            "checkout_session": null,
            "created": self.created.0,
            "credit_note": self.credit_note.as_ref().map(Id::as_str),
            "currency": self.currency.map_or(CURRENCY_SHOWN, Currency::code),
            "customer": self.customer.as_str(),
            "customer_account": null,
            "description": self.description,
            "ending_balance": self.ending_balance,
            "invoice": self.invoice.as_ref().map(Id::as_str),
            "livemode": self.livemode,
            "metadata": self.metadata,
            "type": self.kind.as_str(),
        })
    }
}
