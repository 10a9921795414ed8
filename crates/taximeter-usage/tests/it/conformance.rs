//! What every engine must do, whatever its log is kept in.

use taximeter_kernel::aggregate::{Formula, Window};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Customer, Id, Mode, Scope};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{
    AppendError, Appended, BATCH_EVENTS_MAX, Cancel, Cancelled, EVENT_BYTES_MAX,
    EVENTS_PER_READ_MAX, Engine, EventQuery, Grain, NewEvent, OpenError, Options,
    REQUEST_KEY_KEPT_S, ReadError, Series,
};

use crate::support::{
    ALWAYS, MIDNIGHT, Place, SEVEN, SMALL, block_on, cancel, customer, event, event_at, meter,
    period, request, series,
};

const HOUR: i64 = 3_600;

fn check(place: &Place, window: Option<Window>, of: Period, expected: [&str; 3]) {
    let total = place.engine.total(&series(), window, of).unwrap();
    let values = [Formula::Sum, Formula::Count, Formula::Last];
    assert_eq!(values.map(|formula| total.value(formula).to_string()), expected, "{of:?}");
}

fn cancelled(place: &Place, order: Cancel) -> Cancelled {
    block_on(place.engine.cancel(order)).unwrap()
}

fn query(after: u64, limit: usize) -> EventQuery {
    EventQuery { series: series(), period: ALWAYS, after, limit }
}

// Appending

#[test]
fn a_recorded_event_is_in_the_next_read() {
    let place = Place::new();
    check(&place, None, ALWAYS, ["0", "0", "0"]);
    let recorded = place.record(event_at("a", SEVEN, "2.5"));
    assert_eq!((recorded.seq, recorded.cancelled), (1, false));
    check(&place, None, ALWAYS, ["2.5", "1", "2.5"]);
    assert_eq!(place.engine.events(&query(0, 10)).unwrap(), std::slice::from_ref(&recorded));
    let found = place.engine.event_by_identifier(&recorded.scope, &recorded.customer, "a");
    assert_eq!(found.unwrap(), Some(recorded));
}

#[test]
fn an_event_reads_back_as_it_was_sent() {
    let place = Place::new();
    let sent = NewEvent {
        payload: vec![
            ("z".to_owned(), "ÄÖ\n".to_owned()),
            ("a".to_owned(), String::new()),
            ("a".to_owned(), "again".to_owned()),
        ],
        request: request(7, 13),
        ..event_at("an identifier", SEVEN - 1, "-0.000000000000000001")
    };
    let recorded = place.record(sent.clone());
    assert_eq!(place.engine.events(&query(0, 1)).unwrap(), std::slice::from_ref(&recorded));
    assert_eq!(recorded.payload, sent.payload);
    assert_eq!(recorded.value, sent.value);
    assert_eq!((recorded.timestamp, recorded.received), (sent.timestamp, sent.received));
    assert_eq!(recorded.request, sent.request);
}

#[test]
fn each_event_of_a_batch_is_answered_in_order() {
    let place = Place::new();
    place.record(event("old"));
    let huge = Decimal::new(i128::MAX, 0).unwrap();
    let batch = vec![
        event("new"),
        event("old"),
        event("new"),
        NewEvent { value: huge, ..event("huge") },
        event("newer"),
    ];
    let appended = block_on(place.engine.append(batch)).unwrap();
    assert!(matches!(&appended[0], Appended::Recorded(event) if event.seq == 2));
    assert_eq!(appended[1], Appended::DuplicateIdentifier);
    assert_eq!(appended[2], Appended::DuplicateIdentifier);
    assert_eq!(appended[3], Appended::Overflow);
    assert!(matches!(&appended[4], Appended::Recorded(event) if event.seq == 3));
    check(&place, None, ALWAYS, ["3", "3", "1"]);
}

#[test]
fn an_empty_batch_is_answered_with_nothing() {
    assert_eq!(block_on(Place::new().engine.append(Vec::new())).unwrap(), []);
}

