//! Which segments there are and where in them a record stands.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::block::{BLOCK_DOES_NOT_FOLLOW, Block, BlockPlace, Records, Spans};
use super::fault::Fault;
use super::frame::FrameKind;
use super::raw::{RawSegment, Walked};
use super::sealed;
use super::segment::Form;

/// Takes records that were stored under one checksum.
pub(crate) type Visit<'a> = dyn FnMut(&Records<'_>) -> Result<(), Fault> + 'a;

/// A segment that grows no more.
#[derive(Debug)]
pub(crate) struct Full {
    pub(crate) number: u32,
    pub(crate) form: Form,
    pub(crate) first_seq: u64,
    /// The place in the order behind its last record.
    pub(crate) end_seq: u64,
    /// Of a raw segment, found when they are first needed.
    places: OnceLock<Vec<BlockPlace>>,
}

/// The segment that is being filled.
#[derive(Debug)]
pub(crate) struct Growing {
    pub(crate) number: u32,
    pub(crate) first_seq: u64,
    pub(crate) spans: Spans,
}

/// All segments that are kept, in order.
#[derive(Debug)]
pub(crate) struct Segments {
    full: VecDeque<Arc<Full>>,
    growing: Growing,
    /// The place in the order behind the last synced record.
    end_seq: u64,
}

/// A block and the segment that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) number: u32,
    pub(crate) form: Form,
    pub(crate) place: BlockPlace,
    /// Whether the block may still grow.
    pub(crate) grows: bool,
}

/// Where to look for a record.
#[derive(Debug)]
pub(crate) enum Where {
    Found(Found),
    In(Arc<Full>),
    Nowhere,
}

impl Full {
    pub(crate) fn new(number: u32, form: Form, first_seq: u64, end_seq: u64) -> Self {
        Self { number, form, first_seq, end_seq, places: OnceLock::new() }
    }

    /// One whose blocks are known already.
    pub(crate) fn with_places(self, places: Vec<BlockPlace>) -> Self {
        Self { places: places.into(), ..self }
    }

    /// Its file.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        self.form.path(dir, self.number)
    }

    /// Its blocks in order.
    pub(crate) fn places(&self, dir: &Path) -> Result<&[BlockPlace], Fault> {
        if let Some(places) = self.places.get() {
            return Ok(places);
        }
        let path = self.path(dir);
        let places = match self.form {
            Form::Raw => self.walk(dir, &mut |_| Ok(()))?,
            Form::Sealed => sealed::open(&path)?.1,
        };
        Ok(self.places.get_or_init(|| places))
    }

    /// Checks all of it and gives its records to `visit`.
    pub(crate) fn read(&self, dir: &Path, visit: &mut Visit<'_>) -> Result<(), Fault> {
        match self.form {
            Form::Raw => {
                let places = self.walk(dir, visit)?;
                self.places.get_or_init(|| places);
                Ok(())
            }
            Form::Sealed => {
                let path = self.path(dir);
                let mut next_seq = self.first_seq;
                for place in self.places(dir)? {
                    for records in Block::load(&path, self.form, *place)?.parts() {
                        if records.first_seq != next_seq {
                            let offset = place.offset;
                            return Err(Fault::Damaged { offset, what: BLOCK_DOES_NOT_FOLLOW });
                        }
                        visit(&records)?;
                        next_seq = records.end_seq();
                    }
                }
                if next_seq == self.end_seq {
                    Ok(())
                } else {
                    Err(Fault::damaged(0, ENDS_ELSEWHERE))
                }
            }
        }
    }

    /// Goes over a raw segment and finds its blocks.
    fn walk(&self, dir: &Path, visit: &mut Visit<'_>) -> Result<Vec<BlockPlace>, Fault> {
        let raw = RawSegment::read(&self.path(dir))?;
        raw.check_header(self.number, self.first_seq)?;
        let mut spans = Spans::default();
        let walked = raw.walk(self.first_seq, &mut |frame, place| {
            spans.add(frame.kind, place);
            match frame.kind {
                FrameKind::Records => visit(&frame.records_at(place.offset)),
                FrameKind::Mark => Ok(()),
            }
        })?;
        match walked {
            Walked { cut: Some(what), end, .. } => Err(Fault::damaged(end, what)),
            Walked { next_seq, .. } if next_seq == self.end_seq => Ok(spans.into_places()),
            Walked { end, .. } => Err(Fault::damaged(end, ENDS_ELSEWHERE)),
        }
    }

    /// The block that holds `seq`, which is in this segment.
    pub(crate) fn find(&self, dir: &Path, seq: u64) -> Result<Found, Fault> {
        let Self { number, form, .. } = *self;
        match place_of(self.places(dir)?, seq) {
            Some((place, _)) => Ok(Found { number, form, place, grows: false }),
            None => Err(Fault::damaged(0, "segment does not hold its records")),
        }
    }
}

