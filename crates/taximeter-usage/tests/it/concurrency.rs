//! Many who append at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use taximeter_kernel::aggregate::Aggregation;
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{
    AppendError, Appended, Corrected, Correction, Engine, Options, Series, UsageQuery,
};

use crate::settings::{SETTINGS, Setting, in_every_setting, in_thread, small};
use crate::support::{
    ALWAYS, COUNT, HOUR, MAX, Place, SEVEN, SUM, Sent, batch, block_on, cancel, counted, customer,
    event, event_at, period, series,
};

const THREADS: usize = 8;
const EVENTS: usize = 100;

/// How many append and read at once in the test of read-your-writes.
const CLIENTS: u64 = 64;
/// For how many seconds in each setting.
const READ_YOUR_WRITES_S: u64 = 3;
/// The setting in which `TAXIMETER_READ_YOUR_WRITES_S` may say otherwise: the one that flushes and
/// merges all the time.
const READ_YOUR_WRITES_LONG_IN: &str = "small";

fn sum_of(name: &str) -> UsageQuery {
    UsageQuery::of(Series { customer: customer(name), ..series(SUM) }, SUM)
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is for who runs it to say")]
fn read_your_writes_for(setting: &Setting) -> Duration {
    if setting.name != READ_YOUR_WRITES_LONG_IN {
        return Duration::from_secs(READ_YOUR_WRITES_S);
    }
    let asked = std::env::var("TAXIMETER_READ_YOUR_WRITES_S").ok();
    let seconds = asked.map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(READ_YOUR_WRITES_S))
}

/// A client that knows what it was answered, and holds the engine to it.
struct Client {
    engine: Engine,
    name: String,
    sum: u64,
    greatest: u64,
    appends: u64,
}

impl Client {
    fn sent(&self, number: u64, aggregation: Aggregation, value: u64) -> Sent {
        let identifier = format!("{} {number}", aggregation.formula.as_str());
        let second = i64::try_from(self.appends * 61 % 20_000).unwrap();
        let sent = event_at(&identifier, SEVEN + second, &value.to_string());
        counted(aggregation, Sent { customer: customer(&self.name), ..sent })
    }

    fn read(&self, aggregation: Aggregation) -> u64 {
        let series = Series { customer: customer(&self.name), ..series(aggregation) };
        let usage = self.engine.usage_in(&UsageQuery::of(series, aggregation), ALWAYS).unwrap();
        usage.quantity.to_string().parse().unwrap()
    }

    /// Appends one to three events, now and then cancels one, and reads at once.
    async fn round(&mut self) {
        let number = self.appends;
        let sent = [
            self.sent(number, SUM, number % 7),
            self.sent(number, MAX, number * 31 % 1_009),
            self.sent(number, COUNT, 0),
        ];
        let appended = self.engine.append(batch(&sent)).await.unwrap();
        assert!(appended.iter().all(|one| matches!(one, Appended::Recorded(_))), "{appended:?}");
        self.appends += 1;
        self.sum += number % 7;
        self.greatest = self.greatest.max(number * 31 % 1_009);
        if number % 5 == 3 {
            let identifier = sent[0].identifier.clone();
            let customer = Some(customer(&self.name));
            let order = Correction { customer, ..cancel(&identifier) };
            let corrected = self.engine.correct(vec![order]).await.unwrap();
            assert!(matches!(corrected[..], [Corrected::Done(_)]), "{corrected:?}");
            self.sum -= number % 7;
        }
        let read = [SUM, MAX, COUNT].map(|aggregation| self.read(aggregation));
        assert_eq!(read, [self.sum, self.greatest, self.appends], "{} is stale", self.name);
        let last = self.engine.events_by_identifier(
            &sent[1].scope,
            Some(&sent[1].customer),
            &sent[1].identifier,
        );
        assert_eq!(last.unwrap().len(), 1);
        let Appended::Recorded(seq) = appended[2] else { panic!("{appended:?}") };
        assert!(self.engine.position().unwrap() >= seq);
    }
}

fn read_your_writes(setting: &'static Setting) {
    let place = Place::new(setting);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let end = Instant::now() + read_your_writes_for(setting);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (engine, name) = (place.engine.clone(), format!("cus_{number}"));
            let mut client = Client { engine, name, sum: 0, greatest: 0, appends: 0 };
            runtime.spawn(async move {
                while Instant::now() < end {
                    client.round().await;
                }
                client
            })
        })
        .collect();
    let mut rounds = 0;
    let clients: Vec<Client> =
        clients.into_iter().map(|client| runtime.block_on(client).unwrap()).collect();
    for client in &clients {
        assert!(client.appends > 0);
        rounds += client.appends;
    }
    println!("{}: {rounds} rounds", setting.name);
    // What everyone read is what is there after a restart, too.
    drop(clients.iter().map(|client| client.engine.clone()));
    let expected: Vec<(String, u64)> =
        clients.into_iter().map(|client| (client.name, client.sum)).collect();
    let place = place.reopened();
    for (name, sum) in expected {
        assert_eq!(place.usage_of(&sum_of(&name), ALWAYS).0, sum.to_string());
    }
}

