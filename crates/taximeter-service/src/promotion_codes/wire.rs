//! A promotion code as clients see it, and the part of it that is kept as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use taximeter_kernel::id::Id;

use super::PromotionCode;
use crate::wire::seconds;

/// Who can redeem a promotion code, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Restrictions {
    /// Whether only who has not paid anything yet.
    pub first_time_transaction: bool,
    /// The least purchase, in minor units.
    pub minimum_amount: Option<i64>,
    /// The currency of that.
    pub minimum_amount_currency: Option<String>,
    /// The least purchase in other currencies.
    pub currency_options: BTreeMap<String, i64>,
}

impl Restrictions {
    fn wire(&self) -> Value {
        let mut wire = json!({
            "first_time_transaction": self.first_time_transaction,
            "minimum_amount": self.minimum_amount,
            "minimum_amount_currency": self.minimum_amount_currency,
        });
        if let (Some(own), Some(of)) = (self.minimum_amount, &self.minimum_amount_currency) {
            let option = |amount: i64| json!({ "minimum_amount": amount });
            let mut options = Map::from_iter([(of.clone(), option(own))]);
            options.extend(self.currency_options.iter().map(|(c, m)| (c.clone(), option(*m))));
            wire["currency_options"] = options.into();
        }
        wire
    }
}

impl PromotionCode {
    /// The object `promotion_code`.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "promotion_code",
            "active": self.active,
            "code": self.code,
            "created": self.created.0,
            "customer": self.customer.as_ref().map(Id::as_str),
            "customer_account": null,
            "expires_at": seconds(self.expires_at),
            "livemode": self.livemode,
            "max_redemptions": self.max_redemptions,
            "metadata": self.metadata,
            "promotion": { "coupon": self.coupon.id.as_str(), "type": "coupon" },
            "restrictions": self.restrictions.wire(),
            "times_redeemed": self.times_redeemed,
        })
    }
}
