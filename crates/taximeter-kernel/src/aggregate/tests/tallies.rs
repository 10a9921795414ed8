//! Tallies: however a period is put together, it is what the plain reference says.

use std::collections::BTreeMap;

use super::*;
use crate::time::DAY_S;

/// Periods that begin and end anywhere, some at hours and days.
fn any_period() -> impl Strategy<Value = Period> {
    let any = || prop_oneof![-2 * DAY_S..2 * DAY_S, (-48_i64..48).prop_map(|hour| hour * HOUR_S)];
    (any(), any()).prop_map(|(a, b)| period(a.min(b), a.max(b)))
}

/// The cells of the hours, each merged from two parts as `halves` says.
fn cells(aggregation: Aggregation, events: &[Counted], halves: u32) -> BTreeMap<Timestamp, Cell> {
    let mut cells: BTreeMap<Timestamp, [Cell; 2]> = BTreeMap::new();
    for (event, index) in events.iter().zip(0_u32..) {
        let hour = Window::Hour.start_of(event.timestamp);
        let parts = cells.entry(hour).or_insert([Cell::empty(aggregation); 2]);
        let [first, second] = parts;
        let part = if halves.rotate_left(index) & 1 == 0 { first } else { second };
        part.add(event).unwrap();
    }
    cells.into_iter().map(|(hour, [a, b])| (hour, merged(a, &b))).collect()
}

/// The survivors that the cells of the hours hold, as an engine chooses them.
fn survivors(window: Window, cells: BTreeMap<Timestamp, Cell>) -> Vec<Counted> {
    let mut windows: BTreeMap<Timestamp, Cell> = BTreeMap::new();
    for (hour, cell) in cells {
        let of_window = windows.entry(window.start_of(hour)).or_insert(cell);
        *of_window = merged(*of_window, &cell);
    }
    let latest = |cell| if let Cell::Survivor { latest } = cell { latest } else { None };
    windows.into_values().map(|cell| latest(cell).unwrap()).collect()
}

/// A tally put together from cells where there can be some, else from events; the bits of `by_event`
/// choose hours that are given by their events all the same.
fn tallied(
    aggregation: Aggregation,
    of: Period,
    events: &[Counted],
    (halves, by_event): (u32, u32),
) -> Result<Usage, DecimalError> {
    let cells = cells(aggregation, events, halves);
    let mut tally = Tally::new(aggregation, of);
    let counting = match aggregation.window {
        Some(window) => survivors(window, cells.clone()),
        None => events.to_vec(),
    };
    let mut before = WideSum::ZERO;
    let mut from_cells = Vec::new();
    if aggregation.window.is_none() && aggregation.source() == Source::Cells {
        for ((hour, cell), index) in cells.iter().zip(0_u32..) {
            let inside = of.start <= *hour && hour.0 + HOUR_S <= of.end.0;
            if inside && by_event.rotate_left(index) & 1 == 0 {
                tally.add_cell(*hour, cell).unwrap();
                from_cells.push(*hour);
            }
        }
    }
    for event in &counting {
        if let (true, Measure::Number(number)) = (event.timestamp < of.start, event.measure) {
            before = before.checked_add(number.into()).unwrap();
        }
        if !from_cells.contains(&Window::Hour.start_of(event.timestamp)) {
            tally.add_event(event).unwrap();
        }
    }
    tally.finish(&before)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn however_a_period_is_put_together_it_is_what_the_reference_says(
        (aggregation, events) in case(), of in any_period(), split: (u32, u32),
    ) {
        let plain = usage_of(aggregation, of, &events);
        prop_assert_eq!(tallied(aggregation, of, &events, split), plain);
        let backwards: Vec<Counted> = events.iter().rev().copied().collect();
        prop_assert_eq!(tallied(aggregation, of, &backwards, split), plain);
    }

    #[test]
    fn an_amount_in_two_periods_is_that_in_both_together(
        events in events(Aggregation::new(Formula::Sum)), of in any_period(), cut in any_period(),
        formula in prop_oneof![Just(Formula::Sum), Just(Formula::Count)],
    ) {
        let middle = cut.start.clamp(of.start, of.end);
        let aggregation = Aggregation::new(formula);
        let quantity = |of| usage_of(aggregation, of, &events).map(|usage| usage.quantity);
        let first = quantity(Period { end: middle, ..of });
        let second = quantity(Period { start: middle, ..of });
        if let (Ok(first), Ok(second), Ok(whole)) = (first, second, quantity(of)) {
            // The parts may be too far apart to be added up as decimals.
            let parts = WideSum::from(first).checked_add(second.into()).unwrap();
            prop_assert_eq!(parts, whole.into());
        }
    }
}
