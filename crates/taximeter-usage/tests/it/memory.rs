//! How much memory the engine takes, measured in a process of its own, and what it does when more
//! comes in than it may hold.

use std::fs;
use std::path::Path;
use std::thread;

use taximeter_kernel::aggregate::{Aggregation, Measure};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{AppendError, Appended, Engine, Options, Series, UsageQuery};

use crate::crash::child::{Process, part, say};
use crate::settings::small;
use crate::support::{
    ALWAYS, COUNT, MAX, SEVEN, SUM, Sent, UNIQUE, batch, block_on, counted, customer, event,
    event_at, percentile, series,
};

const MIB: u64 = 1_024 * 1_024;
const MEMORY_BYTES: u64 = 32 * MIB;
/// What the setting does not speak of: the blocks of the log that are kept at hand, a frame on its way,
/// the buffers of a flush and of a merge, and what the allocator holds back.
const ALLOWANCE: u64 = 24 * MIB;
const EVENTS: u64 = 300_000;
const CUSTOMERS: u64 = 20_000;
const AT_ONCE: u64 = 1_000;
/// The hours that usage is spread over.
const FEW_HOURS: u64 = 15;

fn options() -> Options {
    Options {
        segment_bytes: 4 * MIB,
        queue_events_max: 10_000,
        queue_bytes_max: usize::try_from(4 * MIB).unwrap(),
        memory_bytes: usize::try_from(MEMORY_BYTES).unwrap(),
        ..Options::default()
    }
}

/// The bytes of memory that this process has at the moment.
fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4_096;
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * PAGE_BYTES
}

/// Takes in events and says by how much the process has grown at most. Its part is a directory and
/// what the events are counted by; they are spread over so many hours.
fn fill(dir: &Path, aggregation: Aggregation, hours: u64) {
    let engine = Engine::open(dir, options()).unwrap();
    let (before, mut most) = (resident_bytes(), 0);
    for first in (0..EVENTS).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let sent: Vec<Sent> =
            (first..first + AT_ONCE).map(|number| numbered(number, aggregation, hours)).collect();
        let appended = block_on(engine.append(batch(&sent))).unwrap();
        assert!(appended.iter().all(|one| matches!(one, Appended::Recorded(_))));
        most = most.max(resident_bytes());
    }
    let stats = engine.stats().unwrap();
    say(&format!("{} {} {}", most - before, stats.runs, stats.indexed_seq));
    engine.close();
}

fn numbered(number: u64, aggregation: Aggregation, hours: u64) -> Sent {
    let second = SEVEN + i64::try_from(number % hours * 3_600 + number % 101).unwrap();
    let sent = event_at(&format!("event {number}"), second, &(number % 997).to_string());
    let measure = if aggregation.formula.counts_members() {
        Measure::Member(number.into())
    } else {
        sent.measure
    };
    let customer = customer(&format!("cus_{}", number * 7_919 % CUSTOMERS));
    let received = Timestamp(SEVEN);
    counted(aggregation, Sent { customer, measure, received, ..sent })
}

fn check(test: &str, aggregation: Aggregation, hours: u64) {
    if let Some(dir) = part() {
        return fill(Path::new(&dir), aggregation, hours);
    }
    let dir = tempfile::tempdir().unwrap();
    let said = Process::start(test, dir.path().to_str().unwrap()).ended();
    let numbers: Vec<u64> = said[0].split(' ').map(|word| word.parse().unwrap()).collect();
    let [grown, runs, indexed_seq] = numbers[..] else { panic!("{said:?}") };
    println!("grew by {} MiB; {runs} runs to {indexed_seq}", grown / MIB);
    assert!(indexed_seq > EVENTS / 3, "most is in the index");
    assert!(grown < MEMORY_BYTES + ALLOWANCE, "grew by {} MiB", grown / MIB);
}

#[test]
fn what_a_sum_takes_stays_within_the_setting() {
    check("memory::what_a_sum_takes_stays_within_the_setting", SUM, FEW_HOURS);
}

#[test]
fn what_hours_of_three_decades_take_stays_within_the_setting() {
    let test = "memory::what_hours_of_three_decades_take_stays_within_the_setting";
    check(test, SUM, 30 * 365 * 24);
}

#[test]
fn what_a_count_of_unique_members_takes_stays_within_the_setting() {
    let test = "memory::what_a_count_of_unique_members_takes_stays_within_the_setting";
    check(test, UNIQUE, FEW_HOURS);
}

#[test]
fn what_a_percentile_takes_stays_within_the_setting() {
    check("memory::what_a_percentile_takes_stays_within_the_setting", percentile("50"), FEW_HOURS);
}

#[test]
fn what_a_full_queue_refused_is_taken_later_and_all_of_it_is_there_after_a_restart() {
    const BATCHES: u64 = 101;
    let dir = tempfile::tempdir().unwrap();
    let options = Options { queue_events_max: 7, ..small() };
    let engine = Engine::open(dir.path(), options).unwrap();
    let send = |number: u64| {
        let sent =
            [0, 1, 2].map(|nth| counted([SUM, COUNT, MAX][nth], event(&format!("{number} {nth}"))));
        let mut refused = 0_u64;
        loop {
            match block_on(engine.append(batch(&sent))) {
                Ok(appended) => {
                    let recorded = |one: &Appended| matches!(one, Appended::Recorded(_));
                    assert!(appended.iter().all(recorded), "{appended:?}");
                    return refused;
                }
                Err(AppendError::Full) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
            thread::yield_now();
        }
    };
    let send = &send;
    let refused: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..13)
            .map(|client| scope.spawn(move || (client..BATCHES).step_by(13).map(send).sum::<u64>()))
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(refused > 0, "three batches and more at once do not fit");
    engine.close();
    let engine = Engine::open(dir.path(), options).unwrap();
    assert_eq!(engine.position().unwrap(), 3 * BATCHES);
    let query = UsageQuery::of(Series { ..series(SUM) }, SUM);
    assert_eq!(engine.usage_in(&query, ALWAYS).unwrap().events, BATCHES);
}