#[test]
fn an_identifier_is_unique_within_account_and_mode_and_customer() {
    let place = Place::new();
    let first = event("same");
    let test = Scope { mode: Mode::Test, ..first.scope.clone() };
    let other = Scope { account: Id::parse("acct_b").unwrap(), mode: Mode::Live };
    place.record(first.clone());
    assert_eq!(place.append(first.clone()), Appended::DuplicateIdentifier);
    let other_meter = NewEvent { meter: meter("mtr_b"), ..first.clone() };
    assert_eq!(place.append(other_meter), Appended::DuplicateIdentifier);
    place.record(NewEvent { scope: test, ..first.clone() });
    place.record(NewEvent { scope: other, ..first.clone() });
    place.record(NewEvent { customer: customer("cus_b"), ..first.clone() });
    let b_again = NewEvent { customer: customer("cus_b"), ..first };
    assert_eq!(place.append(b_again), Appended::DuplicateIdentifier);
    check(&place, None, ALWAYS, ["1", "1", "1"]);
}

#[test]
fn an_identifier_stays_taken_however_long_ago_it_was_recorded() {
    let place = Place::new();
    place.record(event("a"));
    let years_later = NewEvent { received: Timestamp(SEVEN + 400_000_000), ..event("a") };
    assert_eq!(place.append(years_later.clone()), Appended::DuplicateIdentifier);
    assert_eq!(place.reopened().append(years_later), Appended::DuplicateIdentifier);
}

#[test]
fn a_sum_that_would_not_fit_is_refused_and_the_identifier_stays_free() {
    let place = Place::new();
    let huge =
        |identifier| NewEvent { value: Decimal::new(i128::MAX, 0).unwrap(), ..event(identifier) };
    place.record(huge("a"));
    assert_eq!(place.append(huge("b")), Appended::Overflow);
    place.record(event_at("b", SEVEN, "-1"));
    place.record(event_at("c", SEVEN, "1"));
}

#[test]
fn a_sum_that_would_not_fit_within_one_batch_is_refused() {
    let place = Place::new();
    let huge =
        |identifier| NewEvent { value: Decimal::new(i128::MAX, 0).unwrap(), ..event(identifier) };
    let batch = vec![huge("a"), huge("b"), event_at("c", SEVEN + HOUR, "1")];
    let appended = block_on(place.engine.append(batch)).unwrap();
    assert!(matches!(appended[0], Appended::Recorded(_)));
    assert_eq!(appended[1], Appended::Overflow);
    assert!(matches!(appended[2], Appended::Recorded(_)), "another hour");
}

#[test]
fn a_total_over_hours_that_does_not_fit_is_an_error() {
    let place = Place::new();
    let huge = Decimal::new(i128::MAX, 0).unwrap();
    place.record(NewEvent { value: huge, ..event("a") });
    place.record(NewEvent { value: huge, timestamp: Timestamp(SEVEN + HOUR), ..event("b") });
    let total = place.engine.total(&series(), None, ALWAYS);
    assert!(matches!(total, Err(ReadError::Overflow)));
    let first = place.engine.total(&series(), None, period(SEVEN, SEVEN + HOUR));
    assert_eq!(first.unwrap().sum, huge);
}

// Requests

#[test]
fn a_repeated_request_is_answered_with_the_first_event() {
    let place = Place::new();
    let first = place.record(NewEvent { request: request(7, 13), ..event("generated-1") });
    let retry = NewEvent { request: request(7, 13), ..event("generated-2") };
    assert_eq!(place.append(retry.clone()), Appended::Replayed(first.clone()));
    check(&place, None, ALWAYS, ["1", "1", "1"]);
    assert_eq!(place.reopened().append(retry), Appended::Replayed(first));
}

#[test]
fn a_repeated_request_within_one_batch_is_recorded_once() {
    let place = Place::new();
    let batch = vec![
        NewEvent { request: request(7, 13), ..event("generated-1") },
        NewEvent { request: request(7, 13), ..event("generated-2") },
        NewEvent { request: request(7, 14), ..event("generated-3") },
    ];
    let appended = block_on(place.engine.append(batch)).unwrap();
    let Appended::Recorded(first) = &appended[0] else { panic!("{appended:?}") };
    assert_eq!(appended[1], Appended::Replayed(first.clone()));
    assert_eq!(appended[2], Appended::RequestMismatch);
    check(&place, None, ALWAYS, ["1", "1", "1"]);
}

