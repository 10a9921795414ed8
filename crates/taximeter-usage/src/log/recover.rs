//! Reading the whole log at start, and telling a write cut short by a crash from damage.
//!
//! A group commit is synced before the next one is written, so a crash can only have cut short the
//! very last frame of the last segment. That frame was acknowledged to nobody: it is cut off.
//! Anything else that does not read as written is damage to acknowledged events, and then the log
//! refuses to open rather than bill with less than was recorded.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{OpenError, ReadError};
use crate::log::disk::{Disk, OsDisk, ReadOnly};
use crate::log::frame::{Frame, FrameFault, FrameKind};
use crate::log::reader::{LogReader, Raw};
use crate::log::region::frames;
use crate::log::sealed::{self, BlockError, Sealed};
use crate::log::segment::Form;
use crate::log::segment::{self, HeaderFault, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::record::{Cursor, View};
use crate::state::ApplyError;

/// Takes a record of the log and its place in the order.
pub(crate) type Apply<'a> = dyn FnMut(u64, &View<'_>) -> Result<(), ApplyError> + 'a;

/// How far the log goes.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The last segment, if it can be written to.
    pub(crate) last: Option<(u32, Arc<Raw>)>,
    /// The number of the segment after the last.
    pub(crate) next_number: u32,
    /// Where its last frame ends.
    pub(crate) end: u64,
    /// The place in the order that the next record takes.
    pub(crate) next_seq: u64,
    /// Whether the last frame is a mark, or there is no frame to protect by one.
    pub(crate) marked: bool,
}

/// Looks at every segment in `dir`, gives each record behind `after_seq` to `apply`, and says to
/// `reader` what there is. Segments that hold nothing behind `after_seq` are not read but for what they
/// say of themselves.
pub(crate) fn recover(
    dir: &Path,
    reader: &LogReader,
    disk: &dyn Disk,
    after_seq: u64,
    apply: &mut Apply<'_>,
) -> Result<Recovered, OpenError> {
    let found =
        segment::list(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
    let mut so_far = Recovered { last: None, next_number: 0, end: 0, next_seq: 1, marked: true };
    let mut is_first = true;
    let mut ahead = found.iter().peekable();
    while let Some((number, form)) = ahead.next() {
        // What retention deleted is missing at the beginning, and only there.
        if !is_first && *number != so_far.next_number {
            let path = segment::path(dir, so_far.next_number);
            return Err(OpenError::Damaged { path, offset: 0, what: "segment is missing" });
        }
        so_far.next_number = number.saturating_add(1);
        let before = Before { is_first, next_seq: so_far.next_seq, after_seq };
        match form {
            Form::Sealed => {
                let sealed = Sealed::open(sealed::path(dir, *number))?;
                let (header, last_seq) = (sealed.header, sealed.last_seq);
                check_follows(&header, *number, &before, sealed.path())?;
                if last_seq > after_seq {
                    so_far.next_seq = header.first_seq;
                    apply_sealed(&sealed, &mut so_far, after_seq, apply)?;
                }
                reader.add_sealed(sealed);
                so_far.next_seq = last_seq.saturating_add(1);
                so_far.last = None;
            }
            Form::Raw => {
                let path = segment::path(dir, *number);
                let header = read_header(&path)?;
                check_follows(&header, *number, &before, &path)?;
                so_far.next_seq = header.first_seq;
                let next = ahead.peek().map(|(number, form)| first_seq_of(dir, *number, *form));
                let next = next.transpose()?;
                if let Some(next) = next.filter(|next| *next <= after_seq.saturating_add(1)) {
                    // The index covers all of it.
                    reader.add_raw(header, false);
                    so_far.next_seq = next;
                } else {
                    let raw = reader.add_raw(header, true);
                    let bytes = fs::read(&path).map_err(failed(&path))?;
                    let segment = Segment { path, bytes, after_seq };
                    let cut = segment.frames(&mut so_far, &raw, apply)?;
                    if let Some((offset, what)) = cut {
                        segment.cut(ahead.peek().is_none(), &so_far, offset, what, disk)?;
                    }
                    so_far.last = Some((*number, raw));
                }
            }
        }
        is_first = false;
    }
    if so_far.next_seq <= after_seq {
        let what = "log is shorter than what was derived from it";
        return Err(OpenError::Damaged { path: dir.to_owned(), offset: 0, what });
    }
    Ok(so_far)
}

/// What is known before a segment is read.
struct Before {
    is_first: bool,
    next_seq: u64,
    after_seq: u64,
}

/// Says to `reader` what segments there are, and changes nothing.
pub(crate) fn recover_only(dir: &Path, reader: &LogReader) -> Result<(), OpenError> {
    let first = segment::list(dir).map_err(failed(dir))?.first().copied();
    let Some((number, form)) = first else { return Ok(()) };
    let before = first_seq_of(dir, number, form)?.saturating_sub(1);
    recover(dir, reader, &ReadOnly, before, &mut |_, _| Ok(())).map(drop)
}

/// What there is of a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) segments: u64,
}

