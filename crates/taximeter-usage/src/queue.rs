//! The bounded queue between those who append and the one thread that commits.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::batch::Batch;
use crate::error::{AppendError, ReadError};
use crate::event::{Appended, Corrected, Correction};
use crate::log::FRAME_PAYLOAD_BYTES_MAX;
use crate::record::Chunk;

/// The most events in one batch.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// The most events that are committed together.
const GROUP_EVENTS_MAX: usize = 20_000;

/// A batch on its way.
#[derive(Debug)]
pub(crate) struct AppendJob {
    pub(crate) batch: Batch,
    /// The events, encoded.
    pub(crate) chunk: Chunk,
    /// Nothing yet, with room for what becomes of each event.
    pub(crate) outcomes: Vec<Appended>,
    pub(crate) answer: oneshot::Sender<AppendDone>,
}

/// A batch on its way back. It goes with the answer because whoever made it frees it with less effort
/// than the commit thread: memory is cheap to free in the thread that took it.
#[derive(Debug)]
pub(crate) struct AppendDone {
    pub(crate) outcomes: Result<Vec<Appended>, ReadError>,
    pub(crate) spent: (Batch, Chunk),
}

/// Corrections on their way.
#[derive(Debug)]
pub(crate) struct CorrectJob {
    pub(crate) corrections: Vec<Correction>,
    pub(crate) answer: oneshot::Sender<Vec<Corrected>>,
}

/// Jobs of one kind that are committed together.
#[derive(Debug)]
pub(crate) enum Group {
    Appends(Vec<AppendJob>),
    Corrections(Vec<CorrectJob>),
    /// Put aside what came in so far, and say so.
    Flush(Sender<()>),
}

/// How much a job takes up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) events: usize,
    /// What its records take up in a frame.
    pub(crate) bytes: usize,
}

