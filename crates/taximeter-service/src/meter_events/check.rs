//! Whether an event is one that its meter counts.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use taximeter_kernel::aggregate::Measure;
use taximeter_kernel::decimal::{Decimal, DecimalError};
use taximeter_kernel::time::{DAY_S, HOUR_S, Timestamp};

use super::params::Member;
use crate::error::Error;
use crate::meters::Meter;

/// How far ahead of its customer's time an event may be, in seconds.
pub const AHEAD_S_MAX: i64 = 300;

crate::choice! {
    /// What is wrong with an event, in the words of Stripe's error reports.
    pub enum ErrorCode {
        /// The meters that counted events of its name are inactive.
        ArchivedMeter = "archived_meter",
        /// The payload names a customer that does not exist.
        CustomerNotFound = "meter_event_customer_not_found",
        /// The customer has as many combinations of dimension values as it may have.
        DimensionCountTooHigh = "meter_event_dimension_count_too_high",
        /// The value is missing, or is none that the meter can count.
        InvalidValue = "meter_event_invalid_value",
        /// The payload names no customer.
        NoCustomerDefined = "meter_event_no_customer_defined",
        /// The value has more digits than the meter takes.
        ValueTooManyDigits = "meter_event_value_too_many_digits",
        /// The payload lacks a dimension of the meter.
        MissingDimensionPayloadKeys = "missing_dimension_payload_keys",
        /// No meter has ever counted events of its name.
        NoMeter = "no_meter",
        /// It would happen more than [`AHEAD_S_MAX`] from now.
        TimestampInFuture = "timestamp_in_future",
        /// It happened longer ago than the meter takes.
        TimestampTooFarInPast = "timestamp_too_far_in_past",
    }
}

/// Why an event is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventError {
    /// The class of the fault.
    pub code: ErrorCode,
    /// The code with which v2 refuses a single event, where it has one.
    pub v2_code: Option<&'static str>,
    /// The sentence for the developer who reads it.
    pub message: String,
    /// The parameter at fault, within the event.
    pub param: Option<String>,
}

impl EventError {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, v2_code: None, message: message.into(), param: None }
    }

    fn v2(mut self, code: &'static str) -> Self {
        self.v2_code = Some(code);
        self
    }

    fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    fn member(self, key: &str) -> Self {
        self.param(format!("payload[{key}]"))
    }

    /// No meter has ever counted events of this name.
    #[must_use]
    pub fn no_meter(event_name: &str) -> Self {
        Self::without_meter(ErrorCode::NoMeter, event_name).v2("no_meter")
    }

    /// The meters that counted events of this name are inactive.
    #[must_use]
    pub fn archived_meter(event_name: &str) -> Self {
        Self::without_meter(ErrorCode::ArchivedMeter, event_name).v2("archived_meter")
    }

    fn without_meter(code: ErrorCode, event_name: &str) -> Self {
        Self::new(code, format!("No active meter found for event name: {event_name}."))
            .param("event_name")
    }

    /// The payload names a customer that does not exist; `refusal` says so.
    #[must_use]
    pub fn no_customer(meter: &Meter, refusal: Error) -> Self {
        Self::new(ErrorCode::CustomerNotFound, refusal.message).member(&meter.customer_key)
    }

    /// The customer has as many combinations of dimension values as it may have.
    #[must_use]
    pub fn too_many_series() -> Self {
        let message = "The customer has too many combinations of dimension values for this meter.";
        Self::new(ErrorCode::DimensionCountTooHigh, message)
            .v2(ErrorCode::DimensionCountTooHigh.word())
            .param("payload")
    }
}

impl ErrorCode {
    /// The code as it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        crate::params::Choice::as_str(self)
    }
}

impl From<EventError> for Error {
    fn from(error: EventError) -> Self {
        let mut refusal = Self::invalid(error.message);
        refusal.v2_code = error.v2_code;
        refusal.param = error.param;
        refusal
    }
}

/// The instants that an event's timestamp is held against: of the world, or of the test clock that
/// its customer lives by.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// When the server first took the event in.
    pub received: Timestamp,
    /// The time now: later than `received` when an event is tried again.
    pub now: Timestamp,
}

impl Clock {
    /// For an event that comes in now.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self { received: now, now }
    }
}

