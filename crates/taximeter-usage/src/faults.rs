//! Tests on disks that fail, and on disks that wait to be told to go on.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Mode, Scope};
use taximeter_kernel::time::{Period, Timestamp};

use crate::log::disk::{Disk, OsDisk};
use crate::{
    AppendError, Appended, Cancel, Cancelled, Engine, EventQuery, NewEvent, OpenError, Options,
    Series,
};

const SMALL: Options =
    Options { segment_bytes: 1_024, queue_events_max: 1_000, queue_bytes_max: 1_000_000 };
/// More than a sync can take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
const ALWAYS: Period = Period { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) };

fn series() -> Series {
    Series {
        scope: Scope { account: Id::parse("acct_a").unwrap(), mode: Mode::Live },
        meter: Id::parse("mtr_a").unwrap(),
        customer: Id::parse("cus_a").unwrap(),
    }
}

fn event(identifier: &str, value: Decimal) -> NewEvent {
    let Series { scope, meter, customer } = series();
    NewEvent {
        scope,
        meter,
        customer,
        event_name: "calls".to_owned(),
        identifier: identifier.to_owned(),
        timestamp: Timestamp(7),
        value,
        payload: Vec::new(),
        received: Timestamp(13),
        request: None,
    }
}

fn one(identifier: &str) -> Vec<NewEvent> {
    vec![event(identifier, Decimal::ONE)]
}

fn cancel(identifier: &str) -> Cancel {
    Cancel {
        scope: series().scope,
        event_name: "calls".to_owned(),
        identifier: identifier.to_owned(),
        customer: None,
        now: Timestamp(17),
        window_s: 101,
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn count(engine: &Engine) -> u64 {
    engine.total(&series(), None, ALWAYS).unwrap().count
}

/// A disk that does so many operations, then fails one (a write in the middle), then is dead.
#[derive(Debug)]
struct FailingDisk {
    operations_left: AtomicUsize,
}

impl FailingDisk {
    fn after(operations: usize) -> Arc<Self> {
        Arc::new(Self { operations_left: AtomicUsize::new(operations) })
    }

    fn operation(&self) -> io::Result<()> {
        let left = |left: usize| left.checked_sub(1);
        match self.operations_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other("the disk failed")),
        }
    }
}

impl Disk for FailingDisk {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.operation()?;
        OsDisk.allocate(file, bytes)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let operation = self.operation();
        let reached = if operation.is_ok() { bytes.len() } else { bytes.len().midpoint(0) };
        OsDisk.write_all_at(file, &bytes[..reached], offset)?;
        operation
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.operation()?;
        OsDisk.sync_data(file)
    }

    fn sync_all(&self, file: &File) -> io::Result<()> {
        self.operation()?;
        OsDisk.sync_all(file)
    }
}

#[test]
fn whichever_operation_of_the_disk_fails_each_event_is_counted_once_in_the_end() {
    let names: Vec<String> = (0..20).map(|number| format!("event {number}")).collect();
    let mut failures = 0;
    for operations in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let mut acknowledged = 0;
        match Engine::open_on(dir.path(), SMALL, FailingDisk::after(operations)) {
            Err(OpenError::Io { .. }) => failures += 1,
            Err(other) => panic!("{other:?}"),
            Ok(engine) => {
                for name in &names {
                    match block_on(engine.append(one(name))) {
                        Ok(appended) => {
                            assert!(matches!(appended[..], [Appended::Recorded(_)]));
                            acknowledged += 1;
                        }
                        Err(error) => assert!(matches!(error, AppendError::Stopped), "{error:?}"),
                    }
                }
                assert_eq!(count(&engine), acknowledged, "what failed was not published");
                if acknowledged == 20 {
                    break;
                }
                failures += 1;
                let order = block_on(engine.cancel(cancel("event 0")));
                assert!(matches!(order, Err(AppendError::Stopped)), "{order:?}");
            }
        }
        let engine = Engine::open(dir.path(), SMALL).unwrap();
        let found = count(&engine);
        assert!((acknowledged..=acknowledged + 1).contains(&found), "{acknowledged} {found}");
        for name in &names {
            block_on(engine.append(one(name))).unwrap();
        }
        assert_eq!(count(&engine), 20);
        let query = EventQuery { series: series(), period: ALWAYS, after: 0, limit: 100 };
        assert_eq!(engine.events(&query).unwrap().len(), 20);
    }
    assert!(failures > 40, "each event takes a write and a sync, and segments are rolled");
}