#[test]
fn a_replay_shows_that_its_event_was_cancelled_since() {
    let place = Place::new();
    let sent = NewEvent { request: request(7, 13), ..event("a") };
    let first = place.record(sent.clone());
    cancelled(&place, cancel("a"));
    let expected = taximeter_usage::Event { cancelled: true, ..first };
    assert_eq!(place.append(sent), Appended::Replayed(expected));
}

#[test]
fn another_request_with_the_same_key_is_a_mismatch() {
    let place = Place::new();
    place.record(NewEvent { request: request(7, 13), ..event("a") });
    let other = NewEvent { request: request(7, 14), ..event("b") };
    assert_eq!(place.append(other), Appended::RequestMismatch);
}

#[test]
fn a_request_key_belongs_to_one_account_and_mode() {
    let place = Place::new();
    let sent = NewEvent { request: request(7, 13), ..event("a") };
    place.record(sent.clone());
    let test = Scope { mode: Mode::Test, ..sent.scope.clone() };
    place.record(NewEvent { scope: test, request: request(7, 14), ..sent });
}

#[test]
fn a_new_request_with_a_taken_identifier_is_a_duplicate() {
    let place = Place::new();
    place.record(NewEvent { request: request(7, 13), ..event("a") });
    let other = NewEvent { request: request(8, 13), ..event("a") };
    assert_eq!(place.append(other.clone()), Appended::DuplicateIdentifier);
    // It recorded nothing, so its key stands for nothing.
    place.record(NewEvent { identifier: "b".to_owned(), ..other });
}

#[test]
fn a_request_key_is_remembered_for_a_day_and_forgotten_alike_after_a_restart() {
    let mut place = Place::new();
    let sent = |identifier: &str, key, received_s| NewEvent {
        request: request(key, 13),
        received: Timestamp(SEVEN + received_s),
        ..event(identifier)
    };
    place.record(sent("a", 1, 0));
    place.record(sent("b", 2, REQUEST_KEY_KEPT_S));
    assert!(matches!(place.append(sent("x", 1, REQUEST_KEY_KEPT_S)), Appended::Replayed(_)));
    place.record(sent("c", 3, REQUEST_KEY_KEPT_S + 1));
    place = place.reopened();
    assert!(matches!(place.append(sent("y", 2, REQUEST_KEY_KEPT_S + 1)), Appended::Replayed(_)));
    place.record(sent("z", 1, REQUEST_KEY_KEPT_S + 1));
}

// Cancelling

#[test]
fn a_cancelled_event_counts_no_longer_and_can_still_be_read() {
    let place = Place::new();
    place.record(event_at("a", SEVEN, "3"));
    place.record(event_at("b", SEVEN + 5, "4.5"));
    assert_eq!(cancelled(&place, cancel("b")), Cancelled::Cancelled);
    check(&place, None, ALWAYS, ["3", "1", "3"]);
    let events = place.engine.events(&query(0, 10)).unwrap();
    assert_eq!(events.iter().map(|event| event.cancelled).collect::<Vec<_>>(), [false, true]);
    let place = place.reopened();
    check(&place, None, ALWAYS, ["3", "1", "3"]);
    assert_eq!(cancelled(&place, cancel("b")), Cancelled::AlreadyCancelled);
    assert_eq!(place.append(event("b")), Appended::DuplicateIdentifier);
}

#[test]
fn a_cancel_of_what_is_not_there_finds_nothing() {
    let place = Place::new();
    assert_eq!(cancelled(&place, cancel("a")), Cancelled::NotFound);
    place.record(event("a"));
    let of = |order: Cancel| assert_eq!(cancelled(&place, order), Cancelled::NotFound);
    of(cancel("b"));
    of(Cancel { event_name: "tokens".to_owned(), ..cancel("a") });
    of(Cancel { customer: Some(customer("cus_b")), ..cancel("a") });
    let scope = Scope { mode: Mode::Test, ..cancel("a").scope };
    of(Cancel { scope, ..cancel("a") });
    check(&place, None, ALWAYS, ["1", "1", "1"]);
}

#[test]
fn an_event_can_be_cancelled_up_to_the_last_second_of_the_window() {
    let place = Place::new();
    let received = event("a").received.0;
    place.record(event("a"));
    let at = |now| Cancel { now: Timestamp(now), window_s: 100, ..cancel("a") };
    assert_eq!(cancelled(&place, at(received + 101)), Cancelled::TooOld);
    assert_eq!(cancelled(&place, at(received + 100)), Cancelled::Cancelled);
}

