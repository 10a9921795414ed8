//! Tests of exact decimals: notation, order, arithmetic, and each rounding by name.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use proptest::prelude::*;

use super::*;

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn a_decimal_reads_and_prints_without_trailing_zeros() {
    for (text, printed) in [("12.50", "12.5"), ("-0.050", "-0.05"), ("007", "7"), ("-0", "0")] {
        assert_eq!(dec(text).to_string(), printed);
    }
}

#[test]
fn a_power_of_ten_is_read_exactly() {
    for (text, printed) in [
        ("7E-12", "0.000000000007"),
        ("1.5e3", "1500"),
        ("1.25E+1", "12.5"),
        ("-2e0", "-2"),
        ("0E-18", "0"),
        ("12.50", "12.5"),
    ] {
        assert_eq!(Decimal::from_scientific(text).unwrap().to_string(), printed, "{text}");
    }
    for text in ["1e", "e5", "1e+", "1e5.0", "1e1e1", "1e-19", "1e99", "1e300", ""] {
        assert!(Decimal::from_scientific(text).is_err(), "{text}");
    }
}

#[test]
fn a_text_that_is_no_decimal_is_refused() {
    for text in ["", "-", ".5", "5.", "1e5", "+1", "1,000", "NaN", " 1", "--1", "0x1"] {
        assert_eq!(text.parse::<Decimal>(), Err(DecimalError::Syntax), "{text}");
    }
}

#[test]
fn a_text_beyond_the_limits_is_refused() {
    let nineteen_places = "0.0000000000000000001";
    assert_eq!(nineteen_places.parse::<Decimal>(), Err(DecimalError::TooManyDecimals));
    assert_eq!("9".repeat(39).parse::<Decimal>(), Err(DecimalError::Overflow));
    assert_eq!(dec("0.1000000000000000000000"), dec("0.1"));
}

#[test]
fn numbers_too_far_apart_to_share_a_scale_are_still_ordered() {
    let near = dec("170141183460469231731.687303715884105727");
    let far = dec("170141183460469231731.7");
    assert!(near < far);
    assert!(Decimal::ZERO.checked_sub(far).unwrap() < Decimal::ZERO.checked_sub(near).unwrap());
    assert!(dec("-0.5") < dec("0.5"));
    assert!(dec("-1.5") < dec("-1.25"));
}

#[test]
fn a_number_knows_whether_it_is_whole_and_how_many_digits_it_has() {
    let cases = [
        ("12.50", None, 3),
        ("100", Some(100), 3),
        ("0.001", None, 1),
        ("0", Some(0), 1),
        ("-7.0", Some(-7), 1),
        ("9223372036854775808", None, 19),
    ];
    for (text, integer, significant_digits) in cases {
        assert_eq!(dec(text).to_i64(), integer, "{text}");
        assert_eq!(dec(text).significant_digits(), significant_digits, "{text}");
    }
    assert!(dec("12.0").is_whole() && !dec("12.5").is_whole());
    assert!(dec("0.00").is_zero() && !dec("0.01").is_zero());
    assert_eq!(dec("-12.5").whole(), -12);
}

#[test]
fn a_product_is_exact_or_an_error() {
    assert_eq!(dec("0.05").checked_mul(dec("30")), Ok(dec("1.5")));
    assert_eq!(dec("-0.5").checked_mul(dec("0.2")), Ok(dec("-0.1")));
    // 10^38 before lowest terms, which does not fit; 10^37 after.
    let wide = dec("20000000000000000000000000000000000000");
    assert_eq!(dec("8.5").checked_mul(wide), Ok(dec("170000000000000000000000000000000000000")));
    assert_eq!(dec("10").checked_mul(wide), Err(DecimalError::Overflow));
    let tiny = dec("0.0000000001");
    assert_eq!(tiny.checked_mul(tiny), Err(DecimalError::TooManyDecimals));
}

#[test]
fn each_rounding_does_what_its_name_says() {
    let cases = [
        // number, nearest, up, down
        ("1.5", 2, 2, 1),
        ("1.49", 1, 2, 1),
        ("2.5", 3, 3, 2),
        ("-1.5", -2, -1, -2),
        ("-1.49", -1, -1, -2),
        ("0.000000000000000001", 0, 1, 0),
        ("-0.000000000000000001", 0, 0, -1),
        ("7", 7, 7, 7),
        ("-7", -7, -7, -7),
        ("0", 0, 0, 0),
    ];
    for (text, nearest, up, down) in cases {
        assert_eq!(dec(text).round(Rounding::HalfAwayFromZero), Ok(nearest), "{text}");
        assert_eq!(dec(text).round(Rounding::Up), Ok(up), "{text}");
        assert_eq!(dec(text).round(Rounding::Down), Ok(down), "{text}");
    }
}