/// A disk whose syncs wait until they are told how to end.
#[derive(Debug, Default)]
struct GatedDisk {
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    closed: bool,
    broken: bool,
    waiting: usize,
    syncs: usize,
}

impl GatedDisk {
    fn close(&self) {
        self.gate.lock().unwrap().closed = true;
    }

    fn open(&self, broken: bool) {
        let mut gate = self.gate.lock().unwrap();
        gate.closed = false;
        gate.broken = broken;
        self.changed.notify_all();
    }

    /// Returns once the commit thread is in a sync.
    fn wait_for_a_sync(&self) {
        let gate = self.gate.lock().unwrap();
        let none = |gate: &mut Gate| gate.waiting == 0;
        let (_gate, result) = self.changed.wait_timeout_while(gate, PATIENCE, none).unwrap();
        assert!(!result.timed_out(), "the commit thread never synced");
    }

    fn syncs(&self) -> usize {
        self.gate.lock().unwrap().syncs
    }
}

impl Disk for GatedDisk {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        OsDisk.allocate(file, bytes)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        OsDisk.write_all_at(file, bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        let mut gate = self.gate.lock().unwrap();
        gate.syncs += 1;
        gate.waiting += 1;
        self.changed.notify_all();
        while gate.closed {
            gate = self.changed.wait(gate).unwrap();
        }
        gate.waiting -= 1;
        if gate.broken {
            return Err(io::Error::other("the disk failed"));
        }
        drop(gate);
        OsDisk.sync_data(file)
    }

    fn sync_all(&self, file: &File) -> io::Result<()> {
        OsDisk.sync_all(file)
    }
}

fn gated() -> (tempfile::TempDir, Arc<GatedDisk>, Engine) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(GatedDisk::default());
    let options = Options { segment_bytes: 65_536, ..SMALL };
    let engine = Engine::open_on(dir.path(), options, disk.clone()).unwrap();
    (dir, disk, engine)
}

/// Lets a future go as far as it can.
fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn nothing_is_answered_or_read_before_it_is_synced() {
    let (_dir, disk, engine) = gated();
    disk.close();
    let mut first = Box::pin(engine.append(one("a")));
    assert!(poll(first.as_mut()).is_none());
    disk.wait_for_a_sync();
    let mut duplicate = Box::pin(engine.append(one("a")));
    assert!(poll(duplicate.as_mut()).is_none());
    assert!(poll(first.as_mut()).is_none());
    assert_eq!(count(&engine), 0);
    let Series { scope, customer, .. } = series();
    assert_eq!(engine.event_by_identifier(&scope, &customer, "a").unwrap(), None);
    disk.open(false);
    assert!(matches!(block_on(first).unwrap()[..], [Appended::Recorded(_)]));
    assert_eq!(block_on(duplicate).unwrap(), [Appended::DuplicateIdentifier]);
    assert_eq!(count(&engine), 1);
}

#[test]
fn all_that_waits_is_committed_with_one_sync() {
    let (_dir, disk, engine) = gated();
    disk.close();
    let mut first = Box::pin(engine.append(one("first")));
    assert!(poll(first.as_mut()).is_none());
    disk.wait_for_a_sync();
    let mut waiting: Vec<_> =
        (0..7).map(|number| Box::pin(engine.append(one(&number.to_string())))).collect();
    // Copies of those that wait are decided with them.
    waiting.extend((0..3).map(|number| Box::pin(engine.append(one(&number.to_string())))));
    for append in &mut waiting {
        assert!(poll(append.as_mut()).is_none());
    }
    let before = disk.syncs();
    disk.open(false);
    block_on(first).unwrap();
    let recorded = waiting
        .into_iter()
        .map(|append| block_on(append).unwrap())
        .filter(|appended| matches!(appended[..], [Appended::Recorded(_)]));
    assert_eq!(recorded.count(), 7);
    assert_eq!(disk.syncs(), before + 1);
}

