//! Every formula and window, with worked numbers.

use taximeter_kernel::aggregate::{Aggregation, Formula, Measure, Window};

use crate::settings::in_every_setting;
use crate::support::{
    ALWAYS, AVERAGE, COUNT, HOUR, LAST, MAX, MIDNIGHT, MIN, Place, SEVEN, SUM, Sent, UNIQUE,
    WEIGHTED, by, cancel, counted, event, event_at, percentile, period,
};

/// Records these values at these seconds after seven.
fn record(place: &Place, aggregation: Aggregation, values: &[(i64, &str)]) {
    for (number, (second, value)) in values.iter().enumerate() {
        let identifier = format!("{aggregation:?} {number}");
        place.record(&counted(aggregation, event_at(&identifier, SEVEN + second, value)));
    }
}

#[test]
fn each_formula_gives_its_number() {
    in_every_setting(|place| {
        // Over two hours, and not in the order in which they happened.
        let values = [(HOUR + 5, "2"), (7, "3.5"), (11, "-0.25"), (13, "3.5")];
        for (aggregation, expected) in [
            (SUM, "8.75"),
            (COUNT, "4"),
            (LAST, "2"),
            (MAX, "3.5"),
            (MIN, "-0.25"),
            (AVERAGE, "2.1875"),
            (percentile("50"), "2"),
            (percentile("75"), "3.5"),
            (percentile("99.9"), "3.5"),
        ] {
            record(&place, aggregation, &values);
            let found = place.usage(aggregation, ALWAYS);
            assert_eq!(found, (expected.to_owned(), 4), "{aggregation:?}");
        }
    });
}

#[test]
fn no_events_give_zero_by_every_formula() {
    in_every_setting(|place| {
        for word in Formula::WORDS {
            let percentile = percentile("95").formula.percentile();
            let percentile = percentile.filter(|_| word == "percentile");
            let formula = Formula::parse(word, percentile).unwrap();
            for window in [None, Some(Window::Hour), Some(Window::Day)] {
                place.check(Aggregation { formula, window }, ALWAYS, "0");
            }
        }
    });
}

#[test]
fn an_average_that_does_not_end_is_rounded_in_its_twelfth_decimal() {
    in_every_setting(|place| {
        record(&place, AVERAGE, &[(0, "2"), (HOUR, "3"), (1, "3")]);
        place.check(AVERAGE, ALWAYS, "2.666666666667");
    });
}

#[test]
fn of_equal_timestamps_the_later_arrival_is_last() {
    in_every_setting(|place| {
        record(&place, LAST, &[(5, "1"), (5, "2"), (4, "3")]);
        place.check(LAST, ALWAYS, "2");
    });
}

#[test]
fn a_member_is_counted_once_however_often_and_wherever_it_is_seen() {
    in_every_setting(|place| {
        let seen = [(0, 1), (1, u128::MAX), (2, 1), (HOUR, 1), (HOUR, 7 << 64), (2 * HOUR, 7)];
        for (number, (second, member)) in seen.into_iter().enumerate() {
            let sent = event_at(&number.to_string(), SEVEN + second, "0");
            place.record(&counted(UNIQUE, Sent { measure: Measure::Member(member), ..sent }));
        }
        assert_eq!(place.usage(UNIQUE, ALWAYS), ("4".to_owned(), 6));
        place.check(UNIQUE, period(SEVEN, SEVEN + HOUR), "2");
        place.check(UNIQUE, period(SEVEN + HOUR, SEVEN + 3 * HOUR), "3");
        place.correct_done(cancel("0"));
        place.check(UNIQUE, period(SEVEN, SEVEN + HOUR), "2");
        place.correct_done(cancel("2"));
        place.check(UNIQUE, period(SEVEN, SEVEN + HOUR), "1");
        place.reopened().check(UNIQUE, ALWAYS, "4");
    });
}