#[test]
fn a_cancel_that_could_mean_several_customers_must_name_one() {
    let place = Place::new();
    let b = customer("cus_b");
    place.record(event("a"));
    place.record(NewEvent { customer: b.clone(), ..event("a") });
    assert_eq!(cancelled(&place, cancel("a")), Cancelled::Ambiguous);
    let of_b = Cancel { customer: Some(b.clone()), ..cancel("a") };
    assert_eq!(cancelled(&place, of_b), Cancelled::Cancelled);
    check(&place, None, ALWAYS, ["1", "1", "1"]);
    let total = place.engine.total(&Series { customer: b, ..series() }, None, ALWAYS);
    assert_eq!(total.unwrap().count, 0);
}

#[test]
fn a_cancel_that_would_make_the_rest_overflow_is_refused() {
    let place = Place::new();
    let huge = Decimal::new(i128::MAX, 0).unwrap();
    place.record(NewEvent { value: huge, ..event("a") });
    place.record(NewEvent { value: Decimal::new(-i128::MAX, 0).unwrap(), ..event("b") });
    place.record(NewEvent { value: huge, ..event("c") });
    assert_eq!(cancelled(&place, cancel("b")), Cancelled::Overflow);
    assert_eq!(cancelled(&place, cancel("a")), Cancelled::Cancelled);
    check(&place, None, ALWAYS, ["0", "2", &huge.to_string()]);
}

// Totals

#[test]
fn a_period_is_half_open() {
    let place = Place::new();
    for (identifier, timestamp) in [("a", SEVEN - 1), ("b", SEVEN), ("c", SEVEN + 9)] {
        place.record(event_at(identifier, timestamp, "1"));
    }
    check(&place, None, period(SEVEN, SEVEN + 9), ["1", "1", "1"]);
    check(&place, None, period(SEVEN - 1, SEVEN + 10), ["3", "3", "1"]);
    check(&place, None, period(SEVEN + 10, SEVEN + 10), ["0", "0", "0"]);
    check(&place, None, period(SEVEN + 10, SEVEN), ["0", "0", "0"]);
}

#[test]
fn a_late_event_lands_in_its_own_hour() {
    let place = Place::new();
    place.record(event_at("now", SEVEN, "1"));
    place.record(event_at("late", SEVEN - 30 * 24 * HOUR, "7"));
    check(&place, None, period(SEVEN, SEVEN + HOUR), ["1", "1", "1"]);
    let late = period(SEVEN - 30 * 24 * HOUR, SEVEN - 30 * 24 * HOUR + 1);
    check(&place, None, late, ["7", "1", "7"]);
    check(&place, None, ALWAYS, ["8", "2", "1"]);
}

#[test]
fn events_before_1970_and_at_the_ends_of_time_are_counted() {
    let place = Place::new();
    for (identifier, timestamp) in [("a", i64::MIN), ("b", -1), ("c", i64::MAX - 1)] {
        place.record(event_at(identifier, timestamp, "1"));
    }
    check(&place, None, ALWAYS, ["3", "3", "1"]);
    check(&place, None, period(-HOUR, 0), ["1", "1", "1"]);
    check(&place, Some(Window::Day), ALWAYS, ["3", "3", "1"]);
    let totals = place.engine.totals(&series(), None, ALWAYS, Grain::Day).unwrap();
    assert_eq!(totals.len(), 3);
}

#[test]
fn the_total_of_one_series_holds_nothing_of_another() {
    let place = Place::new();
    place.record(event("a"));
    place.record(NewEvent { meter: meter("mtr_b"), ..event("b") });
    place.record(NewEvent { customer: customer("cus_b"), ..event("c") });
    check(&place, None, ALWAYS, ["1", "1", "1"]);
}

#[test]
fn with_a_window_only_the_event_received_last_counts() {
    let place = Place::new();
    place.record(event_at("a", SEVEN + 50, "10"));
    place.record(event_at("b", SEVEN + 20, "3"));
    place.record(event_at("c", SEVEN + HOUR, "5"));
    check(&place, None, ALWAYS, ["18", "3", "5"]);
    check(&place, Some(Window::Hour), ALWAYS, ["8", "2", "5"]);
    check(&place, Some(Window::Day), ALWAYS, ["5", "1", "5"]);
}

