//! What a question about usage needs, and the answer made of it.

use std::collections::{BTreeMap, BTreeSet};

use taximeter_kernel::aggregate::{
    Cell, Counted, Formula, Measure, Source, Tally, Usage, WideSum, Window,
};
use taximeter_kernel::decimal::DecimalError;
use taximeter_kernel::time::{HOUR_S, Period, Timestamp};

use super::keys::{ALL, Hour, hour_of, read_dimensions, series_key, start_of};
use super::layers::{Hours, Layers, Needs};
use crate::error::ReadError;
use crate::event::Standing;
use crate::memtable::postings::{Posting, counted};
use crate::query::{UsageGroup, UsageQuery, spans};

/// The values of the dimensions that are grouped by.
type GroupKey = Vec<String>;

/// What one group's answer is made of.
#[derive(Debug, Default)]
struct Material {
    /// Totals of hours that no boundary cuts.
    cells: BTreeMap<Hour, Cell>,
    /// Events of hours that a boundary cuts, or survivors, or all.
    events: Vec<Counted>,
}

/// How a question is answered.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    query: &'a UsageQuery,
    boundaries: &'a [Timestamp],
    pub(crate) needs: Needs,
    /// Hours that a boundary cuts: their totals are of no use.
    cut: BTreeSet<Hour>,
}

impl<'a> Plan<'a> {
    /// `None` when the boundaries leave nothing to add up.
    pub(crate) fn new(query: &'a UsageQuery, boundaries: &'a [Timestamp]) -> Option<Self> {
        let (first, last) = (boundaries.first()?, boundaries.last()?);
        let before_end = Timestamp(last.0.checked_sub(1)?);
        if *first > before_end {
            return None;
        }
        // A level is what all changes since ever have made it.
        let carries = query.aggregation.formula == Formula::WeightedSum;
        let start = if carries { Hour::MIN } else { hour_of(*first) };
        let hours = whole_windows(start..=hour_of(before_end), query.aggregation.window);
        let is_cut = |at: &&Timestamp| at.0.rem_euclid(HOUR_S) != 0;
        let cut: BTreeSet<Hour> = boundaries.iter().filter(is_cut).map(|at| hour_of(*at)).collect();
        let from_events = query.as_of.is_some()
            || (query.aggregation.source() == Source::Events && query.aggregation.window.is_none());
        let survivors = query.aggregation.window.is_some();
        let needs = Needs {
            series: series_key(&query.series),
            cells: (!from_events).then(|| hours.clone()),
            by_values: !(query.filters.is_empty() && query.group_by.is_empty()),
            postings: match (from_events, survivors) {
                (true, _) => vec![hours],
                (false, true) => Vec::new(),
                (false, false) => cut.iter().map(|hour| *hour..=*hour).collect(),
            },
        };
        Some(Self { query, boundaries, needs, cut })
    }

    /// The answer.
    pub(crate) fn answer(&self, layers: &Layers<'_>) -> Result<Vec<UsageGroup>, ReadError> {
        let mut groups: BTreeMap<GroupKey, Material> = BTreeMap::new();
        if self.query.group_by.is_empty() {
            groups.insert(GroupKey::new(), Material::default());
        }
        if let Some(hours) = &self.needs.cells {
            self.take_cells(layers, hours, &mut groups)?;
        }
        for hours in &self.needs.postings {
            self.take_events(layers, hours, &mut groups)?;
        }
        let mut answer = Vec::with_capacity(groups.len());
        for (dimensions, mut material) in groups {
            if let Some(window) = self.query.aggregation.window {
                keep_survivors(&mut material, window);
            }
            let usage = self.usage(&material)?;
            let is_something = |usage: &Usage| usage.events > 0 || !usage.quantity.is_zero();
            if self.query.group_by.is_empty() || usage.iter().any(is_something) {
                answer.push(UsageGroup { dimensions, usage });
            }
        }
        Ok(answer)
    }

    fn take_cells(
        &self,
        layers: &Layers<'_>,
        hours: &Hours,
        groups: &mut BTreeMap<GroupKey, Material>,
    ) -> Result<(), ReadError> {
        let series = &self.needs.series;
        let rows: Vec<Vec<u8>> = if self.needs.by_values {
            layers.values(series)?.into_iter().collect()
        } else {
            vec![ALL.to_vec()]
        };
        for row in rows {
            let Some(group) = self.group_of(if row == ALL { &[] } else { &row })? else { continue };
            let material = groups.entry(group).or_default();
            for (hour, cell) in layers.cells(series, &row, hours)? {
                if self.query.aggregation.window.is_none() && self.cut.contains(&hour) {
                    continue;
                }
                match material.cells.get_mut(&hour) {
                    Some(others) => others.merge(&cell).map_err(|_| ReadError::Overflow)?,
                    None => {
                        material.cells.insert(hour, cell);
                    }
                }
            }
        }
        Ok(())
    }

