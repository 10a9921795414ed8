//! Worked numbers: what each formula gives, and what a window leaves of it.

use super::*;

/// The usage, by the plain reference and by a tally of all events that count.
fn usage(formula: Formula, of: Period, events: &[Counted]) -> Usage {
    let aggregation = Aggregation::new(formula);
    let mut tally = Tally::new(aggregation, of);
    let mut before = WideSum::ZERO;
    for event in events {
        tally.add_event(event).unwrap();
        if event.timestamp < of.start {
            before = before.checked_add(event.number().unwrap().into()).unwrap();
        }
    }
    let usage = tally.finish(&before).unwrap();
    assert_eq!(Ok(usage), usage_of(aggregation, of, events), "{formula:?}");
    usage
}

fn quantity(formula: Formula, of: Period, events: &[Counted]) -> String {
    usage(formula, of, events).quantity.to_string()
}

#[test]
fn each_formula_gives_its_number() {
    let events = [event(13, 1, "2"), event(17, 2, "3.5"), event(17, 3, "3.5"), event(11, 4, "-1")];
    let check = |formula, expected: &str| {
        assert_eq!(quantity(formula, period(0, 3_600), &events), expected, "{formula:?}");
        assert_eq!(usage(formula, period(0, 3_600), &events).events, 4);
    };
    check(Formula::Sum, "8");
    check(Formula::Count, "4");
    check(Formula::Last, "3.5");
    check(Formula::Max, "3.5");
    check(Formula::Min, "-1");
    check(Formula::UniqueCount, "3");
    check(Formula::Average, "2");
    check(percentile(500), "2");
    check(percentile(751), "3.5");
    // (2 × 3,587 + 3.5 × 3,583 × 2 - 1 × 3,589) ÷ 3,600
    check(Formula::WeightedSum, "7.962777777778");
}

#[test]
fn no_events_are_no_usage() {
    for word in Formula::WORDS {
        let p95 = Percentile::parse("95").filter(|_| word == "percentile");
        let formula = Formula::parse(word, p95).unwrap();
        assert_eq!(usage(formula, period(0, 7_200), &[]), Usage::NONE, "{word}");
        let outside = [event(-1, 1, "0"), event(7_200, 2, "13")];
        assert_eq!(usage(formula, period(0, 7_200), &outside), Usage::NONE, "{word}");
    }
}

#[test]
fn an_average_is_rounded_once_to_twelve_digits() {
    let average = |values: &[&str]| {
        let events: Vec<_> = values.iter().zip(1..).map(|(v, seq)| event(7, seq, v)).collect();
        quantity(Formula::Average, period(0, 60), &events)
    };
    assert_eq!(average(&["2", "3", "3"]), "2.666666666667");
    assert_eq!(average(&["-2", "-3", "-3"]), "-2.666666666667");
    assert_eq!(average(&["0.000000000001", "0"]), "0.000000000001");
    assert_eq!(average(&["0.000000000000499999"]), "0");
}

#[test]
fn a_level_counts_for_as_long_as_it_stands() {
    let gigabyte_hours = |of, events: &[_]| quantity(Formula::WeightedSum, of, events);
    let there_and_gone = [event(0, 1, "100"), event(900, 2, "-100")];
    assert_eq!(gigabyte_hours(period(0, 3_600), &there_and_gone), "25");
    assert_eq!(gigabyte_hours(period(3_600, 7_200), &there_and_gone), "0");
    let carried_over = [event(-86_400, 1, "8"), event(2_700, 2, "100")];
    assert_eq!(gigabyte_hours(period(0, 3_600), &carried_over), "33");
    assert_eq!(gigabyte_hours(period(3_600, 7_200), &carried_over), "108");
    assert_eq!(usage(Formula::WeightedSum, period(3_600, 7_200), &carried_over).events, 0);
}

#[test]
fn of_equal_timestamps_the_later_arrival_is_last() {
    let both = [event(13, 7, "1"), event(13, 8, "2")];
    assert_eq!(quantity(Formula::Last, period(0, 60), &both), "2");
    assert_eq!(quantity(Formula::Last, period(0, 60), &[both[1], both[0]]), "2");
}

#[test]
fn a_window_is_decided_over_the_whole_of_it() {
    let events = [event(600, 1, "2"), event(3_000, 2, "5"), event(2_400, 3, "7")];
    let check = |window, of, expected: &str| {
        let aggregation = Aggregation { formula: Formula::Sum, window };
        let usage = usage_of(aggregation, of, &events).unwrap();
        assert_eq!(usage.quantity.to_string(), expected, "{window:?} {of:?}");
    };
    check(None, period(0, 3_600), "14");
    check(Some(Window::Hour), period(0, 3_600), "7");
    // The survivor, at 0:40, is not of the first half hour.
    check(Some(Window::Hour), period(0, 1_800), "0");
    check(Some(Window::Hour), period(1_800, 3_600), "7");
    check(Some(Window::Day), period(0, 86_400), "7");
    check(None, period(0, 1_800), "2");
}

