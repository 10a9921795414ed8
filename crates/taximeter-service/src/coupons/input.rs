//! What a request may say about a coupon.

use std::collections::BTreeMap;

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::ID_BYTES_MAX;
use taximeter_kernel::money::{AMOUNT_MINOR_MAX, Currency};
use taximeter_kernel::time::{DAY_S, Timestamp};

use super::{Duration, Off};
use crate::error::{Error, Result};
use crate::params::{Decode as _, Keyed, Metadata, MetadataChange, Node, Path, Range, Text};
use crate::products::AtMost;

/// The most digits after the point of a percentage.
pub const PERCENT_DECIMALS_MAX: u8 = 4;
/// The most products that a coupon is restricted to.
pub const PRODUCTS_MAX: usize = 100;
/// The most months that a coupon is in effect: a century.
const MONTHS_MAX: i64 = 1_200;
/// How far ahead the last day to redeem a coupon may be (Stripe's five years).
const REDEEM_BY_MAX_S: i64 = 5 * 366 * DAY_S;

crate::choice! {
    /// How long a coupon is in effect once it is redeemed.
    pub enum DurationWord {
        /// As long as what it was applied to lasts.
        Forever = "forever",
        /// For one invoice.
        Once = "once",
        /// For some months.
        Repeating = "repeating",
    }
}

crate::params! {
    /// What a coupon is restricted to.
    pub struct AppliesToInput {
        /// Only these products.
        pub products: Option<AtMost<Text<255>, PRODUCTS_MAX>>,
    }
}

crate::params! {
    /// What a coupon takes off in another currency.
    pub struct CurrencyOptionInput {
        /// Whole minor units.
        pub amount_off: i64,
    }
}

crate::params! {
    /// What a new coupon is made of.
    pub struct Create {
        /// What it takes off, in whole minor units.
        pub amount_off: Option<i64>,
        /// What it is restricted to.
        pub applies_to: Option<AppliesToInput>,
        /// The currency of `amount_off`.
        pub currency: Option<Currency>,
        /// What it takes off in other currencies.
        pub currency_options: Option<Keyed<CurrencyOptionInput>>,
        /// How long it is in effect.
        pub duration: Option<DurationWord>,
        /// For how many months, when it repeats.
        pub duration_in_months: Option<i64>,
        /// An id of the caller's choosing.
        pub id: Option<Text<ID_BYTES_MAX>>,
        /// How often it can be redeemed.
        pub max_redemptions: Option<i64>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// What customers see it called.
        pub name: Option<Text<40>>,
        /// How many per cent it takes off.
        pub percent_off: Option<Decimal>,
        /// The last second in which it can be redeemed.
        pub redeem_by: Option<Timestamp>,
    }
}

crate::params! {
    /// What of a coupon changes.
    pub struct Update {
        /// What it takes off in other currencies.
        pub currency_options: Option<Keyed<CurrencyOptionInput>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// What customers see it called.
        pub name: Option<Text<40>>,
    }
}

crate::params! {
    /// A list of coupons.
    pub struct List with page {
        /// Only those made in this span.
        pub created: Range,
    }
}

crate::params! {
    /// Deleting takes no parameters.
    pub struct Delete {}
}

fn refuse<T>(param: &str, message: impl Into<String>) -> Result<T> {
    Err(Error::invalid(message).param(param))
}

/// An amount above 0 that can be billed.
fn amount(minor: i64, param: &str) -> Result<i64> {
    if (1..=AMOUNT_MINOR_MAX).contains(&minor) {
        return Ok(minor);
    }
    Err(Error::invalid(format!(
        "Invalid amount: must be between 1 and {AMOUNT_MINOR_MAX}, in the smallest currency unit."
    ))
    .code(if minor < 1 { "parameter_invalid_integer" } else { "amount_too_large" })
    .param(param))
}

