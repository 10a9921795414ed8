//! Events come in: what is recorded, and what is there already.

use taximeter_kernel::aggregate::Measure;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{
    AppendError, Appended, BATCH_EVENTS_MAX, Batch, EVENT_BYTES_MAX, Standing, TooLarge,
};

use crate::settings::in_every_setting;
use crate::support::{
    ALWAYS, COUNT, HOUR, MAX, SEVEN, SUM, Sent, UNIQUE, batch, block_on, counted, customer, event,
    event_at, number, request, scope,
};

#[test]
fn a_recorded_event_is_in_the_next_read() {
    in_every_setting(|place| {
        place.check(SUM, ALWAYS, "0");
        let sent = event_at("a", SEVEN, "2.5");
        assert_eq!(place.append(&sent), Appended::Recorded(1));
        place.check(SUM, ALWAYS, "2.5");
        let recorded = sent.recorded(1);
        assert_eq!(recorded.standing, Standing::Counts);
        assert_eq!(place.events(), std::slice::from_ref(&recorded));
        let found =
            place.engine.events_by_identifier(&sent.scope, Some(&sent.customer), "a").unwrap();
        assert_eq!(found, [recorded]);
        assert_eq!(place.engine.position().unwrap(), 1);
    });
}

#[test]
fn an_event_reads_back_as_it_was_sent() {
    in_every_setting(|place| {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let long = "ß".repeat(1_000);
        let everything = Sent {
            payload: vec![
                pair("z", "ÄÖ\n"),
                pair("a", ""),
                pair("a", "again"),
                pair("customer", "cus_a"),
                pair("", "\u{0}"),
                pair("long", &long),
            ],
            dimensions: vec!["eu".to_owned(), String::new(), "ÄÖ".to_owned()],
            request: request(u128::MAX, u64::MAX),
            backfill: Some("backfill_7".to_owned()),
            ..event_at("an identifier", SEVEN - 1, "-0.000000000000000001")
        };
        let member = counted(UNIQUE, Sent { measure: Measure::Member(u128::MAX), ..event("m") });
        let bare = Sent { payload: Vec::new(), ..event_at("", -1, "0") };
        let uuid = event("0b9c2f3e-7a11-4d52-9f6b-0123456789ab");
        let shouted = event("0B9C2F3E-7A11-4D52-9F6B-0123456789AB");
        let sent = [everything, member, bare, uuid, shouted];
        place.append_all(&sent);
        let recorded: Vec<_> = sent.iter().zip(1..).map(|(one, seq)| one.recorded(seq)).collect();
        assert_eq!(place.events(), recorded);
        assert_eq!(place.reopened().events(), recorded);
    });
}

#[test]
fn each_event_of_a_batch_is_answered_in_order() {
    in_every_setting(|place| {
        place.record(&event("old"));
        let sent = ["new", "old", "new", "newer"].map(event);
        let expected = [
            Appended::Recorded(2),
            Appended::Duplicate(1),
            Appended::Duplicate(2),
            Appended::Recorded(3),
        ];
        assert_eq!(place.append_all(&sent), expected);
        place.check(SUM, ALWAYS, "3");
    });
}

#[test]
fn an_empty_batch_is_answered_with_nothing() {
    in_every_setting(|place| {
        let empty = Batch::new(scope(), Timestamp(SEVEN));
        assert!(empty.is_empty());
        assert_eq!(block_on(place.engine.append(empty)).unwrap(), []);
        assert_eq!(place.engine.position().unwrap(), 0);
    });
}

#[test]
fn an_identifier_is_unique_within_account_and_mode_and_customer() {
    in_every_setting(|place| {
        let first = event("same");
        let test = Scope { mode: Mode::Test, ..first.scope.clone() };
        let other = Scope { account: Id::parse("acct_b").unwrap(), mode: Mode::Live };
        let seq = place.record(&first);
        assert_eq!(place.append(&first), Appended::Duplicate(seq));
        assert_eq!(place.append(&counted(MAX, first.clone())), Appended::Duplicate(seq));
        place.record(&Sent { scope: test, ..first.clone() });
        place.record(&Sent { scope: other, ..first.clone() });
        let of_b = Sent { customer: customer("cus_b"), ..first };
        let b = place.record(&of_b);
        assert_eq!(place.append(&of_b), Appended::Duplicate(b));
        place.check(SUM, ALWAYS, "1");
    });
}

#[test]
fn identifiers_that_look_alike_are_different() {
    in_every_setting(|place| {
        let alike = [
            "a",
            "A",
            "a ",
            " a",
            "",
            "á",
            "a\u{301}",
            "a\u{0}",
            "0b9c2f3e-7a11-4d52-9f6b-0123456789ab",
            "0B9C2F3E-7A11-4D52-9F6B-0123456789AB",
            "0b9c2f3e7a114d529f6b0123456789ab",
            "{0b9c2f3e-7a11-4d52-9f6b-0123456789ab}",
        ];
        for (identifier, seq) in alike.into_iter().zip(1..) {
            assert_eq!(place.append(&event(identifier)), Appended::Recorded(seq), "{identifier:?}");
        }
        let place = place.reopened();
        for (identifier, seq) in alike.into_iter().zip(1..) {
            assert_eq!(
                place.append(&event(identifier)),
                Appended::Duplicate(seq),
                "{identifier:?}"
            );
        }
    });
}

#[test]
fn names_do_not_run_into_one_another() {
    in_every_setting(|place| {
        for (of, identifier) in [("cus_a", "bc"), ("cus_ab", "c"), ("cus_", "abc"), ("cus_abc", "")]
        {
            let sent = Sent { customer: customer(of), ..event(identifier) };
            assert!(matches!(place.append(&sent), Appended::Recorded(_)), "{of} {identifier}");
        }
    });
}

