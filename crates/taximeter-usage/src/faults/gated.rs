//! What is answered and read while the commit thread is in a sync.

use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use super::*;
use crate::log::disk::OsDisk;

/// More than a sync can take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// A disk on which the commit thread's syncs wait until they are told how to end.
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
        if thread::current().name() == Some(COMMIT) {
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
        }
        OsDisk.sync_data(file)
    }

    fn sync_all(&self, file: &File) -> io::Result<()> {
        OsDisk.sync_all(file)
    }

    fn set_len(&self, file: &File, bytes: u64) -> io::Result<()> {
        OsDisk.set_len(file, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_file(path)
    }
}

/// An engine that has room enough to do nothing but commit.
fn gated() -> (tempfile::TempDir, Arc<GatedDisk>, Engine) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(GatedDisk::default());
    let engine = Engine::open_on(dir.path(), roomy(), disk.clone()).unwrap();
    (dir, disk, engine)
}

fn roomy() -> Options {
    Options { segment_bytes: 65_536, memtable_events_max: 1_000, ..small() }
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
    assert_eq!((count(&engine), engine.position().unwrap()), (0, 0));
    assert_eq!(engine.event_at(1).unwrap(), None);
    assert!(identifiers(&engine).is_empty());
    disk.open(false);
    assert_eq!(block_on(first).unwrap(), [Appended::Recorded(1)]);
    assert_eq!(block_on(duplicate).unwrap(), [Appended::Duplicate(1)]);
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
    let mut cancel = Box::pin(engine.correct(order("before", Action::Cancel)));
    assert!(poll(cancel.as_mut()).is_none());
    disk.open(true);
    assert!(matches!(block_on(first), Err(AppendError::Stopped)));
    assert!(matches!(block_on(second), Err(AppendError::Stopped)));
    assert!(matches!(block_on(cancel), Err(AppendError::Stopped)));
    disk.open(false);
    assert!(!engine.is_running());
    assert!(matches!(block_on(engine.append(one("c"))), Err(AppendError::Stopped)));
    assert_eq!(count(&engine), 1);
    // The write that was not synced may have reached the disk; the event must not count twice.
    drop(engine);
    let engine = Engine::open(dir.path(), roomy()).unwrap();
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
    assert_eq!(block_on(engine.append(one("a"))).unwrap(), [Appended::Duplicate(1)]);
}

#[test]
fn orders_in_one_group_are_decided_one_after_the_other() {
    let (dir, disk, engine) = gated();
    for identifier in ["p", "q"] {
        block_on(engine.append(one(identifier))).unwrap();
    }
    disk.close();
    let mut first = Box::pin(engine.append(one("z")));
    assert!(poll(first.as_mut()).is_none());
    disk.wait_for_a_sync();
    let given = [
        ("p", Action::Cancel),
        ("p", Action::Cancel),
        ("q", Action::Cancel),
        ("p", Action::Restore),
        ("z", Action::Cancel),
        ("p", Action::Restore),
    ];
    let mut orders: Vec<_> =
        given.map(|(one, action)| Box::pin(engine.correct(order(one, action)))).into();
    for order in &mut orders {
        assert!(poll(order.as_mut()).is_none());
    }
    disk.open(false);
    block_on(first).unwrap();
    let answers: Vec<Corrected> =
        orders.into_iter().flat_map(|order| block_on(order).unwrap()).collect();
    let expected = [
        Corrected::Done(4),
        Corrected::NothingToDo,
        Corrected::Done(5),
        Corrected::Done(6),
        Corrected::Done(7),
        Corrected::NothingToDo,
    ];
    assert_eq!(answers, expected);
    assert_eq!(count(&engine), 1);
    engine.close();
    assert_eq!(count(&Engine::open(dir.path(), roomy()).unwrap()), 1);
}