#[test]
fn a_window_that_the_period_cuts_has_the_same_survivor() {
    let place = Place::new();
    place.record(event_at("a", SEVEN + 50, "10"));
    place.record(event_at("b", SEVEN + 20, "3"));
    let hour = Some(Window::Hour);
    check(&place, hour, period(SEVEN, SEVEN + 30), ["3", "1", "3"]);
    check(&place, hour, period(SEVEN + 30, SEVEN + HOUR), ["0", "0", "0"]);
    let day = Some(Window::Day);
    place.record(event_at("c", SEVEN + HOUR, "5"));
    check(&place, day, period(SEVEN, SEVEN + HOUR), ["0", "0", "0"]);
    check(&place, day, period(SEVEN + HOUR, SEVEN + HOUR + 1), ["5", "1", "5"]);
}

#[test]
fn a_cancelled_survivor_gives_way_to_the_one_before_it() {
    let place = Place::new();
    place.record(event_at("a", SEVEN + 50, "10"));
    place.record(event_at("b", SEVEN + 20, "3"));
    cancelled(&place, cancel("b"));
    check(&place, Some(Window::Hour), ALWAYS, ["10", "1", "10"]);
    cancelled(&place, cancel("a"));
    check(&place, Some(Window::Hour), ALWAYS, ["0", "0", "0"]);
}

#[test]
fn totals_come_by_hour_or_day_oldest_first_and_only_where_something_counts() {
    let place = Place::new();
    for (identifier, timestamp, value) in [
        ("a", SEVEN + 3 * HOUR, "1"),
        ("b", SEVEN, "2"),
        ("c", MIDNIGHT - 1, "4"),
        ("d", SEVEN + 30, "8"),
        ("e", SEVEN + HOUR, "16"),
    ] {
        place.record(event_at(identifier, timestamp, value));
    }
    cancelled(&place, cancel("e"));
    let totals = |window, of, grain| {
        let totals = place.engine.totals(&series(), window, of, grain).unwrap();
        totals
            .iter()
            .map(|(of, total)| (of.start.0 - MIDNIGHT, of.end.0 - MIDNIGHT, total.sum.to_string()))
            .collect::<Vec<_>>()
    };
    let row = |start: i64, end: i64, sum: &str| (start * HOUR, end * HOUR, sum.to_owned());
    let hours = [row(-1, 0, "4"), row(7, 8, "10"), row(10, 11, "1")];
    assert_eq!(totals(None, ALWAYS, Grain::Hour), hours);
    assert_eq!(totals(None, ALWAYS, Grain::Day), [row(-24, 0, "4"), row(0, 24, "11")]);
    let survivors = [row(-24, 0, "4"), row(0, 24, "9")];
    assert_eq!(totals(Some(Window::Hour), ALWAYS, Grain::Day), survivors);
    let survivors = [row(-1, 0, "4"), row(7, 8, "8")];
    assert_eq!(totals(Some(Window::Day), ALWAYS, Grain::Hour), survivors);
    let ragged = period(SEVEN + 10, SEVEN + 4 * HOUR);
    let cut = [(7 * HOUR + 10, 8 * HOUR, "8".to_owned()), row(10, 11, "1")];
    assert_eq!(totals(None, ragged, Grain::Hour), cut);
}

// Reading events

#[test]
fn events_come_in_pages_in_the_order_of_arrival() {
    let place = Place::new();
    let timestamps = [SEVEN + HOUR, SEVEN, SEVEN + 2 * HOUR, SEVEN + 1, SEVEN + 5 * HOUR];
    for (identifier, timestamp) in ["a", "b", "c", "d", "e"].into_iter().zip(timestamps) {
        place.record(event_at(identifier, timestamp, "1"));
        place.record(NewEvent { customer: customer("cus_b"), ..event(identifier) });
    }
    let page = |after, limit| {
        let period = period(SEVEN, SEVEN + 5 * HOUR);
        let query = EventQuery { series: series(), period, after, limit };
        let events = place.engine.events(&query).unwrap();
        events.into_iter().map(|event| (event.identifier, event.seq)).collect::<Vec<_>>()
    };
    let named = |rows: &[(&str, u64)]| {
        rows.iter().map(|(name, seq)| ((*name).to_owned(), *seq)).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 2), named(&[("a", 1), ("b", 3)]));
    assert_eq!(page(3, 2), named(&[("c", 5), ("d", 7)]));
    assert_eq!(page(7, 2), named(&[]));
    assert_eq!(page(0, 0), named(&[]));
}

