//! A customer as clients see it, and the parts of it that are kept as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use taximeter_kernel::id::Id;

use super::Customer;
use crate::discounts::Discount;
use crate::params::Choice as _;
use crate::wire::without_nulls;

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Address {
    /// City, town or village.
    pub city: Option<String>,
    /// Two-letter country code.
    pub country: Option<String>,
    /// Street and number.
    pub line1: Option<String>,
    /// Flat, floor or building.
    pub line2: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// State, county or province.
    pub state: Option<String>,
}

/// Where goods go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipping {
    /// The address.
    pub address: Address,
    /// Who receives them.
    pub name: String,
    /// Whom to call.
    pub phone: Option<String>,
}

/// A field that the customer's invoices show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomField {
    /// What it is called.
    pub name: String,
    /// What it says.
    pub value: String,
}

/// How the customer's invoices are drawn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RenderingOptions {
    /// How tax is shown.
    pub amount_tax_display: Option<String>,
    /// The template, of which there are none.
    pub template: Option<String>,
}

/// What the customer's invoices show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InvoiceSettings {
    /// Fields at their head.
    pub custom_fields: Option<Vec<CustomField>>,
    /// What they are paid with.
    pub default_payment_method: Option<String>,
    /// Text at their foot.
    pub footer: Option<String>,
    /// How they are drawn.
    pub rendering_options: Option<RenderingOptions>,
}

impl Customer {
    /// The object `customer`, or its stub when it was deleted.
    #[must_use]
    pub fn wire(&self) -> Value {
        if self.deleted {
            return json!({ "id": self.id.as_str(), "object": "customer", "deleted": true });
        }
        let empty_list = |what: &str| {
            json!({
                "object": "list",
                "data": [],
                "has_more": false,
                "url": format!("/v1/customers/{}/{what}", self.id),
            })
        };
        let customer = json!({
            "id": self.id.as_str(),
            "object": "customer",
            "address": self.address,
            "balance": self.balance,
            "business_name": self.business_name,
            "cash_balance": null,
            "created": self.created.0,
            "currency": self.currency.map(taximeter_kernel::money::Currency::code),
            "customer_account": null,
            "default_source": null,
            "delinquent": self.delinquent,
            "description": self.description,
            "discount": self.discount.as_ref().map(Discount::wire),
            "email": self.email,
            "individual_name": self.individual_name,
            "invoice_credit_balance": self.invoice_credit_balance(),
            "invoice_prefix": self.invoice_prefix,
            "invoice_settings": self.invoice_settings,
            "livemode": self.livemode,
            "metadata": self.metadata,
            "name": self.name,
            "next_invoice_sequence": self.next_invoice_sequence,
            "phone": self.phone,
            "preferred_locales": self.preferred_locales,
            "shipping": self.shipping,
            "sources": empty_list("sources"),
            "tax": null,
            "tax_exempt": self.tax_exempt.as_str(),
            "tax_ids": empty_list("tax_ids"),
            "test_clock": self.test_clock.as_ref().map(Id::as_str),
        });
        without_nulls(customer, &["business_name", "individual_name", "tax"])
    }

    /// The credit by currency. Its sign is the opposite of `balance`: positive is credit.
    fn invoice_credit_balance(&self) -> Value {
        match self.currency {
            Some(currency) => json!({ currency.code(): self.balance.saturating_neg() }),
            None => json!({}),
        }
    }
}
