//! Finding out at start how far the log goes, and telling a write cut short by a crash from damage.
//!
//! A group commit is synced before the next one is written, so a crash can only have cut short the
//! very last frame of the last segment. That frame was acknowledged to nobody: it is cut off.
//! Anything else that does not read as written is damage to acknowledged events, and then the log
//! refuses to open rather than bill with less than was recorded.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use super::block::{BlockPlace, Records};
use super::fault::{Fault, wide};
use super::frame::FrameKind;
use super::raw::RawSegment;
use super::reader::LogReader;
use super::sealed::{self, SealedHeader};
use super::segment::{self, Form, Forms, SegmentHeader};
use super::segments::{Full, Growing, Segments};
use crate::error::OpenError;
use crate::log::disk::Disk;
use crate::record::View;
use crate::state::ApplyError;

/// Takes a record of the log and its place in the order. It may itself read what came before.
pub(crate) type Apply<'a> = dyn FnMut(u64, &View<'_>) -> Result<(), ApplyError> + 'a;

/// Where a log ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogEnd {
    /// The last segment, where the log grows.
    pub(crate) number: u32,
    /// Where in it the last frame ends.
    pub(crate) offset: u64,
    /// Whether the last frame is a mark, or there is no frame to protect by one.
    pub(crate) marked: bool,
    /// The bytes behind that a crash left.
    pub(crate) torn_bytes: u64,
}

/// What may be done to the files.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access<'a> {
    /// What a crash left is removed.
    Repair(&'a dyn Disk),
    Read,
}

/// A segment before its records are read.
#[derive(Debug)]
struct Headed {
    number: u32,
    form: Form,
    first_seq: u64,
    /// Where it ends and what its blocks are; not known of a raw segment.
    index: Option<(u64, Vec<BlockPlace>)>,
}

/// Checks the segments in the directory of `reader`, says to it what there is, and gives the records
/// behind `after_seq` to `apply`. Segments that hold nothing behind it are not read. `None` when
/// there is no segment yet.
pub(crate) fn recover(
    reader: &LogReader,
    after_seq: u64,
    access: Access<'_>,
    apply: &mut Apply<'_>,
) -> Result<Option<LogEnd>, OpenError> {
    let dir = reader.dir();
    let mut headed = headed_segments(dir, access)?;
    let Some(last) = headed.pop() else {
        let path = Form::Raw.path(dir, 0);
        return match after_seq {
            0 => Ok(None),
            _ => Err(Fault::damaged(0, SHORTER_THAN_INDEX).on_open(&path)),
        };
    };
    if last.form != Form::Raw {
        let path = Form::Raw.path(dir, last.number.saturating_add(1));
        return Err(Fault::damaged(0, SEGMENT_MISSING).on_open(&path));
    }
    let first = headed.first().unwrap_or(&last);
    if first.first_seq.saturating_sub(1) > after_seq {
        let path = Form::Raw.path(dir, first.number.saturating_sub(1));
        return Err(Fault::damaged(0, SEGMENT_MISSING).on_open(&path));
    }
    let full = full_segments(headed, last.first_seq);
    let growing = Growing::new(last.number, last.first_seq);
    *reader.segments_mut() = Segments::new(full.clone(), growing);
    for full in full.iter().filter(|full| full.end_seq.saturating_sub(1) > after_seq) {
        full.read(dir, &mut |records| apply_records(records, after_seq, apply))
            .map_err(|fault| fault.on_open(&full.path(dir)))?;
    }
    let path = Form::Raw.path(dir, last.number);
    let end =
        read_last(reader, &last, after_seq, access, apply).map_err(|fault| fault.on_open(&path))?;
    if reader.segments().end_seq().saturating_sub(1) < after_seq {
        let (offset, what) = (end.offset, SHORTER_THAN_INDEX);
        return Err(Fault::Damaged { offset, what }.on_open(&path));
    }
    Ok(Some(end))
}

/// Says to `reader` what there is, and changes nothing. Only the last segment is read.
pub(crate) fn recover_only(reader: &LogReader) -> Result<(), OpenError> {
    let headed = headed_segments(reader.dir(), Access::Read)?;
    let before = headed.last().map_or(0, |last| last.first_seq.saturating_sub(1));
    recover(reader, before, Access::Read, &mut |_, _| Ok(())).map(drop)
}

/// The place in the order of the first record in `dir` that is kept.
pub(crate) fn first_seq_in(dir: &Path) -> Result<u64, OpenError> {
    let headed = headed_segments(dir, Access::Read)?;
    Ok(headed.first().map_or(1, |first| first.first_seq))
}

/// Each segment ends where the one after it begins, the last one at `end_seq`.
fn full_segments(headed: Vec<Headed>, end_seq: u64) -> Vec<Arc<Full>> {
    let starts: Vec<u64> = headed.iter().map(|segment| segment.first_seq).collect();
    let ends = starts.into_iter().skip(1).chain([end_seq]);
    let full = headed.into_iter().zip(ends).map(|(segment, end_seq)| {
        let Headed { number, form, first_seq, index } = segment;
        let full = Full::new(number, form, first_seq, end_seq);
        Arc::new(match index {
            Some((_, places)) => full.with_places(places),
            None => full,
        })
    });
    full.collect()
}

const SHORTER_THAN_INDEX: &str = "log is shorter than its index";
const SEGMENT_MISSING: &str = "segment is missing";
const DOES_NOT_FOLLOW: &str = "segment does not follow the one before it";

