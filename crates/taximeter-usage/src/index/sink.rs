//! Where a new file goes: buffered, synced as it grows, and under its own name only once whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::index::error::IndexError;
use crate::index::numbers::wide;
use crate::log::disk::Disk;

/// What the name of a file ends with until the file is whole.
pub(crate) const UNFINISHED_SUFFIX: &str = ".new";

const BUFFER_BYTES: usize = 1 << 20;
/// After so many bytes they are made durable, so that no sync at the end of a large file holds up
/// the syncs of the log for long.
const SYNC_BYTES: u64 = 8 << 20;

/// A file that is being written. Dropped before it is finished, it is gone.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    disk: &'a dyn Disk,
    file: File,
    path: PathBuf,
    unfinished: PathBuf,
    finished: bool,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    written: u64,
    unsynced: u64,
}

impl<'a> Sink<'a> {
    pub(crate) fn create(path: PathBuf, disk: &'a dyn Disk) -> Result<Self, IndexError> {
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(UNFINISHED_SUFFIX);
        let unfinished = PathBuf::from(unfinished);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&unfinished);
        match file {
            Ok(file) => Ok(Self {
                disk,
                file,
                path,
                unfinished,
                finished: false,
                buffer: Vec::new(),
                written: 0,
                unsynced: 0,
            }),
            Err(source) => Err(IndexError::Io { path: unfinished, source }),
        }
    }

    /// The name that the file will have.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where in the file the next byte goes.
    pub(crate) fn offset(&self) -> u64 {
        self.written.saturating_add(wide(self.buffer.len()))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
            if self.unsynced >= SYNC_BYTES {
                self.sync()?;
            }
        }
        Ok(())
    }

    /// Returns once the file is durable and has its name.
    pub(crate) fn finish(mut self) -> Result<(), IndexError> {
        self.flush()?;
        self.sync()?;
        self.disk.rename(&self.unfinished, &self.path).map_err(|source| self.failed(source))?;
        self.finished = true;
        sync_dir(&self.path, self.disk)
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        self.disk
            .write_all_at(&self.file, &self.buffer, self.written)
            .map_err(|source| self.failed(source))?;
        let bytes = wide(self.buffer.len());
        self.written = self.written.saturating_add(bytes);
        self.unsynced = self.unsynced.saturating_add(bytes);
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), IndexError> {
        self.disk.sync_data(&self.file).map_err(|source| self.failed(source))?;
        self.unsynced = 0;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> IndexError {
        IndexError::Io { path: self.unfinished.clone(), source }
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = self.disk.remove_file(&self.unfinished)
        {
            // The next start removes it.
            let file = self.unfinished.display();
            tracing::warn!(%file, %error, "cannot remove an unfinished file");
        }
    }
}

/// Makes the name of `path` durable.
fn sync_dir(path: &Path, disk: &dyn Disk) -> Result<(), IndexError> {
    let dir = path.parent().unwrap_or(path);
    let synced = File::open(dir).and_then(|dir| disk.sync_all(&dir));
    synced.map_err(|source| IndexError::Io { path: dir.to_owned(), source })
}
