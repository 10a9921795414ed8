//! Reading recorded events back from the log by their place in the order.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use crate::error::ReadError;
use crate::event::Event;
use crate::log::frame::Frame;
use crate::log::segment;
use crate::record::Record;

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramePlace {
    pub(crate) first_seq: u64,
    pub(crate) segment: u32,
    pub(crate) bytes: u32,
    pub(crate) offset: u64,
}

/// The synced part of the log, for any number of readers.
#[derive(Debug)]
pub(crate) struct LogReader {
    dir: PathBuf,
    /// The frames that hold records, in order.
    frames: RwLock<Vec<FramePlace>>,
}

impl LogReader {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, frames: RwLock::default() }
    }

    /// Makes a synced frame readable.
    pub(crate) fn publish(&self, place: FramePlace) {
        // A push leaves the list whole even when it panics, so a poisoned lock harms nothing.
        self.frames.write().unwrap_or_else(PoisonError::into_inner).push(place);
    }

    /// Reads the events at `seqs`, which are ascending and each of an applied event. Their
    /// `cancelled` is not filled in.
    pub(crate) fn events(&self, seqs: &[u64]) -> Result<Vec<Event>, ReadError> {
        let mut events = Vec::with_capacity(seqs.len());
        let mut rest = seqs;
        let mut open: Option<(u32, File)> = None;
        let mut bytes = Vec::new();
        while let Some(first) = rest.first() {
            let (place, end_seq) = self.place_of(*first)?;
            let (here, later) = rest.split_at(rest.partition_point(|seq| *seq < end_seq));
            rest = later;
            let path = segment::path(&self.dir, place.segment);
            let failed = |source| ReadError::Io { path: path.clone(), source };
            let file = match open.take() {
                Some((number, file)) if number == place.segment => file,
                _ => File::open(&path).map_err(failed)?,
            };
            bytes.resize(usize::try_from(place.bytes).unwrap_or(usize::MAX), 0);
            file.read_exact_at(&mut bytes, place.offset).map_err(failed)?;
            open = Some((place.segment, file));
            pick(&bytes, place, here, &mut events)
                .ok_or(ReadError::Damaged { path, offset: place.offset })?;
        }
        Ok(events)
    }

    /// The frame that holds `seq`, and the first place in the order that is after it.
    fn place_of(&self, seq: u64) -> Result<(FramePlace, u64), ReadError> {
        let frames = self.frames.read().unwrap_or_else(PoisonError::into_inner);
        let after = frames.partition_point(|frame| frame.first_seq <= seq);
        let place = after.checked_sub(1).and_then(|at| frames.get(at)).copied();
        let end_seq = frames.get(after).map_or(u64::MAX, |next| next.first_seq);
        place.map(|place| (place, end_seq)).ok_or_else(|| ReadError::Io {
            path: self.dir.clone(),
            source: io::Error::other(format!("no frame holds event {seq}")),
        })
    }
}

/// Decodes the events at `seqs` out of their frame, and checks that it is that frame.
fn pick(bytes: &[u8], place: FramePlace, seqs: &[u64], events: &mut Vec<Event>) -> Option<()> {
    let frame = Frame::parse(bytes).ok()?;
    if frame.first_seq != place.first_seq {
        return None;
    }
    let mut records = (frame.first_seq..).zip(frame.records());
    for wanted in seqs {
        let (_, record) = records.find(|(seq, _)| seq == wanted)?;
        match Record::decode(record.ok()?).ok()? {
            Record::Event(event) => events.push(Event::new(*wanted, event)),
            Record::Cancel(_) => return None,
        }
    }
    Some(())
}
