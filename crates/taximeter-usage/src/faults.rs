//! The engine on disks that fail, that are full, and that wait to be told to go on.

mod disks;
mod gated;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use taximeter_kernel::aggregate::{Aggregation, Formula, Measure};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Mode, Scope};
use taximeter_kernel::time::{Period, Timestamp};

use crate::log::disk::Disk;
use crate::{
    Action, AppendError, Appended, Batch, Corrected, Correction, Engine, EventQuery, NewEvent,
    OpenError, Options, Order, Series, UsageQuery,
};
use disks::{FailingDisk, FullDisk, UnsyncedDisk};

const ALWAYS: Period = Period { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) };
const SUM: Aggregation = Aggregation { formula: Formula::Sum, window: None };

const COMMIT: &str = "usage-commit";
const FLUSH: &str = "usage-flush";
const TIDY: &str = "usage-tidy";

/// So little room that a few events fill a segment and a run.
fn small() -> Options {
    Options {
        segment_bytes: 512,
        queue_events_max: 1_000,
        queue_bytes_max: 1_000_000,
        memtable_events_max: 5,
        ..Options::default()
    }
}

fn series() -> Series {
    Series {
        scope: Scope { account: Id::parse("acct_a").unwrap(), mode: Mode::Live },
        meter: Id::parse("mtr_a").unwrap(),
        customer: Id::parse("cus_a").unwrap(),
    }
}

/// A batch of one event.
fn one(identifier: &str) -> Batch {
    let Series { scope, meter, customer } = series();
    let mut batch = Batch::new(scope, Timestamp(13));
    let pushed = batch.push(&NewEvent {
        meter: &meter,
        aggregation: SUM,
        event_name: "calls",
        customer: &customer,
        identifier,
        timestamp: Timestamp(7),
        measure: Measure::Number(Decimal::ONE),
        dimensions: &[],
        payload: &[],
        request: None,
        backfill: None,
    });
    pushed.unwrap();
    batch
}