/// Amounts by currency, as `currency_options` says them.
pub(super) fn options(
    options: Option<Keyed<CurrencyOptionInput>>,
    base: Option<Currency>,
    amounts: &mut BTreeMap<Currency, i64>,
) -> Result<()> {
    let at = Path::ROOT.child("currency_options");
    for (code, option) in options.map(|options| options.0).unwrap_or_default() {
        let here = at.child(&code);
        let currency = Currency::decode(Some(Node::Text(code.clone())), here)?;
        let amount = amount(option.amount_off, &here.child("amount_off").to_string())?;
        if Some(currency) == base && amounts.get(&currency) != Some(&amount) {
            return refuse(
                &here.to_string(),
                format!(
                    "The coupon's own currency `{currency}` cannot be given another amount.",
                    currency = currency.code()
                ),
            );
        }
        amounts.insert(currency, amount);
    }
    Ok(())
}

impl Create {
    /// What the coupon takes off, if it is either per cents or an amount.
    pub(super) fn off(&mut self) -> Result<Off> {
        match (self.percent_off, self.amount_off) {
            (Some(_), Some(_)) => Err(Error::invalid(
                "You may only specify one of these parameters: amount_off, percent_off.",
            )
            .code("parameters_exclusive")
            .param("amount_off")),
            (None, None) => {
                Err(Error::invalid("Must provide `percent_off` or `amount_off` and `currency`.")
                    .code("parameter_missing")
                    .param("percent_off"))
            }
            (Some(percent), None) => {
                for (param, given) in [
                    ("currency", self.currency.is_some()),
                    ("currency_options", self.currency_options.is_some()),
                ] {
                    if given {
                        let message = format!("`{param}` is only supported with `amount_off`.");
                        return refuse(param, message);
                    }
                }
                Ok(Off::Percent(checked_percent(percent)?))
            }
            (None, Some(minor)) => {
                let currency = self.currency.ok_or_else(|| Error::missing("currency"))?;
                let mut amounts = BTreeMap::from([(currency, amount(minor, "amount_off")?)]);
                options(self.currency_options.take(), Some(currency), &mut amounts)?;
                Ok(Off::Amounts { currency, amounts })
            }
        }
    }

    pub(super) fn duration(&self) -> Result<Duration> {
        const MONTHS: &str = "duration_in_months";
        match (self.duration.unwrap_or(DurationWord::Once), self.duration_in_months) {
            (DurationWord::Repeating, None) => Err(Error::missing(MONTHS)),
            (DurationWord::Repeating, Some(months)) if (1..=MONTHS_MAX).contains(&months) => {
                Ok(Duration::Repeating { months })
            }
            (DurationWord::Repeating, Some(_)) => {
                refuse(MONTHS, format!("Invalid {MONTHS}: must be between 1 and {MONTHS_MAX}."))
            }
            (DurationWord::Once | DurationWord::Forever, Some(_)) => refuse(
                MONTHS,
                format!("`{MONTHS}` is only supported when `duration` is `repeating`."),
            ),
            (DurationWord::Once, None) => Ok(Duration::Once),
            (DurationWord::Forever, None) => Ok(Duration::Forever),
        }
    }

    /// The last second in which it can be redeemed, which is neither past nor too far away.
    pub(super) fn redeem_by(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let Some(by) = self.redeem_by else { return Ok(None) };
        if by <= now {
            return refuse("redeem_by", "Invalid timestamp: must be in the future.");
        }
        if by.0.saturating_sub(now.0) > REDEEM_BY_MAX_S {
            return refuse(
                "redeem_by",
                "Invalid timestamp: can be no more than five years in the future.",
            );
        }
        Ok(Some(by))
    }
}

fn checked_percent(percent: Decimal) -> Result<Decimal> {
    let above = Decimal::from(100).checked_sub(percent).is_ok_and(|rest| !rest.is_negative());
    let positive = !percent.is_negative() && !percent.is_zero();
    if positive && above && percent.scale() <= PERCENT_DECIMALS_MAX {
        return Ok(percent);
    }
    refuse(
        "percent_off",
        format!(
            "Invalid percent_off: must be greater than 0 and at most 100, with at most \
             {PERCENT_DECIMALS_MAX} digits after the point."
        ),
    )
}

/// How often something can be redeemed: at least once.
pub(crate) fn checked_redemptions(max: Option<i64>) -> Result<Option<i64>> {
    match max {
        Some(..=0) => Err(Error::invalid("This value must be greater than or equal to 1.")
            .code("parameter_invalid_integer")
            .param("max_redemptions")),
        other => Ok(other),
    }
}
