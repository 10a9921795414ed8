//! Billing periods: how often a price recurs, and where its periods begin and end.
//!
//! **Invariant:** every boundary is reckoned from the original anchor, never from the boundary
//! before. An anchor on January 31 gives February 28, then March 31.

pub mod buckets;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Span, Timestamp as Instant};

use crate::time::{DAY_S, Period, Timestamp};

/// A unit of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
    /// A calendar month.
    Month,
    /// 12 calendar months.
    Year,
}

impl Interval {
    /// The interval that the wire calls `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Day, Self::Week, Self::Month, Self::Year].into_iter().find(|i| i.as_str() == text)
    }

    /// `day`, `week`, `month` or `year`, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The most intervals of a recurrence: three years of them.
    #[must_use]
    pub const fn count_max(self) -> u32 {
        match self {
            Self::Day => 1_095,
            Self::Week => 156,
            Self::Month => 36,
            Self::Year => 3,
        }
    }
}

/// How often a price recurs: every `count` intervals. 3 months is a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recurrence {
    interval: Interval,
    count: u32,
}

/// Why a count of intervals is no recurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecurrenceError {
    /// No interval at all.
    #[error("a price must recur after at least 1 interval")]
    CountBelowOne,
    /// More than three years.
    #[error("a price must recur within 3 years")]
    LongerThanThreeYears,
}

/// An instant or a count outside the calendar, which ends with the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time lies outside the calendar")]
pub struct CalendarError;

/// Whether the prices of one subscription may recur at different intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixed {
    /// All the same (billing mode `classic`).
    Same,
    /// All multiples of the shortest (billing mode `flexible`).
    Multiples,
}

/// How long a recurrence is, in the unit that makes its boundaries.
#[derive(Debug, Clone, Copy)]
enum Length {
    Days(i64),
    Months(i64),
}

impl Recurrence {
    /// Every `count` intervals.
    ///
    /// # Errors
    /// [`RecurrenceError`] when the count is 0 or makes more than three years: 1095 days, 156 weeks,
    /// 36 months, 3 years.
    pub const fn new(interval: Interval, count: u32) -> Result<Self, RecurrenceError> {
        if count < 1 {
            return Err(RecurrenceError::CountBelowOne);
        }
        if count > interval.count_max() {
            return Err(RecurrenceError::LongerThanThreeYears);
        }
        Ok(Self { interval, count })
    }

    /// The interval that `count` counts.
    #[must_use]
    pub const fn interval(self) -> Interval {
        self.interval
    }

    /// How many intervals, at least 1.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    fn length(self) -> Length {
        let count = i64::from(self.count);
        match self.interval {
            Interval::Day => Length::Days(count),
            Interval::Week => Length::Days(count.saturating_mul(7)),
            Interval::Month => Length::Months(count),
            Interval::Year => Length::Months(count.saturating_mul(12)),
        }
    }

    /// The `k`th boundary from the anchor; boundary 0 is the anchor, -1 the one before. In months and
    /// years it has the anchor's day and time of day in UTC, or the last day of a month too short for
    /// that day: January 31, monthly, gives February 28 (29 in a leap year) for 1 and March 31 for 2.
    ///
    /// # Errors
    /// [`CalendarError`] when the anchor or the boundary lies outside the calendar.
    pub fn boundary(self, anchor: Timestamp, k: i64) -> Result<Timestamp, CalendarError> {
        match self.length() {
            Length::Days(days) => {
                let seconds = days.checked_mul(DAY_S).and_then(|s| s.checked_mul(k));
                let at = seconds.and_then(|s| anchor.0.checked_add(s)).ok_or(CalendarError)?;
                Ok(Timestamp(within_calendar(at)?.as_second()))
            }
            Length::Months(months) => {
                let months = months.checked_mul(k).ok_or(CalendarError)?;
                let span = Span::new().try_months(months).map_err(|_| CalendarError)?;
                // jiff clamps the day to the month's length.
                let date = civil(anchor)?.checked_add(span).map_err(|_| CalendarError)?;
                let at = Offset::UTC.to_timestamp(date).map_err(|_| CalendarError)?;
                Ok(Timestamp(at.as_second()))
            }
        }
    }

    /// The period that holds `at`, which may lie before the anchor. Monthly from January 31, the
    /// whole of February 28 onwards until March 31 is one period.
    ///
    /// # Errors
    /// [`CalendarError`] when the anchor or the period lies outside the calendar.
    pub fn period_at(self, anchor: Timestamp, at: Timestamp) -> Result<Period, CalendarError> {
        let (apart, length) = match self.length() {
            Length::Days(days) => {
                let apart = at.0.checked_sub(anchor.0).ok_or(CalendarError)?;
                (apart, days.checked_mul(DAY_S).ok_or(CalendarError)?)
            }
            Length::Months(months) => {
                let apart = month_number(civil(at)?).checked_sub(month_number(civil(anchor)?));
                (apart.ok_or(CalendarError)?, months)
            }
        };
        let k = apart.checked_div_euclid(length).ok_or(CalendarError)?;
        let start = self.boundary(anchor, k)?;
        // By months alone the boundary is in the month of `at` at the latest, so at most one too far.
        let first = if start > at { k.checked_sub(1).ok_or(CalendarError)? } else { k };
        let last = first.checked_add(1).ok_or(CalendarError)?;
        Ok(Period { start: self.boundary(anchor, first)?, end: self.boundary(anchor, last)? })
    }
}

