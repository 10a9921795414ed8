//! An invoice item as clients see it, and the part of it that is kept as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taximeter_kernel::id::Id;

use super::InvoiceItem;
use crate::tax_rates::TaxRate;
use crate::wire::without_nulls;

/// What a proration gives money back for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Credited {
    /// What was not invoiced yet.
    InvoiceItem {
        /// The pending item.
        invoice_item: String,
    },
    /// What was invoiced.
    InvoiceLineItems {
        /// The invoice.
        invoice: String,
        /// Its lines.
        invoice_line_items: Vec<String>,
    },
}

/// What a proration is of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProrationDetails {
    /// What it gives money back for.
    pub credited_items: Option<Credited>,
    /// What discounts took off when it was made: the discount's id and the amount.
    pub discount_amounts: Vec<(String, i64)>,
    /// The start and end of the whole period that it is a part of, in seconds.
    pub whole: Option<(i64, i64)>,
}

impl Credited {
    fn wire(&self) -> Value {
        match self {
            Self::InvoiceItem { invoice_item } => {
                json!({ "type": "invoice_item", "invoice_item": invoice_item })
            }
            Self::InvoiceLineItems { invoice, invoice_line_items } => json!({
                "type": "invoice_line_items",
                "invoice_line_item_details": {
                    "invoice": invoice,
                    "invoice_line_items": invoice_line_items,
                },
            }),
        }
    }
}

impl ProrationDetails {
    fn wire(&self) -> Value {
        let amount =
            |(discount, amount): &(String, i64)| json!({ "amount": amount, "discount": discount });
        json!({
            "credited_items": self.credited_items.as_ref().map(Credited::wire),
            "discount_amounts": self.discount_amounts.iter().map(amount).collect::<Vec<_>>(),
        })
    }
}

impl InvoiceItem {
    /// The object `invoiceitem`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let rates = self.tax_rates.iter().flatten().map(TaxRate::wire);
        let item = json!({
            "id": self.id.as_str(),
            "object": "invoiceitem",
            "amount": self.amount,
            "currency": self.currency.code(),
            "customer": self.customer.as_str(),
            "customer_account": null,
            "date": self.created.0,
            "description": self.description,
            "discountable": self.discountable,
            "discounts": self.discounts.iter().map(Id::as_str).collect::<Vec<_>>(),
            "invoice": self.invoice.as_ref().map(Id::as_str),
            "livemode": self.livemode,
            "metadata": self.metadata,
            "net_amount": self.net_amount,
            "parent": self.parent(),
            "period": { "end": self.period.end.0, "start": self.period.start.0 },
            "pricing": self.pricing(),
            "proration": self.proration.is_some(),
            "proration_details": self.proration.as_ref().map(ProrationDetails::wire),
            "quantity": i64::try_from(self.quantity.whole()).unwrap_or(i64::MAX),
            "quantity_decimal": self.quantity.to_string(),
            "tax_rates": rates.collect::<Vec<_>>(),
            "test_clock": self.test_clock.as_ref().map(Id::as_str),
        });
        without_nulls(item, &["net_amount", "proration_details"])
    }

    fn parent(&self) -> Value {
        let Some(subscription) = &self.subscription else { return Value::Null };
        let details = json!({
            "subscription": subscription.as_str(),
            "subscription_item": self.subscription_item.as_ref().map(Id::as_str),
        });
        json!({
            "subscription_details": without_nulls(details, &["subscription_item"]),
            "type": "subscription_details",
        })
    }

    fn pricing(&self) -> Value {
        let (Some(price), Some(product)) = (&self.price, &self.product) else {
            return Value::Null;
        };
        json!({
            "price_details": { "price": price.as_str(), "product": product.as_str() },
            "type": "price_details",
            "unit_amount_decimal": self.unit_amount.map(|unit| unit.to_string()),
        })
    }
}
