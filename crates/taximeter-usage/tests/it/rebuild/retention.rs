//! Events that are deleted because they are old: their totals stay.

use std::fs;

use taximeter_kernel::aggregate::{Formula, Measure, Window};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{
    Action, Amendment, Appended, Corrected, Correction, Engine, EventQuery, OpenError, Order,
    UsageQuery, tools,
};

use crate::settings::{Setting, raw_log, small};
use crate::support::{
    ALWAYS, DAY, HOUR, LAST, MAX, MIN, Place, SEVEN, SUM, Sent, UNIQUE, WEIGHTED, amend, by,
    cancel, counted, event_at, events_query, percentile, period, scope, series,
};

/// Flushed when a test says so.
const BY_HAND: &Setting = &Setting { name: "by hand", options: raw_log, chores: &[] };

/// Flushed and merged all the time.
const MERGED: &Setting = &Setting { name: "merged", options: small, chores: &[] };

/// An event of 1 that came in on a day.
fn on_day(day: i64, identifier: &str) -> Sent {
    let at = SEVEN + day * DAY;
    Sent { received: Timestamp(at), ..event_at(identifier, at, "1") }
}

fn day(day: i64) -> Timestamp {
    Timestamp(SEVEN + day * DAY)
}

/// A hundred events of each of seven days, in the index and, but for the last file, compressed.
fn seven_days() -> Place {
    let place = Place::new(BY_HAND);
    for day in 0..7 {
        for number in 0..100 {
            place.record(&on_day(day, &format!("{day}.{number}")));
        }
        place.record(&counted(MAX, on_day(day, &format!("{day}.max"))));
    }
    place.engine.flush().unwrap();
    place.engine.tidy().unwrap();
    place
}

#[test]
fn totals_stay_when_their_events_are_deleted() {
    let place = seven_days();
    let before = [place.usage(SUM, ALWAYS), place.usage(MAX, ALWAYS)];
    assert!(place.engine.delete_events_received_before(day(3)).unwrap() > 1);
    assert_eq!([place.usage(SUM, ALWAYS), place.usage(MAX, ALWAYS)], before);
    let place = place.reopened();
    assert_eq!([place.usage(SUM, ALWAYS), place.usage(MAX, ALWAYS)], before);
    place.record(&on_day(7, "7.0"));
    place.check(SUM, ALWAYS, "701");
}

