//! Reading records back from the log by their place in the order.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::block::{Block, Records};
use super::cache::Cache;
use super::fault::Fault;
use super::recover::recover_only;
use super::segments::{Found, Segments, Where};
use super::spare::Spare;
use crate::codec::Malformed;
use crate::error::{OpenError, ReadError};
use crate::event::Event;
use crate::log::disk::Disk;
use crate::record::{Chunks, Cursor, Group, Record, View};

/// How much memory the blocks that were read lately may take.
const CACHE_BYTES_MAX: usize = 16 * 1_024 * 1_024;
/// How often a block is looked for anew because its segment was sealed in between.
const LOOKS_MAX: usize = 5;

/// The synced part of the log, for any number of readers.
#[derive(Debug)]
pub(crate) struct LogReader {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    segments: RwLock<Segments>,
    cache: Cache,
    spare: Spare,
    /// Held while files are replaced or deleted.
    busy: Mutex<()>,
}

/// Whether a block is likely to be read again soon.
#[derive(Debug, Clone, Copy)]
enum Again {
    Likely,
    Unlikely,
}

/// Takes a place in the order and what is there.
pub(crate) type Visit<'a> = dyn FnMut(u64, Record) -> Result<ControlFlow<()>, ReadError> + 'a;

impl LogReader {
    /// One that has nothing to read yet.
    pub(crate) fn new(dir: PathBuf, disk: Arc<dyn Disk>) -> Self {
        let segments = RwLock::default();
        let cache = Cache::new(CACHE_BYTES_MAX);
        let spare = Spare::new(dir.clone());
        Self { dir, disk, segments, cache, spare, busy: Mutex::default() }
    }

