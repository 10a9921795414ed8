//! A shard: a log and the state that the log determines, with the one thread that changes both.
//!
//! A shard knows nothing of other shards, so several can stand side by side.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::{self, JoinHandle};

use taximeter_kernel::aggregate::{Total, Window};
use taximeter_kernel::id::{Customer, Id, Scope};
use taximeter_kernel::time::Period;
use tokio::sync::oneshot;

use crate::EVENTS_PER_READ_MAX;
use crate::commit::Committer;
use crate::engine::Options;
use crate::error::{AppendError, OpenError, ReadError};
use crate::event::{Appended, Cancel, Cancelled, Event, EventQuery, Grain, NewEvent, Series};
use crate::log::Log;
use crate::log::disk::Disk;
use crate::log::frame::{FrameBuffer, RECORD_LENGTH_BYTES_MAX};
use crate::log::reader::LogReader;
use crate::queue::{AppendJob, CancelJob, Outcome, Queue, Records, Size};
use crate::record::put_event;
use crate::state::State;

/// The most bytes that one event takes up in the log.
pub const EVENT_BYTES_MAX: usize = 64 * 1_024;

pub(crate) struct Shard {
    queue: Arc<Queue>,
    state: Arc<RwLock<State>>,
    log: Arc<LogReader>,
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
        let reader = log.reader();
        let committer = Committer {
            queue: Arc::clone(&queue),
            state: Arc::clone(&state),
            log,
            frame: FrameBuffer::default(),
        };
        let thread = thread::Builder::new()
            .name("usage-commit".into())
            .spawn(move || committer.run())
            .map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
        Ok(Self { queue, state, log: reader, thread: Mutex::new(Some(thread)) })
    }

    /// Whether it takes events.
    pub(crate) fn is_running(&self) -> bool {
        self.queue.is_open()
    }

    pub(crate) async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, AppendError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut records = Records::default();
        let mut size = Size { events: events.len(), bytes: 0 };
        for event in &events {
            let bytes = records.push(|out| put_event(out, event));
            if bytes > EVENT_BYTES_MAX {
                return Err(AppendError::TooLarge);
            }
            size.bytes = size.bytes.saturating_add(bytes).saturating_add(RECORD_LENGTH_BYTES_MAX);
        }
        let (answer, answered) = oneshot::channel();
        self.queue.append(AppendJob { events, records, answer }, size)?;
        let outcomes = answered.await.map_err(|_| AppendError::Stopped)?;
        outcomes.into_iter().map(|outcome| self.answer(outcome)).collect()
    }

    fn answer(&self, outcome: Outcome) -> Result<Appended, AppendError> {
        Ok(match outcome {
            Outcome::Recorded(event) => Appended::Recorded(event),
            Outcome::Replayed(seq) => {
                Appended::Replayed(self.event_at(seq).map_err(AppendError::Read)?)
            }
            Outcome::RequestMismatch => Appended::RequestMismatch,
            Outcome::DuplicateIdentifier => Appended::DuplicateIdentifier,
            Outcome::Overflow => Appended::Overflow,
        })
    }

    pub(crate) async fn cancel(&self, cancel: Cancel) -> Result<Cancelled, AppendError> {
        // The record holds the account, the identifier and three numbers of at most 19 bytes.
        let texts = cancel.identifier.len().saturating_add(cancel.scope.account.as_str().len());
        let size = Size { events: 1, bytes: texts.saturating_add(64) };
        if size.bytes > EVENT_BYTES_MAX {
            return Err(AppendError::TooLarge);
        }
        let (answer, answered) = oneshot::channel();
        self.queue.cancel(CancelJob { cancel, answer }, size)?;
        answered.await.map_err(|_| AppendError::Stopped)
    }

    pub(crate) fn total(
        &self,
        series: &Series,
        window: Option<Window>,
        period: Period,
    ) -> Result<Total, ReadError> {
        self.state()?.total(series, window, period).map_err(|_| ReadError::Overflow)
    }

    pub(crate) fn totals(
        &self,
        series: &Series,
        window: Option<Window>,
        period: Period,
        grain: Grain,
    ) -> Result<Vec<(Period, Total)>, ReadError> {
        self.state()?.totals(series, window, period, grain).map_err(|_| ReadError::Overflow)
    }

    pub(crate) fn events(&self, query: &EventQuery) -> Result<Vec<Event>, ReadError> {
        let arrivals = self.state()?.arrivals(query, query.limit.min(EVENTS_PER_READ_MAX));
        let seqs: Vec<u64> = arrivals.iter().map(|(seq, _)| *seq).collect();
        let mut events = self.log.events(&seqs)?;
        for (event, (_, cancelled)) in events.iter_mut().zip(arrivals) {
            event.cancelled = cancelled;
        }
        Ok(events)
    }

    pub(crate) fn event_by_identifier(
        &self,
        scope: &Scope,
        customer: &Id<Customer>,
        identifier: &str,
    ) -> Result<Option<Event>, ReadError> {
        let seq = self.state()?.seq_of(scope, customer, identifier);
        seq.map(|seq| self.event_at(seq)).transpose()
    }

    fn event_at(&self, seq: u64) -> Result<Event, ReadError> {
        let mut events = self.log.events(&[seq])?;
        // One place was asked for, so either it failed above or one event is here.
        let mut event = events.pop().ok_or(ReadError::Stopped)?;
        event.cancelled = self.state()?.is_cancelled(&event);
        Ok(event)
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
