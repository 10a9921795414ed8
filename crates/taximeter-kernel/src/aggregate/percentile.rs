//! The value at a percentile: exact of many, within half a percent of very many.

use std::collections::BTreeMap;

use super::wide::divided;
use super::{Percentile, WideSum};
use crate::decimal::{Decimal, SCALE_MAX};

/// Up to so many values the percentile is exact; of more it is within 0.5 % (in fact 1 in 256).
pub const PERCENTILE_EXACT_MAX: usize = 1_000_000;

/// The values of a period. What it gives depends on the values alone, not on their order.
#[derive(Debug, Clone)]
pub(super) struct Values {
    percentile: Percentile,
    exact_max: usize,
    exact: Vec<Decimal>,
    sketch: Option<Sketch>,
}

impl Values {
    pub(super) const fn new(percentile: Percentile) -> Self {
        Self::exact_up_to(PERCENTILE_EXACT_MAX, percentile)
    }

    const fn exact_up_to(exact_max: usize, percentile: Percentile) -> Self {
        Self { percentile, exact_max, exact: Vec::new(), sketch: None }
    }

    pub(super) fn add(&mut self, value: Decimal) {
        if let Some(sketch) = &mut self.sketch {
            return sketch.add(value);
        }
        self.exact.push(value);
        if self.exact.len() > self.exact_max {
            let mut sketch = Sketch::of(value);
            // The last one is in it already.
            self.exact.pop();
            std::mem::take(&mut self.exact).into_iter().for_each(|value| sketch.add(value));
            self.sketch = Some(sketch);
        }
    }

    pub(super) const fn is_approximate(&self) -> bool {
        self.sketch.is_some()
    }

    /// The smallest value that at least so many percent of the values do not exceed, 0 when there
    /// is none. Of 2, 3, 5 and 7 the 50th is the second, 3, and the 95th the fourth, 7.
    pub(super) fn quantity(mut self) -> Decimal {
        if let Some(sketch) = &self.sketch {
            return sketch.at(rank(self.percentile, sketch.count));
        }
        let count = u64::try_from(self.exact.len()).unwrap_or(u64::MAX);
        let index = rank(self.percentile, count).checked_sub(1);
        match index.and_then(|index| usize::try_from(index).ok()) {
            Some(index) => *self.exact.select_nth_unstable(index).1,
            None => Decimal::ZERO,
        }
    }
}

/// Which of `count` values in order, from 1, is at the percentile: of 4 values the 2nd is at the
/// 50th, the 4th is at the 95th. 0 of none.
fn rank(percentile: Percentile, count: u64) -> u64 {
    let exact = u128::from(count).saturating_mul(percentile.as_tenths().into()).div_ceil(1_000);
    u64::try_from(exact).unwrap_or(count)
}

/// So many halvings of an octave: a bucket is 1/128 as wide as it is far from 0, at least.
const FINE_BITS: u32 = 7;
const FINE: u64 = 1 << FINE_BITS;

/// How many values are in each of the buckets, which are as wide as they are far from 0. There are
/// at most 48,000 of them.
#[derive(Debug, Clone)]
struct Sketch {
    buckets: BTreeMap<i32, u64>,
    count: u64,
    min: Decimal,
    max: Decimal,
}

impl Sketch {
    fn of(value: Decimal) -> Self {
        let mut sketch = Self { buckets: BTreeMap::new(), count: 0, min: value, max: value };
        sketch.add(value);
        sketch
    }