const ENDS_ELSEWHERE: &str = "segment does not end where the next one begins";

/// The block that holds `seq` if any does, and whether it is the last.
fn place_of(places: &[BlockPlace], seq: u64) -> Option<(BlockPlace, bool)> {
    let after = places.partition_point(|place| place.first_seq <= seq);
    let place = after.checked_sub(1).and_then(|at| places.get(at))?;
    Some((*place, after == places.len()))
}

impl Growing {
    /// One without records.
    pub(crate) fn new(number: u32, first_seq: u64) -> Self {
        Self { number, first_seq, spans: Spans::default() }
    }
}

impl Default for Segments {
    /// Those of a log that has no records yet.
    fn default() -> Self {
        Self::new(Vec::new(), Growing::new(0, 1))
    }
}

impl Segments {
    /// Those of which nothing is read yet in the one that grows.
    pub(crate) fn new(full: Vec<Arc<Full>>, growing: Growing) -> Self {
        let end_seq = growing.first_seq;
        Self { full: full.into(), growing, end_seq }
    }

    /// The place in the order of the first record that is kept.
    pub(crate) fn first_seq(&self) -> u64 {
        self.full.front().map_or(self.growing.first_seq, |full| full.first_seq)
    }

    pub(crate) fn end_seq(&self) -> u64 {
        self.end_seq
    }

    /// Where each segment begins, in order.
    pub(crate) fn starts(&self) -> Vec<u64> {
        let full = self.full.iter().map(|full| full.first_seq);
        full.chain(std::iter::once(self.growing.first_seq)).collect()
    }

    /// Adds a frame behind the others, with so many records.
    pub(crate) fn publish(&mut self, kind: FrameKind, records: u32, place: BlockPlace) {
        self.growing.spans.add(kind, place);
        self.end_seq = place.first_seq.saturating_add(records.into());
    }

    /// The segment that grew is full, and the one with that number grows.
    pub(crate) fn roll(&mut self, number: u32) {
        let next = Growing::new(number, self.end_seq);
        let Growing { number, first_seq, spans } = std::mem::replace(&mut self.growing, next);
        let full = Full::new(number, Form::Raw, first_seq, self.end_seq);
        self.full.push_back(Arc::new(full.with_places(spans.into_places())));
    }

    pub(crate) fn find(&self, seq: u64) -> Where {
        if seq < self.first_seq() || seq >= self.end_seq {
            return Where::Nowhere;
        }
        if seq >= self.growing.first_seq {
            let number = self.growing.number;
            let place = place_of(self.growing.spans.places(), seq);
            return place.map_or(Where::Nowhere, |(place, grows)| {
                Where::Found(Found { number, form: Form::Raw, place, grows })
            });
        }
        let after = self.full.partition_point(|full| full.first_seq <= seq);
        let full = after.checked_sub(1).and_then(|at| self.full.get(at));
        full.map_or(Where::Nowhere, |full| Where::In(Arc::clone(full)))
    }

    pub(crate) fn full(&self) -> impl Iterator<Item = &Arc<Full>> {
        self.full.iter()
    }

    /// Puts the sealed form of a segment in the place of the raw one.
    pub(crate) fn replace(&mut self, sealed: Full) {
        if let Some(full) = self.full.iter_mut().find(|full| full.number == sealed.number) {
            *full = Arc::new(sealed);
        }
    }

    /// Takes out the first segment if nothing in it is at `seq` or later.
    pub(crate) fn pop_before(&mut self, seq: u64) -> Option<Arc<Full>> {
        self.full.pop_front_if(|full| full.end_seq <= seq)
    }

    /// Puts back what was taken out last.
    pub(crate) fn unpop(&mut self, full: Arc<Full>) {
        self.full.push_front(full);
    }
}
