//! A tax rate as clients see it, and the part of it that is kept as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taximeter_kernel::tax::Behavior;

use super::TaxRate;
use crate::number::json_number;

/// What a tax rate is called and where it is levied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// What customers see it called.
    pub display_name: String,
    /// Two-letter country code.
    pub country: Option<String>,
    /// A note of the operator's.
    pub description: Option<String>,
    /// Where it is levied, as invoices show it.
    pub jurisdiction: Option<String>,
    /// The state, without the country.
    pub state: Option<String>,
    /// The kind of tax.
    pub tax_type: Option<String>,
}

impl TaxRate {
    /// The object `tax_rate`.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "tax_rate",
            "active": self.active,
            "country": self.details.country,
            "created": self.created.0,
            "description": self.details.description,
            "display_name": self.details.display_name,
            // What Stripe Tax alone fills in.
            "effective_percentage": null,
            "flat_amount": null,
            "inclusive": self.behavior == Behavior::Inclusive,
            "jurisdiction": self.details.jurisdiction,
            "jurisdiction_level": null,
            "livemode": self.livemode,
            "metadata": self.metadata,
            "percentage": json_number(self.percentage),
            "rate_type": null,
            "state": self.details.state,
            "tax_type": self.details.tax_type,
        })
    }
}
