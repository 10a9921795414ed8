//! Spans cut into the hours, days, weeks and months of a time zone.
//!
//! The rules of the zones are compiled in, so the same span is cut alike on every machine.

use std::sync::LazyLock;

use jiff::Timestamp as Instant;
use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::CalendarError;
use crate::time::{DAY_S, HOUR_S, Period, Timestamp};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// How long the name of a zone may be, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Where clocks show the same time: `Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Universal time, in which every hour begins and ends as everywhere on the hour.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of a name of the IANA's database, in any letter case: `America/New_York`, `UTC`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        ZONES.get(name).ok().map(Self)
    }
}

/// What a span is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// From one full hour on the zone's clocks to the next.
    Hour,
    /// From midnight to midnight: 23 to 25 hours.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first of a month to the first of the next.
    Month,
}

/// Why a span is not cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// There would be more buckets than allowed.
    #[error("too many buckets")]
    TooMany,
    /// The span leaves the calendar.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
}

/// Where the buckets of `period` begin, and where the last one ends. The first and last are as long
/// as the span leaves of them: 22:30 to 1:15 in hours is cut at 22:30, 23:00, 0:00, 1:00 and 1:15.
///
/// # Errors
/// [`CutError::TooMany`] when there would be more than `max` buckets; [`CutError::Calendar`].
pub fn cut(
    period: Period,
    bucket: Bucket,
    zone: &Zone,
    max: usize,
) -> Result<Vec<Timestamp>, CutError> {
    let mut boundaries = vec![period.start];
    let mut at = period.start;
    while at < period.end {
        if boundaries.len() > max {
            return Err(CutError::TooMany);
        }
        at = next_boundary(at, bucket, zone)?.min(period.end);
        boundaries.push(at);
    }
    Ok(boundaries)
}

/// The first boundary after `at`.
fn next_boundary(at: Timestamp, bucket: Bucket, zone: &Zone) -> Result<Timestamp, CalendarError> {
    match bucket {
        Bucket::Hour => next_multiple(at, HOUR_S, offset_s(at, zone)?),
        Bucket::Day if zone == &Zone::UTC => next_multiple(at, DAY_S, 0),
        Bucket::Day | Bucket::Week | Bucket::Month => {
            let date = zone.0.to_datetime(instant(at)?).date();
            let mut next = following(date, bucket)?;
            loop {
                let start = start_of(next, zone)?;
                if start > at {
                    return Ok(start);
                }
                // The zone has no such day.
                next = next.tomorrow().map_err(|_| CalendarError)?;
            }
        }
    }
}

/// The first day of the bucket after the one that holds `date`.
fn following(date: Date, bucket: Bucket) -> Result<Date, CalendarError> {
    let next = match bucket {
        Bucket::Hour | Bucket::Day => date.tomorrow(),
        Bucket::Week => date.nth_weekday(1, Weekday::Monday),
        Bucket::Month => date.last_of_month().tomorrow(),
    };
    next.map_err(|_| CalendarError)
}

/// The first second of a day: midnight, or the first that the clocks show after it.
fn start_of(date: Date, zone: &Zone) -> Result<Timestamp, CalendarError> {
    let midnight = zone.0.to_ambiguous_timestamp(date.at(0, 0, 0, 0));
    let start = midnight.compatible().map_err(|_| CalendarError)?;
    Ok(Timestamp(start.as_second()))
}

/// The next instant at which the clocks, `ahead_s` ahead of UTC, show a multiple of `length_s`.
/// The clocks may be put forward or back at that very instant; the next call sees that.
fn next_multiple(at: Timestamp, length_s: i64, ahead_s: i64) -> Result<Timestamp, CalendarError> {
    let shown = at.0.checked_add(ahead_s).ok_or(CalendarError)?;
    let into = shown.checked_rem_euclid(length_s).ok_or(CalendarError)?;
    let left = length_s.checked_sub(into).ok_or(CalendarError)?;
    at.0.checked_add(left).map(Timestamp).ok_or(CalendarError)
}

/// How far the zone's clocks are ahead of UTC.
fn offset_s(at: Timestamp, zone: &Zone) -> Result<i64, CalendarError> {
    Ok(i64::from(zone.0.to_offset(instant(at)?).seconds()))
}