#[test]
fn a_failed_sync_stops_all_who_wait_and_all_who_come_later() {
    let (dir, disk, engine) = gated();
    block_on(engine.append(one("before"))).unwrap();
    disk.close();
    let mut first = Box::pin(engine.append(one("a")));
    assert!(poll(first.as_mut()).is_none());
    disk.wait_for_a_sync();
    let mut second = Box::pin(engine.append(one("b")));
    assert!(poll(second.as_mut()).is_none());
    let mut order = Box::pin(engine.cancel(cancel("before")));
    assert!(poll(order.as_mut()).is_none());
    disk.open(true);
    assert!(matches!(block_on(first), Err(AppendError::Stopped)));
    assert!(matches!(block_on(second), Err(AppendError::Stopped)));
    assert!(matches!(block_on(order), Err(AppendError::Stopped)));
    disk.open(false);
    assert!(!engine.is_running());
    assert!(matches!(block_on(engine.append(one("c"))), Err(AppendError::Stopped)));
    assert_eq!(count(&engine), 1);
    // The write that was not synced may have reached the disk; the event must not count twice.
    drop(engine);
    let engine = Engine::open(dir.path(), SMALL).unwrap();
    for identifier in ["a", "b", "c"] {
        block_on(engine.append(one(identifier))).unwrap();
    }
    assert_eq!(count(&engine), 4);
}

#[test]
fn an_append_that_nobody_waits_for_any_more_is_recorded_all_the_same() {
    let (_dir, disk, engine) = gated();
    disk.close();
    let mut abandoned = Box::pin(engine.append(one("a")));
    assert!(poll(abandoned.as_mut()).is_none());
    drop(abandoned);
    disk.open(false);
    assert_eq!(block_on(engine.append(one("a"))).unwrap(), [Appended::DuplicateIdentifier]);
}

#[test]
fn two_orders_to_cancel_in_one_group_are_decided_one_after_the_other() {
    let (dir, disk, engine) = gated();
    let half = i128::MAX.midpoint(0);
    for (identifier, value) in [("p", -half), ("q", -half), ("r", i128::MAX), ("s", half)] {
        let event = event(identifier, Decimal::new(value, 0).unwrap());
        block_on(engine.append(vec![event])).unwrap();
    }
    disk.close();
    let mut first = Box::pin(engine.append(vec![event("z", Decimal::ZERO)]));
    assert!(poll(first.as_mut()).is_none());
    disk.wait_for_a_sync();
    let mut orders: Vec<_> =
        ["p", "p", "q", "s", "q"].map(|one| Box::pin(engine.cancel(cancel(one)))).into();
    for order in &mut orders {
        assert!(poll(order.as_mut()).is_none());
    }
    disk.open(false);
    block_on(first).unwrap();
    let answers: Vec<Cancelled> =
        orders.into_iter().map(|order| block_on(order).unwrap()).collect();
    let expected = [
        Cancelled::Cancelled,
        Cancelled::AlreadyCancelled,
        Cancelled::Overflow,
        Cancelled::Cancelled,
        Cancelled::Cancelled,
    ];
    assert_eq!(answers, expected);
    let total = engine.total(&series(), None, ALWAYS).unwrap();
    assert_eq!((total.sum, total.count), (Decimal::new(i128::MAX, 0).unwrap(), 2));
    engine.close();
    let reopened = Engine::open(dir.path(), SMALL).unwrap();
    assert_eq!(reopened.total(&series(), None, ALWAYS).unwrap(), total);
}
