//! When a new subscription begins, when its trial ends, what its periods are counted from, when it is
//! to end.

use taximeter_kernel::time::{DAY_S, Period, Timestamp};

use super::input::{AnchorConfigInput, Create, Now, PeriodEnd, ProrationBehavior};
use super::periods::{self, is_by_months, outside, recurrence_of, whole_at};
use super::{AnchorConfig, BillingModeType, Status, Subscription};
use crate::error::{Error, Result};
use crate::params::OrWord;

/// The longest trial, in days (Stripe's).
const TRIAL_DAYS_MAX: i64 = 730;
/// How far back a subscription may have begun, in days.
const BACKDATE_DAYS_MAX: i64 = 3_660;

/// What was asked for about time.
#[derive(Debug)]
pub(super) struct Timing {
    backdate: Option<i64>,
    anchor: Option<i64>,
    anchor_config: Option<AnchorConfigInput>,
    trial_end: Option<OrWord<Now, i64>>,
    trial_from_plan: Option<bool>,
    trial_period_days: Option<i64>,
    cancel_at: Option<OrWord<PeriodEnd, i64>>,
    cancel_at_period_end: Option<bool>,
    /// Whether a first period that is not a whole one is charged for.
    pub(super) charged: bool,
}

impl Timing {
    pub(super) fn take(input: &mut Create) -> Self {
        Self {
            backdate: input.backdate_start_date.take(),
            anchor: input.billing_cycle_anchor.take(),
            anchor_config: input.billing_cycle_anchor_config.take(),
            trial_end: input.trial_end.take(),
            trial_from_plan: input.trial_from_plan.take(),
            trial_period_days: input.trial_period_days.take(),
            cancel_at: input.cancel_at.take(),
            cancel_at_period_end: input.cancel_at_period_end.take(),
            charged: input.proration_behavior != Some(ProrationBehavior::None),
        }
    }

    /// Sets on a subscription all that follows for its time.
    ///
    /// # Errors
    /// A 400 when it is against the rules.
    pub(super) fn set(&self, sub: &mut Subscription, now: Timestamp) -> Result<()> {
        let trial_end = self.trial(sub, now)?;
        if let Some(start) = self.backdate {
            sub.start_date = checked_start(start, now)?;
        }
        sub.trial_end = trial_end;
        sub.trial_start = trial_end.map(|_| now);
        let from = trial_end.unwrap_or(now);
        sub.billing_cycle_anchor = self.anchor(sub, from, now)?;
        if trial_end.is_some() {
            sub.status = Status::Trialing;
        }
        for place in 0..sub.items.len() {
            let Some(item) = sub.items.get(place) else { continue };
            let whole = whole_at(sub, item, now)?;
            let period = match trial_end {
                Some(end) => Period { start: now, end },
                None if self.backdate.is_some() => {
                    let start = match sub.billing_mode {
                        BillingModeType::Flexible => whole.start.max(sub.start_date),
                        BillingModeType::Classic => sub.start_date,
                    };
                    Period { start, end: whole.end }
                }
                None => Period { start: now, end: whole.end },
            };
            if let Some(item) = sub.items.get_mut(place) {
                item.current_period = period;
            }
        }
        self.set_end(sub, now)?;
        self.cut_periods(sub);
        Ok(())
    }

    /// A first period in which the subscription ends is paid for until then, if in proportion at all.
    fn cut_periods(&self, sub: &mut Subscription) {
        if !self.charged || sub.status == Status::Trialing {
            return;
        }
        for place in 0..sub.items.len() {
            let Some(period) = sub.items.get(place).map(|item| item.current_period) else {
                continue;
            };
            let end = sub.ends_within(period);
            if let Some(item) = sub.items.get_mut(place) {
                item.terms.paid_until = end.map(|end| end.0);
            }
        }
    }

    fn trial(&self, sub: &Subscription, now: Timestamp) -> Result<Option<Timestamp>> {
        if self.trial_from_plan == Some(true) {
            if self.trial_end.is_some() || self.trial_period_days.is_some() {
                return Err(Error::invalid(
                    "You cannot set `trial_end` or `trial_period_days` when `trial_from_plan=true`.",
                )
                .param("trial_from_plan"));
            }
            let days = sub.items.iter().filter_map(|item| item.price.recurring.as_ref());
            let days = days.filter_map(|recurring| recurring.trial_period_days).max();
            return days.map_or(Ok(None), |days| after_days(days, now));
        }
        match (self.trial_end, self.trial_period_days) {
            (Some(_), Some(_)) => Err(Error::invalid(
                "You may only specify one of these parameters: trial_end, trial_period_days.",
            )
            .code("parameters_exclusive")
            .param("trial_end")),
            (Some(end), None) => checked_trial_end(end, now),
            (None, Some(days)) => after_days(days, now),
            (None, None) => Ok(None),
        }
    }

