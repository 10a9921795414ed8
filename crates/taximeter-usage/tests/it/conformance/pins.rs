//! Usage as it stood at a place in the order: what an invoice has pinned.

use taximeter_usage::{Correction, UsageQuery};

use crate::settings::in_every_setting;
use crate::support::{
    ALWAYS, HOUR, LAST, MAX, Place, SEVEN, SUM, amend, cancel, counted, event_at, period, restore,
    series,
};

fn sum_as_of(place: &Place, seq: u64) -> String {
    let query = UsageQuery { as_of: Some(seq), ..UsageQuery::of(series(SUM), SUM) };
    place.usage_of(&query, ALWAYS).0
}

#[test]
fn what_is_recorded_after_the_pin_does_not_count() {
    in_every_setting(|place| {
        let values = ["1", "2", "4", "8", "16", "32", "64"];
        for (number, value) in values.into_iter().enumerate() {
            place.record(&event_at(&number.to_string(), SEVEN, value));
        }
        for (seq, sum) in (0..).zip([0, 1, 3, 7, 15, 31, 63, 127]) {
            assert_eq!(sum_as_of(&place, seq), sum.to_string());
        }
        let place = place.reopened();
        assert_eq!(sum_as_of(&place, 3), "7");
        assert_eq!(sum_as_of(&place, u64::MAX), "127");
    });
}

#[test]
fn a_correction_after_the_pin_has_not_happened() {
    in_every_setting(|place| {
        place.record(&event_at("a", SEVEN, "3"));
        place.record(&event_at("b", SEVEN, "10"));
        let cancelled = place.correct_done(cancel("a"));
        let restored = place.correct_done(restore("a"));
        let amended = place.correct_done(amend("a", SEVEN + HOUR, "7"));
        let gone = place.correct_done(Correction { window_s: None, ..cancel("a") });
        let stood = [(0, "0"), (1, "3"), (2, "13"), (cancelled, "10"), (restored, "13")];
        let place = place.reopened();
        for (seq, sum) in stood.into_iter().chain([(amended, "17"), (gone, "10")]) {
            assert_eq!(sum_as_of(&place, seq), sum, "as of {seq}");
        }
        let query = UsageQuery { as_of: Some(restored), ..UsageQuery::of(series(SUM), SUM) };
        assert_eq!(place.usage_of(&query, period(SEVEN, SEVEN + HOUR)).0, "13");
    });
}

#[test]
fn a_pin_holds_for_what_a_formula_holds_on_to() {
    in_every_setting(|place| {
        for (aggregation, stood) in [(MAX, ["5", "9", "5", "7"]), (LAST, ["5", "9", "5", "7"])] {
            let name = |number: u32| format!("{aggregation:?} {number}");
            let sent = |number, second, value| {
                counted(aggregation, event_at(&name(number), SEVEN + second, value))
            };
            let first = place.record(&sent(1, 1, "5"));
            let second = place.record(&sent(2, 9, "9"));
            let cancelled = place.correct_done(cancel(&name(2)));
            let third = place.record(&sent(3, 7, "7"));
            for (seq, quantity) in [first, second, cancelled, third].into_iter().zip(stood) {
                let all = UsageQuery::of(series(aggregation), aggregation);
                let query = UsageQuery { as_of: Some(seq), ..all };
                let found = place.usage_of(&query, period(SEVEN, SEVEN + HOUR));
                assert_eq!(found.0, quantity, "{aggregation:?} as of {seq}");
            }
        }
    });
}

#[test]
fn a_pinned_total_is_the_same_however_much_comes_later() {
    in_every_setting(|place| {
        place.record(&event_at("a", SEVEN, "3"));
        let pin = place.record(&event_at("b", SEVEN + 3 * HOUR, "0.5"));
        let before = sum_as_of(&place, pin);
        for number in 0..50 {
            let sent = event_at(&number.to_string(), SEVEN + number * 997, "1");
            place.record(&sent);
            assert_eq!(sum_as_of(&place, pin), before);
        }
        place.correct_done(cancel("a"));
        assert_eq!(sum_as_of(&place, pin), before);
        assert_eq!(sum_as_of(&place.reopened(), pin), before);
    });
}
