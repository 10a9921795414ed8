//! The accumulator before [`super::Cell`], as long as somebody uses it.
//!
//! A [`Total`] is mergeable: the total of a period is the merge of the totals of its parts, in any
//! order and any grouping. So totals can be kept by the hour and put together on demand, and a
//! rebuilt total equals the one that was kept.

use super::Formula;
use crate::decimal::{Decimal, DecimalError};
use crate::time::Timestamp;

/// The event that stands for its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Latest {
    /// When it happened.
    pub timestamp: Timestamp,
    /// Its place in the order of arrival.
    pub seq: u64,
    /// What it measured.
    pub value: Decimal,
}

/// What the events of a period amount to, whatever the formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The exact sum of the values.
    pub sum: Decimal,
    /// How many events there are.
    pub count: u64,
    /// The event with the greatest timestamp; among equals the one that arrived last.
    pub last: Option<Latest>,
    /// The event that arrived last, whatever its timestamp: the survivor of a [`Window`].
    pub latest_received: Option<Latest>,
}

impl Default for Total {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Total {
    /// The total of no events.
    pub const EMPTY: Self =
        Self { sum: Decimal::ZERO, count: 0, last: None, latest_received: None };

    /// Counts one event. Adding 2 and then 0.5 gives a sum of 2.5 and a count of 2.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when the sum does not fit; the total is then unchanged.
    pub fn add(&mut self, event: Latest) -> Result<(), DecimalError> {
        let one = Some(event);
        self.merge(&Self { sum: event.value, count: 1, last: one, latest_received: one })
    }

    /// Counts the events of another total, which must not be counted in this one already. Sums 2.5
    /// and 4 give 6.5, counts 2 and 1 give 3.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when the sum or the count does not fit; the total is then
    /// unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), DecimalError> {
        let sum = self.sum.checked_add(other.sum)?;
        let count = self.count.checked_add(other.count).ok_or(DecimalError::Overflow)?;
        *self = Self {
            sum,
            count,
            last: later(self.last, other.last, |event| (event.timestamp, event.seq)),
            latest_received: later(self.latest_received, other.latest_received, |event| event.seq),
        };
        Ok(())
    }

    /// The quantity by `formula`. Of the values 2, 3 and 3: sum 8, count 3, last 3. Of none: 0.
    /// The other formulas are not among those that a total keeps; they give 0.
    #[must_use]
    pub fn value(&self, formula: Formula) -> Decimal {
        match formula {
            Formula::Sum => self.sum,
            Formula::Count => whole(self.count),
            Formula::Last => self.last.map_or(Decimal::ZERO, |event| event.value),
            Formula::Max
            | Formula::Min
            | Formula::UniqueCount
            | Formula::Average
            | Formula::Percentile(_)
            | Formula::WeightedSum => Decimal::ZERO,
        }
    }
}

fn later<K: Ord>(
    a: Option<Latest>,
    b: Option<Latest>,
    key: impl Fn(&Latest) -> K,
) -> Option<Latest> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if key(&b) > key(&a) { b } else { a }),
        (one, None) | (None, one) => one,
    }
}

#[expect(clippy::expect_used, reason = "a decimal without a fraction is within every scale")]
fn whole(count: u64) -> Decimal {
    Decimal::new(i128::from(count), 0).expect("scale 0 is within bounds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(events: &[Latest]) -> Total {
        let mut total = Total::EMPTY;
        for event in events {
            total.add(*event).unwrap();
        }
        total
    }

    fn event(timestamp: i64, seq: u64, value: &str) -> Latest {
        Latest { timestamp: Timestamp(timestamp), seq, value: value.parse().unwrap() }
    }

    #[test]
    fn each_formula_gives_its_number() {
        let three = total(&[event(13, 1, "2"), event(17, 2, "3.5"), event(11, 3, "-0.25")]);
        let check = |formula, expected: &str| {
            assert_eq!(three.value(formula).to_string(), expected, "{formula:?}");
        };
        check(Formula::Sum, "5.25");
        check(Formula::Count, "3");
        check(Formula::Last, "3.5");
    }

    #[test]
    fn no_events_give_zero_by_every_formula() {
        for formula in [Formula::Sum, Formula::Count, Formula::Last] {
            assert_eq!(Total::EMPTY.value(formula), Decimal::ZERO);
        }
    }

    #[test]
    fn of_equal_timestamps_the_later_arrival_is_last() {
        let both = [event(13, 7, "1"), event(13, 8, "2")];
        assert_eq!(total(&both).value(Formula::Last), Decimal::from_int(2));
        assert_eq!(total(&[both[1], both[0]]), total(&both));
    }

    #[test]
    fn the_latest_received_is_by_arrival_and_not_by_timestamp() {
        let events = [event(17, 1, "1"), event(11, 2, "2")];
        assert_eq!(total(&events).latest_received, Some(events[1]));
        assert_eq!(total(&events).last, Some(events[0]));
    }

    #[test]
    fn a_sum_that_does_not_fit_is_an_error_and_changes_nothing() {
        let huge = Latest { value: Decimal::new(i128::MAX, 0).unwrap(), ..event(11, 1, "0") };
        let mut full = total(&[huge]);
        let before = full;
        assert_eq!(full.add(event(12, 2, "1")), Err(DecimalError::Overflow));
        assert_eq!(full, before);
        assert_eq!(full.merge(&before), Err(DecimalError::Overflow));
        assert_eq!(full, before);
    }

    #[test]
    fn a_count_beyond_a_signed_number_is_still_exact() {
        let many = Total { count: u64::MAX, ..Total::EMPTY };
        assert_eq!(many.value(Formula::Count).to_string(), "18446744073709551615");
    }

    /// Events with distinct places in the order, few distinct timestamps, and fractional values.
    fn events() -> impl Strategy<Value = Vec<Latest>> {
        let event = (0_i64..5, -1_000_000_000_000_i128..1_000_000_000_000, 0_u8..=9);
        prop::collection::vec(event, 0..20).prop_map(|events| {
            let numbered = events.into_iter().zip(1_u64..);
            numbered
                .map(|((timestamp, mantissa, scale), seq)| Latest {
                    timestamp: Timestamp(timestamp),
                    seq,
                    value: Decimal::new(mantissa, scale).unwrap(),
                })
                .collect()
        })
    }

    fn merged(a: Total, b: &Total) -> Total {
        let mut merged = a;
        merged.merge(b).unwrap();
        merged
    }

    proptest! {
        #[test]
        fn splitting_anywhere_and_merging_equals_the_whole(events in events(), cut in 0_usize..20) {
            let (left, right) = events.split_at(cut.min(events.len()));
            prop_assert_eq!(merged(total(left), &total(right)), total(&events));
        }

        #[test]
        fn merging_is_commutative_and_associative(events in events(), i in 0_usize..20, j in 0_usize..20) {
            let (i, j) = (i.min(events.len()), j.min(events.len()));
            let (i, j) = (i.min(j), i.max(j));
            let (a, b, c) = (total(&events[..i]), total(&events[i..j]), total(&events[j..]));
            prop_assert_eq!(merged(a, &b), merged(b, &a));
            prop_assert_eq!(merged(merged(a, &b), &c), merged(a, &merged(b, &c)));
        }

        #[test]
        fn the_order_of_adding_does_not_matter(events in events()) {
            let backwards: Vec<Latest> = events.iter().rev().copied().collect();
            prop_assert_eq!(total(&backwards), total(&events));
        }
    }
}
