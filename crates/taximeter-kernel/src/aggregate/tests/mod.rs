//! Tests of cells and tallies: worked numbers, and every way to a quantity against the plain one.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod cells;
mod tallies;
mod worked;

use proptest::prelude::*;

use super::*;
use crate::time::{HOUR_S, Period};

fn event(timestamp: i64, seq: u64, value: &str) -> Counted {
    let measure = Measure::Number(value.parse().unwrap());
    Counted { seq, timestamp: Timestamp(timestamp), measure }
}

const fn period(start: i64, end: i64) -> Period {
    Period { start: Timestamp(start), end: Timestamp(end) }
}

fn percentile(tenths: u16) -> Formula {
    Formula::Percentile(Percentile::from_tenths(tenths).unwrap())
}

fn any_formula() -> impl Strategy<Value = Formula> {
    prop_oneof![
        Just(Formula::Sum),
        Just(Formula::Count),
        Just(Formula::Last),
        Just(Formula::Max),
        Just(Formula::Min),
        Just(Formula::UniqueCount),
        Just(Formula::Average),
        Just(Formula::WeightedSum),
        (500_u16..=999).prop_map(percentile),
    ]
}

fn any_window() -> impl Strategy<Value = Option<Window>> {
    prop_oneof![2 => Just(None), 1 => Just(Some(Window::Hour)), 1 => Just(Some(Window::Day))]
}

fn any_aggregation() -> impl Strategy<Value = Aggregation> {
    (any_formula(), any_window()).prop_map(|(formula, window)| Aggregation { formula, window })
}

/// Few distinct values, so that some are equal, and rarely one that makes a sum overflow.
fn any_number() -> impl Strategy<Value = Decimal> {
    let small = (-13_i128..=13, 0_u8..=2);
    let large = (-1_000_000_000_000_000_i128..1_000_000_000_000_000, 0_u8..=18);
    let largest = (prop_oneof![Just(i128::MAX), Just(i128::MIN)], 0_u8..=1);
    prop_oneof![20 => small, 10 => large, 1 => largest]
        .prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).unwrap())
}

/// Events of up to three days around the epoch, in the order of arrival, some at the same second
/// and many in the same hour. Of members when these are what is counted.
fn events(aggregation: Aggregation) -> impl Strategy<Value = Vec<Counted>> {
    let hour = prop_oneof![3 => -2_i64..3, 1 => -30_i64..40];
    let second = prop_oneof![Just(0), Just(3_599), 0..HOUR_S];
    let one = (hour, second, any_number(), 0_u128..7, any::<bool>());
    prop::collection::vec(one, 0..30).prop_map(move |events| {
        let members = aggregation.formula.counts_members();
        let counted = |((hour, second, number, member, is_member), seq)| Counted {
            seq,
            timestamp: Timestamp(hour * HOUR_S + second),
            measure: if members && is_member {
                Measure::Member(member)
            } else {
                Measure::Number(number)
            },
        };
        events.into_iter().zip(1_u64..).map(counted).collect()
    })
}

fn case() -> impl Strategy<Value = (Aggregation, Vec<Counted>)> {
    any_aggregation().prop_flat_map(|aggregation| (Just(aggregation), events(aggregation)))
}

fn cell_of<'a>(aggregation: Aggregation, events: impl IntoIterator<Item = &'a Counted>) -> Cell {
    let mut cell = Cell::empty(aggregation);
    events.into_iter().for_each(|event| cell.add(event).unwrap());
    cell
}

fn merged(a: Cell, b: &Cell) -> Cell {
    let mut merged = a;
    merged.merge(b).unwrap();
    merged
}
