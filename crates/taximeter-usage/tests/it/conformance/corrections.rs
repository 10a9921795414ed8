//! Cancelling, restoring and amending.

use taximeter_kernel::id::{Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Appended, Corrected, Correction, Standing, UsageQuery};

use crate::settings::in_every_setting;
use crate::support::{
    ALWAYS, COUNT, HOUR, LAST, MAX, MIN, Place, SEVEN, SUM, Sent, WEIGHTED, amend, block_on,
    cancel, counted, customer, event, event_at, period, restore, scope, series,
};

fn standings(place: &Place) -> Vec<Standing> {
    place.events().iter().map(|event| event.standing).collect()
}

#[test]
fn a_cancelled_event_counts_no_longer_and_can_still_be_read() {
    in_every_setting(|place| {
        place.record(&event_at("a", SEVEN, "3"));
        let b = place.record(&event_at("b", SEVEN + 5, "4.5"));
        assert_eq!(place.correct(cancel("b")), Corrected::Done(3));
        assert_eq!(place.usage(SUM, ALWAYS), ("3".to_owned(), 1));
        assert_eq!(standings(&place), [Standing::Counts, Standing::Cancelled]);
        let place = place.reopened();
        assert_eq!(place.usage(SUM, ALWAYS), ("3".to_owned(), 1));
        assert_eq!(standings(&place), [Standing::Counts, Standing::Cancelled]);
        assert_eq!(place.correct(cancel("b")), Corrected::NothingToDo);
        assert_eq!(place.append(&event("b")), Appended::Duplicate(b));
        assert_eq!(place.engine.event_at(3).unwrap(), None, "an order is no event");
        assert_eq!(place.engine.position().unwrap(), 3);
    });
}

#[test]
fn a_restored_event_counts_again_where_it_did() {
    in_every_setting(|place| {
        place.record(&event_at("a", SEVEN, "3"));
        assert_eq!(place.correct(restore("a")), Corrected::NothingToDo);
        place.correct_done(cancel("a"));
        place.record(&event_at("b", SEVEN + HOUR, "0.5"));
        assert_eq!(place.correct(restore("a")), Corrected::Done(4));
        place.check(SUM, period(SEVEN, SEVEN + HOUR), "3");
        place.correct_done(cancel("a"));
        place.correct_done(restore("a"));
        let place = place.reopened();
        assert_eq!(place.correct(restore("a")), Corrected::NothingToDo);
        place.check(SUM, ALWAYS, "3.5");
        assert_eq!(standings(&place), [Standing::Counts, Standing::Counts]);
    });
}

#[test]
fn an_amended_event_counts_in_its_new_version_only() {
    in_every_setting(|place| {
        let sent = event_at("a", SEVEN, "3");
        let first = place.record(&sent);
        let second = place.correct_done(amend("a", SEVEN + HOUR, "7"));
        assert_eq!(second, first + 1);
        place.check(SUM, period(SEVEN, SEVEN + HOUR), "0");
        place.check(SUM, period(SEVEN + HOUR, SEVEN + 2 * HOUR), "7");
        let place = place.reopened();
        place.check(SUM, ALWAYS, "7");
        assert_eq!(standings(&place), [Standing::Amended, Standing::Counts]);
        let newer = Sent {
            payload: vec![("value".to_owned(), "7".to_owned())],
            ..event_at("a", SEVEN + HOUR, "7")
        };
        assert_eq!(place.at(second), newer.recorded(second), "the rest is as it was");
        let found = place.engine.events_by_identifier(&scope(), None, "a").unwrap();
        assert_eq!(found, [newer.recorded(second)]);
        assert_eq!(place.append(&sent), Appended::Duplicate(second));
    });
}