    fn add(&mut self, value: Decimal) {
        let bucket = self.buckets.entry(bucket_of(value)).or_default();
        *bucket = bucket.saturating_add(1);
        self.count = self.count.saturating_add(1);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// The value at a rank from 1: the middle of its bucket.
    fn at(&self, rank: u64) -> Decimal {
        let mut below = 0_u64;
        for (bucket, count) in &self.buckets {
            below = below.saturating_add(*count);
            if below >= rank {
                return middle_of(*bucket).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

/// The bucket of a value: its distance from 0 in 10^-18ths without all but the highest 8 bits, and
/// how many bits these are; below 0 the negative of that. Greater values have no smaller bucket.
fn bucket_of(value: Decimal) -> i32 {
    let limbs = WideSum::from(value).magnitude();
    let limb = |index: u32| {
        let limb = usize::try_from(index).ok().and_then(|index| limbs.get(index));
        u128::from(limb.copied().unwrap_or(0))
    };
    let highest = (0..4_u32).rev().find(|index| limb(*index) != 0).unwrap_or(0);
    let in_highest = 128_u32.saturating_sub(limb(highest).leading_zeros());
    let bits = highest.saturating_mul(64).saturating_add(in_highest);
    let shift = bits.saturating_sub(FINE_BITS.saturating_add(1));
    let (from, within) = (shift >> 6_u32, shift & 63);
    let above = limb(from.saturating_add(1)) << 64_u32;
    let top = (above | limb(from)).checked_shr(within).unwrap_or(0);
    let index = u128::from(shift).saturating_mul(FINE.into()).saturating_add(top);
    // At most 248 × 128 + 255.
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    if value.is_negative() { index.saturating_neg() } else { index }
}

/// The middle of a bucket, not more than half of 1/128 away from any value in it.
fn middle_of(bucket: i32) -> Decimal {
    let index = u64::from(bucket.unsigned_abs());
    let (mut limbs, shift) = match (index >> FINE_BITS).checked_sub(1) {
        None | Some(0) => ([index, 0, 0, 0], 0),
        // The highest 8 bits, then a 1: half the width.
        Some(shift) => {
            let top = (index & FINE.saturating_sub(1)) | FINE;
            ([(top << 1_u32) | 1, 0, 0, 0], shift.saturating_sub(1))
        }
    };
    for _ in 0..shift {
        limbs = doubled(limbs);
    }
    // Longer than a decimal can be, the last digits go.
    for scale in (0..=SCALE_MAX).rev() {
        let units = WideSum::signed(limbs, bucket < 0);
        if let Ok(middle) = units.and_then(|units| units.narrowed(scale)) {
            return middle;
        }
        limbs = divided(limbs, 10).map_or(limbs, |(tenth, _)| tenth);
    }
    let most = WideSum::from_units(if bucket < 0 { i128::MIN } else { i128::MAX });
    most.narrowed(0).unwrap_or(Decimal::ZERO)
}

fn doubled(limbs: [u64; 4]) -> [u64; 4] {
    let mut carry = 0;
    limbs.map(|limb| {
        let doubled = (limb << 1_u32) | carry;
        carry = limb >> 63_u32;
        doubled
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(percentile: &str, exact_max: usize, values: &[Decimal]) -> (Decimal, bool) {
        let mut kept = Values::exact_up_to(exact_max, Percentile::parse(percentile).unwrap());
        values.iter().for_each(|value| kept.add(*value));
        (kept.clone().quantity(), kept.is_approximate())
    }

    fn check(percentile: &str, values: &[i64], expected: i64) {
        let values: Vec<Decimal> = values.iter().copied().map(Decimal::from_int).collect();
        let (exact, approximate) = at(percentile, 101, &values);
        assert_eq!((exact, approximate), (expected.into(), false), "{percentile} of {values:?}");
    }

    #[test]
    fn the_nearest_rank_is_the_smallest_value_that_enough_do_not_exceed() {
        check("50", &[], 0);
        check("99.9", &[7], 7);
        check("50", &[7, 2, 5, 3], 3);
        check("75", &[7, 2, 5, 3], 5);
        check("75.1", &[7, 2, 5, 3], 7);
        check("50", &[3, 1, 2], 2);
        check("50", &[-3, -1, -2], -2);
        let hundred: Vec<i64> = (1..=100).collect();
        check("95", &hundred, 95);
        check("95.1", &hundred, 96);
    }

    #[test]
    fn one_value_too_many_to_be_exact_makes_it_approximate() {
        let values = [1_000_003, 7, 13].map(Decimal::from_int);
        assert_eq!(at("50", 3, &values), (13.into(), false));
        // 13 × 10^18 is 180.4 × 2^56, and the middle of its bucket is 180.5 × 2^56.
        let (middle, approximate) = at("50", 2, &values);
        assert!(approximate);
        assert_eq!(middle.to_string(), "13.006395723845992448");
        let values = [7, 13, 13].map(Decimal::from_int);
        assert_eq!(at("50", 2, &values), (13.into(), true), "never above the greatest");
    }

    #[test]
    fn the_largest_numbers_have_their_buckets_too() {
        let most = Decimal::new(i128::MAX, 0).unwrap();
        let least = Decimal::new(i128::MIN, 0).unwrap();
        let tiny = Decimal::new(1, SCALE_MAX).unwrap();
        let values = [most, least, Decimal::ZERO, tiny, most];
        assert_eq!(at("50", 0, &values).0, tiny);
        assert_eq!(at("99", 0, &values).0, most);
        assert_eq!(at("50", 0, &[least, least, least, tiny]).0, least);
        assert!(bucket_of(most) < 24_000 && -24_000 < bucket_of(least));
    }

    fn any_decimal() -> impl Strategy<Value = Decimal> {
        let mantissa = prop_oneof![any::<i128>(), -1_000_000_i128..1_000_000, -300_i128..300];
        (mantissa, 0..=SCALE_MAX).prop_map(|(m, scale)| Decimal::new(m, scale).unwrap())
    }

    /// Whether the two are at most half a percent of `exact` apart.
    fn near(exact: Decimal, approximate: Decimal) -> bool {
        let units = |number: Decimal| WideSum::from(number);
        let apart = units(exact).checked_sub(units(approximate)).unwrap();
        let sides = [apart, units(exact)]
            .map(|it| if it.is_negative() { it.checked_neg().unwrap() } else { it });
        sides[0].checked_mul(200).unwrap() <= sides[1]
    }

    proptest! {
        #[test]
        fn the_sketch_is_within_half_a_percent(
            values in prop::collection::vec(any_decimal(), 1..40), tenths in 500_u16..=999,
        ) {
            let percentile = Percentile::from_tenths(tenths).unwrap().to_string();
            let (exact, _) = at(&percentile, 40, &values);
            let (approximate, _) = at(&percentile, 0, &values);
            prop_assert!(near(exact, approximate), "{approximate} for {exact}");
        }

        #[test]
        fn the_order_of_the_values_does_not_matter(
            mut values in prop::collection::vec(any_decimal(), 0..40), exact_max in 0_usize..40,
        ) {
            let one_way = at("97.5", exact_max, &values);
            values.reverse();
            prop_assert_eq!(at("97.5", exact_max, &values), one_way);
            values.sort_unstable();
            prop_assert_eq!(at("97.5", exact_max, &values), one_way);
        }

        #[test]
        fn a_greater_value_has_no_smaller_bucket(a in any_decimal(), b in any_decimal()) {
            let buckets = (bucket_of(a.min(b)), bucket_of(a.max(b)));
            prop_assert!(buckets.0 <= buckets.1, "{buckets:?}");
            prop_assert!(near(a, middle_of(bucket_of(a))));
        }
    }
}
