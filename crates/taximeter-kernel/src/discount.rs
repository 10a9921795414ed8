//! Discounts: how much a coupon takes off, and off which lines.

use crate::decimal::{self, Decimal, DecimalError, Rounding};

/// What a coupon takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// So many per cent, above 0 and up to 100.
    Percent(Decimal),
    /// So many minor units of the invoice's currency, above 0.
    Amount(i64),
}

/// What `discount` takes off `base_minor`, in minor units: never more than there is, and nothing off
/// what is not above 0. Per cents are rounded half away from zero.
///
/// 12.5 % off 1004 is 125.5, so 126. 500 off 300 is 300.
///
/// # Errors
/// [`DecimalError::Overflow`] when the amount does not fit.
pub fn taken_off(discount: Discount, base_minor: i64) -> Result<i64, DecimalError> {
    if base_minor <= 0 {
        return Ok(0);
    }
    let amount = match discount {
        Discount::Percent(percent) => decimal::mul_div_round(
            Decimal::from(base_minor),
            percent,
            Decimal::from(100),
            Rounding::HalfAwayFromZero,
        )?,
        Discount::Amount(amount) => amount,
    };
    Ok(amount.clamp(0, base_minor))
}

/// Spreads `amount_minor` over the lines that it is taken off, in proportion to theirs: each share is
/// rounded down, and the last line that has an amount takes what is left over; where that is more
/// than it has, the ones before it take the rest. The shares sum to the amount. Lines that are not
/// above 0 take none.
///
/// 500 over 1000 and 2000: 166 and 334. 5 over nine lines of 1: none for the first four, 1 for each
/// of the last five.
///
/// # Errors
/// [`DecimalError::Overflow`] when a sum does not fit, or when the lines come to less than the amount,
/// which [`taken_off`] does not bring about.
pub fn spread(amount_minor: i64, lines_minor: &[i64]) -> Result<Vec<i64>, DecimalError> {
    let bases: Vec<i64> = lines_minor.iter().map(|line| (*line).max(0)).collect();
    let sum = |amounts: &[i64]| {
        let mut amounts = amounts.iter();
        amounts.try_fold(0_i64, |sum, amount| sum.checked_add(*amount))
    };
    let whole = sum(&bases).ok_or(DecimalError::Overflow)?;
    if amount_minor > whole || amount_minor < 0 {
        return Err(DecimalError::Overflow);
    }
    if amount_minor == 0 {
        return Ok(vec![0; bases.len()]);
    }
    let share = |base: &i64| {
        let (amount, whole) = (Decimal::from(amount_minor), Decimal::from(whole));
        decimal::mul_div_round(amount, Decimal::from(*base), whole, Rounding::Down)
    };
    let mut shares = bases.iter().map(share).collect::<Result<Vec<i64>, _>>()?;
    let given = sum(&shares).ok_or(DecimalError::Overflow)?;
    let mut left = amount_minor.checked_sub(given).ok_or(DecimalError::Overflow)?;
    for (share, base) in shares.iter_mut().zip(&bases).rev() {
        let room = base.checked_sub(*share).ok_or(DecimalError::Overflow)?;
        let more = left.min(room);
        *share = share.checked_add(more).ok_or(DecimalError::Overflow)?;
        left = left.checked_sub(more).ok_or(DecimalError::Overflow)?;
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn percent(text: &str) -> Discount {
        Discount::Percent(text.parse().unwrap())
    }

    #[test]
    fn a_discount_takes_off_no_more_than_there_is() {
        for (discount, base, off) in [
            (percent("12.5"), 1004, 126),
            (percent("100"), 1300, 1300),
            (percent("33.33"), 3, 1),
            (percent("10"), 4, 0),
            (Discount::Amount(500), 1300, 500),
            (Discount::Amount(500), 300, 300),
            (Discount::Amount(500), 0, 0),
            (percent("50"), -7, 0),
        ] {
            assert_eq!(taken_off(discount, base), Ok(off), "{discount:?} off {base}");
        }
    }

    #[test]
    fn shares_are_in_proportion_and_the_last_line_takes_the_rest() {
        for (amount, lines, shares) in [
            (500, &[1000, 2000][..], &[166, 334][..]),
            (100, &[100, 100, 100], &[33, 33, 34]),
            (7, &[0, 7, 0], &[0, 7, 0]),
            // What is given back takes no share, and a line of 0 not the rest.
            (10, &[-300, 3, 0, 30, -1, 0], &[0, 0, 0, 10, 0, 0]),
            (5, &[1, 1, 1, 1, 1, 1, 1, 1, 1], &[0, 0, 0, 0, 1, 1, 1, 1, 1]),
            (0, &[3, 0], &[0, 0]),
            (0, &[], &[]),
        ] {
            assert_eq!(spread(amount, lines).as_deref(), Ok(shares), "{amount} over {lines:?}");
        }
        assert_eq!(spread(8, &[7]), Err(DecimalError::Overflow));
        assert_eq!(spread(1, &[i64::MAX, 1]), Err(DecimalError::Overflow));
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_amount_and_none_is_more_than_its_line(
            lines in prop::collection::vec(-1_000_i64..1_000_000_000_000, 1..20),
            percent in 0_i64..=100,
        ) {
            let whole: i64 = lines.iter().map(|line| (*line).max(0)).sum();
            let amount = taken_off(Discount::Percent(percent.into()), whole).unwrap();
            let shares = spread(amount, &lines).unwrap();
            prop_assert_eq!(shares.iter().sum::<i64>(), amount);
            for (share, line) in shares.iter().zip(&lines) {
                prop_assert!(*share >= 0 && *share <= (*line).max(0));
            }
        }
    }
}
