//! Reading recorded events back from the log by their place in the order.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::{Bound, ControlFlow};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::error::{OpenError, ReadError};
use crate::event::Event;
use crate::log::disk::Disk;
use crate::log::recover::recover_only;
use crate::log::region::{Cache, Region, Regions, find, frames};
use crate::log::sealed::{self, BlockError, Sealed};
use crate::log::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::record::{Cursor, Record};

/// How many bytes of regions are kept at hand.
const CACHE_BYTES: usize = 16 * 1_024 * 1_024;

/// A segment that is not compressed.
#[derive(Debug)]
pub(crate) struct Raw {
    path: PathBuf,
    file: OnceLock<File>,
    regions: Regions,
    /// Whether the regions are known. Those of a segment that was not read at start are found when
    /// they are first asked for.
    found: OnceLock<()>,
}

#[derive(Debug, Clone)]
enum Form {
    Raw(Arc<Raw>),
    Sealed(Arc<Sealed>),
}

#[derive(Debug, Clone)]
struct Entry {
    number: u32,
    form: Form,
}

/// The synced part of the log, for any number of readers.
#[derive(Debug)]
pub(crate) struct LogReader {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    /// By the place in the order of the first record.
    segments: RwLock<BTreeMap<u64, Entry>>,
    cache: Cache,
}

/// Takes a place in the order and what is there.
pub(crate) type Visit<'a> = dyn FnMut(u64, Record) -> Result<ControlFlow<()>, ReadError> + 'a;

impl LogReader {
    pub(crate) fn new(dir: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self { dir, disk, segments: RwLock::default(), cache: Cache::new(CACHE_BYTES) }
    }

    /// A reader of a log that nobody writes to. Nothing is read before it is asked for.
    pub(crate) fn open(dir: &Path, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let reader = Self::new(dir.to_owned(), disk);
        // With an index that covers everything, recovery only looks at what is there.
        recover_only(dir, &reader)?;
        Ok(reader)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds a raw segment whose regions are known to the caller, or not yet known to anyone.
    pub(crate) fn add_raw(&self, header: SegmentHeader, known: bool) -> Arc<Raw> {
        let path = segment::path(&self.dir, header.number);
        let found = OnceLock::new();
        if known {
            found.set(()).ok();
        }
        let raw = Arc::new(Raw { path, file: OnceLock::new(), regions: Regions::default(), found });
        self.put(header, Form::Raw(Arc::clone(&raw)));
        raw
    }

    pub(crate) fn add_sealed(&self, sealed: Sealed) {
        self.put(sealed.header, Form::Sealed(Arc::new(sealed)));
    }

    fn put(&self, header: SegmentHeader, form: Form) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.insert(header.first_seq, Entry { number: header.number, form });
    }

    /// The place in the order of the first record that is still there, or will be.
    pub(crate) fn first_seq(&self) -> u64 {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.keys().next().copied().unwrap_or(1)
    }

    /// The event at `seq`, with a standing that is not filled in; `None` when there is none, but
    /// something else or nothing.
    pub(crate) fn event(&self, seq: u64) -> Result<Option<Event>, ReadError> {
        Ok(match self.record(seq)? {
            Some(Record::Event(event)) => Some(event),
            Some(Record::Amended { event, .. }) => Some(event),
            Some(Record::Standing { .. }) | None => None,
        })
    }

    /// The events at `seqs`, which ascend and each are of one.
    pub(crate) fn events(&self, seqs: &[u64]) -> Result<Vec<Event>, ReadError> {
        let missing = || ReadError::Inconsistent("no event is where the index says");
        seqs.iter().map(|seq| self.event(*seq)?.ok_or_else(missing)).collect()
    }

    pub(crate) fn record(&self, seq: u64) -> Result<Option<Record>, ReadError> {
        let Some(entry) = self.entry_of(seq) else { return Ok(None) };
        let Some(region) = region_of(&entry, seq)? else { return Ok(None) };
        let bytes = self.load(&entry, region)?;
        for frame in frames(&bytes) {
            let frame = frame.map_err(|at| damaged(&entry, region, at))?;
            let Some(nth) = seq.checked_sub(frame.first_seq) else { break };
            if nth < frame.records.into() {
                let read = || {
                    let mut cursor = Cursor::new(frame.payload());
                    cursor.skip(u32::try_from(nth).unwrap_or(u32::MAX))?;
                    cursor.next()?.map(|view| Record::of(seq, &view)).transpose()
                };
                return read().map_err(|_| damaged(&entry, region, 0));
            }
        }
        Ok(None)
    }

