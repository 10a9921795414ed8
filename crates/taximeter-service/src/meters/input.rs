//! What the verbs of meters take, and the bounds on it.

use taximeter_kernel::aggregate::{Formula, Percentile, Window};
use taximeter_kernel::time::{DAY_S, HOUR_S};

use super::{Status, VALUE_KEY_DEFAULT};
use crate::error::{Error, Result};
use crate::params::Text;

/// The most dimensions of a meter.
pub const DIMENSION_KEYS_MAX: usize = 10;
/// How late an event may be, in seconds, unless the meter says otherwise: Stripe's 35 days.
pub const LATE_WINDOW_S_DEFAULT: i64 = 35 * DAY_S;
/// For how long after its receipt an event can be corrected, in seconds, unless the meter says
/// otherwise: Stripe's 24 hours.
pub const ADJUSTMENT_WINDOW_S_DEFAULT: i64 = DAY_S;
/// The shortest of both windows, in seconds.
pub const WINDOW_S_MIN: i64 = HOUR_S;
/// The longest of both windows, in seconds: ten years of 365 days.
pub const WINDOW_S_MAX: i64 = 3_650 * DAY_S;
/// The most digits of a value, unless the meter says otherwise: Stripe's.
pub const VALUE_DIGITS_DEFAULT: u32 = 15;
/// The most digits that a meter may let its values have.
pub const VALUE_DIGITS_MAX: u32 = 28;

crate::choice! {
    /// The word that names a formula: Stripe's, then ours.
    pub enum FormulaWord {
        /// The number of events.
        Count = "count",
        /// The value of the latest event.
        Last = "last",
        /// The values added up.
        Sum = "sum",
        /// The mean of the values.
        Average = "average",
        /// The greatest value.
        Max = "max",
        /// The smallest value.
        Min = "min",
        /// The value that a given part of the values does not exceed.
        Percentile = "percentile",
        /// The number of distinct values.
        UniqueCount = "unique_count",
        /// The level that the values are changes of, over time.
        WeightedSum = "weighted_sum",
    }
}
crate::choice! { for Window { Day = "day", Hour = "hour" } }

crate::choice! {
    /// How an event names its customer.
    pub enum MappingType {
        /// By the customer's id.
        ById = "by_id",
    }
}

crate::params! {
    /// The `default_aggregation` of a meter.
    pub struct DefaultAggregation {
        /// How events become a quantity.
        pub formula: FormulaWord,
        /// Which percentile, for that formula: `50` to `99.9`.
        pub percentile: Option<Text<10>>,
    }
}

crate::params! {
    /// The `customer_mapping` of a meter.
    pub struct CustomerMapping {
        /// The payload key that names the customer.
        pub event_payload_key: Text<100>,
        /// How it names it.
        pub r#type: MappingType,
    }
}

crate::params! {
    /// The `value_settings` of a meter.
    pub struct ValueSettings {
        /// The payload key that holds the value.
        pub event_payload_key: Option<Text<100>>,
        /// The most digits that a value may have.
        pub max_digits: Option<i64>,
    }
}

crate::params! {
    /// What of the `value_settings` of a meter can change.
    pub struct ValueSettingsUpdate {
        /// The most digits that a value may have.
        pub max_digits: i64,
    }
}

crate::params! {
    /// What a new meter is made of.
    pub struct Create {
        /// The name in lists and menus. Customers do not see it.
        pub display_name: Text<250>,
        /// The name its events carry.
        pub event_name: Text<100>,
        /// How its events become a quantity.
        pub default_aggregation: DefaultAggregation,
        /// How its events name their customer.
        pub customer_mapping: Option<CustomerMapping>,
        /// Where its events hold their value.
        pub value_settings: Option<ValueSettings>,
        /// The window over which the sender has already aggregated, if any.
        pub event_time_window: Option<Window>,
        /// The payload keys by which its usage can be told apart.
        pub dimension_payload_keys: Option<Vec<Text<100>>>,
        /// How late an event may be, in seconds.
        pub late_event_window_seconds: Option<i64>,
        /// For how long after its receipt an event can be corrected, in seconds.
        pub adjustment_window_seconds: Option<i64>,
    }
}

crate::params! {
    /// What of a meter can change.
    pub struct Update {
        /// The name in lists and menus.
        pub display_name: Option<Text<250>>,
        /// How large its values may be.
        pub value_settings: Option<ValueSettingsUpdate>,
        /// How late an event may be, in seconds.
        pub late_event_window_seconds: Option<i64>,
        /// For how long after its receipt an event can be corrected, in seconds.
        pub adjustment_window_seconds: Option<i64>,
    }
}