#[test]
fn an_identifier_stays_taken_however_long_ago_it_was_recorded() {
    in_every_setting(|place| {
        let seq = place.record(&event("a"));
        let years_later = Sent { received: Timestamp(SEVEN + 400_000_000), ..event("a") };
        assert_eq!(place.append(&years_later), Appended::Duplicate(seq));
        assert_eq!(place.reopened().append(&years_later), Appended::Duplicate(seq));
    });
}

#[test]
fn the_order_goes_on_where_it_was_after_a_restart() {
    in_every_setting(|place| {
        for (identifier, seq) in ["a", "b", "c"].into_iter().zip(1..) {
            assert_eq!(place.record(&event(identifier)), seq);
        }
        let place = place.reopened();
        assert_eq!(place.engine.position().unwrap(), 3);
        assert_eq!(place.record(&event("d")), 4);
        let place = place.reopened().reopened();
        assert_eq!(place.engine.position().unwrap(), 4);
        place.check(SUM, ALWAYS, "4");
    });
}

#[test]
fn what_is_refused_takes_no_place_in_the_order() {
    in_every_setting(|place| {
        place.record(&Sent { request: request(7, 13), ..event("a") });
        place.append(&event("a"));
        place.append(&Sent { request: request(7, 13), ..event("b") });
        place.append(&Sent { request: request(7, 14), ..event("c") });
        assert_eq!(place.engine.position().unwrap(), 1);
        assert_eq!(place.record(&event("d")), 2);
    });
}

#[test]
fn a_batch_beyond_a_limit_takes_no_more_and_is_as_it_was() {
    in_every_setting(|place| {
        let mut small = batch(&[event("a")]);
        let long = "x".repeat(EVENT_BYTES_MAX);
        let large = Sent { payload: vec![("value".to_owned(), long)], ..event("large") };
        assert_eq!(large.push_onto(&mut small), Err(TooLarge));
        assert_eq!(small.len(), 1);
        let appended = block_on(place.engine.append(small)).unwrap();
        assert_eq!(appended, [Appended::Recorded(1)]);
        let mut full = Batch::new(scope(), Timestamp(SEVEN));
        for number in 0..BATCH_EVENTS_MAX {
            event(&number.to_string()).push_onto(&mut full).unwrap();
        }
        assert_eq!(event("one more").push_onto(&mut full), Err(TooLarge));
        assert_eq!(full.len(), BATCH_EVENTS_MAX);
    });
}

#[test]
fn a_batch_that_the_queue_could_never_hold_is_too_large_and_records_nothing() {
    in_every_setting(|place| {
        let too_many = (place.setting.options)().queue_events_max + 1;
        if too_many > BATCH_EVENTS_MAX {
            return;
        }
        let sent: Vec<Sent> = (0..too_many).map(|number| event(&number.to_string())).collect();
        let appended = block_on(place.engine.append(batch(&sent)));
        assert!(matches!(appended, Err(AppendError::TooLarge)));
        place.check(SUM, ALWAYS, "0");
        assert_eq!(place.append(&event("0")), Appended::Recorded(1), "its identifiers are free");
    });
}

#[test]
fn a_batch_larger_than_a_segment_is_recorded_and_read_back() {
    in_every_setting(|place| {
        let long = "x".repeat(1_000);
        let sent =
            |name: String| Sent { payload: vec![(long.clone(), name.clone())], ..event(&name) };
        let sent: Vec<Sent> = (0..100).map(|number| sent(number.to_string())).collect();
        let appended = place.append_all(&sent);
        assert!(appended.iter().all(|one| matches!(one, Appended::Recorded(_))));
        place.record(&event("after"));
        let place = place.reopened();
        place.check(SUM, ALWAYS, "101");
        assert_eq!(place.events().len(), 101);
        assert_eq!(place.at(100), sent[99].recorded(100));
    });
}

#[test]
fn a_count_needs_no_value_that_means_anything() {
    in_every_setting(|place| {
        for (identifier, value) in [("a", "7"), ("b", "-7"), ("c", "0")] {
            place.record(&counted(COUNT, event_at(identifier, SEVEN + HOUR, value)));
        }
        place.check(COUNT, ALWAYS, "3");
    });
}

#[test]
fn a_sum_that_does_not_fit_is_an_error_and_never_a_wrong_number() {
    in_every_setting(|place| {
        let huge = Measure::Number(Decimal::new(i128::MAX, 0).unwrap());
        let of = |identifier, hour| {
            let timestamp = Timestamp(SEVEN + hour * HOUR);
            Sent { measure: huge, timestamp, ..event(identifier) }
        };
        place.append_all(&[of("a", 0), of("b", 0), of("c", 1)]);
        let query = taximeter_usage::UsageQuery::of(crate::support::series(SUM), SUM);
        let total = place.engine.usage_in(&query, ALWAYS);
        assert!(matches!(total, Err(taximeter_usage::ReadError::Overflow)), "{total:?}");
        let next = crate::support::period(SEVEN + HOUR, SEVEN + 2 * HOUR);
        place.check(SUM, next, &i128::MAX.to_string());
        // What was recorded later can bring it back into bounds.
        let minus = Measure::Number(Decimal::new(-i128::MAX, 0).unwrap());
        place.record(&Sent { measure: minus, ..event("d") });
        place.record(&Sent { measure: minus, ..event("e") });
        place.record(&Sent { measure: number("7"), ..event("f") });
        let place = place.reopened();
        place.check(SUM, crate::support::period(SEVEN, SEVEN + HOUR), "7");
    });
}