/// What an event amounts to, if its customer exists.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// The customer as the payload names it.
    pub customer: &'a str,
    /// How much was used.
    pub measure: Measure,
}

/// Holds a payload against the meter of its event's name. The values of the meter's dimensions are
/// put at the end of `dimensions`. When it happened is for [`when`] to say, once the customer is
/// known.
///
/// # Errors
/// The first fault there is: customer, value, dimensions.
pub fn check<'a>(
    meter: &Meter,
    payload: &'a [Member<'a>],
    dimensions: &mut Vec<&'a str>,
) -> Result<Checked<'a>, EventError> {
    let customer = customer(meter, payload)?;
    let measure = measure(meter, payload)?;
    for key in &meter.dimension_keys {
        dimensions.push(member(payload, key).ok_or_else(|| missing_dimension(key))?);
    }
    Ok(Checked { customer, measure })
}

fn member<'a>(payload: &'a [Member<'a>], key: &str) -> Option<&'a str> {
    payload.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_ref())
}

fn missing_dimension(key: &str) -> EventError {
    let code = ErrorCode::MissingDimensionPayloadKeys;
    EventError::new(code, format!("Dimension key {key} not found in payload."))
        .v2(code.word())
        .member(key)
}

/// The customer that a payload names, if it does.
pub(super) fn customer_of<'a>(meter: &Meter, payload: &'a [Member<'a>]) -> Option<&'a str> {
    member(payload, &meter.customer_key).filter(|id| !id.is_empty())
}

fn customer<'a>(meter: &Meter, payload: &'a [Member<'a>]) -> Result<&'a str, EventError> {
    let key = &meter.customer_key;
    customer_of(meter, payload).ok_or_else(|| {
        let message = format!("Customer mapping key {key} not found in payload.");
        EventError::new(ErrorCode::NoCustomerDefined, message)
            .v2("payload_no_customer_defined")
            .member(key)
    })
}

/// How much was used. A count takes an event without a value, since it does not look at it.
fn measure(meter: &Meter, payload: &[Member<'_>]) -> Result<Measure, EventError> {
    let key = &meter.value_key;
    let Some(text) = member(payload, key) else {
        if !meter.formula.needs_value() {
            return Ok(Measure::Number(Decimal::ONE));
        }
        let message = format!("Value key {key} not found in payload.");
        return Err(EventError::new(ErrorCode::InvalidValue, message)
            .v2("payload_no_value_defined")
            .member(key));
    };
    if meter.formula.counts_members() {
        return Ok(Measure::Member(hash_of(text)));
    }
    number(text, meter.value_digits_max)
        .map(Measure::Number)
        .map_err(|error| error.v2("payload_invalid_value").member(key))
}

/// What stands for a text among those counted once: the first half of its SHA-256.
fn hash_of(text: &str) -> u128 {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    u128::from_be_bytes(half)
}

fn number(text: &str, digits_max: u32) -> Result<Decimal, EventError> {
    let value = text.parse::<Decimal>();
    let too_long = match &value {
        Ok(value) => value.significant_digits() > digits_max,
        Err(error) => *error == DecimalError::Overflow,
    };
    if too_long {
        let message = format!(
            "The value in the event payload can have at most {digits_max} digits. Received {text}."
        );
        return Err(EventError::new(ErrorCode::ValueTooManyDigits, message));
    }
    value.map_err(|error| {
        let is = if error == DecimalError::Syntax { "is" } else { "has" };
        let message = format!("Invalid value in the event payload: '{text}' {is} {error}.");
        EventError::new(ErrorCode::InvalidValue, message)
    })
}

/// When an event happened: at its receipt, if it does not say.
///
/// # Errors
/// It says a time that is too far from `clock`.
pub fn when(meter: &Meter, sent: Option<Timestamp>, clock: Clock) -> Result<Timestamp, EventError> {
    within(sent, meter.late_window_s, clock)
}

fn within(sent: Option<Timestamp>, window_s: i64, clock: Clock) -> Result<Timestamp, EventError> {
    let Some(at) = sent else { return Ok(clock.received) };
    let oldest = clock.received.0.saturating_sub(window_s);
    if at.0 < oldest {
        let message = format!(
            "The event timestamp cannot be more than {} in past. Expected a timestamp greater \
             than or equal to {oldest}.",
            length(window_s)
        );
        return Err(EventError::new(ErrorCode::TimestampTooFarInPast, message).param("timestamp"));
    }
    let newest = clock.now.0.saturating_add(AHEAD_S_MAX);
    if at.0 > newest {
        let message = format!(
            "The event timestamp cannot be more than 5 minutes in the future. Expected a timestamp \
             less than or equal to {newest}."
        );
        return Err(EventError::new(ErrorCode::TimestampInFuture, message).param("timestamp"));
    }
    Ok(at)
}

/// A length of time in words: 3024000 is `35 days`.
fn length(seconds: i64) -> Cow<'static, str> {
    let (count, unit) = match (seconds % DAY_S, seconds % HOUR_S) {
        (0, _) => (seconds / DAY_S, "day"),
        (_, 0) => (seconds / HOUR_S, "hour"),
        _ => (seconds, "second"),
    };
    Cow::Owned(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_761_165_836);

    fn at(offset_s: i64, window_s: i64, clock: Clock) -> Result<(), (ErrorCode, String)> {
        let sent = Some(Timestamp(NOW.0 + offset_s));
        let checked = within(sent, window_s, clock);
        checked.map(|_| ()).map_err(|error| (error.code, error.message))
    }

    #[test]
    fn an_event_may_be_35_days_old_and_5_minutes_ahead_to_the_second() {
        let (window_s, clock) = (35 * DAY_S, Clock::at(NOW));
        assert_eq!(at(-window_s, window_s, clock), Ok(()));
        assert_eq!(at(AHEAD_S_MAX, window_s, clock), Ok(()));
        // The worked figure of a real answer: 1761165836 - 35 * 86400.
        let past = "The event timestamp cannot be more than 35 days in past. Expected a timestamp \
                    greater than or equal to 1758141836.";
        let refused = (ErrorCode::TimestampTooFarInPast, past.to_owned());
        assert_eq!(at(-window_s - 1, window_s, clock), Err(refused));
        let ahead = at(AHEAD_S_MAX + 1, window_s, clock).unwrap_err();
        assert_eq!(ahead.0, ErrorCode::TimestampInFuture);
    }

    #[test]
    fn an_event_that_is_tried_again_is_as_old_as_it_was_at_its_receipt() {
        let clock = Clock { received: NOW, now: Timestamp(NOW.0 + 7 * DAY_S) };
        assert_eq!(at(-DAY_S, DAY_S, clock), Ok(()));
        assert_eq!(at(-DAY_S - 1, DAY_S, clock).unwrap_err().0, ErrorCode::TimestampTooFarInPast);
        assert_eq!(at(6 * DAY_S, DAY_S, clock), Ok(()));
    }

    #[test]
    fn a_length_of_time_is_told_in_its_largest_whole_unit() {
        for (seconds, words) in [
            (35 * DAY_S, "35 days"),
            (DAY_S, "1 day"),
            (7 * HOUR_S, "7 hours"),
            (HOUR_S + 13, "3613 seconds"),
        ] {
            assert_eq!(length(seconds), words);
        }
    }

    #[test]
    fn a_number_has_as_many_digits_as_the_meter_takes() {
        let code = |text: &str| number(text, 15).map_err(|error| error.code);
        assert_eq!(code("-123456789012345"), Ok("-123456789012345".parse().unwrap()));
        for text in ["1234567890123456", "-1.234567890123456", &"9".repeat(60)] {
            assert_eq!(code(text), Err(ErrorCode::ValueTooManyDigits), "{text}");
        }
        for text in ["", "seven", "1e3", "1,000", "+1", "0.0000000000000000007"] {
            assert_eq!(code(text), Err(ErrorCode::InvalidValue), "{text}");
        }
        assert!(number("1234567890123456", 28).is_ok());
    }

    #[test]
    fn equal_texts_and_no_others_are_one_member() {
        // `printf %s seven | sha256sum | cut -c-32`
        assert_eq!(hash_of("seven"), 0x3ba8_d02b_16fd_2a01_c1a8_ba1a_1f03_6d7c);
        assert_ne!(hash_of("seven"), hash_of("Seven"));
    }
}