/// Reads and checks every byte of the log in `dir`. A frame that a crash cut short at the very end is
/// no damage, and is left.
pub(crate) fn check(dir: &Path) -> Result<Checked, OpenError> {
    let reader = LogReader::new(dir.to_owned(), Arc::new(OsDisk));
    if !dir.is_dir() {
        return Ok(Checked { first_seq: 1, last_seq: 0, segments: 0 });
    }
    let starts = segment::list(dir).map_err(failed(dir))?;
    let first = starts.first().map(|(number, form)| first_seq_of(dir, *number, *form));
    let first_seq = first.transpose()?.unwrap_or(1);
    // With an index that ends right before the first record, all is read.
    let before = first_seq.saturating_sub(1);
    let found = recover(dir, &reader, &ReadOnly, before, &mut |_, _| Ok(()))?;
    Ok(Checked {
        first_seq,
        last_seq: found.next_seq.saturating_sub(1),
        segments: u64::try_from(starts.len()).unwrap_or(u64::MAX),
    })
}

fn check_follows(
    header: &SegmentHeader,
    number: u32,
    before: &Before,
    path: &Path,
) -> Result<(), OpenError> {
    if before.is_first && header.first_seq > before.after_seq.saturating_add(1) {
        let what = "segment is missing";
        let path = path.with_file_name(segment::file_name(number.saturating_sub(1)));
        return Err(OpenError::Damaged { path, offset: 0, what });
    }
    let follows = before.is_first && (number > 0 || header.first_seq == 1)
        || header.first_seq == before.next_seq;
    if header.number == number && follows {
        return Ok(());
    }
    let what = "segment does not follow the one before it";
    Err(OpenError::Damaged { path: path.to_owned(), offset: 0, what })
}

fn first_seq_of(dir: &Path, number: u32, form: Form) -> Result<u64, OpenError> {
    match form {
        Form::Sealed => Ok(Sealed::open(sealed::path(dir, number))?.header.first_seq),
        Form::Raw => Ok(read_header(&segment::path(dir, number))?.first_seq),
    }
}

fn read_header(path: &Path) -> Result<SegmentHeader, OpenError> {
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    let file = File::open(path).map_err(failed(path))?;
    let most = u64::try_from(SEGMENT_HEADER_BYTES).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut bytes).map_err(failed(path))?;
    SegmentHeader::decode(&bytes).map_err(|fault| match fault {
        HeaderFault::Damaged => {
            let what = "segment header is unreadable";
            OpenError::Damaged { path: path.to_owned(), offset: 0, what }
        }
        HeaderFault::UnknownFormat(version) => {
            OpenError::UnknownFormat { path: path.to_owned(), version }
        }
    })
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> OpenError {
    let path = path.to_owned();
    |source| OpenError::Io { path, source }
}

struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
    after_seq: u64,
}

impl Segment {
    fn damaged(&self, offset: usize, what: &'static str) -> OpenError {
        OpenError::Damaged { path: self.path.clone(), offset: wide(offset), what }
    }

