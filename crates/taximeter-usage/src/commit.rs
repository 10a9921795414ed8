//! The commit thread: decide, write, sync, publish, answer.

use std::io;
use std::sync::{Arc, RwLock};

use crate::event::{Cancelled, Event, NewEvent};
use crate::log::Log;
use crate::log::frame::FrameBuffer;
use crate::queue::{AppendJob, CancelJob, Group, Outcome, Queue};
use crate::record::put_cancel;
use crate::state::{CancelDecision, Decision, Inconsistent, State};

/// How many events are published under one lock, so that readers wait for no longer.
const PUBLISHED_PER_LOCK: usize = 512;

/// Why the shard stops.
#[derive(Debug, thiserror::Error)]
enum StopError {
    /// Nobody knows what of the last frame the disk holds.
    #[error("cannot write the usage log")]
    Write(#[from] io::Error),
    /// A bug: what was decided cannot be applied.
    #[error("usage state is inconsistent: {0}")]
    Inconsistent(&'static str),
    /// A bug: something panicked with the state half changed.
    #[error("usage state is half changed")]
    Poisoned,
}

impl From<Inconsistent> for StopError {
    fn from(Inconsistent(what): Inconsistent) -> Self {
        Self::Inconsistent(what)
    }
}

#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) state: Arc<RwLock<State>>,
    pub(crate) log: Log,
    pub(crate) frame: FrameBuffer,
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
                Group::Cancels(jobs) => self.commit_cancels(jobs)?,
            }
        }
        Ok(self.log.mark()?)
    }

    fn commit_appends(&mut self, jobs: Vec<AppendJob>) -> Result<(), StopError> {
        let decisions = {
            let state = self.state.read().map_err(|_| StopError::Poisoned)?;
            state.decide(jobs.iter().flat_map(|job| &job.events))
        };
        self.frame.clear();
        let records = jobs.iter().flat_map(|job| job.records.iter());
        for (record, decision) in records.zip(&decisions) {
            if matches!(decision, Decision::Record(_)) {
                self.frame.push(record);
            }
        }
        self.write_frame()?;
        let events = jobs.iter().flat_map(|job| &job.events).zip(&decisions);
        self.publish(events.filter_map(|(event, decision)| match decision {
            Decision::Record(seq) => Some((*seq, event)),
            Decision::Replay(_)
            | Decision::RequestMismatch
            | Decision::DuplicateIdentifier
            | Decision::Overflow => None,
        }))?;
        let mut decisions = decisions.into_iter();
        for job in jobs {
            let outcomes = job.events.into_iter().zip(&mut decisions);
            let outcomes = outcomes.map(|(event, decision)| outcome(event, decision)).collect();
            // Whoever asked may have gone away; the events are recorded all the same.
            job.answer.send(outcomes).ok();
        }
        Ok(())
    }

    fn commit_cancels(&mut self, jobs: Vec<CancelJob>) -> Result<(), StopError> {
        let decisions = {
            let state = self.state.read().map_err(|_| StopError::Poisoned)?;
            state.decide_cancels(jobs.iter().map(|job| &job.cancel))
        };
        self.frame.clear();
        let mut record = Vec::new();
        for decision in &decisions {
            if let CancelDecision::Record(cancel) = decision {
                record.clear();
                put_cancel(&mut record, cancel);
                self.frame.push(&record);
            }
        }
        self.write_frame()?;
        let mut answers = Vec::with_capacity(jobs.len());
        {
            let mut state = self.state.write().map_err(|_| StopError::Poisoned)?;
            for decision in decisions {
                answers.push(match decision {
                    CancelDecision::Record(cancel) => {
                        let seq = state.next_seq();
                        state.apply_cancel(seq, &cancel)?;
                        Cancelled::Cancelled
                    }
                    CancelDecision::Answer(answer) => answer,
                });
            }
        }
        for (job, answer) in jobs.into_iter().zip(answers) {
            job.answer.send(answer).ok();
        }
        Ok(())
    }

    fn write_frame(&mut self) -> io::Result<()> {
        if self.frame.records() > 0 { self.log.append(&mut self.frame) } else { Ok(()) }
    }

    fn publish<'a>(
        &self,
        mut events: impl Iterator<Item = (u64, &'a NewEvent)>,
    ) -> Result<(), StopError> {
        let mut next = events.next();
        while next.is_some() {
            let mut state = self.state.write().map_err(|_| StopError::Poisoned)?;
            for _ in 0..PUBLISHED_PER_LOCK {
                let Some((seq, event)) = next else { break };
                state.apply_event(seq, event)?;
                next = events.next();
            }
        }
        Ok(())
    }
}

fn outcome(event: NewEvent, decision: Decision) -> Outcome {
    match decision {
        Decision::Record(seq) => Outcome::Recorded(Event::new(seq, event)),
        Decision::Replay(seq) => Outcome::Replayed(seq),
        Decision::RequestMismatch => Outcome::RequestMismatch,
        Decision::DuplicateIdentifier => Outcome::DuplicateIdentifier,
        Decision::Overflow => Outcome::Overflow,
    }
}
