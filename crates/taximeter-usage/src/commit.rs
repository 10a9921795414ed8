//! The commit thread: decide, write, sync, publish, answer.

use std::io;
use std::sync::Arc;

use crate::background::Background;
use crate::decide::{Decider, Verdict};
use crate::error::ReadError;
use crate::event::{Appended, Event};
use crate::known::KnownValues;
use crate::log::{FrameBuffer, Log, LogReader};
use crate::lookup::{by_identifier, with_standing};
use crate::memtable::totals::Addition;
use crate::queue::{AppendDone, AppendJob, Group, Queue};
use crate::record::Chunk;
use crate::state::{ApplyError, State};
use crate::totals::keys::hour_of;

/// How many events are published under one lock, so that readers wait for no longer.
const PUBLISHED_PER_LOCK: usize = 256;

/// Why the shard stops.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopError {
    /// Nobody knows what of the last frame the disk holds.
    #[error("cannot write the usage log")]
    Write(#[from] io::Error),
    /// Without what was recorded before, nothing can be decided.
    #[error("cannot read what was recorded")]
    Read(#[from] ReadError),
    /// A bug: what was decided cannot be applied.
    #[error("usage state is inconsistent: {0}")]
    Inconsistent(&'static str),
}

impl From<ApplyError> for StopError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Inconsistent(what) => Self::Inconsistent(what),
            ApplyError::Read(error) => Self::Read(error),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) state: Arc<State>,
    pub(crate) log: Log,
    pub(crate) reader: Arc<LogReader>,
    pub(crate) frame: FrameBuffer,
    pub(crate) background: Arc<Background>,
    pub(crate) known: KnownValues,
    pub(crate) series_max: usize,
}

