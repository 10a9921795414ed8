//! What is done to the log beside writing and reading: for a thread of its own.

use std::io;
use std::sync::PoisonError;

use super::reader::LogReader;
use super::seal::seal;
use super::segment::{self, Form};
use super::segments::Full;
use crate::error::ReadError;
use crate::log::disk::Disk;

impl LogReader {
    /// Prepares the segment after the one that is being filled, if the log asked for it. Says
    /// whether there was anything to do.
    pub(crate) fn prepare_next(&self, disk: &dyn Disk) -> io::Result<bool> {
        self.spare().prepare(disk)
    }

    /// Compresses the oldest full segment that is not, if all its records are at or before `seq`;
    /// `false` when there is none. After an error the segment is as it was, and the log can be read
    /// and written to as before.
    pub(crate) fn compress_next(&self, seq: u64, disk: &dyn Disk) -> Result<bool, ReadError> {
        let _busy = self.busy().lock().unwrap_or_else(PoisonError::into_inner);
        let raw = {
            let segments = self.segments();
            let mut raw = segments.full().filter(|full| full.form == Form::Raw);
            raw.next().filter(|full| full.end_seq <= seq.saturating_add(1)).cloned()
        };
        let Some(raw) = raw else { return Ok(false) };
        let path = raw.path(self.dir());
        let sealed = seal(self.dir(), &raw, disk).map_err(|fault| fault.on_read(&path))?;
        self.segments_mut().replace(sealed);
        // Whoever has it open still reads it. If it comes back after a crash, it is removed then.
        match disk.remove_file(&path) {
            Ok(()) => Ok(true),
            Err(source) => Err(ReadError::Io { path, source }),
        }
    }

    /// Deletes the oldest segments as long as all their records are before `seq`, but never the one
    /// that is being filled. Gives how many.
    pub(crate) fn drop_before(&self, seq: u64) -> io::Result<usize> {
        let _busy = self.busy().lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped: usize = 0;
        loop {
            let popped = self.segments_mut().pop_before(seq);
            let Some(full) = popped else { return Ok(dropped) };
            if let Err(error) = self.remove(&full) {
                self.segments_mut().unpop(full);
                return Err(error);
            }
            // One after the other: a crash must not leave a gap.
            segment::sync_names(self.dir(), self.disk())?;
            dropped = dropped.saturating_add(1);
        }
    }

    /// Removes its file, and before that the other form's: that may be left from when it was sealed,
    /// and alone it would be a log with a gap behind it.
    fn remove(&self, full: &Full) -> io::Result<()> {
        let other = match full.form {
            Form::Raw => Form::Sealed,
            Form::Sealed => Form::Raw,
        };
        match self.disk().remove_file(&other.path(self.dir(), full.number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.disk().remove_file(&full.path(self.dir()))
    }
}
