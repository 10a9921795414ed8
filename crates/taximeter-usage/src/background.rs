//! What happens beside the commits: flushing memtables, merging runs, compressing and deleting
//! segments. Two threads, so that a long merge never keeps a flush waiting.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::engine::Options;
use crate::error::ReadError;
use crate::index::{IndexError, merge, pick};
use crate::known::KnownValues;
use crate::log::LogReader;
use crate::log::disk::Disk;
use crate::memtable::flush;
use crate::state::State;
use crate::totals::rows::Combiner;

/// What the threads wait for.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a signal of its own")]
struct Signals {
    /// A memtable is aside.
    flush: bool,
    /// There may be something to merge or to compress.
    tidy: bool,
    /// It is being merged or compressed.
    tidying: bool,
    /// A thread failed: nothing is flushed any more.
    failed: bool,
    stop: bool,
}

/// The state of what happens beside the commits, for all threads.
#[derive(Debug)]
pub(crate) struct Background {
    options: Options,
    signals: Mutex<Signals>,
    changed: Condvar,
    /// Tells a merge to give up.
    stop: AtomicBool,
}

impl Background {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            signals: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        }
    }

    /// For how many events a new memtable reserves room: no more than its memory can hold.
    pub(crate) fn capacity(&self, state: &State) -> usize {
        let fits = self.memtable_bytes_max(state).div_euclid(EVENT_MEMORY_BYTES);
        self.options.memtable_events_max.min(fits)
    }

    /// Whether enough came in to be flushed.
    pub(crate) fn is_due(&self, state: &State) -> Result<bool, ReadError> {
        let (names, name_bytes) = {
            let names = state.names();
            (names.active.len(), names.active.bytes())
        };
        if names >= self.options.memtable_events_max {
            return Ok(true);
        }
        let published = state.published()?;
        let bytes = published.active.bytes().saturating_add(name_bytes);
        Ok(bytes >= self.memtable_bytes_max(state))
    }

    /// Memtables and what the runs need must fit. A merge holds the filter of what it makes beside
    /// those of what it merges.
    fn memtable_bytes_max(&self, state: &State) -> usize {
        let index = usize::try_from(state.index.memory_bytes()).unwrap_or(usize::MAX);
        let index = index.saturating_mul(2);
        let queue = self.options.queue_bytes_max;
        let known = KnownValues::bytes_max(self.options.memory_bytes);
        let taken = index.saturating_add(queue).saturating_add(known);
        let free = self.options.memory_bytes.saturating_sub(taken);
        free.div_euclid(MEMTABLES).max(MEMTABLE_BYTES_MIN)
    }

    fn signals(&self) -> MutexGuard<'_, Signals> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, change: impl FnOnce(&mut Signals)) {
        change(&mut self.signals());
        self.changed.notify_all();
    }

    pub(crate) fn flush(&self) {
        self.signal(|signals| signals.flush = true);
    }

    pub(crate) fn tidy(&self) {
        self.signal(|signals| signals.tidy = true);
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.signal(|signals| signals.stop = true);
    }

    /// Waits until nothing is aside any more; `false` when it never will be.
    pub(crate) fn wait_until_flushed(&self) -> bool {
        let mut signals = self.signals();
        while signals.flush && !signals.failed {
            signals = self.changed.wait(signals).unwrap_or_else(PoisonError::into_inner);
        }
        !signals.failed
    }

    /// Waits until there is nothing left to merge or to compress; `false` when it never will be.
    pub(crate) fn wait_until_tidied(&self) -> bool {
        self.tidy();
        let mut signals = self.signals();
        while (signals.tidy || signals.tidying) && !signals.failed && !signals.stop {
            signals = self.changed.wait(signals).unwrap_or_else(PoisonError::into_inner);
        }
        !signals.failed && !signals.stop
    }

    /// Waits for something to do; `false` when there will be nothing more.
    fn wait_for(&self, is_due: impl Fn(&Signals) -> bool) -> bool {
        let mut signals = self.signals();
        while !is_due(&signals) && !signals.stop && !signals.failed {
            signals = self.changed.wait(signals).unwrap_or_else(PoisonError::into_inner);
        }
        is_due(&signals) && !signals.stop && !signals.failed
    }
}

/// What an event takes of a memtable when nearly each has a total of its own.
const EVENT_MEMORY_BYTES: usize = 320;
/// One that is filled, one that is flushed, what sorting it takes, and what tables reserve and the
/// allocator keeps.
const MEMTABLES: usize = 4;
/// The least that a memtable holds before it is flushed, however little memory is left.
const MEMTABLE_BYTES_MIN: usize = 4 * 1_024 * 1_024;

