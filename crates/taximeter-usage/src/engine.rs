//! The engine as others see it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use taximeter_kernel::aggregate::Usage;
use taximeter_kernel::id::{Customer, Id, Scope};
use taximeter_kernel::time::{Period, Timestamp};

use crate::batch::Batch;
use crate::error::{AppendError, OpenError, ReadError};
use crate::event::{Appended, Corrected, Correction, Event, Series, Standing};
use crate::log::create_dir;
use crate::log::disk::{Disk, OsDisk};
use crate::query::{EventPage, EventQuery, UsageGroup, UsageQuery};
use crate::shard::Shard;

/// Sizes that an operator may want to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many bytes one file of the log is given. A restart reads whole files into memory.
    pub segment_bytes: u64,
    /// The most events that wait to be committed; beyond it appends are answered
    /// [`AppendError::Full`].
    pub queue_events_max: usize,
    /// The most bytes of encoded events that wait to be committed.
    pub queue_bytes_max: usize,
    /// About how many bytes of memory the engine may take.
    pub memory_bytes: usize,
    /// How many events are kept in memory at most before they are written to the index.
    pub memtable_events_max: usize,
    /// The most combinations of dimension values that one customer may have for one meter.
    pub series_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1_024 * 1_024,
            queue_events_max: 100_000,
            queue_bytes_max: 64 * 1_024 * 1_024,
            memory_bytes: 1_024 * 1_024 * 1_024,
            memtable_events_max: 1_000_000,
            series_max: 1_000,
        }
    }
}

/// How much an engine holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The place in the order of the first record that is still there.
    pub first_seq: u64,
    /// The place of the last record.
    pub last_seq: u64,
    /// The place of the last record that the index covers.
    pub indexed_seq: u64,
    /// How many runs the index has.
    pub runs: usize,
    /// About how many bytes of memory are in use for what came in since.
    pub memtable_bytes: usize,
    /// How many bytes of memory the index takes: filters, and where its blocks begin.
    pub index_memory_bytes: u64,
}

/// A handle on the usage engine of one directory. Clones are handles on the same engine.
///
/// The engine stops when it is [closed](Engine::close), when its last handle is dropped, and when
/// its disk fails. A stopped engine appends nothing; reads still answer with all that was recorded.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

impl fmt::Debug for Engine {
    /// Without the state, which may be large.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

struct Inner {
    // Dropped first: the directory is free only once nothing is written any more.
    shard: Shard,
    lock: Mutex<Option<File>>,
}

impl Engine {
    /// Opens the engine whose data is in `dir`, creating the directory where there is none. Reads
    /// what of the log its index does not cover before it returns.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while any engine has the directory open; [`OpenError::Damaged`] when
    /// the log holds anything that a crash cannot explain; [`OpenError::UnknownFormat`] and
    /// [`OpenError::Io`].
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_on(dir, options, Arc::new(OsDisk))
    }

    pub(crate) fn open_on(
        dir: &Path,
        options: Options,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, OpenError> {
        let lock = lock(dir, disk.as_ref())?;
        let shard = Shard::open(&shard_dir(dir), options, disk)?;
        Ok(Self { inner: Arc::new(Inner { shard, lock: Mutex::new(Some(lock)) }) })
    }

    /// Whether it takes events: it has not been closed, and its disk has not failed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.inner.shard.is_running()
    }

    /// Records the events of `batch` that are new, and says of each what became of it, in order.
    /// When this returns, the recorded events are durable and in every total read from then on.
    ///
    /// An event whose [`RequestKey`](crate::RequestKey) is remembered is answered by it; only
    /// otherwise is its identifier looked at. Events of one batch may be recorded in part: each
    /// stands for itself. Dropping the future does not undo the append.
    ///
    /// # Errors
    /// [`AppendError::Full`], [`AppendError::TooLarge`] (nothing was recorded),
    /// [`AppendError::Stopped`] (unknown; sending again is safe) and [`AppendError::Read`].
    pub async fn append(&self, batch: Batch) -> Result<Vec<Appended>, AppendError> {
        self.inner.shard.append(batch).await
    }

    /// Corrects what was recorded, order after order, and says of each what became of it. When this
    /// returns, what is `Done` is durable and in every total read from then on.
    ///
    /// # Errors
    /// As for [`append`](Self::append); sending again is safe.
    pub async fn correct(&self, orders: Vec<Correction>) -> Result<Vec<Corrected>, AppendError> {
        self.inner.shard.correct(orders).await
    }

