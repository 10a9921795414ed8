//! Totals of any period, and the places of the events in it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use taximeter_kernel::aggregate::{Latest, Total, Window};
use taximeter_kernel::decimal::DecimalError;
use taximeter_kernel::time::{HOUR_S, Period, Timestamp};

use super::cell::Cell;
use super::{Hour, State, hour_of};
use crate::event::{EventQuery, Grain, Series};

/// Takes an hour and what the period counts in it.
type Part<'a> = dyn FnMut(Hour, &Total) -> Result<(), DecimalError> + 'a;

impl State {
    /// What the events of `series` in `period` amount to.
    pub(crate) fn total(
        &self,
        series: &Series,
        window: Option<Window>,
        period: Period,
    ) -> Result<Total, DecimalError> {
        let mut total = Total::EMPTY;
        self.parts(series, window, period, &mut |_, part| total.merge(part))?;
        Ok(total)
    }

    /// The same by hour or day, oldest first, without the buckets in which nothing counts. Each
    /// bucket is given as far as it lies in `period`.
    pub(crate) fn totals(
        &self,
        series: &Series,
        window: Option<Window>,
        period: Period,
        grain: Grain,
    ) -> Result<Vec<(Period, Total)>, DecimalError> {
        let mut buckets: BTreeMap<i64, Total> = BTreeMap::new();
        let hours = hours_in(grain);
        self.parts(series, window, period, &mut |hour, part| {
            if part.count == 0 {
                return Ok(());
            }
            buckets.entry(hour.div_euclid(hours)).or_default().merge(part)
        })?;
        let length_s = hours.saturating_mul(HOUR_S);
        let bucket_within = |bucket: i64| {
            let start = bucket.saturating_mul(length_s);
            let end = start.saturating_add(length_s);
            Period {
                start: period.start.max(Timestamp(start)),
                end: period.end.min(Timestamp(end)),
            }
        };
        Ok(buckets.into_iter().map(|(bucket, total)| (bucket_within(bucket), total)).collect())
    }

    /// The places in the order of the events that `query` asks for, ascending, and whether each is
    /// cancelled.
    pub(crate) fn arrivals(&self, query: &EventQuery, limit: usize) -> Vec<(u64, bool)> {
        let mut found = Vec::new();
        for (_, cell) in self.cells(&query.series, hours_of(query.period)) {
            let arrivals = cell.arrivals();
            let seen = arrivals.partition_point(|event| event.seq <= query.after);
            let unseen = arrivals.get(seen..).unwrap_or_default().iter();
            let wanted = unseen.filter(|event| query.period.contains(event.timestamp)).take(limit);
            found.extend(wanted.map(|event| (event.seq, cell.is_cancelled(event.seq))));
        }
        found.sort_unstable();
        found.truncate(limit);
        found
    }

    fn parts(
        &self,
        series: &Series,
        window: Option<Window>,
        period: Period,
        each: &mut Part<'_>,
    ) -> Result<(), DecimalError> {
        match window {
            None => self.all_parts(series, period, each),
            Some(window) => self.survivor_parts(series, window, period, each),
        }
    }

    /// Whole hours from their totals, the ragged edges of the period from their events.
    fn all_parts(
        &self,
        series: &Series,
        period: Period,
        each: &mut Part<'_>,
    ) -> Result<(), DecimalError> {
        for (hour, cell) in self.cells(series, hours_of(period)) {
            if is_whole(hour, period) {
                each(hour, cell.total())?;
            } else {
                each(hour, &cell.total_within(period)?)?;
            }
        }
        Ok(())
    }

    /// The survivors that lie in the period. Which event survives is decided over the whole window,
    /// also where the period covers it in part.
    fn survivor_parts(
        &self,
        series: &Series,
        window: Window,
        period: Period,
        each: &mut Part<'_>,
    ) -> Result<(), DecimalError> {
        let hours = window.length_s().div_euclid(HOUR_S);
        let mut survivors: BTreeMap<i64, Latest> = BTreeMap::new();
        for (hour, cell) in self.cells(series, whole_windows(hours_of(period), hours)) {
            let Some(event) = cell.total().latest_received else { continue };
            let survivor = survivors.entry(hour.div_euclid(hours)).or_insert(event);
            if event.seq > survivor.seq {
                *survivor = event;
            }
        }
        for event in survivors.values().filter(|event| period.contains(event.timestamp)) {
            let mut one = Total::EMPTY;
            one.add(*event)?;
            each(hour_of(event.timestamp), &one)?;
        }
        Ok(())
    }

    fn cells(
        &self,
        series: &Series,
        hours: Option<RangeInclusive<Hour>>,
    ) -> impl Iterator<Item = (Hour, &Cell)> {
        let of_series = self
            .scopes
            .get(&series.scope)
            .and_then(|scope| scope.hours(&series.meter, &series.customer));
        let range = of_series.zip(hours).map(|(cells, hours)| cells.range(hours));
        range.into_iter().flatten().map(|(hour, cell)| (*hour, cell))
    }
}

/// The hours that `period` touches; `None` when it is empty.
fn hours_of(period: Period) -> Option<RangeInclusive<Hour>> {
    let last = Timestamp(period.end.0.checked_sub(1)?);
    (period.start <= last).then(|| hour_of(period.start)..=hour_of(last))
}

/// The hours of all windows, each `hours` long, that hold one of `touched`.
fn whole_windows(
    touched: Option<RangeInclusive<Hour>>,
    hours: i64,
) -> Option<RangeInclusive<Hour>> {
    let touched = touched?;
    let start_of = |hour: Hour| hour.saturating_sub(hour.rem_euclid(hours));
    let last = start_of(*touched.end()).saturating_add(hours.saturating_sub(1));
    Some(start_of(*touched.start())..=last)
}

fn hours_in(grain: Grain) -> i64 {
    match grain {
        Grain::Hour => Window::Hour.length_s(),
        Grain::Day => Window::Day.length_s(),
    }
    .div_euclid(HOUR_S)
}

fn is_whole(hour: Hour, period: Period) -> bool {
    let start = hour.saturating_mul(HOUR_S);
    // An hour that ends beyond all timestamps cannot be covered by a period.
    let end = start.checked_add(HOUR_S);
    period.start.0 <= start && end.is_some_and(|end| end <= period.end.0)
}