impl Size {
    fn plus(self, other: Self) -> Self {
        let events = self.events.saturating_add(other.events);
        Self { events, bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn minus(self, other: Self) -> Self {
        let events = self.events.saturating_sub(other.events);
        Self { events, bytes: self.bytes.saturating_sub(other.bytes) }
    }

    fn fits(self, limit: Self) -> bool {
        self.events <= limit.events && self.bytes <= limit.bytes
    }
}

/// How often whoever takes lets others run before it sleeps.
const YIELDS: usize = 10;
const BATCH_MAX: Size = Size { events: BATCH_EVENTS_MAX, bytes: FRAME_PAYLOAD_BYTES_MAX };
const GROUP_MAX: Size = Size { events: GROUP_EVENTS_MAX, bytes: FRAME_PAYLOAD_BYTES_MAX };

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every job is the large one")]
enum Job {
    Append(AppendJob),
    Correct(CorrectJob),
    Flush(Sender<()>),
}

#[derive(Debug)]
pub(crate) struct Queue {
    limit: Size,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<(Job, Size)>,
    size: Size,
    /// Nothing more is taken in.
    closed: bool,
    /// Whoever takes waits, and was not woken yet.
    idle: bool,
}

impl Queue {
    pub(crate) fn new(limit: Size) -> Self {
        Self { limit, waiting: Mutex::default(), changed: Condvar::new() }
    }

    pub(crate) fn append(&self, job: AppendJob, size: Size) -> Result<(), AppendError> {
        self.push(Job::Append(job), size)
    }

    pub(crate) fn correct(&self, job: CorrectJob, size: Size) -> Result<(), AppendError> {
        self.push(Job::Correct(job), size)
    }

    /// Asks for what came in so far to be put aside.
    pub(crate) fn flush(&self, asked: Sender<()>) -> Result<(), AppendError> {
        self.push(Job::Flush(asked), Size::default())
    }

    fn push(&self, job: Job, size: Size) -> Result<(), AppendError> {
        if !size.fits(BATCH_MAX) || !size.fits(self.limit) {
            return Err(AppendError::TooLarge);
        }
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(AppendError::Stopped);
        }
        let with_job = waiting.size.plus(size);
        if !with_job.fits(self.limit) {
            return Err(AppendError::Full);
        }
        waiting.size = with_job;
        waiting.jobs.push_back((job, size));
        // Waking is a system call even when nobody sleeps.
        let wakes = std::mem::take(&mut waiting.idle);
        drop(waiting);
        if wakes {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Waits for jobs and takes as many as are committed together; `None` once the queue is closed
    /// and empty. Only one thread takes.
    pub(crate) fn take(&self) -> Option<Group> {
        let mut waiting = self.lock();
        // Under load the next job is about to come, and letting others run costs less than sleeping
        // and being woken.
        for _ in 0..YIELDS {
            if waiting.closed || !waiting.jobs.is_empty() {
                break;
            }
            drop(waiting);
            std::thread::yield_now();
            waiting = self.lock();
        }
        while waiting.jobs.is_empty() && !waiting.closed {
            waiting.idle = true;
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.idle = false;
        let (job, mut size) = waiting.pop()?;
        Some(match job {
            Job::Flush(asked) => Group::Flush(asked),
            Job::Append(job) => {
                let mut group = vec![job];
                while let Some(Job::Append(job)) = waiting.pop_if(&mut size, is_append) {
                    group.push(job);
                }
                Group::Appends(group)
            }
            Job::Correct(job) => {
                let mut group = vec![job];
                while let Some(Job::Correct(job)) = waiting.pop_if(&mut size, is_correction) {
                    group.push(job);
                }
                Group::Corrections(group)
            }
        })
    }

    /// Whether it still takes jobs in.
    pub(crate) fn is_open(&self) -> bool {
        !self.lock().closed
    }

    /// Takes in nothing more; what waits is still committed.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Takes in nothing more and drops what waits, which tells its waiters that the engine stopped.
    pub(crate) fn stop(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.size = Size::default();
        let dropped = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics between two changes that belong together, so a poisoned lock is whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_append(job: &Job) -> bool {
    matches!(job, Job::Append(_))
}

fn is_correction(job: &Job) -> bool {
    matches!(job, Job::Correct(_))
}

impl Waiting {
    fn pop(&mut self) -> Option<(Job, Size)> {
        let (job, size) = self.jobs.pop_front()?;
        self.size = self.size.minus(size);
        Some((job, size))
    }

    /// Takes the next job if it is of the kind and the group has room for it.
    fn pop_if(&mut self, group: &mut Size, is_kind: fn(&Job) -> bool) -> Option<Job> {
        let (job, size) = self.jobs.front()?;
        let with_job = group.plus(*size);
        if !is_kind(job) || !with_job.fits(GROUP_MAX) {
            return None;
        }
        *group = with_job;
        self.pop().map(|(job, _)| job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taximeter_kernel::id::{Id, Mode, Scope};
    use taximeter_kernel::time::Timestamp;

    fn queue() -> Queue {
        Queue::new(Size { events: 10, bytes: 1_000 })
    }

    fn batch() -> Batch {
        let scope = Scope { account: Id::parse("acct_1").unwrap(), mode: Mode::Test };
        Batch::new(scope, Timestamp(7))
    }

    fn append_job(answer: oneshot::Sender<AppendDone>) -> AppendJob {
        AppendJob { batch: batch(), chunk: Chunk::default(), outcomes: Vec::new(), answer }
    }

    fn push(queue: &Queue, events: usize, bytes: usize) -> Result<(), AppendError> {
        let (answer, _) = oneshot::channel();
        let job = append_job(answer);
        queue.append(job, Size { events, bytes })
    }

    fn push_cancel(queue: &Queue) {
        let (answer, _) = oneshot::channel();
        let job = CorrectJob { corrections: Vec::new(), answer };
        queue.correct(job, Size { events: 1, bytes: 1 }).unwrap();
    }

    #[test]
    fn the_queue_is_full_by_events_or_by_bytes_until_it_is_drained() {
        let queue = queue();
        push(&queue, 7, 100).unwrap();
        assert!(matches!(push(&queue, 4, 1), Err(AppendError::Full)));
        assert!(matches!(push(&queue, 1, 901), Err(AppendError::Full)));
        push(&queue, 3, 900).unwrap();
        queue.take().unwrap();
        push(&queue, 10, 1_000).unwrap();
    }

    #[test]
    fn a_batch_that_could_never_be_taken_is_too_large() {
        assert!(matches!(push(&queue(), 11, 1), Err(AppendError::TooLarge)));
        assert!(matches!(push(&queue(), 1, 1_001), Err(AppendError::TooLarge)));
    }

    #[test]
    fn a_group_is_a_run_of_one_kind() {
        let queue = queue();
        push(&queue, 1, 1).unwrap();
        push(&queue, 1, 1).unwrap();
        push_cancel(&queue);
        push_cancel(&queue);
        push(&queue, 1, 1).unwrap();
        assert!(matches!(queue.take(), Some(Group::Appends(jobs)) if jobs.len() == 2));
        assert!(matches!(queue.take(), Some(Group::Corrections(jobs)) if jobs.len() == 2));
        assert!(matches!(queue.take(), Some(Group::Appends(jobs)) if jobs.len() == 1));
    }

    #[test]
    fn a_group_is_no_larger_than_a_frame() {
        let limit = Size { events: 100, bytes: 10 * FRAME_PAYLOAD_BYTES_MAX };
        let queue = Queue::new(limit);
        push(&queue, 1, FRAME_PAYLOAD_BYTES_MAX - 7).unwrap();
        push(&queue, 1, 7).unwrap();
        push(&queue, 1, 1).unwrap();
        assert!(matches!(queue.take(), Some(Group::Appends(jobs)) if jobs.len() == 2));
        assert!(matches!(queue.take(), Some(Group::Appends(jobs)) if jobs.len() == 1));
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_then_nothing() {
        let queue = queue();
        push(&queue, 1, 1).unwrap();
        queue.close();
        assert!(matches!(push(&queue, 1, 1), Err(AppendError::Stopped)));
        assert!(queue.take().is_some());
        assert!(queue.take().is_none());
    }

    #[test]
    fn whoever_waits_is_woken_by_each_job_that_comes_to_an_empty_queue() {
        const JOBS: usize = 1_013;
        let queue = Queue::new(Size { events: 7, bytes: 7 });
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let mut taken = 0;
                while let Some(Group::Appends(jobs)) = queue.take() {
                    taken += jobs.len();
                }
                taken
            });
            let mut pushed = 0;
            while pushed < JOBS {
                match push(&queue, 1, 1) {
                    Ok(()) => pushed += 1,
                    Err(_) => std::thread::yield_now(),
                }
            }
            queue.close();
            assert_eq!(taker.join().unwrap(), JOBS);
        });
    }

    #[test]
    fn a_stopped_queue_tells_its_waiters() {
        let queue = queue();
        let (answer, mut waiter) = oneshot::channel();
        let job = append_job(answer);
        queue.append(job, Size { events: 1, bytes: 1 }).unwrap();
        queue.stop();
        assert_eq!(waiter.try_recv().unwrap_err(), oneshot::error::TryRecvError::Closed);
        assert!(queue.take().is_none());
    }
}
