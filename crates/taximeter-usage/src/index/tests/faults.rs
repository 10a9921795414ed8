//! A disk that fails loses nothing that was there.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Content, merge, small};
use crate::index::{Index, IndexError, verify};
use crate::log::disk::{Disk, OsDisk};

/// A disk that does so many operations, then fails one (a write in the middle), then is dead.
#[derive(Debug)]
struct FailingDisk {
    operations_left: AtomicUsize,
}

impl FailingDisk {
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

/// Adds three runs and merges the first two. Gives the content of what is added to `added` first.
fn work(index: &Index, disk: &dyn Disk, added: &mut Vec<Content>) -> Result<(), IndexError> {
    for first_seq in [1, 8, 15] {
        let number = index.next_number()?;
        let (new, content) = small(number, first_seq);
        let run = content.write(index.dir(), new, disk)?;
        added.push(content);
        index.add(run)?;
    }
    let number = index.next_number()?;
    let merged = merge(index.dir(), number, &index.runs()[..2], disk)?;
    index.replace(0..2, merged)
}

fn names(index: &Index) -> Vec<(u64, u64)> {
    let runs = index.runs();
    let contents = runs.iter().map(|run| Content::read(run).unwrap());
    let mut names: Vec<_> = contents.flat_map(|content| content.names).collect();
    names.sort_unstable();
    names
}

fn names_to(watermark: u64, contents: &[Content]) -> Vec<(u64, u64)> {
    let names = contents.iter().flat_map(|content| content.names.iter().copied());
    let mut names: Vec<_> = names.filter(|(_, seq)| *seq <= watermark).collect();
    names.sort_unstable();
    names
}

#[test]
fn whichever_operation_of_the_disk_fails_the_index_is_that_of_before_or_after() {
    let mut failures = 0;
    for operations in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FailingDisk { operations_left: AtomicUsize::new(operations) });
        let index = Index::open(dir.path(), disk.clone()).unwrap();
        let mut added = Vec::new();
        let worked = work(&index, disk.as_ref(), &mut added);
        let published = index.runs().iter().map(|run| run.last_seq()).max().unwrap_or(0);
        let before = index.runs();
        assert_eq!(names(&index), names_to(published, &added));
        drop(index);
        let reopened = Index::open(dir.path(), Arc::new(OsDisk)).unwrap();
        let watermark = reopened.watermark();
        assert!(watermark == published || watermark == published + 7, "{published} {watermark}");
        assert_eq!(names(&reopened), names_to(watermark, &added));
        assert_eq!(verify(dir.path()).unwrap().watermark, watermark);
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        let manifest = usize::from(watermark > 0);
        assert_eq!(files, reopened.runs().len() + manifest, "what was half done is removed");
        match worked {
            Ok(()) => {
                assert_eq!((reopened.runs().len(), before.len()), (2, 2));
                break;
            }
            Err(error) => assert!(matches!(error, IndexError::Io { .. }), "{error:?}"),
        }
        failures += 1;
    }
    assert!(failures >= 4 * 6, "a write and two syncs for each run and each manifest: {failures}");
}

/// A disk that counts what is written between two syncs.
#[derive(Debug, Default)]
struct CountingDisk {
    unsynced: AtomicUsize,
    most_unsynced: AtomicUsize,
}

impl Disk for CountingDisk {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        OsDisk.allocate(file, bytes)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let unsynced = self.unsynced.fetch_add(bytes.len(), Ordering::SeqCst) + bytes.len();
        self.most_unsynced.fetch_max(unsynced, Ordering::SeqCst);
        OsDisk.write_all_at(file, bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.unsynced.store(0, Ordering::SeqCst);
        OsDisk.sync_data(file)
    }

    fn sync_all(&self, file: &File) -> io::Result<()> {
        assert_eq!(self.unsynced.load(Ordering::SeqCst), 0, "only names are left to sync");
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

#[test]
fn a_large_run_is_synced_as_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CountingDisk::default();
    let mut content = Content::default();
    content.rows[1].extend((0..23_u8).map(|key| (vec![key], vec![key; 1_000_003])));
    let run = content.write(dir.path(), super::new_run(3, 1, 1), &disk).unwrap();
    assert!(run.stats().bytes > 23_000_000);
    let most = disk.most_unsynced.load(Ordering::SeqCst);
    assert!((8 << 20..10 << 20).contains(&most), "{most}");
}
