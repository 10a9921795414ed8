//! A product as clients see it.

use serde_json::{Number, Value, json};
use taximeter_kernel::id::Id;

use super::{PackageDimensions, Product};
use crate::params::Choice as _;
use crate::prices::Exact;

impl Product {
    /// The object `product`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let features = self.marketing_features.iter().map(|name| json!({ "name": name }));
        json!({
            "id": self.id.as_str(),
            "object": "product",
            "active": self.active,
            "created": self.created.0,
            "default_price": self.default_price.as_ref().map(Id::as_str),
            "description": self.description,
            "images": self.images,
            "livemode": self.livemode,
            "marketing_features": features.collect::<Value>(),
            "metadata": self.metadata,
            "name": self.name,
            "package_dimensions": self.package_dimensions.as_ref().map(PackageDimensions::wire),
            "shippable": self.shippable,
            "statement_descriptor": self.statement_descriptor,
            "tax_code": self.tax_code,
            "tax_details": self.tax_details(),
            "type": self.kind.as_str(),
            "unit_label": self.unit_label,
            "updated": self.updated.0,
            "url": self.url,
        })
    }

    /// What a deletion leaves.
    #[must_use]
    pub fn deleted_wire(&self) -> Value {
        json!({ "id": self.id.as_str(), "object": "product", "deleted": true })
    }

    /// The tax code again, with the place of the performance; null when there is neither.
    fn tax_details(&self) -> Value {
        if self.tax_code.is_none() && self.performance_location.is_none() {
            return Value::Null;
        }
        json!({ "performance_location": self.performance_location, "tax_code": self.tax_code })
    }
}

impl PackageDimensions {
    fn wire(&self) -> Value {
        json!({
            "height": number(self.height),
            "length": number(self.length),
            "weight": number(self.weight),
            "width": number(self.width),
        })
    }
}

/// The only fractions that Stripe has as JSON numbers. They go through their text; the bounds of a
/// [`Dimension`](super::Dimension) keep that exact, whatever holds the number in between.
fn number(exact: Exact) -> Value {
    exact.0.to_string().parse().map_or(Value::Null, |number: Number| Value::Number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dimension_is_the_number_that_was_sent() {
        for text in ["0.01", "1.1", "12", "0.29", "4503599627.37", "9999999999.99", "0"] {
            let exact = Exact(text.parse().unwrap());
            assert_eq!(number(exact).to_string(), text);
        }
    }
}