#[test]
fn a_version_can_be_amended_and_cancelled_and_restored_like_an_event() {
    in_every_setting(|place| {
        place.record(&event_at("a", SEVEN, "3"));
        place.correct_done(amend("a", SEVEN, "5"));
        place.correct_done(amend("a", SEVEN, "7"));
        place.check(SUM, ALWAYS, "7");
        place.correct_done(cancel("a"));
        place.check(SUM, ALWAYS, "0");
        assert_eq!(place.correct(amend("a", SEVEN, "9")), Corrected::NothingToDo);
        let place = place.reopened();
        place.correct_done(restore("a"));
        place.check(SUM, ALWAYS, "7");
        let expected = [Standing::Amended, Standing::Amended, Standing::Counts];
        assert_eq!(standings(&place), expected);
    });
}

#[test]
fn a_correction_of_what_is_not_there_finds_nothing() {
    in_every_setting(|place| {
        assert_eq!(place.correct(cancel("a")), Corrected::NotFound);
        place.record(&event("a"));
        let of = |order: Correction| assert_eq!(place.correct(order), Corrected::NotFound);
        of(cancel("b"));
        of(restore("b"));
        of(amend("b", SEVEN, "7"));
        of(Correction { event_name: "tokens".to_owned(), ..cancel("a") });
        of(Correction { customer: Some(customer("cus_b")), ..cancel("a") });
        of(Correction { scope: Scope { mode: Mode::Test, ..scope() }, ..cancel("a") });
        place.check(SUM, ALWAYS, "1");
        assert_eq!(place.engine.position().unwrap(), 1);
    });
}

#[test]
fn an_event_can_be_corrected_up_to_the_last_second_of_the_window() {
    in_every_setting(|place| {
        let received = event("a").received.0;
        place.record(&event("a"));
        let at = |now, order| Correction { now: Timestamp(now), window_s: Some(100), ..order };
        assert_eq!(place.correct(at(received + 101, cancel("a"))), Corrected::TooOld);
        assert_eq!(place.correct(at(received + 101, amend("a", SEVEN, "2"))), Corrected::TooOld);
        place.correct_done(at(received + 99, amend("a", SEVEN, "2")));
        // A version is as old as the event.
        assert_eq!(place.correct(at(received + 101, cancel("a"))), Corrected::TooOld);
        place.correct_done(at(received + 100, cancel("a")));
        assert_eq!(place.correct(at(received + 101, restore("a"))), Corrected::TooOld);
        let years = Timestamp(received + 400_000_000);
        place.correct_done(Correction { now: years, window_s: None, ..restore("a") });
        place.check(SUM, ALWAYS, "2");
    });
}

#[test]
fn what_is_done_already_is_answered_so_however_old_the_event_is() {
    in_every_setting(|place| {
        let received = event("a").received.0;
        let late =
            |order| Correction { now: Timestamp(received + 101), window_s: Some(100), ..order };
        place.record(&event("a"));
        assert_eq!(place.correct(late(restore("a"))), Corrected::NothingToDo);
        assert_eq!(place.correct(late(cancel("a"))), Corrected::TooOld);
        place.correct_done(Correction { now: Timestamp(received + 100), ..cancel("a") });
        assert_eq!(place.correct(late(cancel("a"))), Corrected::NothingToDo);
        assert_eq!(place.correct(late(amend("a", SEVEN, "7"))), Corrected::NothingToDo);
        assert_eq!(place.correct(late(restore("a"))), Corrected::TooOld);
        assert_eq!(place.engine.position().unwrap(), 2);
    });
}

#[test]
fn an_order_that_could_mean_several_customers_must_name_one() {
    in_every_setting(|place| {
        let b = customer("cus_b");
        place.record(&event("a"));
        place.record(&Sent { customer: b.clone(), ..event("a") });
        for order in [cancel("a"), restore("a"), amend("a", SEVEN, "7")] {
            assert_eq!(place.correct(order), Corrected::Ambiguous);
        }
        place.correct_done(Correction { customer: Some(b.clone()), ..cancel("a") });
        // It still is of two customers.
        assert_eq!(place.correct(cancel("a")), Corrected::Ambiguous);
        place.check(SUM, ALWAYS, "1");
        let mut query = UsageQuery::of(series(SUM), SUM);
        query.series.customer = b;
        assert_eq!(place.usage_of(&query, ALWAYS), ("0".to_owned(), 0));
    });
}

