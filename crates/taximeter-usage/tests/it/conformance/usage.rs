//! Totals: which events a span holds.

use taximeter_kernel::time::Timestamp;
use taximeter_usage::{UsageGroup, UsageQuery};

use crate::settings::in_every_setting;
use crate::support::{
    ALWAYS, COUNT, DAY, HOUR, MAX, MIDNIGHT, Place, SEVEN, SUM, Sent, counted, customer, event,
    event_at, period, series,
};

/// The sums between neighbouring boundaries.
fn sums(place: &Place, boundaries: &[i64]) -> Vec<String> {
    let boundaries: Vec<Timestamp> = boundaries.iter().copied().map(Timestamp).collect();
    let groups = place.engine.usage(&UsageQuery::of(series(SUM), SUM), &boundaries).unwrap();
    let [UsageGroup { dimensions, usage }] = &groups[..] else { panic!("{groups:?}") };
    assert!(dimensions.is_empty());
    usage.iter().map(|usage| usage.quantity.to_string()).collect()
}

#[test]
fn a_period_is_half_open() {
    in_every_setting(|place| {
        for (identifier, timestamp) in [("a", SEVEN - 1), ("b", SEVEN), ("c", SEVEN + 9)] {
            place.record(&event_at(identifier, timestamp, "1"));
        }
        place.check(SUM, period(SEVEN, SEVEN + 9), "1");
        place.check(SUM, period(SEVEN - 1, SEVEN + 10), "3");
        place.check(SUM, period(SEVEN + 10, SEVEN + 10), "0");
        place.check(SUM, period(SEVEN + 9, SEVEN + 9), "0");
    });
}

#[test]
fn a_late_event_lands_in_its_own_hour() {
    in_every_setting(|place| {
        let late = SEVEN - 30 * DAY;
        place.record(&event_at("now", SEVEN, "1"));
        place.record(&event_at("late", late, "7"));
        place.check(SUM, period(SEVEN, SEVEN + HOUR), "1");
        place.check(SUM, period(late, late + 1), "7");
        place.check(SUM, ALWAYS, "8");
        let place = place.reopened();
        place.record(&event_at("later", late + 1, "5"));
        place.check(SUM, period(late, late + HOUR), "12");
        place.check(SUM, period(late + 1, late + HOUR), "5");
    });
}

#[test]
fn events_before_1970_and_at_the_ends_of_time_are_counted() {
    in_every_setting(|place| {
        for (number, timestamp) in [i64::MIN, -1, i64::MAX - 1].into_iter().enumerate() {
            place.record(&event_at(&number.to_string(), timestamp, "1"));
            let other = counted(MAX, event_at(&format!("{number} too"), timestamp, "5"));
            place.record(&other);
        }
        place.check(SUM, ALWAYS, "3");
        place.check(SUM, period(-HOUR, 0), "1");
        place.check(SUM, period(i64::MIN, i64::MIN + 1), "1");
        place.check(MAX, period(i64::MAX - 1, i64::MAX), "5");
        place.reopened().check(SUM, ALWAYS, "3");
    });
}

#[test]
fn the_total_of_one_series_holds_nothing_of_another() {
    in_every_setting(|place| {
        place.record(&event("a"));
        place.record(&counted(COUNT, event("b")));
        place.record(&Sent { customer: customer("cus_b"), ..event("c") });
        place.record(&Sent { customer: customer("cus_a0"), ..event("d") });
        assert_eq!(place.usage(SUM, ALWAYS), ("1".to_owned(), 1));
        assert_eq!(place.usage(COUNT, ALWAYS), ("1".to_owned(), 1));
    });
}

#[test]
fn one_question_gives_an_amount_for_each_span() {
    in_every_setting(|place| {
        for (identifier, timestamp, value) in [
            ("a", SEVEN + 3 * HOUR, "1"),
            ("b", SEVEN, "2"),
            ("c", MIDNIGHT - 1, "4"),
            ("d", SEVEN + 30, "8"),
            ("e", SEVEN + HOUR, "16"),
        ] {
            place.record(&event_at(identifier, timestamp, value));
        }
        let hours: Vec<i64> = (7..=11).map(|hour| MIDNIGHT + hour * HOUR).collect();
        assert_eq!(sums(&place, &hours), ["10", "16", "0", "1"]);
        assert_eq!(sums(&place, &[MIDNIGHT - DAY, MIDNIGHT, MIDNIGHT + DAY]), ["4", "27"]);
        let ragged = [SEVEN + 10, SEVEN + HOUR, SEVEN + HOUR, SEVEN + 3 * HOUR + 1];
        assert_eq!(sums(&place, &ragged), ["8", "0", "17"]);
        assert!(sums(&place, &[SEVEN]).is_empty());
        assert!(sums(&place, &[]).is_empty());
    });
}

#[test]
fn spans_that_meet_count_every_event_once_wherever_they_meet() {
    in_every_setting(|place| {
        let sent: Vec<Sent> = (0..97)
            .map(|number| event_at(&number.to_string(), SEVEN + number * 149, "1"))
            .collect();
        for part in sent.chunks(10) {
            place.append_all(part);
        }
        let end = SEVEN + 5 * HOUR;
        for cut in (SEVEN - 1..=end).step_by(331) {
            let parts = sums(&place, &[i64::MIN, cut, end]);
            let parts: i64 = parts.iter().map(|part| part.parse::<i64>().unwrap()).sum();
            assert_eq!(parts, 97, "cut at {cut}");
        }
    });
}