/// A day of the month and a time of day, in UTC. What is left out is taken from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayAndTime {
    /// From 1 to 12; every month, if left out.
    pub month: Option<i64>,
    /// From 1 to 31; the last day of a month that is shorter.
    pub day: i64,
    /// From 0 to 23.
    pub hour: Option<i64>,
    /// From 0 to 59.
    pub minute: Option<i64>,
    /// From 0 to 59.
    pub second: Option<i64>,
}

/// The first instant after `now` on the day and at the time of `wanted`; parts of the time that are
/// left out are those of `now`. On January 30 at noon, day 31 is January 31 at noon; on January 31
/// after noon, day 31 at hour 12 is February 28.
///
/// # Errors
/// [`CalendarError`] when that lies outside the calendar, or a part is not one.
pub fn next_on(now: Timestamp, wanted: DayAndTime) -> Result<Timestamp, CalendarError> {
    let today = civil(now)?;
    let part = |given: Option<i64>, own: i8| match given {
        Some(part) => i8::try_from(part).map_err(|_| CalendarError),
        None => Ok(own),
    };
    let (hour, minute) = (part(wanted.hour, today.hour())?, part(wanted.minute, today.minute())?);
    let second = part(wanted.second, today.second())?;
    let day = i8::try_from(wanted.day).map_err(|_| CalendarError)?;
    let mut first = today.date().first_of_month();
    // One month after another; a given one comes within a year.
    for _ in 0..=12 {
        if wanted.month.is_none_or(|month| month == i64::from(first.month())) {
            let last = first.last_of_month().day();
            let date = first.with().day(day.min(last)).build().map_err(|_| CalendarError)?;
            let time =
                jiff::civil::Time::new(hour, minute, second, 0).map_err(|_| CalendarError)?;
            let at = Offset::UTC.to_timestamp(date.to_datetime(time)).map_err(|_| CalendarError)?;
            if at.as_second() > now.0 {
                return Ok(Timestamp(at.as_second()));
            }
        }
        let month = Span::new().try_months(1).map_err(|_| CalendarError)?;
        first = first.checked_add(month).map_err(|_| CalendarError)?;
    }
    Err(CalendarError)
}

/// A day in UTC as people write it: `01 Sep 2026`. Beyond the calendar, its last day.
#[must_use]
pub fn day_in_words(at: Timestamp) -> String {
    let nearest = if at.0 < 0 { Instant::MIN } else { Instant::MAX };
    let instant = Instant::from_second(at.0).unwrap_or(nearest);
    Offset::UTC.to_datetime(instant).strftime("%d %b %Y").to_string()
}

/// Whether prices recurring so may share one subscription.
///
/// Under [`Mixed::Multiples`], a week is 7 days and a year 12 months. Days and months have no common
/// measure but the single day, so months and years mix with days where the shortest is 1 day, and
/// never with weeks.
#[must_use]
pub fn compatible(recurrences: &[Recurrence], mixed: Mixed) -> bool {
    match mixed {
        Mixed::Same => recurrences.windows(2).all(|pair| pair[0] == pair[1]),
        Mixed::Multiples => are_multiples(recurrences),
    }
}

fn are_multiples(recurrences: &[Recurrence]) -> bool {
    let mut days = Vec::new();
    let mut months = Vec::new();
    for recurrence in recurrences {
        match recurrence.length() {
            Length::Days(count) => days.push(count),
            Length::Months(count) => months.push(count),
        }
    }
    let multiples_of = |unit: i64, counts: &[i64]| {
        counts.iter().all(|count| count.checked_rem_euclid(unit) == Some(0))
    };
    match (days.iter().min(), months.iter().min()) {
        (Some(shortest), None) => multiples_of(*shortest, &days),
        (None, Some(shortest)) => multiples_of(*shortest, &months),
        (Some(shortest), Some(_)) => {
            *shortest == 1 && recurrences.iter().all(|r| r.interval != Interval::Week)
        }
        (None, None) => true,
    }
}

fn within_calendar(seconds: i64) -> Result<Instant, CalendarError> {
    Instant::from_second(seconds).map_err(|_| CalendarError)
}

/// The date and time of day in UTC.
fn civil(at: Timestamp) -> Result<DateTime, CalendarError> {
    Ok(Offset::UTC.to_datetime(within_calendar(at.0)?))
}

/// Months since the year 0, so that neighbouring months differ by 1.
fn month_number(date: DateTime) -> i64 {
    i64::from(date.year()).saturating_mul(12).saturating_add(i64::from(date.month()))
}

#[cfg(test)]
mod tests;
