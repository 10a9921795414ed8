//! Taxes by rates that the account made.

use crate::decimal::{self, Decimal, DecimalError, Rounding};

/// Whether an amount has its tax in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    /// The tax comes on top.
    Exclusive,
    /// The tax is a part of it.
    Inclusive,
}

/// The tax of a line, in minor units, rounded half away from zero. `net_minor` is what is left of the
/// line after discounts and credits; a line that gives money back gives its tax back, too.
///
/// 19 % of 1305: on top 247.95, so 248; within it 1305 × 19 ÷ 119 = 208.36, so 208.
///
/// # Errors
/// [`DecimalError::Overflow`] when the amount does not fit, and [`DecimalError::DivisionByZero`] for
/// -100 % within.
pub fn tax(net_minor: i64, percent: Decimal, behavior: Behavior) -> Result<i64, DecimalError> {
    match behavior {
        Behavior::Exclusive => part(net_minor, percent, Decimal::from(100)),
        Behavior::Inclusive => within(net_minor, percent, percent),
    }
}

/// The tax by one of several rates that are within an amount together and come to `all` per cent.
///
/// 5 % and 9.5 % within 1145: 50 and 95, so that 1000 is left.
///
/// # Errors
/// As [`tax`].
pub fn within(net_minor: i64, percent: Decimal, all: Decimal) -> Result<i64, DecimalError> {
    part(net_minor, percent, Decimal::from(100).checked_add(all)?)
}

fn part(net_minor: i64, percent: Decimal, whole: Decimal) -> Result<i64, DecimalError> {
    decimal::mul_div_round(Decimal::from(net_minor), percent, whole, Rounding::HalfAwayFromZero)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rate_is_taken_of_the_amount_or_out_of_it() {
        for (net, percent, exclusive, inclusive) in [
            (1305, "19", 248, 208),
            (-1305, "19", -248, -208),
            (1000, "7.75", 78, 72),
            (50, "1", 1, 0),
            (0, "20", 0, 0),
            (1300, "0", 0, 0),
        ] {
            let percent = percent.parse().unwrap();
            let of = |behavior| tax(net, percent, behavior).unwrap();
            let both = (of(Behavior::Exclusive), of(Behavior::Inclusive));
            assert_eq!(both, (exclusive, inclusive), "{net} at {percent} %");
        }
        assert_eq!(
            tax(i64::MAX, Decimal::from(200), Behavior::Exclusive),
            Err(DecimalError::Overflow)
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_out_of_an_amount_is_what_comes_on_top_of_the_rest(
            net in 0_i64..1_000_000_000_000,
            percent in 0_i64..=50,
        ) {
            let percent = Decimal::from(percent);
            let within = tax(net, percent, Behavior::Inclusive).unwrap();
            let on_top = tax(net - within, percent, Behavior::Exclusive).unwrap();
            prop_assert!((within - on_top).abs() <= 1);
        }
    }
}
