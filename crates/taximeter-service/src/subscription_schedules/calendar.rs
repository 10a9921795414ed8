//! When phases begin and end, and what is within them.

use taximeter_kernel::calendar::{Interval, Recurrence};
use taximeter_kernel::time::{DAY_S, Timestamp};

use super::input::{DurationInput, EndType, PhaseInput, SpanInput, StartType};
use super::types::Bound;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::params::OrWord;
use crate::subscriptions::{Now, Subscription};
use crate::version::CLOVER;

/// The longest trial, in seconds (Stripe's).
const TRIAL_S_MAX: i64 = 730 * DAY_S;

/// Where phases end. Months that follow one another are counted from where the first of them began,
/// and never from each other: from 31 January on, two phases of a month end on 28 February and on 31
/// March.
pub(super) struct Calendar {
    /// Where the next phase begins.
    pub(super) at: i64,
    /// From where months are counted, and how many there were.
    months: (i64, i64),
}

impl Calendar {
    pub(super) const fn from(start: i64) -> Self {
        Self { at: start, months: (start, 0) }
    }

    /// The end of the phase that begins here.
    ///
    /// # Errors
    /// A 400 when it is not after its start, or said twice or not at all.
    pub(super) fn end(
        &mut self,
        ctx: &Ctx,
        ends: (Option<DurationInput>, Option<i64>, Option<OrWord<Now, i64>>),
        last: bool,
        (sub, at): (&Subscription, &str),
    ) -> Result<i64> {
        let (duration, iterations, end_date) = ends;
        if iterations.is_some() && !ctx.caller.version.is_before(CLOVER) {
            let full = format!("{at}[iterations]");
            return Err(Error::invalid(format!(
                "Received unknown parameter: {full}. Did you mean duration?"
            ))
            .code("parameter_unknown")
            .param(full));
        }
        let begins = self.at;
        let given = [duration.is_some(), iterations.is_some(), end_date.is_some()];
        if given.iter().filter(|given| **given).count() > 1 {
            return Err(Error::invalid(
                "You may only specify one of these parameters: duration, end_date, iterations.",
            )
            .code("parameters_exclusive")
            .param(format!("{at}[end_date]")));
        }
        let end = match (duration, iterations, end_date) {
            (Some(duration), ..) => {
                let count = duration.interval_count.unwrap_or(1);
                let path = format!("{at}[duration][interval_count]");
                self.after(duration.interval, count, &path)?
            }
            (None, Some(count), _) => {
                self.after_periods(sub, count, &format!("{at}[iterations]"))?
            }
            (None, None, Some(date)) => self.restart(instant(date, ctx.now)),
            (None, None, None) if last => self.after_periods(sub, 1, at)?,
            (None, None, None) => return Err(Error::missing(format!("{at}[end_date]"))),
        };
        if end <= begins {
            return Err(Error::invalid(format!(
                "Invalid end_date: a phase must end after it starts, at {begins}."
            ))
            .param(format!("{at}[end_date]")));
        }
        self.at = end;
        Ok(end)
    }

    const fn restart(&mut self, end: i64) -> i64 {
        self.months = (end, 0);
        end
    }

    /// So many periods of the price that recurs most often.
    fn after_periods(&mut self, sub: &Subscription, count: i64, path: &str) -> Result<i64> {
        let recurring = sub.items.iter().filter_map(|item| item.price.recurring.as_ref());
        let from = Timestamp(self.at);
        let shortest = recurring
            .map(|recurring| recurring.recurrence)
            .min_by_key(|recurrence| recurrence.boundary(from, 1).ok().map(|at| at.0));
        let shortest = shortest.ok_or_else(|| Error::missing(path))?;
        let all = count.saturating_mul(i64::from(shortest.count()));
        self.after(shortest.interval(), all, path)
    }

    fn after(&mut self, interval: Interval, count: i64, path: &str) -> Result<i64> {
        let outside = || {
            Error::invalid("Invalid duration: it must be at least 1, and end within the calendar.")
                .param(path)
        };
        if count < 1 {
            return Err(outside());
        }
        let one = |interval| Recurrence::new(interval, 1).map_err(Error::internal);
        let months = match interval {
            Interval::Day | Interval::Week => {
                let end = one(interval)?.boundary(Timestamp(self.at), count);
                return Ok(self.restart(end.map_err(|error| outside().because(error))?.0));
            }
            Interval::Month => count,
            Interval::Year => count.saturating_mul(12),
        };
        let (from, gone) = self.months;
        let all = gone.saturating_add(months);
        let end = one(Interval::Month)?.boundary(Timestamp(from), all);
        self.months = (from, all);
        Ok(end.map_err(|error| outside().because(error))?.0)
    }
}

