//! Reading events back.

use taximeter_kernel::id::{Customer, Id, Mode, Scope};
use taximeter_usage::{EVENTS_PER_READ_MAX, Event, EventPage, EventQuery, Order, Standing};

use crate::settings::in_every_setting;
use crate::support::{
    COUNT, HOUR, MAX, Place, SEVEN, Sent, amend, cancel, counted, customer, event, event_at,
    events_query, meter, period, scope,
};

/// The places of all events that `query` asks for, page after page.
fn walk(place: &Place, query: &EventQuery) -> Vec<u64> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let EventPage { events, next } = place.engine.events(&query).unwrap();
        assert!(events.len() <= query.limit);
        found.extend(events.iter().map(|event| event.seq));
        match next {
            Some(next) => query.after = Some(next),
            None => return found,
        }
    }
}

#[test]
fn events_come_in_pages_in_the_order_of_arrival() {
    in_every_setting(|place| {
        let hours = [1, 0, 2, 0, 5, -3, 7];
        for (number, hour) in hours.into_iter().enumerate() {
            place.record(&event_at(&number.to_string(), SEVEN + hour * HOUR, "1"));
            let other = Sent { customer: customer("cus_b"), ..event(&number.to_string()) };
            place.record(&other);
        }
        for limit in [1, 2, 3, 7, 100] {
            let oldest = EventQuery { limit, ..events_query(Order::Oldest) };
            assert_eq!(walk(&place, &oldest), [1, 3, 5, 7, 9, 11, 13], "by {limit}");
            let newest = EventQuery { limit, ..events_query(Order::Newest) };
            assert_eq!(walk(&place, &newest), [13, 11, 9, 7, 5, 3, 1], "by {limit}");
            let everyone = EventQuery { customer: None, ..newest };
            assert_eq!(walk(&place, &everyone), (1..=14).rev().collect::<Vec<_>>());
        }
        let some = period(SEVEN, SEVEN + 5 * HOUR);
        let query = EventQuery { period: Some(some), limit: 2, ..events_query(Order::Oldest) };
        let place = place.reopened();
        assert_eq!(walk(&place, &query), [1, 3, 5, 7]);
    });
}

#[test]
fn a_page_begins_beyond_the_place_that_is_named() {
    in_every_setting(|place| {
        for number in 0..5 {
            place.record(&event(&number.to_string()));
        }
        let of = |order, after| walk(&place, &EventQuery { after, ..events_query(order) });
        assert_eq!(of(Order::Oldest, Some(0)), [1, 2, 3, 4, 5]);
        assert_eq!(of(Order::Oldest, Some(3)), [4, 5]);
        assert_eq!(of(Order::Oldest, Some(5)), []);
        assert_eq!(of(Order::Newest, Some(3)), [2, 1]);
        assert_eq!(of(Order::Newest, Some(1)), []);
        assert_eq!(of(Order::Newest, Some(u64::MAX)), [5, 4, 3, 2, 1]);
    });
}

#[test]
fn a_walk_through_the_pages_is_not_upset_by_what_comes_meanwhile() {
    in_every_setting(|place| {
        for number in 0..6 {
            place.record(&event(&number.to_string()));
        }
        let newest = EventQuery { limit: 3, ..events_query(Order::Newest) };
        let first = place.engine.events(&newest).unwrap();
        place.record(&event("new"));
        place.correct_done(cancel("0"));
        let rest = walk(&place, &EventQuery { after: first.next, ..newest });
        assert_eq!(rest, [3, 2, 1]);
    });
}

#[test]
fn events_are_found_by_meter_and_by_whose_they_are() {
    in_every_setting(|place| {
        let test = Scope { mode: Mode::Test, ..scope() };
        place.record(&event("a"));
        place.record(&counted(MAX, event("b")));
        place.record(&Sent { customer: customer("cus_b"), ..counted(MAX, event("c")) });
        place.record(&Sent { scope: test.clone(), ..event("d") });
        let of = |scope: &Scope, customer: Option<&str>, aggregation: Option<_>| {
            let customer = customer.map(crate::support::customer);
            let meter = aggregation.map(meter);
            let scope = scope.clone();
            let query = events_query(Order::Oldest);
            walk(&place, &EventQuery { scope, customer, meter, ..query })
        };
        assert_eq!(of(&scope(), None, None), [1, 2, 3]);
        assert_eq!(of(&scope(), None, Some(MAX)), [2, 3]);
        assert_eq!(of(&scope(), Some("cus_b"), Some(MAX)), [3]);
        assert_eq!(of(&scope(), Some("cus_a"), None), [1, 2]);
        assert_eq!(of(&scope(), None, Some(COUNT)), []);
        assert_eq!(of(&test, None, None), [4]);
    });
}