/// All segments in order, of which each has one form and follows the one before it.
fn headed_segments(dir: &Path, access: Access<'_>) -> Result<Vec<Headed>, OpenError> {
    let failed = |source| OpenError::Io { path: dir.to_owned(), source };
    if let Access::Repair(disk) = access {
        segment::remove_unfinished(dir, disk).map_err(failed)?;
    }
    let mut headed: Vec<Headed> = Vec::new();
    for (number, forms) in segment::list(dir).map_err(failed)? {
        if let Some(before) = headed.last()
            && before.number.checked_add(1) != Some(number)
        {
            let path = Form::Raw.path(dir, before.number.saturating_add(1));
            return Err(Fault::damaged(0, SEGMENT_MISSING).on_open(&path));
        }
        let form = form_of(dir, number, forms, access)?;
        let segment = Headed::read(dir, number, form)
            .map_err(|fault| fault.on_open(&form.path(dir, number)))?;
        if let Some(before) = headed.last()
            && (segment.first_seq < before.first_seq
                || before.end_seq().is_some_and(|end_seq| end_seq != segment.first_seq))
        {
            return Err(Fault::damaged(0, DOES_NOT_FOLLOW).on_open(&form.path(dir, number)));
        }
        headed.push(segment);
    }
    Ok(headed)
}

/// The form of a segment that counts. A crash while it was sealed leaves both: then the sealed one
/// does if it is whole, which it is unless it was damaged since.
fn form_of(dir: &Path, number: u32, forms: Forms, access: Access<'_>) -> Result<Form, OpenError> {
    let (form, other) = match forms {
        Forms { sealed: false, .. } => return Ok(Form::Raw),
        Forms { raw: false, .. } => return Ok(Form::Sealed),
        Forms { .. } => match read_sealed(dir, number) {
            Ok(()) => (Form::Sealed, Form::Raw),
            Err(Fault::Damaged { .. } | Fault::UnknownFormat(_)) => (Form::Raw, Form::Sealed),
            Err(fault @ (Fault::Io(_) | Fault::Read(_))) => {
                return Err(fault.on_open(&Form::Sealed.path(dir, number)));
            }
        },
    };
    if let Access::Repair(disk) = access {
        let path = other.path(dir, number);
        let removed = disk.remove_file(&path).and_then(|()| segment::sync_names(dir, disk));
        removed.map_err(|source| OpenError::Io { path, source })?;
    }
    Ok(form)
}

/// Checks all of a sealed segment.
fn read_sealed(dir: &Path, number: u32) -> Result<(), Fault> {
    let Headed { form, first_seq, index, .. } = Headed::read(dir, number, Form::Sealed)?;
    let (end_seq, places) = index.unwrap_or((first_seq, Vec::new()));
    let full = Full::new(number, form, first_seq, end_seq).with_places(places);
    full.read(dir, &mut |_| Ok(()))
}

impl Headed {
    fn read(dir: &Path, number: u32, form: Form) -> Result<Self, Fault> {
        let path = form.path(dir, number);
        let (header, index) = match form {
            Form::Raw => (segment::read_header(&path)?, None),
            Form::Sealed => {
                let (header, places) = sealed::open(&path)?;
                let SealedHeader { number, first_seq, end_seq } = header;
                (SegmentHeader { number, first_seq }, Some((end_seq, places)))
            }
        };
        let first_seq = header.first_seq;
        let segment = Self { number, form, first_seq, index };
        let follows =
            header.number == number && segment.end_seq().is_none_or(|end_seq| end_seq >= first_seq);
        if follows { Ok(segment) } else { Err(Fault::damaged(0, DOES_NOT_FOLLOW)) }
    }

    fn end_seq(&self) -> Option<u64> {
        self.index.as_ref().map(|(end_seq, _)| *end_seq)
    }
}

fn apply_records(
    records: &Records<'_>,
    after_seq: u64,
    apply: &mut Apply<'_>,
) -> Result<(), Fault> {
    if records.end_seq().saturating_sub(1) <= after_seq {
        return Ok(());
    }
    let offset = records.offset;
    records.visit(after_seq.saturating_add(1), |seq, view| {
        apply(seq, view).map_err(|error| Fault::applying(error, offset))
    })
}

/// Reads the segment that the log ends in.
fn read_last(
    reader: &LogReader,
    last: &Headed,
    after_seq: u64,
    access: Access<'_>,
    apply: &mut Apply<'_>,
) -> Result<LogEnd, Fault> {
    let path = Form::Raw.path(reader.dir(), last.number);
    let raw = RawSegment::read(&path)?;
    let walked = raw.walk(last.first_seq, &mut |frame, place| {
        reader.segments_mut().publish(frame.kind, frame.records, place);
        match frame.kind {
            FrameKind::Records => apply_records(&frame.records_at(place.offset), after_seq, apply),
            FrameKind::Mark => Ok(()),
        }
    })?;
    let offset = wide(walked.end);
    let torn_bytes = match walked.cut {
        Some(what) => raw.torn_bytes(&walked, what)?,
        None => 0,
    };
    if let Access::Repair(disk) = access
        && torn_bytes > 0
    {
        cut(&path, offset, torn_bytes, walked.cut.unwrap_or_default(), disk)?;
    }
    Ok(LogEnd { number: last.number, offset, marked: walked.marked, torn_bytes })
}

/// Cuts an unfinished frame off. Its bytes must not come back behind a later frame, so this is
/// durable before anything is written.
fn cut(path: &Path, end: u64, cut_bytes: u64, reason: &str, disk: &dyn Disk) -> Result<(), Fault> {
    tracing::warn!(
        path = %path.display(), offset = end, cut_bytes, reason,
        "cut an unfinished frame off the end of the usage log"
    );
    let file = OpenOptions::new().write(true).open(path)?;
    disk.set_len(&file, end)?;
    Ok(disk.sync_all(&file)?)
}