#[test]
fn members_are_counted_once_each_however_many_there_are() {
    let aggregation = Aggregation::new(Formula::UniqueCount);
    let mut tally = Tally::new(aggregation, period(0, 3_600));
    for seq in 1..=10_007_u64 {
        let measure = Measure::Member(u128::from(seq * 7 % 4_001));
        tally.add_event(&Counted { seq, timestamp: Timestamp(13), measure }).unwrap();
    }
    let usage = tally.finish(&WideSum::ZERO).unwrap();
    assert_eq!((usage.quantity, usage.events), (4_001.into(), 10_007));
}

#[test]
fn a_percentile_of_more_than_a_million_is_approximate() {
    let mut tally = Tally::new(Aggregation::new(percentile(900)), period(0, 3_600));
    let count = u64::try_from(PERCENTILE_EXACT_MAX).unwrap();
    for seq in 1..=count {
        let value = Decimal::from_int(i64::try_from(seq * 13 % 1_009).unwrap());
        let measure = Measure::Number(value);
        tally.add_event(&Counted { seq, timestamp: Timestamp(7), measure }).unwrap();
    }
    let exact = tally.clone().finish(&WideSum::ZERO).unwrap();
    assert_eq!((exact.quantity.to_string(), exact.approximate), ("908".to_owned(), false));
    tally.add_event(&event(7, 1_000_001, "7")).unwrap();
    let near = tally.finish(&WideSum::ZERO).unwrap();
    assert!(near.approximate && near.events == count + 1);
    assert!(Decimal::from_int(904) < near.quantity && near.quantity < Decimal::from_int(912));
}

#[test]
fn a_member_is_no_number() {
    let member = Counted { seq: 1, timestamp: Timestamp(7), measure: Measure::Member(13) };
    for formula in [Formula::Sum, Formula::Max, Formula::WeightedSum, percentile(950)] {
        let aggregation = Aggregation::new(formula);
        let mut tally = Tally::new(aggregation, period(0, 60));
        assert_eq!(tally.add_event(&member), Err(DecimalError::Syntax), "{formula:?}");
        assert_eq!(usage_of(aggregation, period(0, 60), &[member]), Err(DecimalError::Syntax));
    }
    assert_eq!(Cell::empty(Aggregation::new(Formula::Sum)).add(&member), Err(DecimalError::Syntax));
}

#[test]
fn a_tally_refuses_a_cell_that_does_not_belong_to_it() {
    let sum = Aggregation::new(Formula::Sum);
    let cell = cell_of(sum, &[event(3_607, 1, "7")]);
    let add = |aggregation, hour| {
        Tally::new(aggregation, period(1_800, 10_000)).add_cell(Timestamp(hour), &cell)
    };
    assert_eq!(add(sum, 3_600), Ok(()));
    assert_eq!(add(sum, 3_601), Err(CellError::Hour));
    assert_eq!(add(sum, 0), Err(CellError::Hour));
    assert_eq!(add(sum, 7_200), Err(CellError::Hour));
    assert_eq!(add(sum, i64::MAX), Err(CellError::Hour));
    for formula in [Formula::Max, Formula::WeightedSum, Formula::UniqueCount, percentile(950)] {
        assert_eq!(add(Aggregation::new(formula), 3_600), Err(CellError::Kind), "{formula:?}");
    }
    let windowed = Aggregation { formula: Formula::Sum, window: Some(Window::Day) };
    assert_eq!(add(windowed, 3_600), Err(CellError::Kind));
}

#[test]
fn a_change_alone_is_no_usage() {
    let mut change = Cell::empty(Aggregation::new(Formula::Sum));
    assert_eq!(change.remove(&event(7, 1, "2.5")), Removal::Done);
    let mut tally = Tally::new(Aggregation::new(Formula::Sum), period(0, 3_600));
    tally.add_cell(Timestamp(0), &change).unwrap();
    assert_eq!(tally.clone().finish(&WideSum::ZERO), Err(DecimalError::Overflow));
    tally
        .add_cell(Timestamp(0), &cell_of(Aggregation::new(Formula::Sum), &[event(7, 1, "2.5")]))
        .unwrap();
    assert_eq!(tally.finish(&WideSum::ZERO), Ok(Usage::NONE));
}

#[test]
fn the_whole_of_time_is_a_period_too() {
    let always = period(i64::MIN, i64::MAX);
    // 3,600 for (2^63 - 1 - 7) seconds.
    assert_eq!(
        quantity(Formula::WeightedSum, always, &[event(7, 1, "3600")]),
        "9223372036854775800"
    );
    assert_eq!(quantity(Formula::Sum, always, &[event(7, 1, "3600")]), "3600");
}
