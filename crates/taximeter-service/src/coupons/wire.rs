//! A coupon as clients see it, and the part of it that is kept as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use taximeter_kernel::id::{Id, Product as ProductKind};
use taximeter_kernel::money::Currency;

use super::{Coupon, Duration, DurationWord, Off};
use crate::number::json_number;
use crate::params::Choice as _;
use crate::prices::Exact;
use crate::wire::{seconds, without_nulls};

/// What a coupon takes off, how long and of what, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Terms {
    percent_off: Option<Exact>,
    currency: Option<String>,
    amounts: BTreeMap<String, i64>,
    duration: String,
    duration_in_months: Option<i64>,
    products: Option<Vec<String>>,
}

impl Terms {
    pub(super) fn of(coupon: &Coupon) -> Self {
        let (percent_off, currency, amounts) = match &coupon.off {
            Off::Percent(percent) => (Some(Exact(*percent)), None, BTreeMap::new()),
            Off::Amounts { currency, amounts } => {
                let amounts = amounts.iter().map(|(c, amount)| (c.code().to_owned(), *amount));
                (None, Some(currency.code().to_owned()), amounts.collect())
            }
        };
        let products = coupon
            .products
            .as_ref()
            .map(|products| products.iter().map(|product| product.as_str().to_owned()).collect());
        Self {
            percent_off,
            currency,
            amounts,
            duration: coupon.duration.word().as_str().to_owned(),
            duration_in_months: coupon.duration.months(),
            products,
        }
    }

    pub(super) fn off(&self) -> Option<Off> {
        if let Some(percent) = self.percent_off {
            return Some(Off::Percent(percent.0));
        }
        let currency = Currency::parse(self.currency.as_deref()?).ok()?;
        let mut amounts = BTreeMap::new();
        for (code, amount) in &self.amounts {
            amounts.insert(Currency::parse(code).ok()?, *amount);
        }
        Some(Off::Amounts { currency, amounts })
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        Some(match DurationWord::from_word(&self.duration)? {
            DurationWord::Forever => Duration::Forever,
            DurationWord::Once => Duration::Once,
            DurationWord::Repeating => Duration::Repeating { months: self.duration_in_months? },
        })
    }

    #[expect(clippy::option_option, reason = "not restricted is not the same as unreadable")]
    pub(super) fn products(&self) -> Option<Option<Vec<Id<ProductKind>>>> {
        let Some(products) = &self.products else { return Some(None) };
        products.iter().map(|id| Id::parse(id).ok()).collect::<Option<_>>().map(Some)
    }
}

impl Duration {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> DurationWord {
        match self {
            Self::Once => DurationWord::Once,
            Self::Repeating { .. } => DurationWord::Repeating,
            Self::Forever => DurationWord::Forever,
        }
    }

    const fn months(self) -> Option<i64> {
        match self {
            Self::Repeating { months } => Some(months),
            Self::Once | Self::Forever => None,
        }
    }
}

impl Coupon {
    /// The object `coupon`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let (percent_off, amount_off, currency, options) = match &self.off {
            Off::Percent(percent) => (json_number(*percent), None, None, Value::Null),
            Off::Amounts { currency, amounts } => {
                let option = |(currency, amount): (&Currency, &i64)| {
                    (currency.code().to_owned(), json!({ "amount_off": amount }))
                };
                let options: Map<String, Value> = amounts.iter().map(option).collect();
                let amount = amounts.get(currency).copied();
                (Value::Null, amount, Some(currency.code()), options.into())
            }
        };
        let products = self.products.as_ref().map(
            |products| json!({ "products": products.iter().map(Id::as_str).collect::<Vec<_>>() }),
        );
        let coupon = json!({
            "id": self.id.as_str(),
            "object": "coupon",
            "amount_off": amount_off,
            "applies_to": products,
            "created": self.created.0,
            "currency": currency,
            "currency_options": options,
            "duration": self.duration.word().as_str(),
            "duration_in_months": self.duration.months(),
            "livemode": self.livemode,
            "max_redemptions": self.max_redemptions,
            "metadata": self.metadata,
            "name": self.name,
            "percent_off": percent_off,
            "redeem_by": seconds(self.redeem_by),
            "times_redeemed": self.times_redeemed,
            "valid": self.valid,
        });
        without_nulls(coupon, &["applies_to", "currency_options"])
    }
}
