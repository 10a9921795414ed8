//! Disks that fail. None of them syncs anything: no test cuts the power.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crate::log::disk::{Disk, OsDisk};

/// A disk that works.
#[derive(Debug)]
pub(super) struct UnsyncedDisk;

impl Disk for UnsyncedDisk {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        OsDisk.allocate(file, bytes)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        OsDisk.write_all_at(file, bytes, offset)
    }

    fn sync_data(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self, _: &File) -> io::Result<()> {
        Ok(())
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

/// A disk that does so many operations, then fails one (a write in the middle), and fails so many
/// in all before it works again.
#[derive(Debug)]
pub(super) struct FailingDisk {
    operations_left: AtomicUsize,
    failures_left: AtomicUsize,
    failed: AtomicBool,
    /// Only operations of the thread of that name count and fail.
    thread: Option<&'static str>,
}

impl FailingDisk {
    pub(super) fn after(
        operations: usize,
        failures: usize,
        thread: Option<&'static str>,
    ) -> Arc<Self> {
        Arc::new(Self {
            operations_left: AtomicUsize::new(operations),
            failures_left: AtomicUsize::new(failures),
            failed: AtomicBool::new(false),
            thread,
        })
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    fn operation(&self) -> io::Result<()> {
        if self.thread.is_some() && thread::current().name() != self.thread {
            return Ok(());
        }
        let one = |left: &AtomicUsize| {
            let less = |left: usize| left.checked_sub(1);
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
        };
        if one(&self.operations_left) || !one(&self.failures_left) {
            return Ok(());
        }
        self.failed.store(true, Ordering::SeqCst);
        Err(io::Error::other("the disk failed"))
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

    fn sync_data(&self, _: &File) -> io::Result<()> {
        self.operation()
    }

    fn sync_all(&self, _: &File) -> io::Result<()> {
        self.operation()
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

/// A disk with room for so many bytes.
#[derive(Debug)]
pub(super) struct FullDisk {
    bytes_left: AtomicU64,
    full: AtomicBool,
}

impl FullDisk {
    pub(super) fn of(bytes: u64) -> Arc<Self> {
        Arc::new(Self { bytes_left: AtomicU64::new(bytes), full: AtomicBool::new(false) })
    }

    /// Whether anything did not fit.
    pub(super) fn was_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// Makes the file at least so long.
    fn reach(&self, file: &File, end: u64) -> io::Result<()> {
        let more = end.saturating_sub(file.metadata()?.len());
        let less = |left: u64| left.checked_sub(more);
        match self.bytes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(_) => Ok(()),
            Err(_) => {
                self.full.store(true, Ordering::SeqCst);
                Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"))
            }
        }
    }
}

impl Disk for FullDisk {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.reach(file, bytes)?;
        OsDisk.allocate(file, bytes)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.reach(file, offset + u64::try_from(bytes.len()).unwrap())?;
        OsDisk.write_all_at(file, bytes, offset)
    }

    fn sync_data(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, file: &File, bytes: u64) -> io::Result<()> {
        let freed = file.metadata()?.len().saturating_sub(bytes);
        self.bytes_left.fetch_add(freed, Ordering::SeqCst);
        OsDisk.set_len(file, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let freed = path.metadata()?.len();
        OsDisk.remove_file(path)?;
        self.bytes_left.fetch_add(freed, Ordering::SeqCst);
        Ok(())
    }
}
