//! A price as clients see it, and the plan it also is.

use serde_json::{Map, Value, json};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::Id;
use taximeter_kernel::price::{Scheme, Tier, TierMode, TransformQuantity};

use super::{BillingScheme, Price, Recurring, TaxBehavior};
use crate::params::Choice as _;

impl From<&Scheme> for BillingScheme {
    fn from(scheme: &Scheme) -> Self {
        match scheme {
            Scheme::PerUnit { .. } => Self::PerUnit,
            Scheme::Tiered { .. } => Self::Tiered,
        }
    }
}

/// An amount that can be written as an integer is; one with a fraction is null there.
fn whole(amount: Option<Decimal>) -> Option<i64> {
    amount.and_then(Decimal::to_i64)
}

/// The same amount as an exact text: 0.05 is `"0.05"`, 4 is `"4"`.
fn text(amount: Option<Decimal>) -> Option<String> {
    amount.map(|amount| amount.to_string())
}

const fn unit_amount(scheme: &Scheme) -> Option<Decimal> {
    match scheme {
        Scheme::PerUnit { unit_amount, .. } => Some(*unit_amount),
        Scheme::Tiered { .. } => None,
    }
}

const fn transform(scheme: &Scheme) -> Option<TransformQuantity> {
    match scheme {
        Scheme::PerUnit { transform, .. } => *transform,
        Scheme::Tiered { .. } => None,
    }
}

const fn tiers_mode(scheme: &Scheme) -> Option<TierMode> {
    match scheme {
        Scheme::PerUnit { .. } => None,
        Scheme::Tiered { mode, .. } => Some(*mode),
    }
}

/// Adds the tiers of a tiered scheme. Stripe's types have no null there, so others get no member.
fn add_tiers(object: &mut Map<String, Value>, scheme: &Scheme) {
    if let Scheme::Tiered { tiers, .. } = scheme {
        object.insert("tiers".to_owned(), tiers.iter().map(tier).collect());
    }
}

fn tier(tier: &Tier) -> Value {
    json!({
        "flat_amount": whole(tier.flat_amount),
        "flat_amount_decimal": text(tier.flat_amount),
        "unit_amount": whole(tier.unit_amount),
        "unit_amount_decimal": text(tier.unit_amount),
        "up_to": tier.up_to,
    })
}

fn packages(scheme: &Scheme) -> Value {
    transform(scheme).map_or(
        Value::Null,
        |packages| json!({ "divide_by": packages.divide_by, "round": packages.round.as_str() }),
    )
}

fn currency_option(scheme: &Scheme, tax_behavior: TaxBehavior) -> Value {
    let mut option = members(json!({
        "custom_unit_amount": null,
        "tax_behavior": tax_behavior.as_str(),
        "unit_amount": whole(unit_amount(scheme)),
        "unit_amount_decimal": text(unit_amount(scheme)),
    }));
    add_tiers(&mut option, scheme);
    Value::Object(option)
}

/// The members of an object just written; of anything else, none.
fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

impl Recurring {
    fn wire(&self) -> Value {
        json!({
            "interval": self.recurrence.interval().as_str(),
            "interval_count": self.recurrence.count(),
            "meter": self.meter.as_ref().map(Id::as_str),
            "trial_period_days": self.trial_period_days,
            "usage_type": self.usage_type.as_str(),
        })
    }
}

impl Price {
    /// The object `price`. `tiers` and `currency_options` are in it, for the renderer to leave out
    /// unless they are expanded.
    #[must_use]
    pub fn wire(&self) -> Value {
        let mut price = members(json!({
            "id": self.id.as_str(),
            "object": "price",
            "active": self.active,
            "billing_scheme": BillingScheme::from(&self.scheme).as_str(),
            "created": self.created.0,
            "currency": self.currency.code(),
            "currency_options": self.all_currencies(),
            "custom_unit_amount": null,
            "livemode": self.livemode,
            "lookup_key": self.lookup_key,
            "metadata": self.metadata,
            "nickname": self.nickname,
            "product": self.product.as_str(),
            "recurring": self.recurring.as_ref().map(Recurring::wire),
            "tax_behavior": self.tax_behavior.as_str(),
            "tiers_mode": tiers_mode(&self.scheme).map(TierMode::as_str),
            "transform_quantity": packages(&self.scheme),
            "type": self.price_type().as_str(),
            "unit_amount": whole(unit_amount(&self.scheme)),
            "unit_amount_decimal": text(unit_amount(&self.scheme)),
        }));
        add_tiers(&mut price, &self.scheme);
        Value::Object(price)
    }

    /// The price in every currency it has, its own among them.
    fn all_currencies(&self) -> Value {
        let mut options = Map::new();
        let own = currency_option(&self.scheme, self.tax_behavior);
        options.insert(self.currency.code().to_owned(), own);
        for (currency, option) in &self.currency_options {
            let option = currency_option(&option.scheme, option.tax_behavior);
            options.insert(currency.code().to_owned(), option);
        }
        Value::Object(options)
    }

    /// The object `plan`, as older clients know a recurring price; null when it does not recur.
    #[must_use]
    pub fn plan_wire(&self) -> Value {
        let Some(recurring) = &self.recurring else { return Value::Null };
        let mut plan = members(json!({
            "id": self.id.as_str(),
            "object": "plan",
            "active": self.active,
            "amount": whole(unit_amount(&self.scheme)),
            "amount_decimal": text(unit_amount(&self.scheme)),
            "billing_scheme": BillingScheme::from(&self.scheme).as_str(),
            "created": self.created.0,
            "currency": self.currency.code(),
            "interval": recurring.recurrence.interval().as_str(),
            "interval_count": recurring.recurrence.count(),
            "livemode": self.livemode,
            "metadata": self.metadata,
            "meter": recurring.meter.as_ref().map(Id::as_str),
            "nickname": self.nickname,
            "product": self.product.as_str(),
            "tiers_mode": tiers_mode(&self.scheme).map(TierMode::as_str),
            "transform_usage": packages(&self.scheme),
            "trial_period_days": recurring.trial_period_days,
            "usage_type": recurring.usage_type.as_str(),
        }));
        add_tiers(&mut plan, &self.scheme);
        Value::Object(plan)
    }
}