#[test]
fn cancelled_and_amended_events_are_listed_with_what_became_of_them() {
    in_every_setting(|place| {
        for identifier in ["a", "b", "c"] {
            place.record(&event(identifier));
        }
        place.correct_done(cancel("a"));
        place.correct_done(amend("b", SEVEN + HOUR, "7"));
        let place = place.reopened();
        let listed: Vec<(u64, Standing)> =
            place.events().iter().map(|event| (event.seq, event.standing)).collect();
        let expected = [
            (1, Standing::Cancelled),
            (2, Standing::Amended),
            (3, Standing::Counts),
            (5, Standing::Counts),
        ];
        assert_eq!(listed, expected);
        let later = Some(period(SEVEN + HOUR, SEVEN + 2 * HOUR));
        let query = EventQuery { period: later, ..events_query(Order::Newest) };
        assert_eq!(walk(&place, &query), [5], "each version has a time of its own");
    });
}

#[test]
fn one_read_returns_no_more_events_than_the_limit_that_has_a_name() {
    in_every_setting(|place| {
        let sent: Vec<Sent> =
            (0..=EVENTS_PER_READ_MAX).map(|number| event(&number.to_string())).collect();
        for part in sent.chunks(500) {
            place.append_all(part);
        }
        let query = EventQuery { limit: usize::MAX, ..events_query(Order::Oldest) };
        let page = place.engine.events(&query).unwrap();
        assert_eq!(page.events.len(), EVENTS_PER_READ_MAX);
        assert_eq!(walk(&place, &query).len(), EVENTS_PER_READ_MAX + 1);
    });
}

#[test]
fn an_identifier_finds_the_event_of_each_customer() {
    in_every_setting(|place| {
        place.record(&event("same"));
        place.record(&event("other"));
        place.record(&Sent { customer: customer("cus_b"), ..event("same") });
        let find = |place: &Place, customer: Option<&Id<Customer>>| -> Vec<u64> {
            let found = place.engine.events_by_identifier(&scope(), customer, "same").unwrap();
            found.iter().map(|event: &Event| event.seq).collect()
        };
        {
            let place = &place;
            assert_eq!(find(place, None), [1, 3]);
            assert_eq!(find(place, Some(&customer("cus_a"))), [1]);
            assert_eq!(find(place, Some(&customer("cus_b"))), [3]);
            assert_eq!(find(place, Some(&customer("cus_c"))), []);
        }
        assert_eq!(find(&place.reopened(), None), [1, 3]);
    });
}

#[test]
fn an_identifier_that_nobody_sent_finds_nothing() {
    in_every_setting(|place| {
        place.record(&event("a"));
        let test = Scope { mode: Mode::Test, ..scope() };
        for (scope, identifier) in [(scope(), "b"), (scope(), ""), (test, "a")] {
            let found = place.engine.events_by_identifier(&scope, None, identifier).unwrap();
            assert_eq!(found, []);
        }
    });
}

#[test]
fn a_place_in_the_order_gives_its_event_and_nothing_where_there_is_none() {
    in_every_setting(|place| {
        let sent = ["a", "b"].map(event);
        place.append_all(&sent);
        place.correct_done(cancel("a"));
        let place = place.reopened();
        let first = Event { standing: Standing::Cancelled, ..sent[0].recorded(1) };
        let found = [0, 1, 2, 3, 4, u64::MAX].map(|seq| place.engine.event_at(seq).unwrap());
        assert_eq!(found, [None, Some(first), Some(sent[1].recorded(2)), None, None, None]);
    });
}
