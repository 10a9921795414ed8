//! Tests of wide sums against arbitrary-precision integers.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;
use crate::aggregate::reference::narrow;
use crate::decimal::{Rounding, quotient};

fn big(sum: WideSum) -> BigInt {
    BigInt::from_signed_bytes_le(&sum.to_le_bytes())
}

/// The number in 256 bits, when it fits.
fn fitting(number: &BigInt) -> Result<WideSum, DecimalError> {
    let given = number.to_signed_bytes_le();
    let mut bytes = [if *number < BigInt::ZERO { 0xff } else { 0 }; 32];
    bytes.get_mut(..given.len()).ok_or(DecimalError::Overflow)?.copy_from_slice(&given);
    Ok(WideSum::from_le_bytes(bytes))
}

fn sum(text: &str) -> WideSum {
    text.parse::<Decimal>().unwrap().into()
}

/// Numbers of every length, with many zeros or ones at their end as often as not.
fn any_sum() -> impl Strategy<Value = WideSum> {
    let edges = [[0; 32], [0xff; 32], least(), least().map(|byte| !byte)];
    let bytes = (any::<[u8; 32]>(), 0_usize..=32, any::<bool>());
    let any = bytes.prop_map(|(mut bytes, length, negative)| {
        bytes[length..].fill(if negative { 0xff } else { 0 });
        WideSum::from_le_bytes(bytes)
    });
    let edge = prop::sample::select(edges.to_vec()).prop_map(WideSum::from_le_bytes);
    prop_oneof![8 => any, 1 => edge, 3 => any_decimal().prop_map(WideSum::from)]
}

fn least() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[31] = 0x80;
    bytes
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    let small = -1_000_000_i128..1_000_000;
    let mantissa = prop_oneof![any::<i128>(), small, Just(i128::MIN), Just(i128::MAX)];
    (mantissa, 0..=SCALE_MAX).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).unwrap())
}

#[test]
fn worked_numbers_come_out() {
    assert_eq!(sum("1.5").checked_add(sum("0.25")), Ok(sum("1.75")));
    assert_eq!(sum("1.5").checked_sub(sum("0.25")), Ok(sum("1.25")));
    assert_eq!(sum("1.5").checked_mul(-4), Ok(sum("-6")));
    let divided = |n, by, decimals| sum(n).div_round(by, decimals).unwrap().to_string();
    assert_eq!(divided("2", 3, 2), "0.67");
    assert_eq!(divided("-2", 3, 12), "-0.666666666667");
    assert_eq!(divided("0.5", 1, 0), "1");
    assert_eq!(divided("-0.5", 1, 0), "-1");
    assert_eq!(divided("0.499999999999999999", 1, 0), "0");
    // 18 digits and an odd divisor: nothing is between the digits and the tie.
    assert_eq!(divided("0.000000000000000001", 3, 18), "0");
    assert_eq!(divided("0.000000000000000002", 3, 18), "0.000000000000000001");
    assert_eq!(sum("7").div_round(0, 2), Err(DecimalError::DivisionByZero));
}

#[test]
fn a_sum_that_no_decimal_holds_is_kept_and_comes_back() {
    let most = WideSum::from(Decimal::new(i128::MAX, 0).unwrap());
    let twice = most.checked_add(most).unwrap();
    assert_eq!(twice.to_decimal(), Err(DecimalError::Overflow));
    let back = twice.checked_sub(most).unwrap().checked_add(sum("-0.25")).unwrap();
    assert_eq!(back.to_decimal(), Err(DecimalError::Overflow), "more digits than a decimal has");
    assert_eq!(back.checked_add(sum("0.25")).unwrap().to_decimal().unwrap().mantissa(), i128::MAX);
}