#[test]
fn a_product_is_rounded_once_however_wide_it_is() {
    let nearest = |a, b| mul_round(dec(a), dec(b), Rounding::HalfAwayFromZero);
    assert_eq!(nearest("0.05", "30"), Ok(2));
    assert_eq!(nearest("31", "3.6"), Ok(112));
    // 27 and 27 significant digits: 54 in the product.
    assert_eq!(nearest("999999999.999999999999999999", "999999999.999999999999999999"), {
        Ok(1_000_000_000_000_000_000)
    });
    assert_eq!(nearest("9223372036854775807.4", "1"), Ok(i64::MAX));
    assert_eq!(nearest("9223372036854775807.5", "1"), Err(DecimalError::Overflow));
    assert_eq!(nearest("-9223372036854775808.4", "1"), Ok(i64::MIN));
}

#[test]
fn a_quotient_is_rounded_once_and_never_divides_by_zero() {
    assert_eq!(div_round(dec("150"), dec("60"), Rounding::Up), Ok(3));
    assert_eq!(div_round(dec("0.1"), dec("60"), Rounding::Up), Ok(1));
    assert_eq!(div_round(dec("150"), dec("-60"), Rounding::Up), Ok(-2));
    assert_eq!(div_round(dec("150"), dec("-60"), Rounding::Down), Ok(-3));
    assert_eq!(div_round(dec("1.5"), dec("0.5"), Rounding::Down), Ok(3));
    assert_eq!(div_round(dec("1"), dec("0"), Rounding::Up), Err(DecimalError::DivisionByZero));
    let nearest = |a, b, c| mul_div_round(dec(a), dec(b), dec(c), Rounding::HalfAwayFromZero);
    assert_eq!(nearest("2000", "1", "3"), Ok(667));
    assert_eq!(nearest("-2000", "1", "3"), Ok(-667));
    assert_eq!(nearest("2000", "2", "3"), Ok(1333));
}

prop_compose! {
    fn any_decimal()(mantissa in any::<i128>(), scale in 0..=SCALE_MAX) -> Decimal {
        Decimal::new(mantissa, scale).unwrap()
    }
}

prop_compose! {
    fn small()(mantissa in -1_000_000_000_000_i128..1_000_000_000_000, scale in 0_u8..=9) -> Decimal {
        Decimal::new(mantissa, scale).unwrap()
    }
}

fn any_rounding() -> impl Strategy<Value = Rounding> {
    prop_oneof![Just(Rounding::HalfAwayFromZero), Just(Rounding::Up), Just(Rounding::Down)]
}

proptest! {
    #[test]
    fn printing_then_reading_gives_the_same_number(d in any_decimal()) {
        prop_assert_eq!(d.to_string().parse(), Ok(d));
    }

    #[test]
    fn the_order_agrees_with_the_sign_of_the_difference(a in any_decimal(), b in any_decimal()) {
        if let Ok(difference) = a.checked_sub(b) {
            prop_assert_eq!(a.cmp(&b), difference.mantissa().cmp(&0));
        }
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    }

    #[test]
    fn a_product_distributes_over_a_sum(a in small(), b in small(), c in small()) {
        let sum_first = a.checked_add(b).unwrap().checked_mul(c);
        let product_first = a.checked_mul(c).unwrap().checked_add(b.checked_mul(c).unwrap());
        prop_assert_eq!(sum_first, product_first);
    }

    #[test]
    fn rounding_a_product_equals_rounding_the_exact_product(
        a in small(), b in small(), rounding in any_rounding(),
    ) {
        prop_assert_eq!(mul_round(a, b, rounding), a.checked_mul(b).unwrap().round(rounding));
    }

    #[test]
    fn a_rounded_number_is_within_its_bound(d in small()) {
        let gap = |rounding| Decimal::from(d.round(rounding).unwrap()).checked_sub(d).unwrap();
        let (nearest, up, down) =
            (gap(Rounding::HalfAwayFromZero), gap(Rounding::Up), gap(Rounding::Down));
        let half = dec("0.5");
        prop_assert!(dec("-0.5") <= nearest && nearest <= half);
        prop_assert!(Decimal::ZERO <= up && up < Decimal::ONE);
        prop_assert!(dec("-1") < down && down <= Decimal::ZERO);
        // A tie moves away from zero.
        if nearest == half || nearest == dec("-0.5") {
            prop_assert_eq!(nearest.is_negative(), d.is_negative());
        }
    }

    #[test]
    fn a_whole_number_divided_rounds_like_integer_division(
        a in -1_000_000_i64..1_000_000, b in 1_i64..1_000,
    ) {
        let divided = |rounding| div_round(a.into(), b.into(), rounding).unwrap();
        prop_assert_eq!(divided(Rounding::Down), a.div_euclid(b));
        prop_assert_eq!(divided(Rounding::Up), -((-a).div_euclid(b)));
    }
}
