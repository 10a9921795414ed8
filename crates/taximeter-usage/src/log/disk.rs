//! The operations on files that can fail while the engine runs, so that tests can make them fail.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

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
    /// Whether anything may be changed at all.
    fn is_writable(&self) -> bool {
        true
    }
}

/// A disk on which nothing is changed.
#[derive(Debug)]
pub(crate) struct ReadOnly;

impl ReadOnly {
    fn refused() -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "nothing may be changed"))
    }
}

impl Disk for ReadOnly {
    fn allocate(&self, _: &File, _: u64) -> io::Result<()> {
        Self::refused()
    }

    fn write_all_at(&self, _: &File, _: &[u8], _: u64) -> io::Result<()> {
        Self::refused()
    }

    fn sync_data(&self, _: &File) -> io::Result<()> {
        Self::refused()
    }

    fn sync_all(&self, _: &File) -> io::Result<()> {
        Self::refused()
    }

    fn is_writable(&self) -> bool {
        false
    }
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
}