    fn take_events(
        &self,
        layers: &Layers<'_>,
        hours: &Hours,
        groups: &mut BTreeMap<GroupKey, Material>,
    ) -> Result<(), ReadError> {
        let as_of = self.query.as_of.unwrap_or(u64::MAX);
        let mut known: BTreeMap<Vec<u8>, Option<GroupKey>> = BTreeMap::new();
        let mut found: BTreeMap<u64, (Counted, Option<GroupKey>)> = BTreeMap::new();
        let mut out: BTreeSet<u64> = BTreeSet::new();
        layers.postings(&self.needs.series, hours, &mut |hour, dimensions, posting| {
            if posting.seq() > as_of {
                return Ok(());
            }
            match posting {
                Posting::Event { seq, second, measure } => {
                    if !known.contains_key(dimensions) {
                        known.insert(dimensions.to_vec(), self.group_of(dimensions)?);
                    }
                    let group = known.get(dimensions).cloned().flatten();
                    found.insert(seq, (counted(start_of(hour), seq, second, measure), group));
                }
                Posting::Mark { event, standing: Standing::Counts, .. } => {
                    out.remove(&event);
                }
                Posting::Mark { event, .. } => {
                    out.insert(event);
                }
            }
            Ok(())
        })?;
        for (seq, (event, group)) in found {
            if let Some(group) = group.filter(|_| !out.contains(&seq)) {
                groups.entry(group).or_default().events.push(event);
            }
        }
        Ok(())
    }

    /// The group that dimension values belong to; `None` when a filter keeps them out.
    fn group_of(&self, dimensions: &[u8]) -> Result<Option<GroupKey>, ReadError> {
        if self.query.filters.is_empty() && self.query.group_by.is_empty() {
            return Ok(Some(GroupKey::new()));
        }
        if dimensions.is_empty() {
            return Ok(None);
        }
        let unreadable = ReadError::Inconsistent("dimension values are unreadable");
        let values = read_dimensions(dimensions).ok_or(unreadable)?;
        let passes = self.query.filters.iter().all(|filter| {
            values.get(filter.dimension).is_some_and(|value| filter.values.contains(value))
        });
        let value = |at: &usize| values.get(*at).cloned().unwrap_or_default();
        Ok(passes.then(|| self.query.group_by.iter().map(value).collect()))
    }

    fn usage(&self, material: &Material) -> Result<Vec<Usage>, ReadError> {
        let first = self.boundaries.first().copied().unwrap_or(Timestamp(i64::MIN));
        let mut level = WideSum::ZERO;
        for (_, cell) in material.cells.range(..hour_of(first)) {
            add_sum(&mut level, cell).map_err(overflow)?;
        }
        let mut events: Vec<&Counted> = material.events.iter().collect();
        events.sort_unstable_by_key(|event| (event.timestamp, event.seq));
        let mut events = events.into_iter().peekable();
        while let Some(event) = events.next_if(|event| event.timestamp < first) {
            add_measure(&mut level, event).map_err(overflow)?;
        }
        let mut answer = Vec::with_capacity(self.boundaries.len());
        for period in spans(self.boundaries) {
            let mut tally = Tally::new(self.query.aggregation, period);
            let mut change = WideSum::ZERO;
            for (hour, cell) in cells_in(&material.cells, period) {
                tally.add_cell(start_of(hour), cell).map_err(|_| ReadError::Overflow)?;
                add_sum(&mut change, cell).map_err(overflow)?;
            }
            while let Some(event) = events.next_if(|event| event.timestamp < period.end) {
                tally.add_event(event).map_err(|_| ReadError::Overflow)?;
                add_measure(&mut change, event).map_err(overflow)?;
            }
            answer.push(tally.finish(&level).map_err(overflow)?);
            level = level.checked_add(change).map_err(overflow)?;
        }
        Ok(answer)
    }
}

fn overflow(_: DecimalError) -> ReadError {
    ReadError::Overflow
}

/// The hours that begin in `period` and that no boundary cuts, which are all that are left.
fn cells_in(cells: &BTreeMap<Hour, Cell>, period: Period) -> impl Iterator<Item = (Hour, &Cell)> {
    let first = hour_of(Timestamp(period.start.0.saturating_add(HOUR_S).saturating_sub(1)));
    let behind = hour_of(Timestamp(period.end.0.saturating_add(HOUR_S).saturating_sub(1)));
    cells.range(first..behind.max(first)).map(|(hour, cell)| (*hour, cell))
}

fn add_sum(sum: &mut WideSum, cell: &Cell) -> Result<(), DecimalError> {
    if let Cell::Weighted { sum: of, .. } = cell {
        *sum = sum.checked_add(*of)?;
    }
    Ok(())
}

fn add_measure(sum: &mut WideSum, event: &Counted) -> Result<(), DecimalError> {
    match event.measure {
        Measure::Number(value) => *sum = sum.checked_add(value.into())?,
        Measure::Member(_) => {}
    }
    Ok(())
}

/// Of the events of each window the one that was received last.
fn keep_survivors(material: &mut Material, window: Window) {
    let mut survivors: BTreeMap<i64, Counted> = BTreeMap::new();
    let held = material
        .cells
        .values()
        .filter_map(|cell| if let Cell::Survivor { latest } = cell { *latest } else { None });
    for event in held.chain(material.events.iter().copied()) {
        let bucket = event.timestamp.0.div_euclid(window.length_s());
        let survivor = survivors.entry(bucket).or_insert(event);
        if event.seq > survivor.seq {
            *survivor = event;
        }
    }
    material.cells.clear();
    material.events = survivors.into_values().collect();
}

/// The hours of all windows that hold one of `hours`.
fn whole_windows(hours: Hours, window: Option<Window>) -> Hours {
    let Some(window) = window else { return hours };
    let length = window.length_s().div_euclid(HOUR_S);
    let start_of = |hour: Hour| hour.saturating_sub(hour.rem_euclid(length));
    let last = start_of(*hours.end()).saturating_add(length.saturating_sub(1));
    start_of(*hours.start())..=last
}