#[test]
fn a_level_is_weighted_by_how_long_it_stood_and_carries_over() {
    in_every_setting(|place| {
        record(&place, WEIGHTED, &[(0, "100"), (HOUR / 4, "-100"), (3 * HOUR, "2.5")]);
        place.check(WEIGHTED, period(SEVEN, SEVEN + HOUR), "25");
        place.check(WEIGHTED, period(SEVEN + HOUR / 4, SEVEN + 3 * HOUR), "0");
        place.check(WEIGHTED, period(SEVEN, SEVEN + 5 * HOUR), "30");
        // Nothing happened in this hour, and the level stood.
        let quiet = period(SEVEN + 30 * HOUR, SEVEN + 31 * HOUR);
        assert_eq!(place.usage(WEIGHTED, quiet), ("2.5".to_owned(), 0));
        place.check(WEIGHTED, period(SEVEN - HOUR, SEVEN), "0");
        // A third of an hour of 2.5, in twelve decimals.
        let twenty_minutes = period(SEVEN + 9 * HOUR + 7, SEVEN + 9 * HOUR + 1_207);
        place.check(WEIGHTED, twenty_minutes, "0.833333333333");
    });
}

#[test]
fn with_a_window_only_the_event_received_last_counts() {
    in_every_setting(|place| {
        let values = [(50, "10"), (20, "3"), (HOUR, "5")];
        for (aggregation, expected, events) in [
            (SUM, "18", 3),
            (by(Window::Hour, Formula::Sum), "8", 2),
            (by(Window::Day, Formula::Sum), "5", 1),
            (by(Window::Hour, Formula::Count), "2", 2),
            (by(Window::Hour, Formula::Max), "5", 2),
            (by(Window::Hour, Formula::Min), "3", 2),
            (by(Window::Hour, Formula::Last), "5", 2),
            (by(Window::Hour, Formula::Average), "4", 2),
            (by(Window::Day, Formula::Count), "1", 1),
        ] {
            record(&place, aggregation, &values);
            let found = place.usage(aggregation, ALWAYS);
            assert_eq!(found, (expected.to_owned(), events), "{aggregation:?}");
        }
    });
}

#[test]
fn a_window_that_the_period_cuts_has_the_same_survivor() {
    in_every_setting(|place| {
        let hour = by(Window::Hour, Formula::Sum);
        record(&place, hour, &[(50, "10"), (20, "3")]);
        place.check(hour, period(SEVEN, SEVEN + 30), "3");
        place.check(hour, period(SEVEN + 30, SEVEN + HOUR), "0");
        let day = by(Window::Day, Formula::Sum);
        record(&place, day, &[(50, "10"), (20, "3"), (HOUR, "5")]);
        place.check(day, period(SEVEN, SEVEN + HOUR), "0");
        place.check(day, period(SEVEN + HOUR, SEVEN + HOUR + 1), "5");
        place.check(day, period(MIDNIGHT, SEVEN + HOUR), "0");
    });
}

#[test]
fn a_cancelled_survivor_gives_way_to_the_one_before_it() {
    in_every_setting(|place| {
        let hour = by(Window::Hour, Formula::Sum);
        place.record(&counted(hour, event_at("a", SEVEN + 50, "10")));
        place.record(&counted(hour, event_at("b", SEVEN + 20, "3")));
        place.correct_done(cancel("b"));
        place.check(hour, ALWAYS, "10");
        place.correct_done(cancel("a"));
        place.check(hour, ALWAYS, "0");
        assert_eq!(place.reopened().usage(hour, ALWAYS), ("0".to_owned(), 0));
    });
}

#[test]
fn a_day_ends_at_midnight_utc_for_a_window() {
    in_every_setting(|place| {
        let day = by(Window::Day, Formula::Sum);
        let at = |identifier, timestamp| counted(day, event_at(identifier, timestamp, "1"));
        place.record(&at("before", MIDNIGHT - 1));
        place.record(&at("after", MIDNIGHT));
        place.record(&counted(day, Sent { identifier: "again".into(), ..at("", MIDNIGHT + 1) }));
        place.check(day, ALWAYS, "2");
        place.record(&counted(day, event("in the morning")));
        place.check(day, period(MIDNIGHT, MIDNIGHT + HOUR), "0");
    });
}
