//! The commit thread: decide, write, sync, publish, answer.

use std::io;
use std::sync::{Arc, RwLock};

use crate::event::{Appended, Corrected};
use crate::log::Log;
use crate::log::frame::FrameBuffer;
use crate::queue::{AppendJob, CorrectJob, Group, Queue};
use crate::record::{Record, put_correction};
use crate::state::{Inconsistent, State};

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
            }
        }
        Ok(self.log.mark()?)
    }

    fn commit_appends(&mut self, jobs: Vec<AppendJob>) -> Result<(), StopError> {
        let state = Arc::clone(&self.state);
        // Readers wait until the frame is durable.
        let mut state = state.write().map_err(|_| StopError::Poisoned)?;
        self.frame.clear();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in &jobs {
            let mut outcomes = Vec::with_capacity(job.events.len());
            for (event, record) in job.events.iter().zip(job.records.iter()) {
                let appended = state.decide(event, self.series_max);
                if let Appended::Recorded(seq) = appended {
                    self.frame.push(record);
                    state.apply(seq, &Record::Event(event.clone()))?;
                }
                outcomes.push(appended);
            }
            answers.push(outcomes);
        }
        self.write_frame()?;
        drop(state);
        for (job, answer) in jobs.into_iter().zip(answers) {
            // Whoever asked may have gone away; the events are recorded all the same.
            job.answer.send(answer).ok();
        }
        Ok(())
    }

    fn commit_corrections(&mut self, jobs: Vec<CorrectJob>) -> Result<(), StopError> {
        let state = Arc::clone(&self.state);
        let mut state = state.write().map_err(|_| StopError::Poisoned)?;
        self.frame.clear();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in &jobs {
            let mut outcomes = Vec::with_capacity(job.corrections.len());
            for order in &job.corrections {
                outcomes.push(match state.decide_correction(order, self.series_max) {
                    Err(answer) => answer,
                    Ok(record) => {
                        let mut bytes = Vec::new();
                        put_correction(&mut bytes, &record);
                        self.frame.push(&bytes);
                        let seq = state.next_seq();
                        state.apply(seq, &Record::Correction(record))?;
                        Corrected::Done(seq)
                    }
                });
            }
            answers.push(outcomes);
        }
        self.write_frame()?;
        drop(state);
        for (job, answer) in jobs.into_iter().zip(answers) {
            job.answer.send(answer).ok();
        }
        Ok(())
    }

    fn write_frame(&mut self) -> io::Result<()> {
        if self.frame.records() > 0 { self.log.append(&mut self.frame) } else { Ok(()) }
    }
}
