//! Events straight into the engine, in this process: past HTTP, JSON and the catalog.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Appended, Batch, Engine};

use super::cast::{Cast, Ready};
use crate::machine;
use crate::words::{grouped, per_second};

/// What to append.
pub(crate) struct Feed<'a, R> {
    pub(crate) engine: &'a Engine,
    pub(crate) cast: &'a Cast,
    /// Makes the event of a number, or has it.
    pub(crate) ready: R,
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// How many events are appended together.
    pub(crate) batch: u64,
    /// How many batches wait at once.
    pub(crate) in_flight: usize,
    /// After so many events it is said how fast it goes; 0 for never.
    pub(crate) step: u64,
}

/// What it came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fed {
    pub(crate) recorded: u64,
    pub(crate) duplicates: u64,
    pub(crate) took: Duration,
}

struct Progress {
    fed: Fed,
    step_started: Instant,
}

impl<R: Fn(u64) -> Ready> Feed<'_, R> {
    /// Appends all of them, batch after batch, several at once, from one thread.
    pub(crate) fn run(&self) -> Result<Fed, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let next = Cell::new(self.first);
        let started = Instant::now();
        let progress = RefCell::new(Progress { fed: Fed::default(), step_started: started });
        runtime.block_on(async {
            let appenders = (0..self.in_flight).map(|_| self.append(&next, &progress));
            all(appenders.collect()).await
        })?;
        let mut fed = progress.into_inner().fed;
        fed.took = started.elapsed();
        Ok(fed)
    }

    async fn append(&self, next: &Cell<u64>, progress: &RefCell<Progress>) -> Result<(), String> {
        loop {
            let first = next.get();
            let end = (first + self.batch).min(self.end);
            if first == end {
                return Ok(());
            }
            next.set(end);
            let received = Timestamp((self.ready)(first).arrival_s);
            let mut batch = Batch::new(self.cast.scope.clone(), received);
            for number in first..end {
                self.cast.push(&mut batch, &(self.ready)(number))?;
            }
            let outcomes = self.engine.append(batch).await.map_err(|error| error.to_string())?;
            progress.borrow_mut().count(&outcomes, self.step)?;
        }
    }
}

impl Progress {
    fn count(&mut self, outcomes: &[Appended], step: u64) -> Result<(), String> {
        let before = self.fed.recorded + self.fed.duplicates;
        for outcome in outcomes {
            match outcome {
                Appended::Recorded(_) => self.fed.recorded += 1,
                Appended::Duplicate(_) => self.fed.duplicates += 1,
                other => return Err(format!("an event was not recorded: {other:?}")),
            }
        }
        let after = self.fed.recorded + self.fed.duplicates;
        if step > 0 && before / step < after / step {
            println!(
                "    to {} M: {} events/s, {} MiB",
                after / 1_000_000,
                grouped(per_second(step, self.step_started.elapsed())),
                grouped(machine::memory("self")?.rss_kib / 1_024),
            );
            self.step_started = Instant::now();
        }
        Ok(())
    }
}

/// Waits for all, or for the first that fails.
async fn all<F: Future<Output = Result<(), String>>>(futures: Vec<F>) -> Result<(), String> {
    let mut waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        let mut problem = None;
        waiting.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(outcome) => {
                problem = problem.take().or(outcome.err());
                false
            }
        });
        match problem {
            Some(problem) => Poll::Ready(Err(problem)),
            None if waiting.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await
}
