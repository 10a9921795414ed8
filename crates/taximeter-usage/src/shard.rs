//! A shard: a log and the state that the log determines, with the one thread that changes both.
//!
//! A shard knows nothing of other shards, so several can stand side by side.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::{self, JoinHandle};

use taximeter_kernel::id::{Customer, Id, Scope};
use taximeter_kernel::time::Timestamp;
use tokio::sync::oneshot;

use crate::EVENTS_PER_READ_MAX;
use crate::batch::{Batch, EVENT_BYTES_MAX};
use crate::commit::Committer;
use crate::engine::Options;
use crate::error::{AppendError, OpenError, ReadError};
use crate::event::{Action, Appended, Corrected, Correction, Event};
use crate::log::Log;
use crate::log::disk::Disk;
use crate::log::frame::{FrameBuffer, RECORD_LENGTH_BYTES_MAX};
use crate::query::{EventPage, EventQuery, UsageGroup, UsageQuery};
use crate::queue::{AppendJob, CorrectJob, Queue, Size};
use crate::state::State;

pub(crate) struct Shard {
    queue: Arc<Queue>,
    state: Arc<RwLock<State>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Shard {
    /// Opens the shard whose log is in `dir`, and starts its thread.
    pub(crate) fn open(
        dir: &Path,
        options: Options,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, OpenError> {
        let mut state = State::default();
        let log = Log::open(dir, options.segment_bytes, disk, &mut |seq, record| {
            state.apply(seq, record).map_err(|inconsistent| inconsistent.0)
        })?;
        let limit = Size { events: options.queue_events_max, bytes: options.queue_bytes_max };
        let queue = Arc::new(Queue::new(limit));
        let state = Arc::new(RwLock::new(state));
        let committer = Committer {
            queue: Arc::clone(&queue),
            state: Arc::clone(&state),
            log,
            frame: FrameBuffer::default(),
            series_max: options.series_max,
        };
        let thread = thread::Builder::new()
            .name("usage-commit".into())
            .spawn(move || committer.run())
            .map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
        Ok(Self { queue, state, thread: Mutex::new(Some(thread)) })
    }

    /// Whether it takes events.
    pub(crate) fn is_running(&self) -> bool {
        self.queue.is_open()
    }

    pub(crate) async fn append(&self, batch: Batch) -> Result<Vec<Appended>, AppendError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let Batch { events, records, .. } = batch;
        let bytes = records.iter().map(|one| one.len().saturating_add(RECORD_LENGTH_BYTES_MAX));
        let size = Size { events: events.len(), bytes: bytes.sum() };
        let (answer, answered) = oneshot::channel();
        self.queue.append(AppendJob { events, records, answer }, size)?;
        answered.await.map_err(|_| AppendError::Stopped)
    }

    pub(crate) async fn correct(
        &self,
        corrections: Vec<Correction>,
    ) -> Result<Vec<Corrected>, AppendError> {
        let bytes = |correction: &Correction| match &correction.action {
            Action::Cancel | Action::Restore => 1_024,
            Action::Amend(amendment) => {
                let payload = amendment.payload.iter();
                let payload: usize = payload.map(|(k, v)| k.len().saturating_add(v.len())).sum();
                let dimensions: usize = amendment.dimensions.iter().map(String::len).sum();
                payload.saturating_add(dimensions).saturating_add(4_096)
            }
        };
        if corrections.iter().any(|correction| bytes(correction) > EVENT_BYTES_MAX) {
            return Err(AppendError::TooLarge);
        }
        let size = Size { events: corrections.len(), bytes: corrections.iter().map(bytes).sum() };
        let (answer, answered) = oneshot::channel();
        self.queue.correct(CorrectJob { corrections, answer }, size)?;
        answered.await.map_err(|_| AppendError::Stopped)
    }

    pub(crate) fn usage(
        &self,
        query: &UsageQuery,
        boundaries: &[Timestamp],
    ) -> Result<Vec<UsageGroup>, ReadError> {
        self.state()?.usage(query, boundaries).map_err(|_| ReadError::Overflow)
    }

    pub(crate) fn events(&self, query: &EventQuery) -> Result<EventPage, ReadError> {
        Ok(self.state()?.events(query, query.limit.min(EVENTS_PER_READ_MAX)))
    }

    pub(crate) fn events_by_identifier(
        &self,
        scope: &Scope,
        customer: Option<&Id<Customer>>,
        identifier: &str,
    ) -> Result<Vec<Event>, ReadError> {
        let state = self.state()?;
        Ok(state.by_identifier(scope, customer, identifier).into_iter().cloned().collect())
    }

    pub(crate) fn event_at(&self, seq: u64) -> Result<Option<Event>, ReadError> {
        Ok(self.state()?.event_at(seq).cloned())
    }

    pub(crate) fn position(&self) -> Result<u64, ReadError> {
        Ok(self.state()?.next_seq().saturating_sub(1))
    }

    fn state(&self) -> Result<RwLockReadGuard<'_, State>, ReadError> {
        self.state.read().map_err(|_| ReadError::Stopped)
    }

    /// Commits what waits, takes in nothing more, and waits for the thread to end.
    pub(crate) fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            tracing::error!("usage commit thread panicked");
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.close();
    }
}