fn order(identifier: &str, action: Action) -> Vec<Correction> {
    vec![Correction {
        scope: series().scope,
        event_name: "calls".to_owned(),
        identifier: identifier.to_owned(),
        customer: None,
        now: Timestamp(17),
        window_s: Some(101),
        action,
    }]
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// How many events are in the total.
fn count(engine: &Engine) -> usize {
    let usage = engine.usage_in(&UsageQuery::of(series(), SUM), ALWAYS).unwrap();
    assert_eq!(usage.quantity.to_string(), usage.events.to_string());
    usage.events.try_into().unwrap()
}

/// The identifiers of the recorded events, in order.
fn identifiers(engine: &Engine) -> Vec<String> {
    let query = EventQuery {
        scope: series().scope,
        customer: Some(series().customer),
        meter: None,
        period: None,
        order: Order::Oldest,
        after: None,
        limit: 1_000,
    };
    let events = engine.events(&query).unwrap().events;
    events.into_iter().map(|event| event.identifier).collect()
}

const EVENTS: usize = 20;

fn names() -> Vec<String> {
    (0..EVENTS).map(|number| format!("event {number}")).collect()
}

/// What was acknowledged on a disk that may fail.
#[derive(Debug, Default)]
struct Outcome {
    recorded: Vec<String>,
    /// Of the first event.
    cancelled: bool,
    /// Whether all was done.
    is_whole: bool,
}

/// Records all events and cancels the first, as far as `disk` lets it.
fn run(dir: &Path, disk: Arc<dyn Disk>) -> Outcome {
    let mut outcome = Outcome::default();
    let engine = match Engine::open_on(dir, small(), disk) {
        Ok(engine) => engine,
        Err(OpenError::Io { .. }) => return outcome,
        Err(other) => panic!("{other:?}"),
    };
    for name in names() {
        match block_on(engine.append(one(&name))) {
            Ok(appended) => {
                assert!(matches!(appended[..], [Appended::Recorded(_)]));
                outcome.recorded.push(name);
            }
            Err(error) => assert!(matches!(error, AppendError::Stopped), "{error:?}"),
        }
    }
    match block_on(engine.correct(order("event 0", Action::Cancel))) {
        Ok(corrected) => {
            assert!(matches!(corrected[..], [Corrected::Done(_)]), "{corrected:?}");
            outcome.cancelled = true;
        }
        Err(error) => {
            assert!(matches!(error, AppendError::Stopped), "{error:?}");
            // Whoever comes later is answered only when it has stopped.
            let late = block_on(engine.append(one("late")));
            assert!(matches!(late, Err(AppendError::Stopped)), "{late:?}");
            assert!(!engine.is_running());
        }
    }
    let counted = outcome.recorded.len() - usize::from(outcome.cancelled);
    assert_eq!(count(&engine), counted, "what failed was not published");
    assert_eq!(identifiers(&engine), outcome.recorded);
    outcome.is_whole = engine.flush().is_ok() && engine.tidy().is_ok() && outcome.cancelled;
    engine.close();
    outcome
}

/// After a restart what was acknowledged is there once, what was not is there once or not at all, and
/// doing all of it again does what is missing.
fn check_after(dir: &Path, outcome: &Outcome) {
    let engine = Engine::open_on(dir, small(), Arc::new(UnsyncedDisk)).unwrap();
    let found = identifiers(&engine);
    let distinct: BTreeSet<&String> = found.iter().collect();
    assert_eq!(distinct.len(), found.len(), "{found:?}");
    assert!(found.starts_with(&outcome.recorded), "{outcome:?} {found:?}");
    assert!(found.len() <= outcome.recorded.len() + 1, "one was being written: {found:?}");
    let cancelled = found.len() - count(&engine);
    assert!(cancelled >= usize::from(outcome.cancelled) && cancelled <= 1, "{outcome:?}");
    for name in names() {
        let appended = block_on(engine.append(one(&name))).unwrap();
        let is_there = matches!(appended[..], [Appended::Duplicate(_)]);
        assert_eq!(is_there, found.contains(&name), "{appended:?} {name} {found:?} {outcome:?}");
    }
    let corrected = block_on(engine.correct(order("event 0", Action::Cancel))).unwrap();
    assert_eq!(corrected == [Corrected::NothingToDo], cancelled == 1, "{corrected:?}");
    assert_eq!(count(&engine), EVENTS - 1);
    assert_eq!(identifiers(&engine), names());
    engine.close();
    crate::tools::verify(dir).unwrap();
}

#[test]
fn whichever_operation_of_the_disk_fails_each_event_is_counted_once_in_the_end() {
    let mut failures = 0;
    for operations in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let disk = FailingDisk::after(operations, usize::MAX, None);
        let outcome = run(dir.path(), disk.clone());
        check_after(dir.path(), &outcome);
        if outcome.is_whole && !disk.has_failed() {
            break;
        }
        failures += 1;
    }
    assert!(
        failures > 80,
        "{failures}: each event takes a write and a sync, and much comes beside"
    );
}

#[test]
fn a_disk_that_fails_once_stops_the_engine_only_where_events_are_committed() {
    for thread in [COMMIT, TIDY] {
        let mut failures = 0;
        for operations in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let disk = FailingDisk::after(operations, 1, Some(thread));
            let outcome = run(dir.path(), disk.clone());
            check_after(dir.path(), &outcome);
            if !disk.has_failed() {
                assert!(outcome.is_whole);
                break;
            }
            failures += 1;
            if thread == TIDY {
                assert_eq!(outcome.recorded, names(), "what is tidied keeps nobody waiting");
                assert!(outcome.cancelled);
            }
        }
        assert!(failures > 10, "{thread} {failures}");
    }
}

#[test]
fn a_disk_that_nothing_can_be_tidied_or_flushed_on_loses_nothing() {
    for thread in [TIDY, FLUSH] {
        for operations in [0, 1, 7, 13] {
            let dir = tempfile::tempdir().unwrap();
            let disk = FailingDisk::after(operations, usize::MAX, Some(thread));
            let outcome = run(dir.path(), disk);
            if thread == TIDY {
                assert_eq!(outcome.recorded, names());
            }
            check_after(dir.path(), &outcome);
        }
    }
}

#[test]
fn a_full_disk_stops_the_engine_and_loses_nothing_that_was_acknowledged() {
    let mut failures = 0;
    for bytes in (0..).step_by(701) {
        let dir = tempfile::tempdir().unwrap();
        let disk = FullDisk::of(bytes);
        let outcome = run(dir.path(), disk.clone());
        // Somebody made room.
        check_after(dir.path(), &outcome);
        if !disk.was_full() {
            assert!(outcome.is_whole);
            break;
        }
        failures += 1;
    }
    assert!(failures > 7, "{failures}");
}
