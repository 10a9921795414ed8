//! What time brings: work that is due, put down in the transaction in which it becomes due to be, and
//! done in the one that strikes it out.
//!
//! A job is named by its kind and its subject, so that it is there once however often it is put down:
//! a renewal that was cut short by a crash is found again, and one that was done is not. Its handler
//! holds the subject, [takes](take) the job, does whatever time has brought, and puts the job down
//! again for the next instant, if there is one. Where several processes share a database, a job that
//! one of them does is left out by the others.
//!
//! A worker holds what requests hold in the order in which they do: the customer or clock first, a
//! job's row last. So neither waits for the other in a circle.

mod run;
mod sql;

pub use run::{Pass, run_due};
pub(crate) use run::{next_of_clock, run_next_of_clock, told};
pub use sql::{State, states, take};
use taximeter_kernel::id::{Id, TestClock};
use taximeter_kernel::time::Timestamp;

use crate::ctx::Ctx;
use crate::error::Result;

crate::choice! {
    /// What kind of work.
    pub enum Kind {
        /// A draft is finalized, an open invoice collected or overdue. The subject is the invoice.
        Invoice = "invoice",
        /// Whatever time brings a subscription: a trial's end, a renewal, its end. The subject is the
        /// subscription.
        Subscription = "subscription",
        /// The subscription of a schedule begins. The subject is the schedule.
        SubscriptionSchedule = "subscription_schedule",
        /// A test clock is moved on. The subject is the clock.
        TestClock = "test_clock",
    }
}

/// A piece of work.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Of what kind.
    pub kind: Kind,
    /// About which object.
    pub subject: &'a str,
    /// The test clock by which it is due; the time of the world, if none.
    pub clock: Option<&'a Id<TestClock>>,
}

/// Puts a job down for `due`, or moves it there. With nothing due, it is struck out.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn schedule(ctx: &mut Ctx, job: Job<'_>, due: Option<Timestamp>) -> Result<()> {
    let Some(due) = due else { return sql::forget(ctx, job).await };
    sql::put(ctx, job, due).await?;
    if job.clock.is_none() && due <= ctx.now {
        ctx.ring();
    }
    Ok(())
}
