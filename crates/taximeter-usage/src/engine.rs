//! The engine as others see it.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use taximeter_kernel::aggregate::{Total, Window};
use taximeter_kernel::id::{Customer, Id, Scope};
use taximeter_kernel::time::Period;

use crate::error::{AppendError, OpenError, ReadError};
use crate::event::{Appended, Cancel, Cancelled, Event, EventQuery, Grain, NewEvent, Series};
use crate::log::create_dir;
use crate::log::disk::{Disk, OsDisk};
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1_024 * 1_024,
            queue_events_max: 100_000,
            queue_bytes_max: 64 * 1_024 * 1_024,
        }
    }
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
    /// the whole log before it returns.
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
        let shard = Shard::open(&dir.join("shard-0"), options, disk)?;
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
    pub async fn append(&self, batch: Vec<NewEvent>) -> Result<Vec<Appended>, AppendError> {
        self.inner.shard.append(batch).await
    }

    /// Stops counting one event. When this returns `Cancelled`, that is durable and in every total
    /// read from then on.
    ///
    /// # Errors
    /// [`AppendError::Full`], [`AppendError::TooLarge`] and [`AppendError::Stopped`] as for
    /// [`append`](Self::append); sending again is safe.
    pub async fn cancel(&self, cancel: Cancel) -> Result<Cancelled, AppendError> {
        self.inner.shard.cancel(cancel).await
    }

    /// What the events of `series` with a timestamp in `period` amount to. With a `window`, only
    /// the event that was received last in each whole UTC hour or day counts, if it lies in
    /// `period`.
    ///
    /// # Errors
    /// [`ReadError::Overflow`] when the total does not fit; [`ReadError::Stopped`].
    pub fn total(
        &self,
        series: &Series,
        window: Option<Window>,
        period: Period,
    ) -> Result<Total, ReadError> {
        self.inner.shard.total(series, window, period)
    }

    /// The same total in parts: one per UTC hour or day, oldest first, without those in which
    /// nothing counts. The first and last are cut to `period`, so that the parts merge to
    /// [`total`](Self::total).
    ///
    /// # Errors
    /// As for [`total`](Self::total).
    pub fn totals(
        &self,
        series: &Series,
        window: Option<Window>,
        period: Period,
        grain: Grain,
    ) -> Result<Vec<(Period, Total)>, ReadError> {
        self.inner.shard.totals(series, window, period, grain)
    }

    /// The recorded events that `query` asks for, cancelled ones too, in the order of arrival. A
    /// page as long as the limit may have one after it: ask again with the last `seq` as `after`.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Io`] and [`ReadError::Stopped`].
    pub fn events(&self, query: &EventQuery) -> Result<Vec<Event>, ReadError> {
        self.inner.shard.events(query)
    }

    /// The customer's event with that identifier.
    ///
    /// # Errors
    /// As for [`events`](Self::events).
    pub fn event_by_identifier(
        &self,
        scope: &Scope,
        customer: &Id<Customer>,
        identifier: &str,
    ) -> Result<Option<Event>, ReadError> {
        self.inner.shard.event_by_identifier(scope, customer, identifier)
    }

    /// Commits what waits and stops, also for the other handles; the directory can then be opened
    /// again. Blocks until that is done. Dropping the last handle does the same.
    pub fn close(self) {
        self.inner.shard.close();
        drop(self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Makes `dir` this engine's own for as long as the file is open.
fn lock(dir: &Path, disk: &dyn Disk) -> Result<File, OpenError> {
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