fn instant(at: Timestamp) -> Result<Instant, CalendarError> {
    Instant::from_second(at.0).map_err(|_| CalendarError)
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    reason = "an overflow fails the test, and minutes are whole"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        let text = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
        Timestamp(text.parse::<Instant>().unwrap().as_second())
    }

    fn zone(name: &str) -> Zone {
        Zone::parse(name).unwrap()
    }

    /// The lengths of the buckets, in hours unless they are no whole hours.
    fn lengths(zone_name: &str, bucket: Bucket, start: &str, end: &str) -> Vec<String> {
        let period = Period { start: at(start), end: at(end) };
        let boundaries = cut(period, bucket, &zone(zone_name), 10_000).unwrap();
        let length = |pair: &[Timestamp]| match pair[1].0 - pair[0].0 {
            seconds if seconds % HOUR_S == 0 => format!("{}h", seconds / HOUR_S),
            seconds => format!("{}m", seconds / 60),
        };
        boundaries.windows(2).map(length).collect()
    }

    #[test]
    fn a_zone_is_known_by_the_name_that_the_iana_gave_it() {
        for name in ["UTC", "Europe/Berlin", "america/new_york", "Asia/Kolkata"] {
            assert!(Zone::parse(name).is_some(), "{name}");
        }
        for name in ["", "Berlin", "Europe/Bielefeld", "+02:00", "CEST2", &"x".repeat(100)] {
            assert_eq!(Zone::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_day_the_clocks_change_has_23_or_25_hours() {
        let day = |start, end| lengths("Europe/Berlin", Bucket::Day, start, end);
        assert_eq!(day("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z"), ["24h", "23h", "24h"]);
        assert_eq!(day("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z"), ["24h", "25h", "24h"]);
    }

    #[test]
    fn a_month_is_as_long_as_its_zone_has_it() {
        let month = |start, end| lengths("America/New_York", Bucket::Month, start, end);
        // February 2026, March with the clocks put forward.
        assert_eq!(month("2026-02-01T05:00:00Z", "2026-04-01T04:00:00Z"), ["672h", "743h"]);
        assert_eq!(month("2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"), ["721h"]);
    }

    #[test]
    fn a_week_begins_on_monday() {
        // Thursday to Wednesday: what is left of three weeks.
        let weeks = lengths("UTC", Bucket::Week, "2026-01-15", "2026-01-28");
        assert_eq!(weeks, ["96h", "168h", "48h"]);
        assert_eq!(lengths("UTC", Bucket::Week, "2026-01-12", "2026-01-19"), ["168h"]);
    }

    #[test]
    fn the_first_and_last_bucket_are_cut_to_the_span() {
        let hours = lengths("UTC", Bucket::Hour, "2026-01-15T22:30:00Z", "2026-01-16T01:15:00Z");
        assert_eq!(hours, ["30m", "1h", "1h", "15m"]);
        let days = lengths("UTC", Bucket::Day, "2026-01-15T22:00:00Z", "2026-01-17T01:00:00Z");
        assert_eq!(days, ["2h", "24h", "1h"]);
        let month = lengths("UTC", Bucket::Month, "2026-01-15", "2026-01-16");
        assert_eq!(month, ["24h"]);
    }

    #[test]
    fn hours_are_those_of_the_clocks_on_the_wall() {
        // 5:30 ahead: a full hour there is half past here.
        let india =
            lengths("Asia/Kolkata", Bucket::Hour, "2026-01-15T22:00:00Z", "2026-01-16T00:00:00Z");
        assert_eq!(india, ["30m", "1h", "30m"]);
        // Half an hour forward at 2:00, on 2026-10-04, which is 15:30 UTC: the hour of 2 has 30 minutes.
        let spring = lengths(
            "Australia/Lord_Howe",
            Bucket::Hour,
            "2026-10-03T14:30:00Z",
            "2026-10-03T17:00:00Z",
        );
        assert_eq!(spring, ["1h", "30m", "1h"]);
    }

    #[test]
    fn a_day_without_midnight_or_no_day_at_all_is_none_the_worse() {
        // The clocks went from 24:00 to 1:00.
        let brazil = lengths(
            "America/Sao_Paulo",
            Bucket::Day,
            "2018-11-03T03:00:00Z",
            "2018-11-05T02:00:00Z",
        );
        assert_eq!(brazil, ["24h", "23h"]);
        // There was no 30th of December 2011 in Samoa.
        let samoa =
            lengths("Pacific/Apia", Bucket::Day, "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z");
        assert_eq!(samoa, ["24h", "24h"]);
    }

    #[test]
    fn too_many_buckets_are_refused() {
        let period = Period { start: Timestamp(0), end: Timestamp(3 * HOUR_S) };
        assert_eq!(cut(period, Bucket::Hour, &Zone::UTC, 3).unwrap().len(), 4);
        assert_eq!(cut(period, Bucket::Hour, &Zone::UTC, 2), Err(CutError::TooMany));
        let beyond = Period { start: Timestamp(i64::MAX - 1), end: Timestamp(i64::MAX) };
        assert_eq!(
            cut(beyond, Bucket::Month, &Zone::UTC, 9),
            Err(CutError::Calendar(CalendarError))
        );
    }

    proptest! {
        #[test]
        fn buckets_tile_the_span(
            start in 0_i64..4_102_444_800, length in 1_i64..9_000_000,
            bucket in prop::sample::select(vec![Bucket::Hour, Bucket::Day, Bucket::Week, Bucket::Month]),
            name in prop::sample::select(vec![
                "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe",
                "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca",
            ]),
        ) {
            let period = Period { start: Timestamp(start), end: Timestamp(start + length) };
            let whole = cut(period, bucket, &zone(name), 10_000).unwrap();
            prop_assert_eq!(whole.first(), Some(&period.start));
            prop_assert_eq!(whole.last(), Some(&period.end));
            prop_assert!(whole.windows(2).all(|pair| pair[0] < pair[1]), "{whole:?}");
            let longest = match bucket {
                Bucket::Hour => HOUR_S,
                Bucket::Day => 25 * HOUR_S,
                Bucket::Week => 7 * DAY_S + HOUR_S,
                Bucket::Month => 31 * DAY_S + HOUR_S,
            };
            prop_assert!(whole.windows(2).all(|pair| pair[1].0 - pair[0].0 <= longest), "{whole:?}");
            // A cut in the middle adds one boundary and moves none.
            let middle = Timestamp(start + length / 2);
            if middle > period.start {
                let mut parts = cut(Period { end: middle, ..period }, bucket, &zone(name), 10_000).unwrap();
                parts.extend(cut(Period { start: middle, ..period }, bucket, &zone(name), 10_000).unwrap());
                parts.dedup();
                parts.retain(|at| *at != middle || whole.contains(at));
                prop_assert_eq!(parts, whole);
            }
        }
    }
}
