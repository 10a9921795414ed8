//! Reading the whole log at start, and telling a write cut short by a crash from damage.
//!
//! A group commit is synced before the next one is written, so a crash can only have cut short the
//! very last frame of the last segment. That frame was acknowledged to nobody: it is cut off.
//! Anything else that does not read as written is damage to acknowledged events, and then the log
//! refuses to open rather than bill with less than was recorded.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use crate::error::OpenError;
use crate::log::disk::Disk;
use crate::log::frame::{Frame, FrameFault, FrameKind};
use crate::log::segment::{self, HeaderFault, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::record::Record;

/// Takes a record of the log and its place in the order; the error says what is wrong with it.
pub(crate) type Apply<'a> = dyn FnMut(u64, &Record) -> Result<(), &'static str> + 'a;

/// How far the log goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovered {
    /// The last segment; `None` when there is none yet.
    pub(crate) segment: Option<u32>,
    /// Where its last frame ends.
    pub(crate) end: u64,
    /// The place in the order that the next record takes.
    pub(crate) next_seq: u64,
    /// Whether the last frame is a mark, or there is no frame to protect by one.
    pub(crate) marked: bool,
}

/// Reads every segment in `dir` and gives each record to `apply`.
pub(crate) fn recover(
    dir: &Path,
    disk: &dyn Disk,
    apply: &mut Apply<'_>,
) -> Result<Recovered, OpenError> {
    let numbers =
        segment::list(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
    let mut so_far = Recovered { segment: None, end: 0, next_seq: 1, marked: true };
    for (expected, number) in (0..).zip(&numbers) {
        if *number != expected {
            let path = segment::path(dir, expected);
            return Err(OpenError::Damaged { path, offset: 0, what: "segment is missing" });
        }
        let path = segment::path(dir, *number);
        let bytes = fs::read(&path).map_err(failed(&path))?;
        let segment = Segment { path, bytes };
        so_far.segment = Some(*number);
        segment.check_header(*number, so_far.next_seq)?;
        let cut = segment.frames(&mut so_far, apply)?;
        let Some((offset, what)) = cut else { continue };
        segment.cut(numbers.last() == Some(number), so_far, offset, what, disk)?;
    }
    Ok(so_far)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> OpenError {
    let path = path.to_owned();
    |source| OpenError::Io { path, source }
}

struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Segment {
    fn damaged(&self, offset: usize, what: &'static str) -> OpenError {
        OpenError::Damaged { path: self.path.clone(), offset: wide(offset), what }
    }

    fn check_header(&self, number: u32, first_seq: u64) -> Result<(), OpenError> {
        match SegmentHeader::decode(&self.bytes) {
            Ok(header) if header == SegmentHeader { number, first_seq } => Ok(()),
            Ok(_) => Err(self.damaged(0, "segment does not follow the one before it")),
            Err(HeaderFault::Damaged) => Err(self.damaged(0, "segment header is unreadable")),
            Err(HeaderFault::UnknownFormat(version)) => {
                Err(OpenError::UnknownFormat { path: self.path.clone(), version })
            }
        }
    }

    /// Applies frame after frame. Gives where the frames end and why, when something other than the
    /// end of the file stands there.
    fn frames(
        &self,
        so_far: &mut Recovered,
        apply: &mut Apply<'_>,
    ) -> Result<Option<(usize, &'static str)>, OpenError> {
        let mut offset = SEGMENT_HEADER_BYTES;
        loop {
            so_far.end = wide(offset);
            let rest = self.bytes.get(offset..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            let frame = match Frame::parse(rest) {
                Ok(frame) => frame,
                Err(FrameFault::Damaged(what)) => return Ok(Some((offset, what))),
                Err(FrameFault::UnknownFormat(version)) => {
                    let path = self.path.clone();
                    return Err(OpenError::UnknownFormat { path, version: version.into() });
                }
            };
            if frame.first_seq != so_far.next_seq {
                return Err(self.damaged(offset, "frame does not follow the one before it"));
            }
            self.apply_frame(&frame, offset, so_far, apply)?;
            so_far.marked = frame.kind == FrameKind::Mark;
            offset = offset.saturating_add(frame.bytes);
        }
    }

    fn apply_frame(
        &self,
        frame: &Frame<'_>,
        offset: usize,
        so_far: &mut Recovered,
        apply: &mut Apply<'_>,
    ) -> Result<(), OpenError> {
        let unreadable = || self.damaged(offset, "record is unreadable");
        let mut records: u32 = 0;
        for record in frame.records() {
            let record = record.and_then(Record::decode).map_err(|_| unreadable())?;
            apply(so_far.next_seq, &record).map_err(|what| self.damaged(offset, what))?;
            so_far.next_seq = so_far.next_seq.saturating_add(1);
            records = records.saturating_add(1);
        }
        if records != frame.records {
            return Err(self.damaged(offset, "frame does not hold as many records as it says"));
        }
        Ok(())
    }

    /// Decides what the bytes from `offset` on are: the zeros of a segment that is being filled, a
    /// last frame cut short, or damage.
    fn cut(
        &self,
        is_last: bool,
        so_far: Recovered,
        offset: usize,
        what: &'static str,
        disk: &dyn Disk,
    ) -> Result<(), OpenError> {
        let tail = self.bytes.get(offset..).unwrap_or_default();
        if !is_last {
            return Err(self.damaged(offset, what));
        }
        let Some(used) = used_bytes(tail) else { return Ok(()) };
        if holds_a_later_frame(used, so_far.next_seq) {
            return Err(self.damaged(offset, what));
        }
        tracing::warn!(
            path = %self.path.display(), offset, cut_bytes = used.len(), reason = what,
            "cut an unfinished frame off the end of the usage log"
        );
        // The cut-off bytes must not come back behind a later frame, so they are zeroed durably
        // before anything is written.
        let file = OpenOptions::new().write(true).open(&self.path).map_err(failed(&self.path))?;
        file.set_len(wide(offset)).and_then(|()| disk.sync_all(&file)).map_err(failed(&self.path))
    }
}

/// The bytes up to the last one that is not zero; `None` when all are zero.
fn used_bytes(tail: &[u8]) -> Option<&[u8]> {
    const BLOCK_BYTES: usize = 4_096;
    const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    // By blocks, because comparing slices is fast even in a build without optimisation.
    let is_zero = |block: &[u8]| ZEROS.get(..block.len()) == Some(block);
    let last_used = tail.chunks(BLOCK_BYTES).rposition(|block| !is_zero(block))?;
    let end = last_used.saturating_add(1).saturating_mul(BLOCK_BYTES).min(tail.len());
    let used = tail.get(..end)?;
    let last = used.iter().rposition(|byte| *byte != 0)?;
    used.get(..=last)
}

/// Whether a whole frame stands anywhere behind the start of `bytes`. A crash never leaves one
/// behind an unfinished frame.
fn holds_a_later_frame(bytes: &[u8], next_seq: u64) -> bool {
    (1..bytes.len()).filter_map(|offset| bytes.get(offset..)).any(|rest| match Frame::parse(rest) {
        Ok(frame) => frame.first_seq >= next_seq,
        Err(FrameFault::Damaged(_)) => false,
        Err(FrameFault::UnknownFormat(_)) => true,
    })
}

fn wide(offset: usize) -> u64 {
    u64::try_from(offset).unwrap_or(u64::MAX)
}