#[test]
fn one_read_returns_no_more_events_than_the_limit_that_has_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let batch = (0..=EVENTS_PER_READ_MAX).map(|number| event(&number.to_string())).collect();
    block_on(engine.append(batch)).unwrap();
    assert_eq!(engine.events(&query(0, usize::MAX)).unwrap().len(), EVENTS_PER_READ_MAX);
    assert_eq!(engine.events(&query(1_000, usize::MAX)).unwrap().len(), 1);
}

#[test]
fn an_identifier_that_nobody_sent_finds_nothing() {
    let place = Place::new();
    let sent = place.record(event("a"));
    let find = |scope: &Scope, customer: &Id<Customer>, identifier: &str| {
        place.engine.event_by_identifier(scope, customer, identifier).unwrap()
    };
    assert_eq!(find(&sent.scope, &sent.customer, "b"), None);
    assert_eq!(find(&sent.scope, &customer("cus_b"), "a"), None);
    let test = Scope { mode: Mode::Test, ..sent.scope.clone() };
    assert_eq!(find(&test, &sent.customer, "a"), None);
}

// Limits and life

#[test]
fn a_batch_beyond_a_limit_is_too_large_and_records_nothing() {
    let place = Place::new();
    let long = "x".repeat(EVENT_BYTES_MAX);
    let large = NewEvent { payload: vec![("value".to_owned(), long)], ..event("large") };
    let appended = block_on(place.engine.append(vec![event("a"), large]));
    assert!(matches!(appended, Err(AppendError::TooLarge)));
    let many = vec![event("a"); BATCH_EVENTS_MAX + 1];
    assert!(matches!(block_on(place.engine.append(many)), Err(AppendError::TooLarge)));
    check(&place, None, ALWAYS, ["0", "0", "0"]);
}

#[test]
fn a_batch_larger_than_a_segment_is_recorded_and_read_back() {
    let place = Place::new();
    let batch: Vec<NewEvent> = (0..100).map(|n| event(&n.to_string())).collect();
    let appended = block_on(place.engine.append(batch)).unwrap();
    assert!(appended.iter().all(|one| matches!(one, Appended::Recorded(_))));
    place.record(event("after"));
    let place = place.reopened();
    check(&place, None, ALWAYS, ["101", "101", "1"]);
    assert_eq!(place.engine.events(&query(0, 1_000)).unwrap().len(), 101);
}

#[test]
fn a_directory_is_open_once() {
    let place = Place::new();
    let second = Engine::open(place.dir.path(), SMALL);
    assert!(matches!(second, Err(OpenError::Locked(dir)) if dir == place.dir.path()));
    let other = place.engine.clone();
    place.engine.close();
    assert!(Engine::open(place.dir.path(), Options::default()).is_ok());
    drop(other);
}

#[test]
fn a_directory_is_created_with_all_that_is_missing_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    Engine::open(&deep, SMALL).unwrap();
    assert!(deep.join("shard-0").is_dir());
}

#[test]
fn dropping_the_last_handle_frees_the_directory() {
    let Place { dir, engine } = Place::new();
    let other = engine.clone();
    drop(engine);
    assert!(matches!(Engine::open(dir.path(), SMALL), Err(OpenError::Locked(_))));
    drop(other);
    Engine::open(dir.path(), SMALL).unwrap();
}

#[test]
fn a_closed_engine_appends_nothing_and_still_reads() {
    let place = Place::new();
    place.record(event("a"));
    assert!(place.engine.is_running());
    place.engine.clone().close();
    assert!(!place.engine.is_running());
    let appended = block_on(place.engine.append(vec![event("b")]));
    assert!(matches!(appended, Err(AppendError::Stopped)));
    let order = block_on(place.engine.cancel(cancel("a")));
    assert!(matches!(order, Err(AppendError::Stopped)));
    check(&place, None, ALWAYS, ["1", "1", "1"]);
    assert_eq!(place.engine.events(&query(0, 10)).unwrap().len(), 1);
}