    /// A reader of a log that nobody writes to. Changes nothing, and reads little before it is asked.
    pub(crate) fn open(dir: &Path, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let reader = Self::new(dir.to_owned(), disk);
        recover_only(&reader)?;
        Ok(reader)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The place in the order of the first record that is kept.
    pub(crate) fn first_seq(&self) -> u64 {
        self.segments().first_seq()
    }

    /// Where the segments begin, oldest first.
    pub(crate) fn segment_starts(&self) -> Vec<u64> {
        self.segments().starts()
    }

    /// The event at `seq`, with a standing that is not filled in; `None` when there is none, but
    /// something else or nothing.
    pub(crate) fn event(&self, seq: u64) -> Result<Option<Event>, ReadError> {
        Ok(self.record(seq)?.and_then(event_of))
    }

    /// The events at `seqs`, which ascend and each are of one.
    pub(crate) fn events(&self, seqs: &[u64]) -> Result<Vec<Event>, ReadError> {
        let missing = || ReadError::Inconsistent("no event is where the index says");
        let mut events = Vec::with_capacity(seqs.len());
        self.records(seqs, &mut |record| events.extend(event_of(record)))?;
        if events.len() == seqs.len() { Ok(events) } else { Err(missing()) }
    }

    /// The record at `seq`; `None` if it is not kept any more or not there yet.
    pub(crate) fn record(&self, seq: u64) -> Result<Option<Record>, ReadError> {
        let mut read = None;
        self.records(&[seq], &mut |record| read = Some(record))?;
        Ok(read)
    }

    /// Gives the records at `seqs`, which ascend, to `visit`. Leaves out those that are not kept any
    /// more or not there yet.
    pub(super) fn records(
        &self,
        seqs: &[u64],
        visit: &mut dyn FnMut(Record),
    ) -> Result<(), ReadError> {
        let mut rest = seqs;
        while let Some(first) = rest.first() {
            let Some((found, block)) = self.block_of(*first, Again::Likely)? else {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            let failed = |fault| self.failed(&found, fault);
            for part in block.parts() {
                let (here, later) =
                    rest.split_at(rest.partition_point(|seq| *seq < part.end_seq()));
                rest = later;
                pick(&part, here, visit).map_err(failed)?;
            }
            // Nothing moved on only if the block does not hold what its segment says.
            if rest.first() == Some(first) {
                return Err(failed(misplaced(&found)));
            }
        }
        Ok(())
    }

    /// Gives every record from `from_seq` on to `visit`, oldest first, until it breaks.
    pub(crate) fn scan(&self, from_seq: u64, visit: &mut Visit<'_>) -> Result<(), ReadError> {
        let mut next = from_seq.max(self.first_seq());
        while let Some((found, block)) = self.block_of(next, Again::Unlikely)? {
            let before = next;
            for part in block.parts().filter(|part| part.end_seq() > before) {
                let scanned = part.visit(next, |seq, view| {
                    let record = own(&part, seq, view).map_err(Stop::Fault)?;
                    match visit(seq, record) {
                        Ok(ControlFlow::Continue(())) => Ok(()),
                        Ok(ControlFlow::Break(())) => Err(Stop::Asked),
                        Err(error) => Err(Stop::Fault(Fault::Read(error))),
                    }
                });
                match scanned {
                    Ok(()) => next = part.end_seq(),
                    Err(Stop::Asked) => return Ok(()),
                    Err(Stop::Fault(fault)) => return Err(self.failed(&found, fault)),
                }
            }
            if next == before {
                return Err(self.failed(&found, misplaced(&found)));
            }
        }
        Ok(())
    }

    /// Gives every record before `before_seq` to `visit`, newest first, until it breaks.
    pub(crate) fn scan_back(
        &self,
        before_seq: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), ReadError> {
        let mut end = before_seq.min(self.segments().end_seq());
        while let Some(last) = end.checked_sub(1)
            && let Some((found, block)) = self.block_of(last, Again::Likely)?
        {
            let before = end;
            for part in block.parts().rev().filter(|part| part.first_seq < before) {
                match part_back(&part, before, visit) {
                    Ok(()) => end = part.first_seq,
                    Err(Stop::Asked) => return Ok(()),
                    Err(Stop::Fault(fault)) => return Err(self.failed(&found, fault)),
                }
            }
            if end == before {
                return Err(self.failed(&found, misplaced(&found)));
            }
        }
        Ok(())
    }

    /// The block that holds `seq`.
    fn block_of(&self, seq: u64, again: Again) -> Result<Option<(Found, Arc<Block>)>, ReadError> {
        let mut looks: usize = 0;
        loop {
            looks = looks.saturating_add(1);
            let place = self.segments().find(seq);
            let (path, loaded) = match place {
                Where::Nowhere => return Ok(None),
                Where::Found(found) => {
                    let block = self.load(&found, again);
                    (found.form.path(&self.dir, found.number), block.map(|block| (found, block)))
                }
                Where::In(full) => {
                    let loaded = full
                        .find(&self.dir, seq)
                        .and_then(|found| Ok((found, self.load(&found, again)?)));
                    (full.path(&self.dir), loaded)
                }
            };
            match loaded {
                Ok(found) => return Ok(Some(found)),
                // Its segment was sealed or dropped since it was looked up.
                Err(Fault::Io(error))
                    if error.kind() == io::ErrorKind::NotFound && looks < LOOKS_MAX => {}
                Err(fault) => return Err(fault.on_read(&path)),
            }
        }
    }

    fn load(&self, found: &Found, again: Again) -> Result<Arc<Block>, Fault> {
        if let Some(block) = self.cache.get(found) {
            return Ok(block);
        }
        let path = found.form.path(&self.dir, found.number);
        let block = Arc::new(Block::load(&path, found.form, found.place)?);
        match again {
            Again::Likely => self.cache.put(found, &block),
            Again::Unlikely => {}
        }
        Ok(block)
    }

    fn failed(&self, found: &Found, fault: Fault) -> ReadError {
        fault.on_read(&found.form.path(&self.dir, found.number))
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    pub(super) fn spare(&self) -> &Spare {
        &self.spare
    }

    pub(super) fn busy(&self) -> &Mutex<()> {
        &self.busy
    }

    pub(super) fn segments(&self) -> RwLockReadGuard<'_, Segments> {
        // Each change leaves the list whole even when it panics, so a poisoned lock harms nothing.
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segments_mut(&self) -> RwLockWriteGuard<'_, Segments> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn misplaced(found: &Found) -> Fault {
    Fault::Damaged { offset: found.place.offset, what: "block does not hold its records" }
}

/// Why a scan goes no further.
enum Stop {
    Asked,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn event_of(record: Record) -> Option<Event> {
    match record {
        Record::Event(event) | Record::Amended { event, .. } => Some(event),
        Record::Standing { .. } => None,
    }
}

/// The record at `seq`, which is in `part`.
fn own(part: &Records<'_>, seq: u64, view: &View<'_>) -> Result<Record, Fault> {
    Record::of(seq, view).map_err(|Malformed| part.unreadable())
}

/// Gives the records at `seqs`, which ascend and are all in `part`, to `visit`.
fn pick(part: &Records<'_>, seqs: &[u64], visit: &mut dyn FnMut(Record)) -> Result<(), Fault> {
    let mut cursor = Cursor::new(part.payload);
    let mut next = part.first_seq;
    for seq in seqs {
        let skipped = seq.checked_sub(next).and_then(|records| u32::try_from(records).ok());
        let skipped = skipped.ok_or_else(|| part.unreadable())?;
        cursor.skip(skipped).map_err(|Malformed| part.unreadable())?;
        match cursor.next() {
            Ok(Some(view)) => visit(own(part, *seq, &view)?),
            Ok(None) | Err(Malformed) => return Err(part.unreadable()),
        }
        next = seq.saturating_add(1);
    }
    Ok(())
}

/// Gives the records of `part` before `before_seq` to `visit`, newest first.
fn part_back(part: &Records<'_>, before_seq: u64, visit: &mut Visit<'_>) -> Result<(), Stop> {
    let unreadable = |Malformed| Stop::Fault(part.unreadable());
    let mut groups: Vec<(u64, Group<'_>)> = Vec::new();
    let mut first_seq = part.first_seq;
    let mut chunks = Chunks::new(part.payload);
    while let Some(mut chunk) = chunks.next().map_err(unreadable)? {
        while let Some(group) = chunk.next_group().map_err(unreadable)? {
            groups.push((first_seq, group));
            first_seq = first_seq.saturating_add(group.records.into());
        }
    }
    for (first_seq, group) in groups.into_iter().rev().filter(|(first, _)| *first < before_seq) {
        let mut cursor = Cursor::of_group(group).map_err(unreadable)?;
        let mut records = Vec::new();
        for seq in first_seq..before_seq {
            let Some(view) = cursor.next().map_err(unreadable)? else { break };
            records.push((seq, own(part, seq, &view)?));
        }
        for (seq, record) in records.into_iter().rev() {
            match visit(seq, record) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Err(Stop::Asked),
                Err(error) => return Err(Stop::Fault(Fault::Read(error))),
            }
        }
    }
    Ok(())
}
