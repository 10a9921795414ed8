//! The keys under which totals, postings and dimensions are sorted.
//!
//! A *series* is one customer's events of one meter: `account 0 mode customer 0 meter 0`. Ids hold no
//! zero byte, so no series is the beginning of another. Behind it stands
//! - in `cells`: the dimension values (or [`ALL`] for the total over all of them), then the hour;
//! - in `postings`: the hour, then the dimension values;
//! - in `dims`: the dimension values.
//!
//! So the hours of one series are neighbours, in order, in both.

use taximeter_kernel::id::Mode;
use taximeter_kernel::time::{HOUR_S, Timestamp};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::event::Series;

/// A UTC hour, counted from 1970-01-01T00:00:00Z.
pub(crate) type Hour = i64;

/// Stands for the values of all dimensions together.
pub(crate) const ALL: &[u8] = &[0];
/// The bytes of an hour in a key.
pub(crate) const HOUR_BYTES: usize = 8;
const SOME: u8 = 1;
const END: u8 = 0;
const SIGN: u64 = 1 << 63;

pub(crate) fn hour_of(timestamp: Timestamp) -> Hour {
    timestamp.0.div_euclid(HOUR_S)
}

pub(crate) fn start_of(hour: Hour) -> Timestamp {
    Timestamp(hour.saturating_mul(HOUR_S))
}

/// Writes what all series of a customer begin with.
pub(crate) fn put_customer(out: &mut Vec<u8>, account: &str, mode: Mode, customer: &str) {
    out.extend_from_slice(account.as_bytes());
    out.push(END);
    out.push(match mode {
        Mode::Test => 0,
        Mode::Live => 1,
    });
    out.extend_from_slice(customer.as_bytes());
    out.push(END);
}

/// Writes what stands behind the customer in the key of a series.
pub(crate) fn put_meter(out: &mut Vec<u8>, meter: &str) {
    out.extend_from_slice(meter.as_bytes());
    out.push(END);
}

pub(crate) fn series_key(series: &Series) -> Vec<u8> {
    let Series { scope, meter, customer } = series;
    let mut key = Vec::with_capacity(80);
    put_customer(&mut key, scope.account.as_str(), scope.mode, customer.as_str());
    put_meter(&mut key, meter.as_str());
    key
}

/// The beginning of a series' key that names the customer.
pub(crate) fn customer_of(series: &[u8]) -> &[u8] {
    let zero = |from: usize| {
        let rest = series.get(from..).unwrap_or_default();
        rest.iter().position(|byte| *byte == END).map(|at| from.saturating_add(at))
    };
    // Behind the account's zero stands the mode, which may be a zero, too.
    let end = zero(0).and_then(|account| zero(account.saturating_add(2)));
    end.and_then(|end| series.get(..=end)).unwrap_or(series)
}

/// What a row of totals is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowHash {
    /// Of the key of the series.
    pub(crate) series: u64,
    /// Of the series with its dimension values; that of the series without.
    pub(crate) row: u64,
}

impl RowHash {
    /// `values` are dimension values as in keys; empty for none.
    pub(crate) fn of(series: &[u8], values: &[u8]) -> Self {
        let series = xxh3_64(series);
        let row = if values.is_empty() { series } else { xxh3_64_with_seed(values, series) };
        Self { series, row }
    }
}

/// Writes dimension values so that none is the beginning of another; nothing for none.
pub(crate) fn put_dimensions<'a>(
    out: &mut Vec<u8>,
    values: impl ExactSizeIterator<Item = &'a str>,
) {
    if values.len() == 0 {
        return;
    }
    out.push(SOME);
    out.push(u8::try_from(values.len()).unwrap_or(u8::MAX));
    for value in values {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(value.as_bytes().get(..usize::from(length)).unwrap_or_default());
    }
}

/// Reads what [`put_dimensions`] wrote.
pub(crate) fn read_dimensions(bytes: &[u8]) -> Option<Vec<String>> {
    let (head, mut rest) = bytes.split_at_checked(2)?;
    let [SOME, count] = head else { return None };
    let mut values = Vec::with_capacity(usize::from(*count));
    for _ in 0..*count {
        let (length, tail) = rest.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let (value, tail) = tail.split_at_checked(length)?;
        values.push(std::str::from_utf8(value).ok()?.to_owned());
        rest = tail;
    }
    rest.is_empty().then_some(values)
}

pub(crate) fn hour_bytes(hour: Hour) -> [u8; HOUR_BYTES] {
    (hour.cast_unsigned() ^ SIGN).to_be_bytes()
}

pub(crate) fn read_hour(bytes: &[u8]) -> Option<Hour> {
    let bytes: [u8; HOUR_BYTES] = bytes.try_into().ok()?;
    Some((u64::from_be_bytes(bytes) ^ SIGN).cast_signed())
}

/// `parts` one behind another.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The first key behind all that begin with `prefix`, which is not empty and ends in no 0xff here.
pub(crate) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hours_sort_as_numbers() {
        let hours = [i64::MIN, -7, -1, 0, 1, 13, i64::MAX];
        assert!(hours.map(hour_bytes).is_sorted());
        assert_eq!(hours.map(|hour| read_hour(&hour_bytes(hour))), hours.map(Some));
    }

    #[test]
    fn what_begins_with_a_prefix_lies_before_its_end() {
        assert_eq!(behind(b"a\x00"), b"a\x01");
        assert_eq!(behind(b"a\xff"), b"b");
    }

    proptest! {
        #[test]
        fn dimensions_read_back(values in prop::collection::vec(".{0,20}", 1..4)) {
            let mut bytes = Vec::new();
            put_dimensions(&mut bytes, values.iter().map(String::as_str));
            prop_assert_eq!(read_dimensions(&bytes), Some(values));
        }

        #[test]
        fn no_dimensions_are_the_beginning_of_others(
            a in prop::collection::vec("[ab]{0,3}", 2),
            b in prop::collection::vec("[ab]{0,3}", 2),
        ) {
            let bytes = |values: &[String]| {
                let mut bytes = Vec::new();
                put_dimensions(&mut bytes, values.iter().map(String::as_str));
                bytes
            };
            prop_assert_eq!(bytes(&a).starts_with(&bytes(&b)), a == b);
        }
    }
}
