//! What the users of other meters suffered from, and what must be impossible here. Each test names
//! the report that it answers.

use taximeter_kernel::id::Mode;
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Appended, EventQuery, Order, UsageQuery};

use crate::settings::in_every_setting;
use crate::support::{
    ALWAYS, AVERAGE, DAY, HOUR, MAX, MIN, SEVEN, SUM, Sent, WEIGHTED, amend, cancel, counted,
    customer, event, event_at, events_query, percentile, period, request, restore, series,
};

/// openmeter#5118: deduplication claimed the identifier before the write, so a retry of what was
/// refused was answered as success and metered zero times.
#[test]
fn what_was_refused_claims_nothing_and_its_retry_is_metered() {
    in_every_setting(|place| {
        place.record(&Sent { request: request(7, 13), ..event("first") });
        let mismatch = Sent { request: request(7, 14), ..event("a") };
        assert_eq!(place.append(&mismatch), Appended::RequestMismatch);
        let duplicate = Sent { request: request(8, 13), ..event("first") };
        assert_eq!(place.append(&duplicate), Appended::Duplicate(1));
        place.record(&event("a"));
        place.record(&Sent { request: request(8, 13), ..event("b") });
        assert_eq!(place.usage(SUM, ALWAYS), ("3".to_owned(), 3));
    });
}

/// openmeter#4902: after a node was replaced, 77 seconds of accepted usage were missing, and a
/// replay of them was dropped as duplicates. openmeter#4485: a failover let duplicates through.
#[test]
fn a_replay_of_everything_after_any_restart_changes_nothing_and_misses_nothing() {
    in_every_setting(|mut place| {
        let sent: Vec<Sent> = (0..77)
            .map(|second| event_at(&format!("event {second}"), SEVEN + second, "1"))
            .collect();
        for (number, part) in sent.chunks(7).enumerate() {
            place.append_all(part);
            place = place.reopened();
            let upto = (number + 1) * 7;
            let again = place.append_all(&sent[..upto]);
            let expected: Vec<Appended> = (1..).take(upto).map(Appended::Duplicate).collect();
            assert_eq!(again, expected);
        }
        assert_eq!(place.usage(SUM, ALWAYS), ("77".to_owned(), 77));
    });
}

/// lago-api#5725, #5949: deduplication ate all memory. Many times what the engine keeps at hand in
/// the small settings, and still every copy is recognised.
#[test]
fn a_copy_is_recognised_however_many_events_came_between() {
    in_every_setting(|place| {
        let sent: Vec<Sent> = (0..3_000).map(|number| event(&format!("event {number}"))).collect();
        for part in sent.chunks(500) {
            place.append_all(part);
        }
        let place = place.reopened();
        for part in sent.chunks(500).rev() {
            let again = place.append_all(part);
            assert!(again.iter().all(|one| matches!(one, Appended::Duplicate(_))));
        }
        assert_eq!(place.usage(SUM, ALWAYS), ("3000".to_owned(), 3_000));
    });
}

/// lago-api#4708 and the keys of others that hold the timestamp, or look at one month only: the same
/// identifier with a new timestamp was billed twice.
#[test]
fn a_copy_with_another_timestamp_or_value_or_month_is_still_a_copy() {
    in_every_setting(|place| {
        let first = place.record(&event_at("a", SEVEN, "1"));
        for (days, value) in [(0, "2"), (-40, "1"), (40, "1")] {
            let later = Timestamp(SEVEN + 60 * DAY);
            let copy = Sent { received: later, ..event_at("a", SEVEN + days * DAY, value) };
            assert_eq!(place.append(&copy), Appended::Duplicate(first));
        }
        place.check(SUM, ALWAYS, "1");
        place.check(SUM, period(SEVEN + 39 * DAY, SEVEN + 41 * DAY), "0");
    });
}