    /// Applies frame after frame. Gives where the frames end and why, when something other than the
    /// end of the file stands there.
    fn frames(
        &self,
        so_far: &mut Recovered,
        raw: &Raw,
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
            apply_frame(&frame, so_far, self.after_seq, apply)
                .map_err(|fault| fault.at(&self.path, wide(offset)))?;
            so_far.marked = frame.kind == FrameKind::Mark;
            let bytes = u32::try_from(frame.bytes).unwrap_or(u32::MAX);
            raw.publish(frame.first_seq, wide(offset), bytes);
            offset = offset.saturating_add(frame.bytes);
        }
    }

    /// Decides what the bytes from `offset` on are: the zeros of a segment that is being filled, a
    /// last frame cut short, or damage.
    fn cut(
        &self,
        is_last: bool,
        so_far: &Recovered,
        offset: usize,
        what: &'static str,
        disk: &dyn Disk,
    ) -> Result<(), OpenError> {
        let tail = self.bytes.get(offset..).unwrap_or_default();
        if !is_last {
            return Err(self.damaged(offset, what));
        }
        let Some(used) = used_bytes(tail) else { return Ok(()) };
        if holds_a_later_frame(tail, used.len(), so_far.next_seq) {
            return Err(self.damaged(offset, what));
        }
        tracing::warn!(
            path = %self.path.display(), offset, cut_bytes = used.len(), reason = what,
            "cut an unfinished frame off the end of the usage log"
        );
        if !disk.is_writable() {
            return Ok(());
        }
        // The cut-off bytes must not come back behind a later frame, so they are zeroed durably
        // before anything is written.
        let file = OpenOptions::new().write(true).open(&self.path).map_err(failed(&self.path))?;
        file.set_len(wide(offset)).and_then(|()| disk.sync_all(&file)).map_err(failed(&self.path))
    }
}

/// Why a whole frame was not applied.
enum ApplyFault {
    Damaged(&'static str),
    Read(ReadError),
}

impl ApplyFault {
    fn at(self, path: &Path, offset: u64) -> OpenError {
        match self {
            Self::Damaged(what) => OpenError::Damaged { path: path.to_owned(), offset, what },
            Self::Read(error) => OpenError::Read(error),
        }
    }
}

/// Applies the records of a frame that are behind `after_seq`.
fn apply_frame(
    frame: &Frame<'_>,
    so_far: &mut Recovered,
    after_seq: u64,
    apply: &mut Apply<'_>,
) -> Result<(), ApplyFault> {
    let behind = frame.first_seq.saturating_add(frame.records.into());
    if behind <= after_seq.saturating_add(1) {
        so_far.next_seq = behind;
        return Ok(());
    }
    let unreadable = |_| ApplyFault::Damaged("record is unreadable");
    let mut cursor = Cursor::new(frame.payload());
    while let Some(view) = cursor.next().map_err(unreadable)? {
        if so_far.next_seq > after_seq {
            apply(so_far.next_seq, &view).map_err(|error| match error {
                ApplyError::Inconsistent(what) => ApplyFault::Damaged(what),
                ApplyError::Read(error) => ApplyFault::Read(error),
            })?;
        }
        so_far.next_seq = so_far.next_seq.saturating_add(1);
    }
    if so_far.next_seq != behind {
        return Err(ApplyFault::Damaged("frame does not hold as many records as it says"));
    }
    Ok(())
}

/// Applies a compressed segment, as when what was derived from it is gone.
fn apply_sealed(
    sealed: &Sealed,
    so_far: &mut Recovered,
    after_seq: u64,
    apply: &mut Apply<'_>,
) -> Result<(), OpenError> {
    for region in &sealed.regions {
        let damaged = |what| OpenError::Damaged {
            path: sealed.path().to_owned(),
            offset: region.offset,
            what,
        };
        let bytes = sealed.read(*region).map_err(|error| match error {
            BlockError::Damaged(_) => damaged("block is damaged"),
            BlockError::Io(source) => OpenError::Io { path: sealed.path().to_owned(), source },
        })?;
        for frame in frames(&bytes) {
            let frame = frame.map_err(|_| damaged("frame is damaged"))?;
            if frame.first_seq != so_far.next_seq {
                return Err(damaged("frame does not follow the one before it"));
            }
            apply_frame(&frame, so_far, after_seq, apply)
                .map_err(|fault| fault.at(sealed.path(), region.offset))?;
        }
    }
    Ok(())
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

fn wide(offset: usize) -> u64 {
    u64::try_from(offset).unwrap_or(u64::MAX)
}
