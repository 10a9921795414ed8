//! Many who append at once.

use std::thread;

use taximeter_usage::{AppendError, Appended, Engine, NewEvent, Options, Series};

use crate::support::{ALWAYS, Place, SMALL, block_on, customer, event, series};

const THREADS: usize = 8;
const EVENTS: usize = 100;

#[test]
fn everyone_reads_their_own_event_at_once() {
    let place = Place::new();
    let write = |name: &str| {
        let of_customer = Series { customer: customer(name), ..series() };
        for number in 1..=EVENTS {
            let mine = NewEvent { customer: customer(name), ..event(&number.to_string()) };
            place.record(mine.clone());
            let total = place.engine.total(&of_customer, None, ALWAYS).unwrap();
            assert_eq!(total.count, u64::try_from(number).unwrap());
            let found =
                place.engine.event_by_identifier(&mine.scope, &mine.customer, &mine.identifier);
            assert!(found.unwrap().is_some());
        }
    };
    thread::scope(|scope| {
        for number in 0..THREADS {
            scope.spawn(move || write(&format!("cus_{number}")));
        }
    });
}

#[test]
fn of_all_who_send_the_same_event_exactly_one_records_it() {
    let place = Place::new();
    let write = || {
        let sent = (0..EVENTS).map(|number| place.append(event(&number.to_string())));
        sent.filter(|appended| matches!(appended, Appended::Recorded(_))).count()
    };
    let recorded: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(write)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(recorded, EVENTS);
    let total = place.engine.total(&series(), None, ALWAYS).unwrap();
    assert_eq!(total.count, u64::try_from(EVENTS).unwrap());
}

#[test]
fn closing_answers_everyone_and_loses_nothing_that_was_acknowledged() {
    let place = Place::new();
    let write = |name: &str| {
        for number in 0.. {
            let mine = NewEvent { customer: customer(name), ..event(&number.to_string()) };
            match block_on(place.engine.append(vec![mine])) {
                Ok(appended) => assert!(matches!(appended[..], [Appended::Recorded(_)])),
                Err(AppendError::Stopped) => return number,
                Err(other) => panic!("{other:?}"),
            }
        }
        0
    };
    let write = &write;
    let acknowledged: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || write(&format!("cus_{number}"))))
            .collect();
        // Far enough that everyone is in the middle of it.
        let seen = || place.engine.total(&of(0), None, ALWAYS).unwrap().count;
        while seen() < 20 {
            thread::yield_now();
        }
        place.engine.clone().close();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let engine = Engine::open(place.dir.path(), SMALL).unwrap();
    for (number, acknowledged) in acknowledged.into_iter().enumerate() {
        let total = engine.total(&of(number), None, ALWAYS).unwrap();
        assert_eq!(total.count, acknowledged, "customer {number}");
    }
}

fn of(number: usize) -> Series {
    Series { customer: customer(&format!("cus_{number}")), ..series() }
}

#[test]
fn a_full_queue_refuses_and_records_nothing_of_what_it_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { queue_events_max: 3, ..SMALL };
    let engine = Engine::open(dir.path(), options).unwrap();
    let (mut recorded, mut refused) = (0, 0);
    let results: Vec<bool> = thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|number| {
                let engine = engine.clone();
                scope.spawn(move || {
                    match block_on(engine.append(vec![event(&number.to_string())])) {
                        Ok(_) => true,
                        Err(AppendError::Full) => false,
                        Err(other) => panic!("{other:?}"),
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for was_recorded in results {
        if was_recorded { recorded += 1 } else { refused += 1 }
    }
    assert_eq!(recorded + refused, 64);
    assert_eq!(engine.total(&series(), None, ALWAYS).unwrap().count, recorded);
}