/// The instant of a date that may be a word.
pub(super) fn instant(date: OrWord<Now, i64>, now: Timestamp) -> i64 {
    match date {
        OrWord::Word(Now::Now) => now.0,
        OrWord::Value(at) => at,
    }
}

/// A phase begins where the one before ends.
///
/// # Errors
/// A 400 when the request has it begin elsewhere.
pub(super) fn refuse_other_start(
    input: &PhaseInput,
    start: i64,
    now: Timestamp,
    at: &str,
) -> Result<()> {
    let asked = input.start_date.map(|date| instant(date, now));
    if asked.is_none_or(|asked| asked == start) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Invalid start_date: a phase must start where the one before ends, at {start}."
    ))
    .param(format!("{at}[start_date]")))
}

/// Until when a phase is a trial.
///
/// # Errors
/// A 400 when it is longer than can be, or not within the phase.
pub(super) fn checked_trial(
    (whole, trial_end): (bool, Option<OrWord<Now, i64>>),
    (start, end): (i64, i64),
    now: Timestamp,
    at: &str,
) -> Result<Option<i64>> {
    let asked = trial_end.map(|date| instant(date, now));
    let refuse = |message: String| Err(Error::invalid(message).param(format!("{at}[trial_end]")));
    match (whole, asked) {
        (true, _) if end > start.saturating_add(TRIAL_S_MAX) => {
            refuse("Invalid trial: a trial can be at most 730 days long.".to_owned())
        }
        (true, None) => Ok(Some(end)),
        (true, Some(asked)) if asked == end => Ok(Some(end)),
        (true, Some(_)) => refuse(format!(
            "Invalid trial_end: with `trial=true` it must be the end of the phase, {end}."
        )),
        (false, Some(asked)) if asked > start.saturating_add(TRIAL_S_MAX) => {
            refuse("Invalid trial_end: a trial can be at most 730 days long.".to_owned())
        }
        // A trial that is over as it begins is none.
        (false, Some(asked)) if asked == start || trial_end == Some(OrWord::Word(Now::Now)) => {
            Ok(None)
        }
        (false, Some(asked)) if start < asked && asked <= end => Ok(Some(asked)),
        (false, Some(_)) => refuse(format!(
            "Invalid trial_end: it must be within the phase, after {start} and not after {end}."
        )),
        (false, None) => Ok(None),
    }
}

/// The time that something sold once is for.
///
/// # Errors
/// A 400 when it ends before it begins, or names no instant.
pub(super) fn bounds(
    period: Option<SpanInput>,
    (begins, ends): (i64, i64),
    at: &str,
) -> Result<(Bound<StartType>, Bound<EndType>)> {
    let Some(period) = period else {
        let start = Bound { r#type: StartType::MaxItemPeriodStart, timestamp: None };
        return Ok((start, Bound { r#type: EndType::MinItemPeriodEnd, timestamp: None }));
    };
    let checked = |name: &str, is_instant: bool, timestamp: Option<i64>| {
        let path = format!("{at}[period][{name}][timestamp]");
        match (is_instant, timestamp) {
            (true, None) => Err(Error::missing(path)),
            (false, Some(_)) => {
                let message = format!("You can only specify `{path}` with `type=timestamp`.");
                Err(Error::invalid(message).param(path))
            }
            (_, timestamp) => Ok(timestamp),
        }
    };
    let (start, end) = (period.start, period.end);
    let timestamp = checked("start", start.r#type == StartType::Timestamp, start.timestamp)?;
    let from = Bound { r#type: start.r#type, timestamp };
    let timestamp = checked("end", end.r#type == EndType::Timestamp, end.timestamp)?;
    let to = Bound { r#type: end.r#type, timestamp };
    // A period of the items holds the start of the phase, whichever it will be.
    let earliest = from.timestamp.unwrap_or(begins);
    let latest = match end.r#type {
        EndType::MinItemPeriodEnd => begins,
        EndType::PhaseEnd => ends,
        EndType::Timestamp => to.timestamp.unwrap_or(ends),
    };
    if latest < earliest {
        return Err(Error::invalid("Invalid period: `end` must not be before `start`.")
            .param(format!("{at}[period][end]")));
    }
    Ok((from, to))
}
