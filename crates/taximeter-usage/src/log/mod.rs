//! The log of a shard: segment files of checksummed frames, written by one thread.

pub(crate) mod disk;
mod frame;
mod reader;
mod recover;
mod region;
mod sealed;
mod segment;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OpenError;
use disk::Disk;
use frame::{FRAME_HEADER_BYTES, FrameKind};
pub(crate) use frame::{FRAME_PAYLOAD_BYTES_MAX, FrameBuffer};
pub(crate) use reader::LogReader;
use reader::Raw;
pub(crate) use recover::{Apply, check};
use recover::{Recovered, recover};
use segment::{SEGMENT_HEADER_BYTES, SegmentHeader};

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
    raw: Arc<Raw>,
    /// Where the next frame goes.
    end: u64,
    /// How many bytes are reserved.
    bytes: u64,
}

impl Log {
    /// Opens the log in the directory of `reader`, creating it where there is none, and gives every record behind
    /// `after_seq` to `apply`.
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
        let recovered = recover(&dir, &reader, disk.as_ref(), after_seq, apply)?;
        let Recovered { next_seq, marked, .. } = recovered;
        let active = match recovered.last {
            Some((number, raw)) => {
                Active::open(&dir, (number, raw), recovered.end, segment_bytes, disk.as_ref())
            }
            None => {
                let header = SegmentHeader { number: recovered.next_number, first_seq: next_seq };
                Active::create(&dir, header, segment_bytes, &reader, disk.as_ref())
            }
        };
        let active = active.map_err(failed)?;
        let mut log = Self { dir, disk, reader, segment_bytes, active, next_seq, marked };
        log.mark().map_err(|source| OpenError::Io { path: log.dir.clone(), source })?;
        Ok(log)
    }

    /// The place in the order of the next record.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Writes the records in `buffer` as the next frame and returns once they are durable; `true`
    /// when a segment was sealed for that. After an error nobody knows what the disk holds: the log
    /// must not be written to again.
    pub(crate) fn append(&mut self, buffer: &mut FrameBuffer) -> io::Result<bool> {
        let first_seq = self.next_seq;
        let sealed = self.write(buffer, FrameKind::Records)?;
        self.next_seq = first_seq.saturating_add(buffer.records().into());
        self.marked = false;
        Ok(sealed)
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
        let first_seq = self.next_seq;
        let frame = buffer
            .finish(kind, first_seq)
            .ok_or_else(|| io::Error::other("a frame outgrew its limit"))?;
        let too_large = |_| io::Error::other("a segment outgrew its limit");
        let bytes = u32::try_from(frame.len()).map_err(too_large)?;
        let end = self.active.end.saturating_add(bytes.into());
        let full = end > self.active.bytes;
        if full {
            self.roll(u64::from(bytes))?;
        }
        let active = &mut self.active;
        self.disk.write_all_at(&active.file, frame, active.end)?;
        self.disk.sync_data(&active.file)?;
        active.raw.publish(first_seq, active.end, bytes);
        active.end = active.end.saturating_add(bytes.into());
        Ok(full)
    }

    /// Seals the active segment and begins one that has room for a frame of `frame_bytes`.
    fn roll(&mut self, frame_bytes: u64) -> io::Result<()> {
        // Only the last segment may end in zeros, so this one is cut before there is a next.
        self.active.file.set_len(self.active.end)?;
        self.disk.sync_all(&self.active.file)?;
        let number = self
            .active
            .number
            .checked_add(1)
            .ok_or_else(|| io::Error::other("the numbers of segments are used up"))?;
        let header = SegmentHeader { number, first_seq: self.next_seq };
        let bytes = self.segment_bytes.max(frame_bytes.saturating_add(HEADERS_BYTES));
        self.active = Active::create(&self.dir, header, bytes, &self.reader, self.disk.as_ref())?;
        Ok(())
    }
}

/// More than the header of a segment and of a frame take.
const HEADERS_BYTES: u64 = 64;
const _: () = assert!(SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES <= 64);

impl Active {
    fn create(
        dir: &Path,
        header: SegmentHeader,
        bytes: u64,
        reader: &LogReader,
        disk: &dyn Disk,
    ) -> io::Result<Self> {
        let bytes = bytes.max(HEADERS_BYTES);
        let file = segment::create(dir, header, bytes, disk)?;
        let end = u64::try_from(SEGMENT_HEADER_BYTES).unwrap_or(HEADERS_BYTES);
        let raw = reader.add_raw(header, true);
        Ok(Self { number: header.number, file, raw, end, bytes })
    }

    fn open(
        dir: &Path,
        (number, raw): (u32, Arc<Raw>),
        end: u64,
        bytes: u64,
        disk: &dyn Disk,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(segment::path(dir, number))?;
        let bytes = bytes.max(end).max(file.metadata()?.len());
        disk.allocate(&file, bytes)?;
        disk.sync_all(&file)?;
        Ok(Self { number, file, raw, end, bytes })
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