    /// Gives every record from `from` on to `visit`, oldest first.
    pub(crate) fn scan(&self, from: u64, visit: &mut Visit<'_>) -> Result<(), ReadError> {
        for entry in self.entries_from(from) {
            let regions = regions(&entry)?;
            let first = regions.partition_point(|region| region.first_seq <= from);
            for region in regions.iter().skip(first.saturating_sub(1)) {
                for (seq, record) in self.records(&entry, *region)? {
                    if seq >= from && visit(seq, record)?.is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives every record before `before` to `visit`, newest first.
    pub(crate) fn scan_back(&self, before: u64, visit: &mut Visit<'_>) -> Result<(), ReadError> {
        let entries: Vec<Entry> = {
            let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
            segments.range(..before).rev().map(|(_, entry)| entry.clone()).collect()
        };
        for entry in entries {
            for region in regions(&entry)?.into_iter().rev() {
                if region.first_seq >= before {
                    continue;
                }
                for (seq, record) in self.records(&entry, region)?.into_iter().rev() {
                    if seq < before && visit(seq, record)?.is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn records(&self, entry: &Entry, region: Region) -> Result<Vec<(u64, Record)>, ReadError> {
        let bytes = self.load(entry, region)?;
        let mut records = Vec::new();
        for frame in frames(&bytes) {
            let frame = frame.map_err(|at| damaged(entry, region, at))?;
            let mut cursor = Cursor::new(frame.payload());
            for seq in (frame.first_seq..).take(usize::try_from(frame.records).unwrap_or(0)) {
                let read = cursor
                    .next()
                    .and_then(|view| view.map(|view| Record::of(seq, &view)).transpose());
                let record = read.map_err(|_| damaged(entry, region, 0))?;
                records.push((seq, record.ok_or_else(|| damaged(entry, region, 0))?));
            }
        }
        Ok(records)
    }

    fn entry_of(&self, seq: u64) -> Option<Entry> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.range(..=seq).next_back().map(|(_, entry)| entry.clone())
    }

    fn entries_from(&self, from: u64) -> Vec<Entry> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let first = segments.range(..=from).next_back().map_or(0, |(first, _)| *first);
        let range = segments.range((Bound::Included(first), Bound::Unbounded));
        range.map(|(_, entry)| entry.clone()).collect()
    }

    fn load(&self, entry: &Entry, region: Region) -> Result<Arc<Vec<u8>>, ReadError> {
        match &entry.form {
            // A raw region may still grow, and the operating system keeps it at hand.
            Form::Raw(raw) => raw.read(region).map(Arc::new),
            Form::Sealed(sealed) => {
                if let Some(bytes) = self.cache.get(entry.number, region.offset) {
                    return Ok(bytes);
                }
                let path = || sealed.path().to_owned();
                let bytes = sealed.read(region).map_err(|error| match error {
                    BlockError::Damaged(offset) => ReadError::Damaged { path: path(), offset },
                    BlockError::Io(source) => ReadError::Io { path: path(), source },
                })?;
                let bytes = Arc::new(bytes);
                self.cache.put(entry.number, region.offset, &bytes);
                Ok(bytes)
            }
        }
    }

    /// Compresses the oldest raw segment all of whose records are at or before `seq`, unless it is
    /// the one that is being filled; `false` when there is none.
    pub(crate) fn compress_next(&self, seq: u64) -> Result<bool, OpenError> {
        let due = {
            let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
            let behind = segments.keys().skip(1);
            let mut pairs = segments.iter().zip(behind);
            let is_due = |((_, entry), next): &((&u64, &Entry), &u64)| {
                matches!(entry.form, Form::Raw(_)) && **next <= seq.saturating_add(1)
            };
            pairs.find(is_due).map(|((first_seq, entry), _)| (*first_seq, entry.number))
        };
        let Some((first_seq, number)) = due else { return Ok(false) };
        let path = segment::path(&self.dir, number);
        let bytes =
            fs::read(&path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
        let raw = bytes.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
        let header = SegmentHeader { number, first_seq };
        self.add_sealed(sealed::write(&self.dir, header, raw, self.disk.as_ref())?);
        // Whoever is reading the raw file has it open.
        fs::remove_file(&path).map_err(|source| OpenError::Io { path, source })?;
        Ok(true)
    }

    /// Where the segments begin, oldest first.
    pub(crate) fn segment_starts(&self) -> Vec<u64> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.keys().copied().collect()
    }

    /// Deletes the oldest segments as long as all their records are before `seq`, but never the one
    /// that is being filled. Gives how many.
    pub(crate) fn drop_before(&self, seq: u64) -> io::Result<usize> {
        let mut dropped: usize = 0;
        loop {
            let entry = {
                let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
                let mut firsts = segments.keys();
                let (first, next) = (firsts.next().copied(), firsts.next().copied());
                match (first, next) {
                    (Some(first), Some(next)) if next <= seq => segments.remove(&first),
                    _ => None,
                }
            };
            let Some(entry) = entry else { return Ok(dropped) };
            fs::remove_file(match &entry.form {
                Form::Raw(raw) => raw.path.as_path(),
                Form::Sealed(sealed) => sealed.path(),
            })?;
            self.disk.sync_all(&File::open(&self.dir)?)?;
            dropped = dropped.saturating_add(1);
        }
    }
}

fn regions(entry: &Entry) -> Result<Vec<Region>, ReadError> {
    match &entry.form {
        Form::Sealed(sealed) => Ok(sealed.regions.clone()),
        Form::Raw(raw) => {
            raw.find_regions()?;
            Ok(raw.regions.all())
        }
    }
}

fn region_of(entry: &Entry, seq: u64) -> Result<Option<Region>, ReadError> {
    match &entry.form {
        Form::Sealed(sealed) => Ok(find(&sealed.regions, seq)),
        Form::Raw(raw) => {
            raw.find_regions()?;
            Ok(raw.regions.find(seq))
        }
    }
}

fn damaged(entry: &Entry, region: Region, at: usize) -> ReadError {
    let (path, at) = match &entry.form {
        Form::Raw(raw) => (raw.path.clone(), at),
        Form::Sealed(sealed) => (sealed.path().to_owned(), 0),
    };
    let at = u64::try_from(at).unwrap_or(u64::MAX);
    ReadError::Damaged { path, offset: region.offset.saturating_add(at) }
}

impl Raw {
    /// Makes a synced frame readable.
    pub(crate) fn publish(&self, first_seq: u64, offset: u64, bytes: u32) {
        self.regions.add(first_seq, offset, bytes);
    }

    fn file(&self) -> Result<&File, ReadError> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = File::open(&self.path).map_err(|error| self.failed(error))?;
        Ok(self.file.get_or_init(|| file))
    }

    fn read(&self, region: Region) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; usize::try_from(region.bytes).unwrap_or(usize::MAX)];
        let read = self.file()?.read_exact_at(&mut bytes, region.offset);
        read.map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    /// Finds the regions of a segment that was not read at start.
    fn find_regions(&self) -> Result<(), ReadError> {
        if self.found.get().is_some() {
            return Ok(());
        }
        let bytes = fs::read(&self.path).map_err(|error| self.failed(error))?;
        let found = Regions::default();
        let mut offset = SEGMENT_HEADER_BYTES;
        for frame in frames(bytes.get(offset..).unwrap_or_default()) {
            let place = u64::try_from(offset).unwrap_or(u64::MAX);
            let damaged = |_| ReadError::Damaged { path: self.path.clone(), offset: place };
            let frame = frame.map_err(damaged)?;
            found.add(frame.first_seq, place, u32::try_from(frame.bytes).unwrap_or(u32::MAX));
            offset = offset.saturating_add(frame.bytes);
        }
        self.regions.fill(found.all());
        self.found.set(()).ok();
        Ok(())
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Io { path: self.path.clone(), source }
    }
}
