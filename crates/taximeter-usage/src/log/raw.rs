//! A raw segment as a whole.

use std::fs;
use std::path::Path;

use super::block::{BlockPlace, FRAME_DOES_NOT_FOLLOW};
use super::fault::{Fault, wide};
use super::frame::{Frame, FrameFault, FrameKind};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};

/// Takes a frame and where it stands.
pub(crate) type VisitFrame<'a> = dyn FnMut(&Frame<'_>, BlockPlace) -> Result<(), Fault> + 'a;

#[derive(Debug)]
pub(crate) struct RawSegment {
    bytes: Vec<u8>,
}

/// What stands in a raw segment.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Where the last whole frame ends.
    pub(crate) end: usize,
    /// Why no frame follows there, when the file goes on.
    pub(crate) cut: Option<&'static str>,
    /// The place in the order behind the last record.
    pub(crate) next_seq: u64,
    /// Whether the last frame is a mark, or there is no frame to protect by one.
    pub(crate) marked: bool,
}

impl RawSegment {
    pub(crate) fn read(path: &Path) -> Result<Self, Fault> {
        Ok(Self { bytes: fs::read(path)? })
    }

    pub(crate) fn check_header(&self, number: u32, first_seq: u64) -> Result<(), Fault> {
        if SegmentHeader::decode(&self.bytes)? == (SegmentHeader { number, first_seq }) {
            Ok(())
        } else {
            Err(Fault::damaged(0, "segment does not follow the one before it"))
        }
    }

    /// Gives each frame to `visit`.
    pub(crate) fn walk(&self, first_seq: u64, visit: &mut VisitFrame<'_>) -> Result<Walked, Fault> {
        let end = SEGMENT_HEADER_BYTES;
        let mut walked = Walked { end, cut: None, next_seq: first_seq, marked: true };
        while let Some(rest) = self.bytes.get(walked.end..)
            && !rest.is_empty()
        {
            let frame = match Frame::parse(rest) {
                Ok(frame) => frame,
                Err(FrameFault::Damaged(what)) => {
                    walked.cut = Some(what);
                    break;
                }
                Err(FrameFault::UnknownFormat(version)) => {
                    return Err(Fault::UnknownFormat(version.into()));
                }
            };
            if frame.first_seq != walked.next_seq {
                return Err(Fault::damaged(walked.end, FRAME_DOES_NOT_FOLLOW));
            }
            let place = BlockPlace {
                first_seq: frame.first_seq,
                offset: wide(walked.end),
                bytes: u32::try_from(frame.bytes).unwrap_or(u32::MAX),
            };
            visit(&frame, place)?;
            walked.marked = frame.kind == FrameKind::Mark;
            walked.next_seq = walked.next_seq.saturating_add(frame.records.into());
            walked.end = walked.end.saturating_add(frame.bytes);
        }
        Ok(walked)
    }

    /// How many bytes behind the last whole frame a write cut short left there: up to the last one that is not
    /// zero, and 0 when all are. An error when no crash leaves them so.
    pub(crate) fn torn_bytes(&self, walked: &Walked, what: &'static str) -> Result<u64, Fault> {
        let tail = self.bytes.get(walked.end..).unwrap_or_default();
        let Some(used) = used_bytes(tail) else { return Ok(0) };
        if holds_a_later_frame(tail, used.len(), walked.next_seq) {
            return Err(Fault::damaged(walked.end, what));
        }
        Ok(wide(used.len()))
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

/// Whether a whole frame begins anywhere in the first bytes of `tail`, but not at its start. A crash
/// never leaves one behind an unfinished frame. A frame may end in zeros, beyond what is used.
fn holds_a_later_frame(tail: &[u8], used_bytes: usize, next_seq: u64) -> bool {
    (1..used_bytes).filter_map(|offset| tail.get(offset..)).any(|rest| match Frame::parse(rest) {
        Ok(frame) => frame.first_seq >= next_seq,
        Err(FrameFault::Damaged(_)) => false,
        Err(FrameFault::UnknownFormat(_)) => true,
    })
}