/// What the threads work on.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) background: Arc<Background>,
    pub(crate) state: Arc<State>,
    pub(crate) log: Arc<LogReader>,
    pub(crate) disk: Arc<dyn Disk>,
}

/// The threads, to be waited for.
#[derive(Debug)]
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    pub(crate) fn start(work: &Work) -> io::Result<Self> {
        let mut threads = Vec::new();
        let flush = work.clone();
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(run)
        };
        threads.push(spawn("usage-flush", Box::new(move || flush.run_flushes()))?);
        let tidy = work.clone();
        threads.push(spawn("usage-tidy", Box::new(move || tidy.run_tidying()))?);
        Ok(Self(threads))
    }

    pub(crate) fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::error!("a background thread of the usage engine panicked");
            }
        }
    }
}

/// Says that the thread failed unless it is told otherwise, however it ends.
struct FailOnDrop<'a>(&'a Background);

impl Drop for FailOnDrop<'_> {
    fn drop(&mut self) {
        self.0.signal(|signals| signals.failed |= !signals.stop);
    }
}

impl Work {
    fn run_flushes(self) {
        let _failed = FailOnDrop(&self.background);
        while self.background.wait_for(|signals| signals.flush) {
            if let Err(error) = self.flush() {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "cannot write the usage index");
                return;
            }
            self.background.signal(|signals| {
                signals.flush = false;
                signals.tidy = true;
            });
        }
    }

    /// Writes what is aside as a run.
    pub(crate) fn flush(&self) -> Result<(), IndexError> {
        let frozen = match self.state.published() {
            Ok(published) => published.frozen.clone(),
            Err(_) => None,
        };
        if let Some(frozen) = frozen {
            let run = flush::write(&frozen, &self.state.index, self.disk.as_ref())?;
            self.state.index.add(run)?;
            drop(frozen);
            self.state.take_runs().ok();
        }
        Ok(())
    }

    fn run_tidying(self) {
        lower_priority();
        while self.background.wait_for(|signals| signals.tidy) {
            self.background.signal(|signals| {
                signals.tidy = false;
                signals.tidying = true;
            });
            if let Err(error) = self.tidy()
                && !self.is_stopping()
            {
                // Nothing is lost: the runs and segments are as they were, and it is tried again.
                let error: &dyn std::error::Error = error.as_ref();
                tracing::warn!(error, "cannot tidy the usage engine's files");
            }
            self.background.signal(|signals| signals.tidying = false);
        }
    }

    fn tidy(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // First, since the log waits for it; the others are done all the same when it fails.
        let disk = Stoppable { disk: self.disk.as_ref(), stop: &self.background.stop };
        let prepared = self.log.prepare_next(&disk);
        while self.merge_once()? {}
        // What the index covers is never read again at start, so it may be compressed.
        let covered = self.state.index.watermark();
        while !self.is_stopping() && self.log.compress_next(covered, &disk)? {}
        prepared?;
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.background.stop.load(Ordering::Relaxed)
    }

    fn merge_once(&self) -> Result<bool, IndexError> {
        let index = &self.state.index;
        let runs = index.runs();
        let levels: Vec<u8> = runs.iter().map(|run| run.level()).collect();
        let Some(range) = pick(&levels).filter(|_| !self.is_stopping()) else { return Ok(false) };
        let number = index.next_number()?;
        let merging = runs.get(range.clone()).unwrap_or_default();
        let first_seq = self.log.first_seq();
        let mut keep = |_, seq| seq >= first_seq;
        let disk = Stoppable { disk: self.disk.as_ref(), stop: &self.background.stop };
        let merged = merge(index.dir(), number, merging, &mut Combiner, &mut keep, &disk);
        if merged.is_err() && self.is_stopping() {
            return Ok(false);
        }
        let merged = merged?;
        index.replace(range, merged)?;
        self.state.take_runs().ok();
        Ok(true)
    }
}

/// A disk that takes nothing more once a merge is to give up.
#[derive(Debug)]
struct Stoppable<'a> {
    disk: &'a dyn Disk,
    stop: &'a AtomicBool,
}

impl Stoppable<'_> {
    fn check(&self) -> io::Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(io::Error::other("stopping")) } else { Ok(()) }
    }
}

impl Disk for Stoppable<'_> {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.disk.allocate(file, bytes)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check()?;
        self.disk.write_all_at(file, bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.check()?;
        self.disk.sync_data(file)
    }

    fn sync_all(&self, file: &File) -> io::Result<()> {
        self.disk.sync_all(file)
    }

    fn set_len(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.disk.set_len(file, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
}

/// So that commits go first.
fn lower_priority() {
    rustix::process::setpriority_process(None, 10).ok();
}
