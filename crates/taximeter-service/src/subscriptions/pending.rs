//! How often what is pending is billed by itself, between renewals.

use taximeter_kernel::calendar::{Interval, Recurrence};
use taximeter_kernel::time::{Period, Timestamp};

use super::periods::outside;
use super::{PendingInterval, Subscription};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::params::{Choice as _, Clear};

crate::params! {
    /// How often pending items are billed by themselves: at most every year.
    pub struct PendingIntervalInput {
        /// The unit.
        pub interval: Interval,
        /// How many of it: one, if left out.
        pub interval_count: Option<i64>,
    }
}

/// The most of a unit: a year (Stripe's bound).
const fn most(interval: Interval) -> i64 {
    match interval {
        Interval::Day => 365,
        Interval::Week => 52,
        Interval::Month => 12,
        Interval::Year => 1,
    }
}

/// Puts a change on how often pending items are billed. It is counted from `from`.
///
/// # Errors
/// A 400 when it is less often than every year.
pub(super) fn set(
    sub: &mut Subscription,
    input: &Clear<PendingIntervalInput>,
    from: Timestamp,
) -> Result<()> {
    let terms = &mut sub.terms;
    match input {
        Clear::Keep => {}
        Clear::Unset => {
            terms.pending_interval = None;
            terms.pending_from = None;
            terms.next_pending_invoice = None;
        }
        Clear::Set(PendingIntervalInput { interval, interval_count }) => {
            let (count, most) = (interval_count.unwrap_or(1), most(*interval));
            if !(1..=most).contains(&count) {
                let unit = interval.as_str();
                return Err(Error::invalid(format!(
                    "Invalid interval_count: must be between 1 and {most} where the interval is \
                     `{unit}`."
                ))
                .param("pending_invoice_item_interval[interval_count]"));
            }
            let every =
                PendingInterval { interval: interval.as_str().to_owned(), interval_count: count };
            let next = recurrence(&every)?.boundary(from, 1).map_err(outside)?;
            terms.pending_interval = Some(every);
            terms.pending_from = Some(from.0);
            terms.next_pending_invoice = Some(next.0);
        }
    }
    Ok(())
}

fn recurrence(every: &PendingInterval) -> Result<Recurrence> {
    let interval = Interval::from_word(&every.interval);
    let interval = interval.ok_or_else(|| Error::internal("an interval is not one"))?;
    let count = u32::try_from(every.interval_count).map_err(Error::internal)?;
    Recurrence::new(interval, count).map_err(Error::internal)
}

/// Takes a subscription past an instant at which what is pending is billed, and gives the time since
/// the one before.
///
/// # Errors
/// A 400 when the next one lies outside the calendar.
pub(super) fn pass(ctx: &Ctx, sub: &mut Subscription, at: Timestamp) -> Result<Period> {
    let terms = &mut sub.terms;
    let (Some(every), Some(from)) = (&terms.pending_interval, terms.pending_from) else {
        terms.next_pending_invoice = None;
        return Ok(Period { start: at, end: at });
    };
    let recurrence = recurrence(every)?;
    let (from, last) = (Timestamp(from), Timestamp(at.0.saturating_sub(1)));
    let gone = recurrence.period_at(from, last).map_err(outside)?;
    // What was missed meanwhile, as in a pause, is not made up for one by one.
    let coming = recurrence.period_at(from, ctx.now).map_err(outside)?;
    terms.next_pending_invoice = Some(coming.end.0);
    Ok(Period { start: gone.start, end: at })
}
