//! A piece of the log in memory: what a reader loads at once.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::fault::{Fault, narrow, wide};
use super::frame::{Frame, FrameFault, FrameKind};
use super::sealed;
use super::segment::Form;
use crate::record::{Cursor, View};

/// A raw segment is loaded by spans of whole frames that are at least so long.
const SPAN_BYTES: u32 = 64 * 1_024;

/// Where a block stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockPlace {
    pub(crate) first_seq: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
}

/// The blocks of a raw segment, found frame by frame.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    places: Vec<BlockPlace>,
}

impl Spans {
    /// Adds the frame that stands behind those that were added.
    pub(crate) fn add(&mut self, kind: FrameKind, place: BlockPlace) {
        match (self.places.last_mut(), kind) {
            (Some(last), kind) if kind == FrameKind::Mark || last.bytes < SPAN_BYTES => {
                last.bytes = last.bytes.saturating_add(place.bytes);
            }
            (None, FrameKind::Mark) => {}
            (_, FrameKind::Records | FrameKind::Mark) => self.places.push(place),
        }
    }

    pub(crate) fn places(&self) -> &[BlockPlace] {
        &self.places
    }

    pub(crate) fn into_places(self) -> Vec<BlockPlace> {
        self.places
    }
}

/// Records that follow one another, checked as far as they were stored.
#[derive(Debug)]
pub(crate) struct Block {
    parts: Vec<Part>,
    bytes: Vec<u8>,
}

/// Chunks of records that were stored under one checksum.
#[derive(Debug)]
struct Part {
    /// Where they stand in the file.
    offset: u64,
    first_seq: u64,
    records: u32,
    bytes: Range<usize>,
}

/// Chunks of records of which the first has place `first_seq`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Records<'a> {
    pub(crate) first_seq: u64,
    pub(crate) records: u32,
    pub(crate) payload: &'a [u8],
    /// Where they stand in the file.
    pub(crate) offset: u64,
}

impl Block {
    #[cfg(test)]
    pub(crate) fn of_bytes(bytes: usize) -> Self {
        Self { parts: Vec::new(), bytes: vec![0; bytes] }
    }

    /// Reads the block at `place` of the file at `path`.
    pub(crate) fn load(path: &Path, form: Form, place: BlockPlace) -> Result<Self, Fault> {
        let mut bytes = vec![0; narrow(place.bytes.into())];
        let cut_short = Fault::Damaged { offset: place.offset, what: "segment is cut short" };
        match File::open(path)?.read_exact_at(&mut bytes, place.offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(cut_short),
            result => result?,
        }
        match form {
            Form::Raw => Self::of_frames(bytes, place),
            Form::Sealed => {
                let (records, bytes) = sealed::read_block(&bytes, place)?;
                let part = Part {
                    offset: place.offset,
                    first_seq: place.first_seq,
                    records,
                    bytes: 0..bytes.len(),
                };
                Ok(Self { parts: vec![part], bytes })
            }
        }
    }

    fn of_frames(bytes: Vec<u8>, place: BlockPlace) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut start: usize = 0;
        let mut next_seq = place.first_seq;
        while let Some(rest) = bytes.get(start..)
            && !rest.is_empty()
        {
            let offset = place.offset.saturating_add(wide(start));
            let frame = Frame::parse(rest).map_err(|fault| match fault {
                FrameFault::Damaged(what) => Fault::Damaged { offset, what },
                FrameFault::UnknownFormat(version) => Fault::UnknownFormat(version.into()),
            })?;
            if frame.first_seq != next_seq {
                return Err(Fault::Damaged { offset, what: FRAME_DOES_NOT_FOLLOW });
            }
            let end = start.saturating_add(frame.bytes);
            if frame.kind == FrameKind::Records {
                let bytes = end.saturating_sub(frame.payload().len())..end;
                let Frame { first_seq, records, .. } = frame;
                parts.push(Part { offset, first_seq, records, bytes });
            }
            next_seq = next_seq.saturating_add(frame.records.into());
            start = end;
        }
        Ok(Self { parts, bytes })
    }

    /// How much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = Records<'_>> + ExactSizeIterator {
        self.parts.iter().map(|part| Records {
            first_seq: part.first_seq,
            records: part.records,
            payload: self.bytes.get(part.bytes.clone()).unwrap_or_default(),
            offset: part.offset,
        })
    }
}

pub(crate) const FRAME_DOES_NOT_FOLLOW: &str = "frame does not follow the one before it";
pub(crate) const BLOCK_DOES_NOT_FOLLOW: &str = "block does not follow the one before it";
pub(crate) const RECORD_UNREADABLE: &str = "record is unreadable";

impl<'a> Records<'a> {
    pub(crate) fn end_seq(&self) -> u64 {
        self.first_seq.saturating_add(self.records.into())
    }

    pub(crate) fn unreadable(&self) -> Fault {
        Fault::Damaged { offset: self.offset, what: RECORD_UNREADABLE }
    }

    /// Gives the records from `from_seq` on to `visit`, and makes sure that there are as many as
    /// there should be.
    pub(crate) fn visit<E: From<Fault>>(
        &self,
        from_seq: u64,
        mut visit: impl FnMut(u64, &View<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor = Cursor::new(self.payload);
        let skipped = from_seq.saturating_sub(self.first_seq).min(self.records.into());
        let skipped = u32::try_from(skipped).unwrap_or(self.records);
        cursor.skip(skipped).map_err(|_| self.unreadable())?;
        for seq in from_seq.max(self.first_seq)..self.end_seq() {
            match cursor.next() {
                Ok(Some(view)) => visit(seq, &view)?,
                Ok(None) | Err(_) => return Err(self.unreadable().into()),
            }
        }
        match cursor.next() {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(self.unreadable().into()),
        }
    }
}
