//! The operations on files that can fail while the engine runs, so that tests can make them fail.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// What the log asks of the operating system to make bytes durable.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Reserves space, so that later writes within it cannot fail for want of space. What was never
    /// written reads as zeros.
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()>;
    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns once the file's bytes are durable.
    fn sync_data(&self, file: &File) -> io::Result<()>;
    /// Returns once the file's bytes, length and attributes, or a directory's names, are durable.
    fn sync_all(&self, file: &File) -> io::Result<()>;
    fn set_len(&self, file: &File, bytes: u64) -> io::Result<()>;
    /// Durable only once the directory is synced, as is [`remove_file`](Self::remove_file).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
}

/// The operating system itself.
#[derive(Debug)]
pub(crate) struct OsDisk;

impl Disk for OsDisk {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            // Some network and overlay file systems cannot reserve; the length alone must do there.
            Err(Errno::OPNOTSUPP) => file.set_len(bytes),
            result => Ok(result?),
        }
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_all(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn set_len(&self, file: &File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