    fn anchor(&self, sub: &mut Subscription, from: Timestamp, now: Timestamp) -> Result<Timestamp> {
        let asked = match (self.anchor, &self.anchor_config) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "You may only specify one of these parameters: billing_cycle_anchor, \
                     billing_cycle_anchor_config.",
                )
                .code("parameters_exclusive")
                .param("billing_cycle_anchor"));
            }
            (Some(at), None) => Timestamp(at),
            (None, Some(input)) => {
                let config = checked_config(input, sub)?;
                sub.terms.anchor_config = Some(config);
                periods::next_of_config(config, from)?
            }
            (None, None) => {
                let aligned = self.backdate.is_some()
                    && from == now
                    && sub.billing_mode == BillingModeType::Flexible;
                return Ok(if aligned { sub.start_date } else { from });
            }
        };
        if self.backdate.is_none() && asked < from {
            return Err(Error::invalid(format!(
                "`billing_cycle_anchor` cannot be earlier than {} {}.",
                if from == now { "now" } else { "the end of the trial," },
                from.0
            ))
            .param("billing_cycle_anchor"));
        }
        for item in &sub.items {
            let natural = recurrence_of(item)?.boundary(from, 1).map_err(outside)?;
            // Counted from a day of the calendar, the next one may be as far as a whole interval.
            if asked > natural {
                return Err(Error::invalid(format!(
                    "`billing_cycle_anchor` cannot be later than next natural billing date ({}) \
                     for plan.",
                    natural.0
                ))
                .param("billing_cycle_anchor"));
            }
        }
        Ok(asked)
    }

    fn set_end(&self, sub: &mut Subscription, now: Timestamp) -> Result<()> {
        match (self.cancel_at_period_end, self.cancel_at) {
            (Some(true), Some(_)) => Err(both_ends()),
            (Some(true), None) => {
                sub.cancel_at_period_end = true;
                sub.cancel_at = sub.next_boundary();
                sub.canceled_at = Some(now);
                sub.cancellation.reason = Some("cancellation_requested".to_owned());
                Ok(())
            }
            (_, Some(end)) => {
                sub.cancel_at = Some(resolved_end(sub, end, now)?);
                sub.canceled_at = Some(now);
                sub.cancellation.reason = Some("cancellation_requested".to_owned());
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }
}

/// The refusal of two ends.
pub(super) fn both_ends() -> Error {
    Error::invalid("You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
        .code("parameters_exclusive")
        .param("cancel_at")
}

/// The instant of an end that may be a word.
///
/// # Errors
/// A 400 when it is not after now.
pub(super) fn resolved_end(
    sub: &Subscription,
    end: OrWord<PeriodEnd, i64>,
    now: Timestamp,
) -> Result<Timestamp> {
    let ends = sub.items.iter().map(|item| item.current_period.end);
    let at = match end {
        OrWord::Word(_) if sub.billing_mode == BillingModeType::Classic => {
            return Err(Error::invalid(
                "`cancel_at` can only be a word when the billing mode is `flexible`.",
            )
            .param("cancel_at"));
        }
        OrWord::Word(PeriodEnd::Min) => ends.min(),
        OrWord::Word(PeriodEnd::Max) => ends.max(),
        OrWord::Value(at) => Some(Timestamp(at)),
    };
    let at = at.ok_or_else(|| Error::missing("items"))?;
    if at <= now {
        return Err(in_the_past("cancel_at", at.0));
    }
    Ok(at)
}

fn in_the_past(param: &str, at: i64) -> Error {
    Error::invalid(format!(
        "The parameter `{param}` expects a unix timestamp representing a date and time in the \
         future. You specified the value `{at}` which is in the past."
    ))
    .param(param)
}

/// When a trial ends: nothing for one that is over now.
///
/// # Errors
/// A 400 when it is not after now, or longer than two years.
pub(super) fn checked_trial_end(
    end: OrWord<Now, i64>,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let OrWord::Value(at) = end else { return Ok(None) };
    if at <= now.0 {
        return Err(in_the_past("trial_end", at));
    }
    let longest = now.0.saturating_add(TRIAL_DAYS_MAX.saturating_mul(DAY_S));
    if at > longest {
        return Err(Error::invalid(format!(
            "Invalid trial_end: a trial can be at most {TRIAL_DAYS_MAX} days long."
        ))
        .param("trial_end"));
    }
    Ok(Some(Timestamp(at)))
}

/// When a trial of so many days ends.
///
/// # Errors
/// A 400 when it is longer than two years.
pub(super) fn after_days(days: i64, now: Timestamp) -> Result<Option<Timestamp>> {
    if !(0..=TRIAL_DAYS_MAX).contains(&days) {
        return Err(Error::invalid(format!(
            "Invalid trial_period_days: must be between 0 and {TRIAL_DAYS_MAX}."
        ))
        .param("trial_period_days"));
    }
    let end = now.0.saturating_add(days.saturating_mul(DAY_S));
    Ok((days > 0).then_some(Timestamp(end)))
}

fn checked_start(start: i64, now: Timestamp) -> Result<Timestamp> {
    let earliest = now.0.saturating_sub(BACKDATE_DAYS_MAX.saturating_mul(DAY_S));
    if start > now.0 {
        return Err(Error::invalid("`backdate_start_date` cannot be in the future.")
            .param("backdate_start_date"));
    }
    if start < earliest {
        return Err(Error::invalid(format!(
            "`backdate_start_date` cannot be more than {BACKDATE_DAYS_MAX} days ago."
        ))
        .param("backdate_start_date"));
    }
    Ok(Timestamp(start))
}

fn checked_config(input: &AnchorConfigInput, sub: &Subscription) -> Result<AnchorConfig> {
    for (value, least, most, name) in [
        (Some(input.day_of_month), 1, 31, "day_of_month"),
        (input.hour, 0, 23, "hour"),
        (input.minute, 0, 59, "minute"),
        (input.month, 1, 12, "month"),
        (input.second, 0, 59, "second"),
    ] {
        if value.is_some_and(|value| value < least || value > most) {
            return Err(Error::invalid(format!(
                "Invalid {name}: must be between {least} and {most}."
            ))
            .param(format!("billing_cycle_anchor_config[{name}]")));
        }
    }
    for item in &sub.items {
        if !is_by_months(recurrence_of(item)?) {
            return Err(Error::invalid(
                "`billing_cycle_anchor_config` can only be used with prices that recur by the \
                 month or the year.",
            )
            .param("billing_cycle_anchor_config"));
        }
    }
    Ok(AnchorConfig {
        day_of_month: input.day_of_month,
        hour: input.hour,
        minute: input.minute,
        month: input.month,
        second: input.second,
    })
}
