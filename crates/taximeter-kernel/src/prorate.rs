//! Proration: what a change in the middle of a period gives back and charges, to the second.

use crate::decimal::{self, Decimal, DecimalError, Rounding};
use crate::time::{Period, Timestamp};

/// Why there is nothing to prorate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProrationError {
    /// The change is not within the period, which begins before it ends.
    #[error("the time of the change lies outside the period")]
    OutsidePeriod,
    /// The amount does not fit.
    #[error("the amount cannot be computed")]
    Amount(#[from] DecimalError),
}

/// The part of `amount_minor`, which is for all of `period`, that falls on what is left of it `at` an
/// instant: `amount × (end - at) ÷ (end - start)`, rounded once, half away from zero to whole minor
/// units.
///
/// 2000 with 10 of 30 days left is 666.67, so 667. At the start of the period it is all of it.
///
/// # Errors
/// [`ProrationError::OutsidePeriod`] when the instant is not in the period.
pub fn of_rest(amount_minor: i64, period: Period, at: Timestamp) -> Result<i64, ProrationError> {
    of_part(amount_minor, period, Period { start: at, end: period.end })
}

/// The part of `amount_minor`, which is for all of `period`, that falls on a part of it, rounded as in
/// [`of_rest`].
///
/// Of 2000 for 30 days, 10 of them somewhere in the middle are 667.
///
/// # Errors
/// [`ProrationError::OutsidePeriod`] when the part does not begin in the period, or ends after it or
/// before it begins.
pub fn of_part(amount_minor: i64, period: Period, part: Period) -> Result<i64, ProrationError> {
    if !period.contains(part.start) || part.end > period.end || part.end < part.start {
        return Err(ProrationError::OutsidePeriod);
    }
    let whole = seconds(period.start, period.end)?;
    let part = seconds(part.start, part.end)?;
    let amount = Decimal::from(amount_minor);
    Ok(decimal::mul_div_round(amount, part, whole, Rounding::HalfAwayFromZero)?)
}

fn seconds(from: Timestamp, to: Timestamp) -> Result<Decimal, DecimalError> {
    to.0.checked_sub(from.0).map(Decimal::from).ok_or(DecimalError::Overflow)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;
    use crate::time::DAY_S;
    use proptest::prelude::*;

    fn days(count: i64) -> Period {
        Period { start: Timestamp(0), end: Timestamp(count * DAY_S) }
    }

    #[test]
    fn what_is_left_is_rounded_half_away_from_zero() {
        for (amount, period, day, left) in [
            (1000, days(30), 15, 500),
            (2000, days(30), 20, 667),
            (1000, days(30), 20, 333),
            // All of it at the start, a thirty-first on the last day.
            (1300, days(31), 0, 1300),
            (3100, days(31), 30, 100),
            (0, days(31), 30, 0),
            // Half a unit is a whole one, also of an amount below 0.
            (1, days(2), 1, 1),
            (-1, days(2), 1, -1),
        ] {
            let rest = of_rest(amount, period, Timestamp(day * DAY_S));
            assert_eq!(rest, Ok(left), "{amount} on day {day}");
        }
    }

    #[test]
    fn what_is_left_counts_by_the_second() {
        let period = Period { start: Timestamp(100), end: Timestamp(107) };
        let left = |at| of_rest(70, period, Timestamp(at)).unwrap();
        assert_eq!([100, 101, 106].map(left), [70, 60, 10]);
    }

    #[test]
    fn a_part_is_of_the_whole_wherever_it_lies() {
        let part = |start: i64, end: i64| Period {
            start: Timestamp(start * DAY_S),
            end: Timestamp(end * DAY_S),
        };
        for (start, end, amount) in [(0, 30, 2000), (7, 17, 667), (20, 30, 667), (3, 3, 0)] {
            assert_eq!(of_part(2000, days(30), part(start, end)), Ok(amount), "{start} to {end}");
        }
        for (start, end) in [(-1, 3), (7, 31), (30, 30), (7, 3)] {
            let refused = of_part(2000, days(30), part(start, end));
            assert_eq!(refused, Err(ProrationError::OutsidePeriod), "{start} to {end}");
        }
    }

    #[test]
    fn what_is_outside_the_period_is_refused() {
        let backwards = Period { start: Timestamp(7), end: Timestamp(3) };
        for (period, at) in [(days(1), -1), (days(1), DAY_S), (days(0), 0), (backwards, 5)] {
            let refused = of_rest(100, period, Timestamp(at));
            assert_eq!(refused, Err(ProrationError::OutsidePeriod), "{period:?} {at}");
        }
        let ages = Period { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) };
        let overflow = Err(ProrationError::Amount(DecimalError::Overflow));
        assert_eq!(of_rest(1, ages, Timestamp(0)), overflow);
    }

    proptest! {
        #[test]
        fn less_is_left_the_later_it_is(
            amount in 0_i64..1_000_000_000_000,
            seconds in 1_i64..100_000_000,
            one in 0_i64..100_000_000,
            other in 0_i64..100_000_000,
        ) {
            let period = Period { start: Timestamp(13), end: Timestamp(13 + seconds) };
            let (sooner, later) = (one.min(other) % seconds, one.max(other) % seconds);
            let (sooner, later) = (sooner.min(later), sooner.max(later));
            let left = |after| of_rest(amount, period, Timestamp(13 + after)).unwrap();
            prop_assert!(left(sooner) >= left(later));
            prop_assert_eq!(left(0), amount);
        }
    }
}
