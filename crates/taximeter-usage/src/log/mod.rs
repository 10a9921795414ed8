//! The log of a shard: segment files of checksummed frames, written by one thread.

mod block;
mod cache;
pub(crate) mod disk;
mod fault;
mod frame;
mod keeper;
mod raw;
mod reader;
mod recover;
mod seal;
mod sealed;
mod segment;
mod segments;
mod spare;
mod verify;

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OpenError;
use block::BlockPlace;
use disk::Disk;
use fault::wide;
use frame::{FRAME_HEADER_BYTES, FrameKind};
pub(crate) use frame::{FRAME_PAYLOAD_BYTES_MAX, FrameBuffer};
pub(crate) use reader::LogReader;
pub(crate) use recover::Apply;
use recover::{Access, LogEnd, recover};
use segment::{Form, SEGMENT_HEADER_BYTES, SegmentHeader};
pub(crate) use verify::check;

/// The end of the log, where it grows.
#[derive(Debug)]
pub(crate) struct Log {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    reader: Arc<LogReader>,
    segment_bytes: u64,
    active: Active,
    next_seq: u64,
    /// Whether the last frame is a mark, or there is none.
    marked: bool,
}

/// The segment that is being filled.
#[derive(Debug)]
struct Active {
    number: u32,
    file: File,
    /// Where the next frame goes.
    end: u64,
    /// How many bytes are reserved.
    bytes: u64,
    /// Whether the next one was asked for.
    next_wanted: bool,
}

impl Log {
    /// Opens the log in the directory of `reader`, creating it where there is none, and gives every
    /// record behind `after_seq` to `apply`. Segments that hold nothing behind it are not read.
    pub(crate) fn open(
        reader: Arc<LogReader>,
        segment_bytes: u64,
        disk: Arc<dyn Disk>,
        after_seq: u64,
        apply: &mut Apply<'_>,
    ) -> Result<Self, OpenError> {
        let dir = reader.dir().to_owned();
        let failed = |source| OpenError::Io { path: dir.clone(), source };
        create_dir(&dir, disk.as_ref()).map_err(failed)?;
        let end = recover(&reader, after_seq, Access::Repair(disk.as_ref()), apply)?;
        let next_seq = reader.segments().end_seq();
        let active = match end {
            Some(end) => Active::open(&dir, end, segment_bytes, disk.as_ref()),
            None => {
                let header = SegmentHeader { number: 0, first_seq: next_seq };
                Active::create(&dir, header, segment_bytes, disk.as_ref())
            }
        };
        let active = active.map_err(failed)?;
        let marked = end.is_none_or(|end| end.marked);
        let mut log = Self { dir, disk, reader, segment_bytes, active, next_seq, marked };
        log.mark().map_err(|source| OpenError::Io { path: log.dir.clone(), source })?;
        Ok(log)
    }

    /// The place in the order that the next record takes.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Writes the records in `buffer` as the next frame and returns once they are durable; `true`
    /// when there is something to tidy since: a segment is full, or soon will be. After an error
    /// nobody knows what the disk holds: the log must not be written to again.
    pub(crate) fn append(&mut self, buffer: &mut FrameBuffer) -> io::Result<bool> {
        let is_rolled = self.write(buffer, FrameKind::Records)?;
        self.marked = false;
        Ok(is_rolled | self.want_next())
    }

    /// Asks for the segment after the active one when that is half full; `true` when it did.
    fn want_next(&mut self) -> bool {
        let active = &mut self.active;
        let is_due = active.end > active.bytes.midpoint(0) && !active.next_wanted;
        active.next_wanted |= is_due;
        is_due && self.reader.spare().want(self.segment_bytes)
    }

    /// Marks that all that was written so far is durable and whole.
    pub(crate) fn mark(&mut self) -> io::Result<()> {
        if !self.marked {
            let mut nothing = FrameBuffer::default();
            nothing.clear();
            self.write(&mut nothing, FrameKind::Mark)?;
            self.marked = true;
        }
        Ok(())
    }

    fn write(&mut self, buffer: &mut FrameBuffer, kind: FrameKind) -> io::Result<bool> {
        let records = buffer.records();
        let first_seq = self.next_seq;
        let frame = buffer
            .finish(kind, first_seq)
            .ok_or_else(|| io::Error::other("a frame outgrew its limit"))?;
        let too_large = |_| io::Error::other("a segment outgrew its limit");
        let bytes = u32::try_from(frame.len()).map_err(too_large)?;
        let is_full = self.active.end.saturating_add(bytes.into()) > self.active.bytes;
        if is_full {
            self.roll(u64::from(bytes))?;
        }
        let active = &mut self.active;
        self.disk.write_all_at(&active.file, frame, active.end)?;
        self.disk.sync_data(&active.file)?;
        let place = BlockPlace { first_seq, offset: active.end, bytes };
        active.end = active.end.saturating_add(bytes.into());
        self.next_seq = first_seq.saturating_add(records.into());
        self.reader.segments_mut().publish(kind, records, place);
        Ok(is_full)
    }

    /// Ends the active segment and begins one that has room for a frame of `frame_bytes`.
    fn roll(&mut self, frame_bytes: u64) -> io::Result<()> {
        // Only the last segment may end in zeros, so this one is cut before there is a next.
        self.disk.set_len(&self.active.file, self.active.end)?;
        self.disk.sync_all(&self.active.file)?;
        let number = self
            .active
            .number
            .checked_add(1)
            .ok_or_else(|| io::Error::other("the numbers of segments are used up"))?;
        let header = SegmentHeader { number, first_seq: self.next_seq };
        let least_bytes = frame_bytes.saturating_add(HEADERS_BYTES);
        let disk = self.disk.as_ref();
        self.active = match self.reader.spare().take(header, least_bytes, disk)? {
            Some((file, bytes)) => Active::new(number, file, bytes),
            None => {
                let bytes = self.segment_bytes.max(least_bytes);
                Active::create(&self.dir, header, bytes, disk)?
            }
        };
        self.reader.segments_mut().roll(number);
        Ok(())
    }
}

/// More than the header of a segment and of a frame take.
const HEADERS_BYTES: u64 = 64;
const _: () = assert!(SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES <= 64);

impl Active {
    /// One that holds its header.
    fn new(number: u32, file: File, bytes: u64) -> Self {
        Self { number, file, end: wide(SEGMENT_HEADER_BYTES), bytes, next_wanted: false }
    }

    fn create(dir: &Path, header: SegmentHeader, bytes: u64, disk: &dyn Disk) -> io::Result<Self> {
        let bytes = bytes.max(HEADERS_BYTES);
        let file = segment::create(dir, header, bytes, disk)?;
        Ok(Self::new(header.number, file, bytes))
    }

    fn open(dir: &Path, log_end: LogEnd, bytes: u64, disk: &dyn Disk) -> io::Result<Self> {
        let LogEnd { number, offset: end, .. } = log_end;
        let path = Form::Raw.path(dir, number);
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let bytes = bytes.max(end).max(file.metadata()?.len());
        disk.allocate(&file, bytes)?;
        disk.sync_all(&file)?;
        Ok(Self { end, ..Self::new(number, file, bytes) })
    }
}

/// Creates `dir` and what is missing above it, and makes their names durable.
pub(crate) fn create_dir(dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    create_dir(parent, disk)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    disk.sync_all(&File::open(parent)?)
}
