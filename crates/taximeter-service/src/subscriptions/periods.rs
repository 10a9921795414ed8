//! Where the first period of an item begins and ends, and what is charged for it.

use taximeter_kernel::calendar::{Interval, Recurrence};
use taximeter_kernel::price::UsageType;
use taximeter_kernel::prorate;
use taximeter_kernel::time::{Period, Timestamp};

use super::terms::AnchorConfig;
use super::{Item, Status, Subscription};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::invoices::{self, Line, lines_of_item};

/// The period that an item is in at an instant, counted from the subscription's anchor.
///
/// # Errors
/// A 400 when that lies outside the calendar.
pub(super) fn whole_at(sub: &Subscription, item: &Item, at: Timestamp) -> Result<Period> {
    let recurrence = recurrence_of(item)?;
    recurrence.period_at(sub.billing_cycle_anchor, at).map_err(outside)
}

pub(super) fn recurrence_of(item: &Item) -> Result<Recurrence> {
    let recurring = item.price.recurring.as_ref();
    let recurring = recurring.ok_or_else(|| Error::internal("an item's price does not recur"))?;
    Ok(recurring.recurrence)
}

pub(super) fn outside(error: taximeter_kernel::calendar::CalendarError) -> Error {
    Error::invalid("The subscription's periods lie outside the calendar.").because(error)
}

/// The first period of the item at `place`, from an instant to the next boundary, and what is charged
/// for it in advance: in proportion, where it is not a whole one.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(super) async fn begin(
    ctx: &mut Ctx,
    sub: &Subscription,
    place: usize,
    at: Timestamp,
) -> Result<(Period, Vec<Line>)> {
    let Some(item) = sub.items.get(place) else { return Err(Error::internal("no such item")) };
    let whole = whole_at(sub, item, at)?;
    let first = Period { start: at, end: whole.end };
    if item.price.usage_type() == UsageType::Metered {
        return Ok((first, Vec::new()));
    }
    Ok((first, in_advance(ctx, sub, item, first).await?))
}

/// Takes the item at `place` to its first period, as [`begin`] has it, with nothing of before left to be
/// given back or billed. Gives the lines of what is charged for it in advance.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(super) async fn open(
    ctx: &mut Ctx,
    sub: &mut Subscription,
    place: usize,
    at: Timestamp,
) -> Result<Vec<Line>> {
    let (first, charged) = begin(ctx, sub, place, at).await?;
    let end = sub.ends_within(first);
    if let Some(item) = sub.items.get_mut(place) {
        item.enter(first, end);
        item.terms.debits.clear();
    }
    Ok(charged)
}

/// Begins all periods anew, now, and gives the lines of what is paid in advance. An end that goes with
/// the period goes with the one that begins.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(super) async fn open_all(ctx: &mut Ctx, sub: &mut Subscription) -> Result<Vec<Line>> {
    sub.billing_cycle_anchor = ctx.now;
    sub.terms.anchor_config = None;
    if sub.status == Status::Trialing {
        sub.status = Status::Active;
        sub.trial_end = Some(ctx.now);
    }
    let mut lines = Vec::new();
    for place in (0..sub.items.len()).rev() {
        lines.extend(open(ctx, sub, place, ctx.now).await?);
    }
    sub.end_with_period();
    Ok(lines)
}

/// What a licensed item is charged in advance for a period, or for the part of it until the
/// subscription ends: in proportion, where that is not a whole one.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(crate) async fn in_advance(
    ctx: &mut Ctx,
    sub: &Subscription,
    item: &Item,
    period: Period,
) -> Result<Vec<Line>> {
    let whole = whole_at(sub, item, period.start)?;
    let part = Period { start: period.start, end: sub.ends_within(period).unwrap_or(period.end) };
    let mut lines = lines_of_item(ctx, sub, item, part).await?;
    for line in &mut lines {
        charge_in_part(line, whole, part)?;
    }
    Ok(lines)
}

/// Makes a line that is for a whole period one for a part of it: of 20.00 for 30 days, 10 of them are
/// 6.67. One for all of it stays as it is.
///
/// # Errors
/// A 400 when the amount does not fit.
pub(super) fn charge_in_part(line: &mut Line, whole: Period, part: Period) -> Result<()> {
    if part == whole {
        return Ok(());
    }
    line.amount = prorate::of_part(line.amount, whole, part)
        .map_err(|error| invoices::too_large().because(error))?;
    line.details.proration = true;
    Ok(())
}

/// The next instant after `now` with a given day and time, each part that is left out being that of
/// `now`. A month that is too short has it on its last day.
///
/// # Errors
/// A 400 when that lies outside the calendar.
pub(super) fn next_of_config(config: AnchorConfig, now: Timestamp) -> Result<Timestamp> {
    taximeter_kernel::calendar::next_on(
        now,
        taximeter_kernel::calendar::DayAndTime {
            month: config.month,
            day: config.day_of_month,
            hour: config.hour,
            minute: config.minute,
            second: config.second,
        },
    )
    .map_err(outside)
}

/// Whether an interval is of months or years.
pub(super) fn is_by_months(recurrence: Recurrence) -> bool {
    matches!(recurrence.interval(), Interval::Month | Interval::Year)
}