/// lago-api's batches: one known identifier in a batch refused all of it.
#[test]
fn a_half_seen_batch_sent_again_records_the_other_half() {
    in_every_setting(|place| {
        let sent: Vec<Sent> = (0..10).map(|number| event(&number.to_string())).collect();
        place.append_all(&sent[..5]);
        let again = place.append_all(&sent);
        let recorded = again.iter().filter(|one| matches!(one, Appended::Recorded(_))).count();
        assert_eq!(recorded, 5);
        place.check(SUM, ALWAYS, "10");
    });
}

/// lago#637: events were accepted and never aggregated.
#[test]
fn whatever_is_answered_as_recorded_is_in_the_total() {
    in_every_setting(|place| {
        let mut recorded = 0;
        for number in 0..101 {
            let sent = event_at(&(number % 67).to_string(), SEVEN + number * 4_001, "1");
            recorded += u64::from(matches!(place.append(&sent), Appended::Recorded(_)));
            assert_eq!(place.usage(SUM, ALWAYS), (recorded.to_string(), recorded));
        }
        assert_eq!(recorded, 67);
    });
}

/// flexprice#1727: precision was lost past six digits. Floats: 0.1 added up a million times gave
/// 100000.00000000528.
#[test]
fn no_digit_is_lost_and_nothing_drifts() {
    in_every_setting(|place| {
        let tenths: Vec<Sent> =
            (0..1_000).map(|number| event_at(&number.to_string(), SEVEN + number, "0.1")).collect();
        for part in tenths.chunks(500) {
            place.append_all(part);
        }
        place.check(SUM, ALWAYS, "100");
        for (identifier, value) in [
            ("small", "0.000000000000000001"),
            ("digits", "123456789012345.678"),
            ("seven", "1.1234567"),
        ] {
            place.record(&event_at(identifier, SEVEN + DAY, value));
        }
        place.check(
            SUM,
            period(SEVEN + DAY, SEVEN + 2 * DAY),
            "123456789012346.801456700000000001",
        );
        place.reopened().check(SUM, ALWAYS, "123456789012446.801456700000000001");
    });
}

/// killbill#1081: big amounts were missing.
#[test]
fn amounts_beyond_64_bits_are_exact() {
    in_every_setting(|place| {
        for number in 0..3 {
            let big = "99999999999999999999999999.5";
            place.record(&event_at(&number.to_string(), SEVEN + number * HOUR, big));
        }
        place.check(SUM, ALWAYS, "299999999999999999999999998.5");
        let cents = event_at("cent", SEVEN, "-0.01");
        place.record(&cents);
        place.check(SUM, ALWAYS, "299999999999999999999999998.49");
    });
}

/// polar#8769: after a speed-up the total of a maximum was the sum of the parts' maxima.
#[test]
fn a_maximum_over_many_hours_is_the_maximum_and_not_a_sum() {
    in_every_setting(|place| {
        for aggregation in [MAX, MIN, AVERAGE] {
            for hour in 0..50 {
                let sent = event_at(&format!("{aggregation:?} {hour}"), SEVEN + hour * HOUR, "7");
                place.record(&counted(aggregation, sent));
            }
            place.check(aggregation, ALWAYS, "7");
            place.check(aggregation, period(SEVEN + 13, SEVEN + 7 * DAY), "7");
        }
        assert_eq!(place.reopened().usage(MAX, ALWAYS), ("7".to_owned(), 50));
    });
}

/// openmeter#4845, #4846, #4999: balances were stale after resets and grants.
#[test]
fn a_total_read_right_after_any_answer_is_never_stale() {
    in_every_setting(|place| {
        let mut expected = 0;
        for number in 0..25 {
            let name = number.to_string();
            place.record(&event_at(&name, SEVEN, "3"));
            place.check(SUM, ALWAYS, &(expected + 3).to_string());
            place.correct_done(cancel(&name));
            place.check(SUM, ALWAYS, &expected.to_string());
            place.correct_done(restore(&name));
            place.check(SUM, ALWAYS, &(expected + 3).to_string());
            place.correct_done(amend(&name, SEVEN + number, "5"));
            expected += 5;
            place.check(SUM, ALWAYS, &expected.to_string());
        }
    });
}