    /// What the usage that `query` asks for amounts to between each two neighbours of `boundaries`,
    /// which ascend: `[0, 60, 120]` gives two amounts. One group if the query does not group, and
    /// one for each combination of dimension values that occurs if it does, in the order of the values.
    ///
    /// # Errors
    /// [`ReadError::Overflow`] when an amount does not fit; [`ReadError::Damaged`],
    /// [`ReadError::Io`] and [`ReadError::Stopped`].
    pub fn usage(
        &self,
        query: &UsageQuery,
        boundaries: &[Timestamp],
    ) -> Result<Vec<UsageGroup>, ReadError> {
        self.inner.shard.usage(query, boundaries)
    }

    /// The usage of one span, for a query that does not group.
    ///
    /// # Errors
    /// As for [`usage`](Self::usage).
    pub fn usage_in(&self, query: &UsageQuery, period: Period) -> Result<Usage, ReadError> {
        let groups = self.usage(query, &[period.start, period.end])?;
        Ok(groups.first().and_then(|group| group.usage.first()).copied().unwrap_or(Usage::NONE))
    }

    /// The events of a series with a timestamp in `period`, by their place in the order, and how
    /// each stood when nothing behind the place `as_of` was recorded.
    ///
    /// # Errors
    /// As for [`usage`](Self::usage).
    pub fn standings(
        &self,
        series: &Series,
        period: Period,
        as_of: Option<u64>,
    ) -> Result<BTreeMap<u64, Standing>, ReadError> {
        self.inner.shard.standings(series, period, as_of)
    }

    /// The recorded events that `query` asks for, cancelled and amended ones too.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Io`] and [`ReadError::Stopped`].
    pub fn events(&self, query: &EventQuery) -> Result<EventPage, ReadError> {
        self.inner.shard.events(query)
    }

    /// The events with that identifier, each in its current version: at most one for a customer.
    ///
    /// # Errors
    /// As for [`events`](Self::events).
    pub fn events_by_identifier(
        &self,
        scope: &Scope,
        customer: Option<&Id<Customer>>,
        identifier: &str,
    ) -> Result<Vec<Event>, ReadError> {
        self.inner.shard.events_by_identifier(scope, customer, identifier)
    }

    /// The event at that place in the order.
    ///
    /// # Errors
    /// As for [`events`](Self::events).
    pub fn event_at(&self, seq: u64) -> Result<Option<Event>, ReadError> {
        self.inner.shard.event_at(seq)
    }

    /// The place in the order of what was recorded last; 0 when nothing was.
    ///
    /// # Errors
    /// [`ReadError::Stopped`].
    pub fn position(&self) -> Result<u64, ReadError> {
        self.inner.shard.position()
    }

    /// Deletes whole files of events that were received before `instant` and are in the index. Their
    /// totals stay; the events cannot be read any more, and their identifiers are free. Gives how many
    /// files were deleted.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Io`] and [`ReadError::Stopped`].
    pub fn delete_events_received_before(&self, instant: Timestamp) -> Result<usize, ReadError> {
        self.inner.shard.delete_events_received_before(instant)
    }

    /// How much there is, and where.
    ///
    /// # Errors
    /// [`ReadError::Stopped`].
    pub fn stats(&self) -> Result<Stats, ReadError> {
        self.inner.shard.stats()
    }

    /// Writes what is in memory to the index, and returns when that is done. The engine does so by
    /// itself when it is much.
    ///
    /// # Errors
    /// [`ReadError::Stopped`].
    pub fn flush(&self) -> Result<(), ReadError> {
        self.inner.shard.flush()
    }

    /// Merges runs of the index and compresses sealed files of the log until there is nothing left
    /// to do, and returns when that is done. The engine does so by itself in the background.
    ///
    /// # Errors
    /// [`ReadError::Stopped`].
    pub fn tidy(&self) -> Result<(), ReadError> {
        self.inner.shard.tidy()
    }

    /// Commits what waits and stops, also for the other handles; the directory can then be opened
    /// again. Blocks until that is done. Dropping the last handle does the same.
    pub fn close(self) {
        self.inner.shard.close();
        drop(self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Where the files of the one shard are.
pub(crate) fn shard_dir(dir: &Path) -> PathBuf {
    dir.join("shard-0")
}

/// Makes `dir` this engine's own for as long as the file is open.
pub(crate) fn lock(dir: &Path, disk: &dyn Disk) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let failed = |source| OpenError::Io { path: path.clone(), source };
    create_dir(dir, disk).map_err(failed)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