#[test]
fn everyone_of_64_reads_what_they_wrote_at_once_and_never_less() {
    for setting in SETTINGS {
        in_thread(setting.name, || read_your_writes(setting));
    }
}

#[test]
fn of_all_who_send_the_same_event_exactly_one_records_it() {
    in_every_setting(|place| {
        let write = || {
            let sent = (0..EVENTS).map(|number| place.append(&event(&number.to_string())));
            sent.filter(|appended| matches!(appended, Appended::Recorded(_))).count()
        };
        let recorded: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(write)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(recorded, EVENTS);
        place.check(SUM, ALWAYS, &EVENTS.to_string());
    });
}

#[test]
fn of_all_who_send_the_same_request_exactly_one_records_it() {
    in_every_setting(|place| {
        let write = |thread: usize| {
            let sent = |number: usize| {
                let request = crate::support::request(u128::try_from(number).unwrap(), 13);
                Sent { request, ..event(&format!("generated by {thread} for {number}")) }
            };
            let appended = (0..EVENTS).map(|number| place.append(&sent(number)));
            appended.filter(|one| matches!(one, Appended::Recorded(_))).count()
        };
        let write = &write;
        let recorded: usize = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..THREADS).map(|thread| scope.spawn(move || write(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(recorded, EVENTS);
        place.check(SUM, ALWAYS, &EVENTS.to_string());
    });
}

#[test]
fn a_total_never_shows_a_part_of_a_batch() {
    in_every_setting(|place| {
        let done = AtomicU64::new(0);
        let read = || {
            let mut seen = 0;
            while done.load(Ordering::Relaxed) == 0 {
                let spans = [SEVEN, SEVEN + HOUR, SEVEN + 2 * HOUR].map(Timestamp);
                let groups = place.engine.usage(&UsageQuery::of(series(SUM), SUM), &spans).unwrap();
                let events: Vec<u64> = groups[0].usage.iter().map(|usage| usage.events).collect();
                assert_eq!(events[0], events[1], "one of each batch in each hour");
                assert!(events[0] >= seen, "what was seen does not go away");
                seen = events[0];
            }
        };
        thread::scope(|scope| {
            let readers: Vec<_> = (0..2).map(|_| scope.spawn(read)).collect();
            for number in 0..EVENTS {
                let first = event(&format!("{number} first"));
                let second = event_at(&format!("{number} second"), SEVEN + HOUR, "1");
                place.append_all(&[first, second]);
            }
            done.store(1, Ordering::Relaxed);
            for reader in readers {
                reader.join().unwrap();
            }
        });
        place.check(SUM, period(SEVEN, SEVEN + HOUR), &EVENTS.to_string());
    });
}

#[test]
fn a_pinned_total_stands_still_while_others_append() {
    in_every_setting(|place| {
        for number in 0..7 {
            place.record(&event(&format!("before {number}")));
        }
        let pin = place.engine.position().unwrap();
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for number in 0..EVENTS {
                    place.record(&event(&number.to_string()));
                    if number < 7 {
                        place.correct_done(cancel(&format!("before {number}")));
                    }
                }
            });
            while !writer.is_finished() {
                let query = UsageQuery { as_of: Some(pin), ..UsageQuery::of(series(SUM), SUM) };
                assert_eq!(place.usage_of(&query, ALWAYS), ("7".to_owned(), 7));
            }
        });
        place.check(SUM, ALWAYS, &EVENTS.to_string());
    });
}

#[test]
fn closing_answers_everyone_and_loses_nothing_that_was_acknowledged() {
    in_every_setting(|place| {
        let write = |name: &str| {
            for number in 0.. {
                let mine = Sent { customer: customer(name), ..event(&number.to_string()) };
                match block_on(place.engine.append(batch(&[mine]))) {
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
            while place.usage_of(&sum_of("cus_0"), ALWAYS).1 < 20 {
                thread::yield_now();
            }
            place.engine.clone().close();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let place = place.reopened();
        for (number, acknowledged) in acknowledged.into_iter().enumerate() {
            let found = place.usage_of(&sum_of(&format!("cus_{number}")), ALWAYS).1;
            assert_eq!(found, acknowledged, "customer {number}");
        }
    });
}

#[test]
fn a_full_queue_refuses_and_records_nothing_of_what_it_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { queue_events_max: 3, ..small() };
    let engine = Engine::open(dir.path(), options).unwrap();
    let append = |number: usize| match block_on(engine.append(batch(&[event(&number.to_string())])))
    {
        Ok(_) => true,
        Err(AppendError::Full) => false,
        Err(other) => panic!("{other:?}"),
    };
    let append = &append;
    let recorded: Vec<bool> = thread::scope(|scope| {
        let threads: Vec<_> = (0..64).map(|number| scope.spawn(move || append(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(recorded.len(), 64);
    let recorded = recorded.into_iter().filter(|was_recorded| *was_recorded).count();
    let usage = engine.usage_in(&UsageQuery::of(series(SUM), SUM), ALWAYS).unwrap();
    assert_eq!(usage.events, u64::try_from(recorded).unwrap());
    // What was refused is taken when it comes again.
    assert!((0..64).all(append));
    let usage = engine.usage_in(&UsageQuery::of(series(SUM), SUM), ALWAYS).unwrap();
    assert_eq!(usage.events, 64);
}