/// killbill#876, stripe-node#725, theanswer#624: usage after the end of a period was lost, or needed
/// a false timestamp.
#[test]
fn usage_of_years_ago_counts_in_its_own_hour_and_leaves_a_pinned_invoice_alone() {
    in_every_setting(|place| {
        place.record(&event_at("a", SEVEN, "1"));
        let years_ago = SEVEN - 1_000 * DAY;
        let that_month = period(years_ago - 15 * DAY, years_ago + 15 * DAY);
        let pin = place.engine.position().unwrap();
        place.record(&event_at("late", years_ago, "7"));
        place.check(SUM, that_month, "7");
        place.check(SUM, period(SEVEN, SEVEN + HOUR), "1");
        let invoiced = UsageQuery { as_of: Some(pin), ..UsageQuery::of(series(SUM), SUM) };
        assert_eq!(place.usage_of(&invoiced, that_month), ("0".to_owned(), 0));
    });
}

/// lago-api#1840, #1569, and a competitor whose periods hold their last instant: an event on the
/// boundary was in two periods, or in none.
#[test]
fn an_event_on_the_boundary_of_two_periods_is_in_the_later_one_only() {
    in_every_setting(|place| {
        for boundary in [SEVEN, SEVEN + 1, SEVEN + HOUR - 1] {
            place.record(&event_at(&boundary.to_string(), boundary, "1"));
            let before = place.usage(SUM, period(boundary - 3 * DAY, boundary)).1;
            let after = place.usage(SUM, period(boundary, boundary + 3 * DAY)).1;
            let all = place.usage(SUM, ALWAYS).1;
            assert_eq!((before + after, after), (all, 1));
        }
    });
}

/// lago-api#5881: listing the events of a big account timed out. A page holds what it was asked for,
/// from either end, and says where to go on.
#[test]
fn the_newest_events_of_a_big_account_come_in_one_short_page() {
    in_every_setting(|place| {
        let sent: Vec<Sent> = (0..2_000).map(|number| event(&number.to_string())).collect();
        for part in sent.chunks(500) {
            place.append_all(part);
        }
        let query = EventQuery { limit: 3, ..events_query(Order::Newest) };
        let page = place.engine.events(&query).unwrap();
        let places: Vec<u64> = page.events.iter().map(|event| event.seq).collect();
        assert_eq!((places, page.next), (vec![2_000, 1_999, 1_998], Some(1_998)));
    });
}

/// flexprice#2831, lago#30: percentiles and GB-hours, which others have not.
#[test]
fn percentiles_and_unit_hours_are_exact() {
    in_every_setting(|place| {
        let p95 = percentile("95");
        for number in 1..=100 {
            let value = (number * 37 % 101).to_string();
            let sent = event_at(&format!("p {number}"), SEVEN + number * 61, &value);
            place.record(&counted(p95, sent));
        }
        place.check(p95, ALWAYS, "95");
        place.record(&counted(WEIGHTED, event_at("up", SEVEN, "10")));
        place.record(&counted(WEIGHTED, event_at("down", SEVEN + 90, "-10")));
        place.check(WEIGHTED, period(SEVEN - HOUR, SEVEN + 5 * DAY), "0.25");
    });
}

/// One account's usage in another's bill, test usage in a live one.
#[test]
fn nothing_of_one_account_or_mode_or_customer_is_in_the_total_of_another() {
    in_every_setting(|place| {
        let mut test = series(SUM);
        test.scope.mode = Mode::Test;
        place.record(&Sent { scope: test.scope.clone(), ..event_at("a", SEVEN, "100") });
        place.record(&Sent { customer: customer("cus_b"), ..event_at("a", SEVEN, "10") });
        place.record(&event_at("a", SEVEN, "1"));
        place.check(SUM, ALWAYS, "1");
        assert_eq!(place.usage_of(&UsageQuery::of(test, SUM), ALWAYS).0, "100");
        place.reopened().check(SUM, ALWAYS, "1");
    });
}
