//! A shard: a log and the state that the log determines, with the one thread that changes both.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use taximeter_kernel::aggregate::Usage;
use taximeter_kernel::id::{Customer, Id, Scope};
use taximeter_kernel::time::{Period, Timestamp};
use tokio::sync::oneshot;

use crate::background::{Background, Threads, Work};
use crate::batch::{Batch, EVENT_BYTES_MAX};
use crate::commit::Committer;
use crate::engine::{Options, Stats};
use crate::error::{AppendError, OpenError, ReadError};
use crate::event::{Action, Appended, Corrected, Correction, Event, Series, Standing};
use crate::index::Index;
use crate::known::KnownValues;
use crate::log::disk::Disk;
use crate::log::{FrameBuffer, Log, LogReader};
use crate::query::{EventPage, EventQuery, UsageGroup, UsageQuery};
use crate::queue::{AppendDone, AppendJob, CorrectJob, Queue, Size};
use crate::record::{Record, View};
use crate::replay::Replay;
use crate::state::State;
use crate::totals::standings;
use crate::totals::usage::Plan;
use crate::{listing, lookup};

#[derive(Debug)]
pub(crate) struct Shard {
    queue: Arc<Queue>,
    state: Arc<State>,
    log: Arc<LogReader>,
    background: Arc<Background>,
    threads: Mutex<Option<(JoinHandle<()>, Threads)>>,
}

impl Shard {
    /// Opens the shard whose files are in `dir`, and starts its threads.
    pub(crate) fn open(
        dir: &Path,
        options: Options,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, OpenError> {
        let index = Index::open(&dir.join("index"), Arc::clone(&disk))?;
        let state = Arc::new(State::new(index));
        let watermark = state.index.watermark();
        let background = Arc::new(Background::new(options));
        state.make_room(background.capacity(&state));
        let reader = Arc::new(LogReader::new(dir.to_owned(), Arc::clone(&disk)));
        let work = Work {
            background: Arc::clone(&background),
            state: Arc::clone(&state),
            log: Arc::clone(&reader),
            disk: Arc::clone(&disk),
        };
        let mut replay = Replay { work: &work, key: Vec::new(), scope: None };
        let mut apply = |seq: u64, view: &View<'_>| replay.apply(seq, view);
        let log =
            Log::open(Arc::clone(&reader), options.segment_bytes, disk, watermark, &mut apply)?;
        let limit = Size { events: options.queue_events_max, bytes: options.queue_bytes_max };
        let queue = Arc::new(Queue::new(limit));
        let committer = Committer {
            queue: Arc::clone(&queue),
            state: Arc::clone(&state),
            log,
            reader: Arc::clone(&reader),
            frame: FrameBuffer::default(),
            background: Arc::clone(&background),
            known: KnownValues::new(options.memory_bytes),
            series_max: options.series_max,
        };
        let failed = |source| OpenError::Io { path: dir.to_owned(), source };
        let threads = Threads::start(&work).map_err(failed)?;
        background.tidy();
        let commits = thread::Builder::new().name("usage-commit".into());
        let commits = commits.spawn(move || committer.run()).map_err(failed)?;
        let threads = Mutex::new(Some((commits, threads)));
        Ok(Self { queue, state, log: reader, background, threads })
    }

    /// Whether it takes events.
    pub(crate) fn is_running(&self) -> bool {
        self.queue.is_open()
    }

    pub(crate) async fn append(&self, mut batch: Batch) -> Result<Vec<Appended>, AppendError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let chunk = std::mem::take(&mut batch.encoder).finish();
        let size = Size { events: batch.len(), bytes: chunk.bytes() };
        let (answer, answered) = oneshot::channel();
        let outcomes = Vec::with_capacity(batch.len());
        self.queue.append(AppendJob { batch, chunk, outcomes, answer }, size)?;
        let AppendDone { outcomes, spent } = answered.await.map_err(|_| AppendError::Stopped)?;
        drop(spent);
        outcomes.map_err(AppendError::Read)
    }

    pub(crate) async fn correct(
        &self,
        corrections: Vec<Correction>,
    ) -> Result<Vec<Corrected>, AppendError> {
        if corrections.is_empty() {
            return Ok(Vec::new());
        }
        if corrections.iter().any(|correction| bytes_of(correction) > EVENT_BYTES_MAX) {
            return Err(AppendError::TooLarge);
        }
        let bytes = corrections.iter().map(bytes_of).fold(0, usize::saturating_add);
        let size = Size { events: corrections.len(), bytes };
        let (answer, answered) = oneshot::channel();
        self.queue.correct(CorrectJob { corrections, answer }, size)?;
        answered.await.map_err(|_| AppendError::Stopped)
    }

    pub(crate) fn usage(
        &self,
        query: &UsageQuery,
        boundaries: &[Timestamp],
    ) -> Result<Vec<UsageGroup>, ReadError> {
        let Some(plan) = Plan::new(query, boundaries) else {
            let spans = boundaries.len().saturating_sub(1);
            let group = UsageGroup { dimensions: Vec::new(), usage: vec![Usage::NONE; spans] };
            return Ok(if query.group_by.is_empty() { vec![group] } else { Vec::new() });
        };
        self.state.read(&plan.needs, |layers| plan.answer(layers))
    }

