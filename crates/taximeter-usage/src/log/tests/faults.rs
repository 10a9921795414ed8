//! The log on a disk that fails at any of its operations.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A disk that does so many operations, then fails one (a write in the middle), and fails so many
/// more before it works again.
#[derive(Debug)]
struct FailingDisk {
    operations_left: AtomicUsize,
    failures_left: AtomicUsize,
}

impl FailingDisk {
    fn after(operations: usize, failures: usize) -> Arc<Self> {
        Arc::new(Self {
            operations_left: AtomicUsize::new(operations),
            failures_left: AtomicUsize::new(failures),
        })
    }

    fn operation(&self) -> io::Result<()> {
        let take = |left: usize| left.checked_sub(1);
        let some = |left: &AtomicUsize| {
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
        };
        if !some(&self.operations_left) && some(&self.failures_left) {
            return Err(io::Error::other("the disk failed"));
        }
        Ok(())
    }

    fn has_failed(&self) -> bool {
        self.operations_left.load(Ordering::SeqCst) == 0
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

    fn set_len(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.operation()?;
        OsDisk.set_len(file, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation()?;
        OsDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.operation()?;
        OsDisk.remove_file(path)
    }
}

/// Appends until the log fails. Gives the last place in the order that was acknowledged and
/// whether the end was reached.
#[expect(clippy::needless_pass_by_value, reason = "whoever calls makes the disk for it")]
fn append_until_it_fails(dir: &Path, disk: Arc<dyn Disk>, prepare: bool) -> (u64, bool) {
    let (mut log, _) = match open_on(dir, Arc::clone(&disk), 0) {
        Ok(opened) => opened,
        Err(OpenError::Io { .. }) => return (0, false),
        Err(other) => panic!("{other:?}"),
    };
    let mut acknowledged = 0;
    for chunk in [1, 19, 13, 70, 2, 19, 19] {
        if prepare {
            log.reader.spare().want(SEGMENT_BYTES);
            // The log does without it.
            log.reader.prepare_next(disk.as_ref()).ok();
        }
        if log.append(&mut frame(log.next_seq(), &[chunk])).is_err() {
            check(&log.reader, 1, acknowledged + 1);
            return (acknowledged, false);
        }
        acknowledged = log.next_seq() - 1;
    }
    (acknowledged, log.mark().is_ok())
}

#[test]
fn whichever_operation_fails_while_appending_what_was_acknowledged_is_there_afterwards() {
    for prepare in [false, true] {
        let mut failures = 0;
        for operations in 0.. {
            let place = tempfile::tempdir().unwrap();
            let disk = FailingDisk::after(operations, usize::MAX);
            let (acknowledged, is_done) = append_until_it_fails(place.path(), disk, prepare);
            let (mut log, next_seq) = open(place.path()).unwrap();
            assert!(next_seq > acknowledged, "{operations}");
            append(&mut log, &[7]);
            check(&log.reader, 1, next_seq + 7);
            drop(log);
            assert_eq!(open(place.path()).unwrap().1, next_seq + 7);
            if is_done {
                break;
            }
            failures += 1;
        }
        assert!(failures > 25, "{failures}");
    }
}

#[test]
fn whichever_operation_fails_while_segments_are_sealed_nothing_is_lost() {
    for failures in [1, 2, usize::MAX] {
        for operations in 0.. {
            let place = tempfile::tempdir().unwrap();
            let (mut log, _) = open(place.path()).unwrap();
            for _ in 0..4 {
                append(&mut log, &[23]);
            }
            let end_seq = log.next_seq();
            log.mark().unwrap();
            drop(log);
            let segments = files(place.path(), "log").len();
            // Opening what is marked takes an allocation and a sync.
            let disk = FailingDisk::after(operations + 2, failures);
            let (log, _) = open_on(place.path(), disk.clone(), end_seq - 1).unwrap();
            for _ in 0..segments {
                match log.reader.compress_next(u64::MAX, disk.as_ref()) {
                    Ok(_) => {}
                    Err(error) => assert!(matches!(error, ReadError::Io { .. }), "{error:?}"),
                }
                check(&log.reader, 1, end_seq);
            }
            let has_failed = disk.has_failed();
            drop(log);
            let (log, next_seq) = open(place.path()).unwrap();
            assert_eq!(next_seq, end_seq);
            check(&log.reader, 1, end_seq);
            assert_eq!(files(place.path(), "log").len(), segments, "each has one form");
            seal_all(&log);
            check(&log.reader, 1, end_seq);
            if !has_failed {
                assert!(operations > 8, "{operations}");
                break;
            }
        }
    }
}

#[test]
fn whichever_operation_fails_while_segments_are_dropped_the_rest_is_whole() {
    for operations in 0..7 {
        let place = tempfile::tempdir().unwrap();
        let (mut log, _) = open(place.path()).unwrap();
        for _ in 0..5 {
            append(&mut log, &[23]);
        }
        let end_seq = log.next_seq();
        log.mark().unwrap();
        drop(log);
        let disk = FailingDisk::after(operations + 2, 1);
        let (log, _) = open_on(place.path(), disk, end_seq - 1).unwrap();
        log.reader.drop_before(end_seq).ok();
        let first_seq = log.reader.first_seq();
        check(&log.reader, first_seq, end_seq);
        // Trying again leaves no gap either.
        log.reader.drop_before(end_seq).unwrap();
        let first_seq = log.reader.first_seq();
        check(&log.reader, first_seq, end_seq);
        drop(log);
        let (log, _) = open_on(place.path(), Arc::new(OsDisk), first_seq - 1).unwrap();
        check(&log.reader, first_seq, end_seq);
        assert_eq!(log.reader.record(end_seq - 1).unwrap(), Some(record(end_seq - 1)));
    }
}