/// The numbers of the runs that there are, ascending.
fn run_numbers(place: &Place) -> Vec<u64> {
    let files = fs::read_dir(place.dir.path().join("shard-0/index")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let number = |name: String| name.strip_prefix("run-")?.strip_suffix(".idx")?.parse().ok();
    let mut numbers: Vec<u64> = names.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// What the index keeps of each event beside the totals (its place, second and measure) is all that
/// answers these, so no merge may drop it when the event itself is deleted.
#[test]
fn what_totals_alone_do_not_answer_stays_when_the_events_are_deleted() {
    let place = Place::new(MERGED);
    let half = percentile("50");
    let by_hour = by(Window::Hour, Formula::Sum);
    for number in 0..41_u8 {
        let at = SEVEN + i64::from(number) * 83;
        let value = (number % 31).to_string();
        let of = |aggregation, value| {
            let identifier = format!("{aggregation:?} {number}");
            counted(aggregation, event_at(&identifier, at, value))
        };
        let numbers = [SUM, MAX, LAST, WEIGHTED, half, by_hour].map(|one| of(one, &value));
        let member = Sent { measure: Measure::Member((number % 29).into()), ..of(UNIQUE, "0") };
        place.append_all(&[&numbers[..], &[member]].concat());
    }
    let pin = place.engine.position().unwrap();
    for number in 0..100 {
        place.record(&on_day(7, &number.to_string()));
    }
    let span = period(SEVEN + 13, SEVEN + HOUR / 2 + 7);
    let readings = || {
        [SUM, MAX, LAST, WEIGHTED, half, by_hour, UNIQUE].map(|aggregation| {
            let query = UsageQuery::of(series(aggregation), aggregation);
            let then = UsageQuery { as_of: Some(pin), ..query.clone() };
            [(&query, ALWAYS), (&query, span), (&then, ALWAYS), (&then, span)]
                .map(|(query, period)| place.engine.usage_in(query, period).unwrap())
        })
    };
    let before = readings();
    assert!(before.iter().all(|[always, ..]| always.events > 0), "{before:?}");
    place.engine.flush().unwrap();
    place.engine.tidy().unwrap();
    let newest = run_numbers(&place).last().copied();
    place.engine.delete_events_received_before(day(8)).unwrap();
    assert!(place.engine.stats().unwrap().first_seq > pin, "all of them are deleted");
    assert_eq!(readings(), before);
    for number in 0.. {
        if run_numbers(&place).first().copied() > newest {
            break;
        }
        // Of another meter.
        place.record(&counted(MIN, on_day(8, &format!("later {number}"))));
        place.engine.flush().unwrap();
        place.engine.tidy().unwrap();
    }
    assert_eq!(readings(), before);
    // Cancelled, a late event leaves what the deleted ones were.
    let late = Sent { received: day(8), ..event_at("late", SEVEN + 7, "101") };
    place.record(&counted(MAX, late));
    place.check(MAX, period(SEVEN, SEVEN + HOUR), "101");
    place.correct_done(Correction { window_s: None, ..cancel("late") });
    place.check(MAX, period(SEVEN, SEVEN + HOUR), "30");
}

#[test]
fn what_is_listed_begins_with_the_first_event_that_is_kept() {
    let place = seven_days();
    let position = place.engine.position().unwrap();
    assert!(place.engine.delete_events_received_before(day(3)).unwrap() > 1);
    let place = place.reopened();
    let first = place.engine.stats().unwrap().first_seq;
    assert!(first > 1);
    assert!(place.engine.event_at(first - 1).unwrap().is_none());
    assert!(place.at(first).received < day(3), "only whole files are deleted");
    for customer in [None, events_query(Order::Oldest).customer] {
        for order in [Order::Oldest, Order::Newest] {
            let query = EventQuery { customer: customer.clone(), ..events_query(order) };
            let page = place.engine.events(&query).unwrap();
            let mut seqs: Vec<u64> = page.events.iter().map(|event| event.seq).collect();
            seqs.sort_unstable();
            assert!(seqs.into_iter().eq(first..=position), "{query:?}");
            assert_eq!(page.next, None);
        }
    }
    // Nothing that is young enough is gone.
    for day in 3..7 {
        for number in 0..100 {
            let found =
                place.engine.events_by_identifier(&scope(), None, &format!("{day}.{number}"));
            assert_eq!(found.unwrap().len(), 1);
        }
    }
}

#[test]
fn the_identifier_of_a_deleted_event_is_free_and_that_of_a_kept_one_is_not() {
    let place = seven_days();
    place.engine.delete_events_received_before(day(3)).unwrap();
    let place = place.reopened();
    let order = Correction { window_s: None, ..cancel("0.7") };
    assert_eq!(place.correct(order), Corrected::NotFound);
    place.record(&on_day(7, "0.7"));
    let again = place.append(&on_day(7, "6.7"));
    assert!(matches!(again, Appended::Duplicate(_)), "{again:?}");
    place.check(SUM, ALWAYS, "701");
}

#[test]
fn events_that_are_not_in_the_index_yet_are_kept_however_old() {
    let place = Place::new(BY_HAND);
    for number in 0..200 {
        place.record(&on_day(0, &number.to_string()));
    }
    assert_eq!(place.engine.delete_events_received_before(day(100)).unwrap(), 0);
    place.engine.flush().unwrap();
    assert!(place.engine.delete_events_received_before(day(100)).unwrap() > 1);
    place.check(SUM, ALWAYS, "200");
}

#[test]
fn an_index_is_not_made_anew_without_its_first_events() {
    let place = seven_days();
    place.engine.delete_events_received_before(day(3)).unwrap();
    let first = place.engine.stats().unwrap().first_seq;
    let Place { dir, engine, .. } = place;
    engine.close();
    let digest = tools::index_digest(dir.path()).unwrap();
    match tools::rebuild_index(dir.path(), small()) {
        Err(OpenError::Incomplete { first_seq }) => assert_eq!(first_seq, first),
        other => panic!("{other:?}"),
    }
    assert_eq!(tools::index_digest(dir.path()).unwrap(), digest, "nothing was changed");
    assert_eq!(tools::verify(dir.path()).unwrap().first_seq, first);
    fs::remove_dir_all(dir.path().join("shard-0/index")).unwrap();
    let refused = Engine::open(dir.path(), small());
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
}

#[test]
fn an_old_event_that_was_amended_lately_does_not_take_young_events_with_it() {
    for padding in 0..12 {
        let place = Place::new(BY_HAND);
        for number in 0..60 {
            place.record(&on_day(0, &format!("old {number}")));
        }
        // Moves where segments begin.
        for number in 0..padding {
            place.record(&on_day(0, &format!("padding {number}")));
        }
        let long = vec![("text".to_owned(), "a".repeat(1_101))];
        for number in 0..9 {
            let identifier = format!("young {number}");
            place.record(&Sent { payload: long.clone(), ..on_day(30, &identifier) });
            let order = amend(&format!("old {number}"), SEVEN, "2");
            let Action::Amend(amendment) = order.action.clone() else { panic!() };
            let amendment = Amendment { payload: long.clone(), ..*amendment };
            let action = Action::Amend(Box::new(amendment));
            place.correct_done(Correction { now: day(30), window_s: None, action, ..order });
        }
        place.engine.flush().unwrap();
        place.engine.delete_events_received_before(day(10)).unwrap();
        for number in 0..9 {
            let identifier = format!("young {number}");
            let found = place.engine.events_by_identifier(&scope(), None, &identifier);
            assert_eq!(found.unwrap().len(), 1, "{identifier} with padding {padding}");
        }
    }
}

#[test]
fn events_of_a_clock_that_steps_back_are_each_kept_for_as_long_as_they_should_be() {
    // Wherever in a file the young ones are.
    for before in 0..20 {
        let place = Place::new(BY_HAND);
        for number in 0..before {
            place.record(&on_day(0, &format!("before {number}")));
        }
        for number in 0..3 {
            place.record(&on_day(30, &format!("young {number}")));
        }
        for number in 0..100 {
            place.record(&on_day(0, &format!("after {number}")));
        }
        place.engine.flush().unwrap();
        assert_eq!(place.engine.delete_events_received_before(day(10)).unwrap(), 0);
        assert_eq!(place.engine.delete_events_received_before(day(30)).unwrap(), 0);
        assert_eq!(place.at(before + 1).received, day(30));
        assert!(place.engine.delete_events_received_before(day(31)).unwrap() > 1);
        place.check(SUM, ALWAYS, &(before + 103).to_string());
    }
}

#[test]
fn what_an_event_tells_of_has_no_say_in_how_long_it_is_kept() {
    // 1975, 2024, 2031 and 2106, each for 31 days; test clocks may stand anywhere.
    const YEARS: [i64; 4] = [157_766_400, 1_704_067_200, 1_924_992_000, 4_291_747_200];
    let told = |number: i64| {
        let year = YEARS[usize::try_from(number % 4).unwrap()];
        Timestamp(year + number / 4 % 31 * DAY + number % 13 * HOUR + number)
    };
    let place = Place::new(BY_HAND);
    let send = |day: i64, number: i64| {
        let sent = on_day(day, &format!("{day} {number}"));
        place.append(&Sent { timestamp: told(number), ..sent })
    };
    for number in 0..620 {
        assert!(matches!(send(0, number), Appended::Recorded(_)));
    }
    for number in 0..124 {
        assert!(matches!(send(30, number), Appended::Recorded(_)));
    }
    let by_year =
        |place: &Place| YEARS.map(|year| place.usage(SUM, period(year, year + 32 * DAY)).1);
    let first_day = |place: &Place| YEARS.map(|year| place.usage(SUM, period(year, year + DAY)).1);
    let (of_years, of_days) = (by_year(&place), first_day(&place));
    assert_eq!(of_years, [186; 4]);
    place.engine.flush().unwrap();
    assert_eq!(place.engine.delete_events_received_before(day(0)).unwrap(), 0, "all are young");
    assert!(place.engine.delete_events_received_before(day(30)).unwrap() > 0);
    place.engine.tidy().unwrap();
    // Those of day 30 are known by their names, whatever year they tell of.
    for number in 0..124 {
        assert!(matches!(send(30, number), Appended::Duplicate(_)), "{number}");
    }
    assert_eq!((by_year(&place), first_day(&place)), (of_years, of_days));
    let place = place.reopened();
    assert_eq!((by_year(&place), first_day(&place)), (of_years, of_days));
}