crate::params! {
    /// A list of meters.
    pub struct List with page {
        /// Only meters of this status.
        pub status: Option<Status>,
    }
}

crate::params! {
    /// Deactivating and reactivating take no parameters.
    pub struct Switch {}
}

/// The formula that is asked for.
///
/// # Errors
/// A 400 when a percentile is missing, none, or given for another formula.
pub(super) fn formula(input: &DefaultAggregation) -> Result<Formula> {
    let word = crate::params::Choice::as_str(input.formula);
    let param = "default_aggregation[percentile]";
    let percentile = match (&input.percentile, input.formula) {
        (None, FormulaWord::Percentile) => return Err(Error::missing(param)),
        (Some(_), other) if other != FormulaWord::Percentile => {
            return Err(Error::invalid(format!(
                "Invalid {param}: may only be specified when the formula is percentile."
            ))
            .param(param));
        }
        (None, _) => None,
        (Some(text), _) => Some(Percentile::parse(text).ok_or_else(|| {
            Error::invalid(format!(
                "Invalid {param}: must be from 50 to 99.9, with at most one digit after the point."
            ))
            .param(param)
        })?),
    };
    Formula::parse(word, percentile).ok_or_else(|| Error::internal("a formula without a word"))
}

/// The dimensions that are asked for, in their order.
///
/// # Errors
/// A 400 when there are too many, one is there twice, or one is the key of the customer or value.
pub(super) fn dimension_keys(
    keys: Option<Vec<Text<100>>>,
    customer_key: &str,
    value_key: &str,
) -> Result<Vec<String>> {
    const PARAM: &str = "dimension_payload_keys";
    let keys: Vec<String> = keys.unwrap_or_default().into_iter().map(Into::into).collect();
    if keys.len() > DIMENSION_KEYS_MAX {
        return Err(Error::invalid(format!(
            "Invalid array: at most {DIMENSION_KEYS_MAX} dimensions are accepted"
        ))
        .param(PARAM));
    }
    for (place, key) in keys.iter().enumerate() {
        let param = format!("{PARAM}[{place}]");
        let wrong = if keys.iter().take(place).any(|earlier| earlier == key) {
            "is there twice"
        } else if key == customer_key {
            "is the key that names the customer"
        } else if key == value_key {
            "is the key that holds the value"
        } else if key.contains(['[', ']']) {
            "contains square brackets"
        } else {
            continue;
        };
        return Err(Error::invalid(format!("Invalid {param}: '{key}' {wrong}.")).param(param));
    }
    Ok(keys)
}

/// How late an event may be.
///
/// # Errors
/// A 400 when it is out of bounds.
pub(super) fn late_window_s(seconds: i64) -> Result<i64> {
    between(seconds, (WINDOW_S_MIN, WINDOW_S_MAX), "late_event_window_seconds")
}

/// For how long an event can be corrected.
///
/// # Errors
/// A 400 when it is out of bounds.
pub(super) fn adjustment_window_s(seconds: i64) -> Result<i64> {
    between(seconds, (WINDOW_S_MIN, WINDOW_S_MAX), "adjustment_window_seconds")
}

/// The payload key that holds the value, and the most digits it may have.
///
/// # Errors
/// A 400 when neither is given, and when the digits are out of bounds.
pub(super) fn value_settings(settings: Option<ValueSettings>) -> Result<(String, u32)> {
    let default = || VALUE_KEY_DEFAULT.to_owned();
    let Some(settings) = settings else { return Ok((default(), VALUE_DIGITS_DEFAULT)) };
    if settings.event_payload_key.is_none() && settings.max_digits.is_none() {
        return Err(Error::missing("value_settings[event_payload_key]"));
    }
    let digits = settings.max_digits.map_or(Ok(VALUE_DIGITS_DEFAULT), value_digits)?;
    Ok((settings.event_payload_key.map_or_else(default, Into::into), digits))
}

/// A number of digits that a meter may allow.
///
/// # Errors
/// A 400 when it is out of bounds.
pub(super) fn value_digits(digits: i64) -> Result<u32> {
    let bounds = (i64::from(VALUE_DIGITS_DEFAULT), i64::from(VALUE_DIGITS_MAX));
    let digits = between(digits, bounds, "value_settings[max_digits]")?;
    u32::try_from(digits).map_err(Error::internal)
}

fn between(number: i64, (min, max): (i64, i64), param: &str) -> Result<i64> {
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(Error::invalid(format!("Invalid {param}: must be between {min} and {max}.")).param(param))
}