    pub(crate) fn standings(
        &self,
        series: &Series,
        period: Period,
        as_of: Option<u64>,
    ) -> Result<BTreeMap<u64, Standing>, ReadError> {
        let Some(needs) = standings::needs(series, period) else { return Ok(BTreeMap::new()) };
        let as_of = as_of.unwrap_or(u64::MAX);
        self.state.read(&needs, |layers| standings::standings(&needs, layers, period, as_of))
    }

    pub(crate) fn events(&self, query: &EventQuery) -> Result<EventPage, ReadError> {
        listing::page(&self.state, &self.log, query)
    }

    pub(crate) fn events_by_identifier(
        &self,
        scope: &Scope,
        customer: Option<&Id<Customer>>,
        identifier: &str,
    ) -> Result<Vec<Event>, ReadError> {
        lookup::by_identifier(&self.state, &self.log, scope, customer, identifier)
    }

    pub(crate) fn event_at(&self, seq: u64) -> Result<Option<Event>, ReadError> {
        if seq > self.position()? || seq < self.log.first_seq() {
            return Ok(None);
        }
        let event = self.log.event(seq)?;
        event.map(|event| lookup::with_standing(&self.state, event)).transpose()
    }

    pub(crate) fn position(&self) -> Result<u64, ReadError> {
        Ok(self.state.published()?.seq)
    }

    pub(crate) fn delete_events_received_before(
        &self,
        instant: Timestamp,
    ) -> Result<usize, ReadError> {
        let covered = self.state.index.watermark();
        let starts = self.log.segment_starts();
        let mut keep_from = None;
        for (first_seq, end_seq) in starts.iter().zip(starts.iter().skip(1)) {
            if *end_seq > covered.saturating_add(1)
                || self.has_any_received_from(instant, *first_seq, *end_seq)?
            {
                break;
            }
            keep_from = Some(*end_seq);
        }
        let failed = |source| ReadError::Io { path: self.log.dir().to_owned(), source };
        keep_from.map_or(Ok(0), |seq| self.log.drop_before(seq).map_err(failed))
    }

    /// Whether anything from `first_seq` on and before `end_seq` came in at `instant` or later. Reads
    /// up to there: clocks are set back, so the first and the last say nothing of what is between.
    fn has_any_received_from(
        &self,
        instant: Timestamp,
        first_seq: u64,
        end_seq: u64,
    ) -> Result<bool, ReadError> {
        let mut found = false;
        self.log.scan(first_seq, &mut |seq, record| {
            if seq >= end_seq {
                return Ok(ControlFlow::Break(()));
            }
            found = match record {
                // A version is as old as the event; of an order it is the time of the order.
                Record::Event(event)
                | Record::Amended { event, .. }
                | Record::Standing { event, .. } => event.received >= instant,
            };
            Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found)
    }

    pub(crate) fn stats(&self) -> Result<Stats, ReadError> {
        let name_bytes = self.state.names().active.bytes();
        let published = self.state.published()?;
        Ok(Stats {
            first_seq: self.log.first_seq(),
            last_seq: published.seq,
            indexed_seq: self.state.index.watermark(),
            runs: published.runs.len(),
            memtable_bytes: published.active.bytes().saturating_add(name_bytes),
            index_memory_bytes: self.state.index.memory_bytes(),
        })
    }

    /// Writes what is in memory to the index.
    pub(crate) fn flush(&self) -> Result<(), ReadError> {
        let (asked, done) = std::sync::mpsc::channel();
        self.queue.flush(asked).map_err(|_| ReadError::Stopped)?;
        done.recv().map_err(|_| ReadError::Stopped)?;
        if self.background.wait_until_flushed() { Ok(()) } else { Err(ReadError::Stopped) }
    }

    /// Merges and compresses what there is to merge and to compress.
    pub(crate) fn tidy(&self) -> Result<(), ReadError> {
        if self.background.wait_until_tidied() { Ok(()) } else { Err(ReadError::Stopped) }
    }

    /// Commits what waits, takes in nothing more, and waits for the threads to end.
    pub(crate) fn close(&self) {
        self.queue.close();
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((commits, others)) = threads else { return };
        if commits.join().is_err() {
            tracing::error!("usage commit thread panicked");
        }
        self.background.stop();
        others.join();
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.close();
    }
}

/// No less than a correction takes up in the log: the event that it corrects and the one that it
/// puts in its place.
fn bytes_of(correction: &Correction) -> usize {
    const ORDER_BYTES: usize = 1_024;
    match &correction.action {
        Action::Cancel | Action::Restore => ORDER_BYTES,
        Action::Amend(amendment) => {
            let payload = amendment.payload.iter().flat_map(|(key, value)| [key, value]);
            let texts = payload.chain(&amendment.dimensions).map(String::len);
            texts.fold(ORDER_BYTES, |sum, length| sum.saturating_add(length).saturating_add(4))
        }
    }
}
