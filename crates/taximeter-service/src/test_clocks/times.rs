//! What time it was for those who live by a test clock, when an event of theirs came in.
//!
//! The usage log keeps when an event came in by the world's time. A test clock may stand anywhere, so
//! of each clock it is noted behind which place in the log it has shown which time.

use taximeter_kernel::id::{Customer, Id};
use taximeter_kernel::time::Timestamp;

use super::{TestClock, sql};
use crate::ctx::Ctx;
use crate::error::{Error, Result};

/// Notes what a clock shows from now on.
pub(super) async fn note(ctx: &mut Ctx, clock: &TestClock) -> Result<()> {
    let position = ctx.usage().position().map_err(Error::internal)?;
    sql::note_time(ctx, clock, position).await
}

/// The clock that a customer lives by, also if the customer was deleted. Live data has none.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn of_customer(ctx: &mut Ctx, customer: &str) -> Result<Option<TestClock>> {
    if ctx.scope().mode.is_live() {
        return Ok(None);
    }
    sql::of_customer(ctx, customer).await
}

/// What time it is for a customer: by its clock, if it has one.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn time_of(ctx: &mut Ctx, customer: &Id<Customer>) -> Result<Timestamp> {
    let clock = of_customer(ctx, customer.as_str()).await?;
    Ok(clock.map_or(ctx.now, |clock| clock.frozen_time))
}

/// Behind which place in the usage log it was `instant` or later by the clock of a customer: behind
/// none, if the clock has not come so far. Nothing for a customer without a clock.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn reached(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
    instant: Timestamp,
) -> Result<Option<u64>> {
    let Some(clock) = of_customer(ctx, customer.as_str()).await? else { return Ok(None) };
    let position = sql::reached(ctx, &clock.id, instant).await?;
    Ok(Some(position.unwrap_or(u64::MAX)))
}

/// What a clock showed when the event at a place in the usage log came in, if that was noted.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn shown_at(
    ctx: &mut Ctx,
    clock: &TestClock,
    position: u64,
) -> Result<Option<Timestamp>> {
    sql::shown_at(ctx, &clock.id, position).await
}
