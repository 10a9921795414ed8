//! The invoice with which a subscription begins.

use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{Period, Timestamp};

use super::periods::{charge_in_part, outside, recurrence_of, whole_at};
use super::{BillingModeType, Item, Status, Subscription};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::invoices::{self, Line, first_lines, line_of_trial, lines_of_item};

/// The most lines of a first invoice that goes back in time (Stripe's).
const LINES_MAX: usize = 250;

/// The lines of the first invoice, newest item first. `charged` is whether a first period that is not
/// a whole one is paid for.
///
/// # Errors
/// A 400 when an amount does not fit, or there would be too many lines.
pub(super) async fn lines(ctx: &mut Ctx, sub: &Subscription, charged: bool) -> Result<Vec<Line>> {
    if sub.status == Status::Trialing {
        return lines_of_trial(ctx, sub).await;
    }
    if sub.start_date < ctx.now {
        return backdated(ctx, sub).await;
    }
    let mut lines = first_lines(ctx, sub).await?;
    let mut kept = Vec::with_capacity(lines.len());
    for line in lines.drain(..) {
        let item = sub.items.iter().find(|item| line.subscription_item.as_ref() == Some(&item.id));
        let Some(item) = item else { continue };
        kept.extend(in_proportion(sub, item, line, charged)?);
    }
    Ok(kept)
}

/// A line of a first period: in proportion where that is not a whole one, or not at all if it is not
/// paid for.
fn in_proportion(
    sub: &Subscription,
    item: &Item,
    mut line: Line,
    charged: bool,
) -> Result<Option<Line>> {
    let paid = item.paid_period();
    let whole = whole_at(sub, item, paid.start)?;
    if whole == paid || item.price.usage_type() == UsageType::Metered {
        return Ok(Some(line));
    }
    if !charged {
        return Ok(None);
    }
    charge_in_part(&mut line, whole, paid)?;
    line.period = paid;
    Ok(Some(line))
}

async fn lines_of_trial(ctx: &mut Ctx, sub: &Subscription) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for item in sub.items.iter().rev() {
        let metered = item.price.usage_type() == UsageType::Metered;
        if metered && sub.billing_mode == BillingModeType::Flexible {
            continue;
        }
        lines.push(line_of_trial(ctx, sub, item, item.current_period).await?);
    }
    Ok(lines)
}

/// What a subscription that began before now is billed for the time since: in flexible mode a line
/// for each period, in classic mode one for all of it.
async fn backdated(ctx: &mut Ctx, sub: &Subscription) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for item in sub.items.iter().rev() {
        match sub.billing_mode {
            BillingModeType::Flexible => lines.extend(by_period(ctx, sub, item).await?),
            BillingModeType::Classic => {
                let mut all = first_lines_of(ctx, sub, item).await?;
                let whole = whole_at(sub, item, ctx.now)?;
                for line in &mut all {
                    line.amount = stretched(line.amount, whole, item.paid_period())?;
                    line.period = item.paid_period();
                }
                lines.extend(all);
            }
        }
        if lines.len() > LINES_MAX {
            return Err(Error::invalid(format!(
                "The first invoice would have more than {LINES_MAX} lines. Pass a later \
                 `backdate_start_date`."
            ))
            .param("backdate_start_date"));
        }
    }
    Ok(lines)
}

async fn first_lines_of(ctx: &mut Ctx, sub: &Subscription, item: &Item) -> Result<Vec<Line>> {
    match item.price.usage_type() {
        UsageType::Licensed => lines_of_item(ctx, sub, item, item.current_period).await,
        // Its usage since is billed at the end of the period.
        UsageType::Metered => Ok(Vec::new()),
    }
}

/// An amount for a whole period, as one for a longer time that ends with it. 1000 for 30 days are
/// 1500 for 45.
fn stretched(amount: i64, whole: Period, longer: Period) -> Result<i64> {
    let seconds = |period: Period| period.end.0.checked_sub(period.start.0);
    let (Some(one), Some(all)) = (seconds(whole), seconds(longer)) else {
        return Err(invoices::too_large());
    };
    taximeter_kernel::decimal::mul_div_round(
        amount.into(),
        all.into(),
        one.into(),
        taximeter_kernel::decimal::Rounding::HalfAwayFromZero,
    )
    .map_err(|error| invoices::too_large().because(error))
}

/// A line for each period since the start: all of a licensed item's, of a metered one's those that
/// are over.
async fn by_period(ctx: &mut Ctx, sub: &Subscription, item: &Item) -> Result<Vec<Line>> {
    let recurrence = recurrence_of(item)?;
    let mut lines = Vec::new();
    let mut start = sub.start_date;
    while start <= ctx.now && lines.len() <= LINES_MAX {
        let whole = recurrence.period_at(sub.billing_cycle_anchor, start).map_err(outside)?;
        let until = item.terms.paid_until.map_or(whole.end, |at| whole.end.min(Timestamp(at)));
        let period = Period { start, end: until };
        match item.price.usage_type() {
            UsageType::Licensed => {
                for mut line in lines_of_item(ctx, sub, item, period).await? {
                    charge_in_part(&mut line, whole, period)?;
                    lines.push(line);
                }
            }
            UsageType::Metered if whole.end <= ctx.now => {
                lines.extend(lines_of_item(ctx, sub, item, period).await?);
            }
            UsageType::Metered => {}
        }
        start = whole.end;
    }
    Ok(lines)
}