/// Stops the queue however the thread ends, so that nobody waits for an answer for ever.
struct StopOnDrop(Arc<Queue>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Committer {
    /// Commits group after group until the queue is closed and empty, or until an error.
    pub(crate) fn run(mut self) {
        let _stop = StopOnDrop(Arc::clone(&self.queue));
        if let Err(error) = self.run_until_closed() {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "usage engine stopped");
        }
    }

    fn run_until_closed(&mut self) -> Result<(), StopError> {
        while let Some(group) = self.queue.take() {
            match group {
                Group::Appends(jobs) => self.commit_appends(jobs)?,
                Group::Corrections(jobs) => self.commit_corrections(jobs)?,
                Group::Flush(asked) => {
                    self.put_aside()?;
                    // Whoever asked may have gone away.
                    asked.send(()).ok();
                }
            }
            if self.background.is_due(&self.state)? {
                self.put_aside()?;
            }
        }
        Ok(self.log.mark()?)
    }

    /// Puts what came in aside to be flushed, and waits while there is no room for that.
    fn put_aside(&mut self) -> Result<(), StopError> {
        if !self.background.wait_until_flushed() {
            return Err(StopError::Inconsistent("nothing is flushed any more"));
        }
        if self.state.freeze(self.background.capacity(&self.state))? {
            self.background.flush();
        }
        Ok(())
    }

    fn commit_appends(&mut self, jobs: Vec<AppendJob>) -> Result<(), StopError> {
        let first_seq = self.log.next_seq();
        self.known.begin_group();
        let mut decider = Decider {
            state: &self.state,
            log: &self.reader,
            runs: Arc::default(),
            jobs: &jobs,
            series_max: self.series_max,
            known: &mut self.known,
            first_seq,
            recorded: Vec::new(),
        };
        let verdicts = decider.decide()?;
        let recorded = decider.recorded;
        self.write(&jobs, &verdicts)?;
        self.publish(&jobs, &recorded, first_seq)?;
        self.answer(jobs, &verdicts);
        Ok(())
    }

    fn write(&mut self, jobs: &[AppendJob], verdicts: &[Verdict]) -> Result<(), StopError> {
        self.frame.clear();
        let mut verdicts = verdicts;
        for job in jobs {
            let of_job = take_first(&mut verdicts, job.batch.len());
            if of_job.iter().all(is_recorded) {
                self.frame.push(&job.chunk);
            } else if of_job.iter().any(is_recorded) {
                let keep: Vec<bool> = of_job.iter().map(is_recorded).collect();
                self.frame.push(&without(&job.chunk, &keep)?);
            }
        }
        if self.frame.records() > 0 && self.log.append(&mut self.frame)? {
            self.background.tidy();
        }
        Ok(())
    }

    fn publish(
        &self,
        jobs: &[AppendJob],
        recorded: &[(usize, usize)],
        first_seq: u64,
    ) -> Result<(), StopError> {
        let mut seqs = first_seq..;
        let mut additions = Vec::with_capacity(PUBLISHED_PER_LOCK.min(recorded.len()));
        for part in recorded.chunks(PUBLISHED_PER_LOCK) {
            additions.clear();
            for (job, event) in part {
                let Some(batch) = jobs.get(*job).map(|job| &job.batch) else { continue };
                let Some(event) = batch.events.get(*event) else { continue };
                let Some(seq) = seqs.next() else { continue };
                additions.push(Addition {
                    series: batch.series(event),
                    dimensions: batch.dimensions(event),
                    hash: event.hash,
                    hour: hour_of(event.timestamp),
                    aggregation: event.aggregation,
                    event: event.counted(seq),
                });
            }
            self.state.publish(|published| published.add(&additions))?;
        }
        Ok(())
    }

    fn answer(&self, jobs: Vec<AppendJob>, verdicts: &[Verdict]) {
        let mut verdicts = verdicts;
        for job in jobs {
            let AppendJob { batch, chunk, mut outcomes, answer } = job;
            let of_job = take_first(&mut verdicts, batch.len());
            let answered = of_job.iter().try_for_each(|verdict| {
                outcomes.push(self.outcome(*verdict)?);
                Ok(())
            });
            let outcomes = answered.map(|()| outcomes);
            // Whoever asked may have gone away; the events are recorded all the same.
            answer.send(AppendDone { outcomes, spent: (batch, chunk) }).ok();
        }
    }

    fn outcome(&self, verdict: Verdict) -> Result<Appended, ReadError> {
        Ok(match verdict {
            Verdict::Record(seq) => Appended::Recorded(seq),
            Verdict::Replay(seq) => Appended::Replayed(Box::new(self.event(seq)?)),
            Verdict::RequestMismatch => Appended::RequestMismatch,
            Verdict::Duplicate(seq) => Appended::Duplicate(seq),
            Verdict::TooManySeries => Appended::TooManySeries,
        })
    }

    fn event(&self, seq: u64) -> Result<Event, ReadError> {
        let event = self.reader.event(seq)?;
        let event = event.ok_or(ReadError::Inconsistent("no event is there"))?;
        let Event { scope, customer, identifier, .. } = &event;
        // The version that counts, or counted last.
        let latest =
            by_identifier(&self.state, &self.reader, scope, Some(customer), identifier)?.pop();
        latest.map_or_else(|| with_standing(&self.state, event), Ok)
    }
}

/// The first `count` verdicts, which are taken away.
fn take_first<'a>(verdicts: &mut &'a [Verdict], count: usize) -> &'a [Verdict] {
    let (first, rest) = verdicts.split_at_checked(count).unwrap_or((*verdicts, &[]));
    *verdicts = rest;
    first
}

const fn is_recorded(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Record(_))
}

/// The chunk without the events that are not recorded.
fn without(chunk: &Chunk, keep: &[bool]) -> Result<Chunk, StopError> {
    let unreadable = |_| StopError::Inconsistent("a chunk just written is unreadable");
    chunk.retain(|at| keep.get(at) == Some(&true)).map_err(unreadable)
}