#[test]
fn the_name_tells_events_of_two_customers_with_one_identifier_apart() {
    in_every_setting(|place| {
        place.record(&event("a"));
        let other = Sent { customer: customer("cus_b"), event_name: "tokens".into(), ..event("a") };
        let tokens = place.record(&other);
        place.correct_done(Correction { event_name: "tokens".into(), ..cancel("a") });
        assert_eq!(place.at(tokens).standing, Standing::Cancelled);
        place.check(SUM, ALWAYS, "1");
    });
}

#[test]
fn orders_of_one_call_are_carried_out_one_after_the_other() {
    in_every_setting(|place| {
        place.record(&event_at("a", SEVEN, "3"));
        let orders = vec![
            cancel("a"),
            cancel("a"),
            restore("a"),
            amend("a", SEVEN, "5"),
            cancel("b"),
            amend("a", SEVEN, "7"),
        ];
        let expected = [
            Corrected::Done(2),
            Corrected::NothingToDo,
            Corrected::Done(3),
            Corrected::Done(4),
            Corrected::NotFound,
            Corrected::Done(5),
        ];
        assert_eq!(block_on(place.engine.correct(orders)).unwrap(), expected);
        place.check(SUM, ALWAYS, "7");
        place.reopened().check(SUM, ALWAYS, "7");
    });
}

#[test]
fn no_orders_are_answered_with_nothing() {
    in_every_setting(|place| {
        assert_eq!(block_on(place.engine.correct(Vec::new())).unwrap(), []);
        assert_eq!(place.engine.position().unwrap(), 0);
    });
}

#[test]
fn whatever_a_formula_holds_on_to_gives_way_when_it_is_cancelled() {
    in_every_setting(|place| {
        for (aggregation, order) in [(MAX, ["9", "7", "1"]), (MIN, ["-9", "-7", "1"])] {
            let name = |value: &str| format!("{aggregation:?} {value}");
            for value in order {
                place.record(&counted(aggregation, event_at(&name(value), SEVEN, value)));
            }
            for (gone, next) in [(order[0], order[1]), (order[1], order[2]), (order[2], "0")] {
                place.correct_done(cancel(&name(gone)));
                place.check(aggregation, period(SEVEN, SEVEN + HOUR), next);
                place.check(aggregation, ALWAYS, next);
            }
        }
        for (identifier, second, value) in [("l", 3, "3"), ("m", 9, "9"), ("n", 7, "7")] {
            place.record(&counted(LAST, event_at(identifier, SEVEN + second, value)));
        }
        place.check(LAST, ALWAYS, "9");
        place.correct_done(cancel("m"));
        place.check(LAST, ALWAYS, "7");
        place.correct_done(restore("m"));
        place.check(LAST, ALWAYS, "9");
        place.correct_done(amend("m", SEVEN + 1, "11"));
        place.check(LAST, ALWAYS, "7");
    });
}

#[test]
fn a_cancelled_change_of_a_level_is_gone_from_all_later_hours() {
    in_every_setting(|place| {
        place.record(&counted(WEIGHTED, event_at("up", SEVEN, "100")));
        place.record(&counted(WEIGHTED, event_at("more", SEVEN + HOUR / 2, "10")));
        let later = period(SEVEN + 5 * HOUR, SEVEN + 6 * HOUR);
        place.check(WEIGHTED, later, "110");
        place.correct_done(cancel("more"));
        place.check(WEIGHTED, later, "100");
        place.check(WEIGHTED, period(SEVEN, SEVEN + HOUR), "100");
        place.correct_done(amend("up", SEVEN + 3 * HOUR, "7"));
        place.check(WEIGHTED, later, "7");
        place.check(WEIGHTED, period(SEVEN, SEVEN + 4 * HOUR), "7");
    });
}

#[test]
fn an_event_of_no_value_can_be_cancelled_too() {
    in_every_setting(|place| {
        place.record(&counted(COUNT, event_at("a", SEVEN, "0")));
        place.correct_done(cancel("a"));
        assert_eq!(place.usage(COUNT, ALWAYS), ("0".to_owned(), 0));
    });
}