#[test]
fn an_overflow_that_the_carry_undoes_is_none() {
    let least = WideSum::from_le_bytes(least());
    let [one, minus_one] = [WideSum::from_units(1), WideSum::from_units(-1)];
    assert_eq!(least.checked_add(one).unwrap().checked_add(minus_one), Ok(least));
    assert_eq!(least.checked_add(minus_one), Err(DecimalError::Overflow));
    assert_eq!(minus_one.checked_sub(least), least.checked_add(one).unwrap().checked_neg());
    assert_eq!(WideSum::ZERO.checked_sub(least), Err(DecimalError::Overflow));
}

#[test]
fn the_least_number_has_no_opposite() {
    let least = WideSum::from_le_bytes(least());
    assert_eq!(least.checked_neg(), Err(DecimalError::Overflow));
    assert_eq!(least.checked_mul(-1), Err(DecimalError::Overflow));
    assert_eq!(least.checked_mul(1), Ok(least));
    let half = WideSum::from_units(i128::MIN).checked_mul(-(1 << 62)).unwrap();
    assert_eq!(half.checked_mul(1 << 62).and_then(|it| it.checked_mul(-16)), Ok(least));
    assert_eq!(
        half.checked_mul(1 << 62).and_then(|it| it.checked_mul(16)),
        Err(DecimalError::Overflow)
    );
    assert!(least < WideSum::ZERO && least.is_negative() && !least.is_zero());
}

proptest! {
    #[test]
    fn every_operation_equals_that_of_arbitrary_precision(
        a in any_sum(), b in any_sum(), factor in any::<i64>(), small in -3_600_i64..=3_600,
    ) {
        prop_assert_eq!(a.checked_add(b), fitting(&(big(a) + big(b))));
        prop_assert_eq!(a.checked_sub(b), fitting(&(big(a) - big(b))));
        prop_assert_eq!(a.checked_neg(), fitting(&-big(a)));
        prop_assert_eq!(a.checked_mul(factor), fitting(&(big(a) * factor)));
        let unsigned = factor.cast_unsigned();
        prop_assert_eq!(a.checked_mul_unsigned(unsigned), fitting(&(big(a) * unsigned)));
        prop_assert_eq!(a.checked_mul(small), fitting(&(big(a) * small)));
        prop_assert_eq!(a.cmp(&b), big(a).cmp(&big(b)));
        prop_assert_eq!(a.is_zero(), big(a) == BigInt::ZERO);
        prop_assert_eq!(a.is_negative(), big(a) < BigInt::ZERO);
    }

    #[test]
    fn a_decimal_comes_back_as_itself(number in any_decimal()) {
        prop_assert_eq!(WideSum::from(number).to_decimal(), Ok(number));
        prop_assert_eq!(
            big(number.into()),
            BigInt::from(number.mantissa()) * BigInt::from(10).pow((SCALE_MAX - number.scale()).into())
        );
    }

    #[test]
    fn a_sum_becomes_a_decimal_exactly_when_its_lowest_terms_fit(a in any_sum()) {
        prop_assert_eq!(a.to_decimal(), narrow(&big(a), SCALE_MAX));
    }

    #[test]
    fn a_quotient_is_rounded_once(
        a in any_sum(),
        divisor in prop_oneof![1..=u64::MAX, 1..=7_200_u64],
        decimals in 0..=SCALE_MAX,
    ) {
        let unit = BigInt::from(10).pow((SCALE_MAX - decimals).into());
        let exact = quotient(&big(a), &(unit * divisor), Rounding::HalfAwayFromZero).unwrap();
        prop_assert_eq!(a.div_round(divisor, decimals), narrow(&exact, decimals));
    }

    #[test]
    fn stripping_takes_the_zeros_off_and_nothing_else(
        a in any_sum(), power in 0_u32..=18, most in 0..=SCALE_MAX,
    ) {
        let a = a.checked_mul(10_i64.pow(power)).unwrap_or(a);
        let (limbs, zeros) = stripped(a.magnitude(), most);
        let back = WideSum::signed(limbs, a.is_negative()).unwrap();
        prop_assert_eq!(big(back) * BigInt::from(10).pow(zeros.into()), big(a));
        prop_assert!(zeros == most || (zeros < most && big(back) % 10 != BigInt::ZERO));
    }
}
