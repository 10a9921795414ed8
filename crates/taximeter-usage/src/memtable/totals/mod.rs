//! Recent totals: what the events since the last flush add to each hour of each series.

mod kept;
mod rows;
mod slots;
mod sorted;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use taximeter_kernel::aggregate::{Aggregation, Cell, CellError, Counted, Removal};

use super::postings::Posting;
use crate::event::Standing;
use crate::totals::keys::{ALL, Hour, RowHash, start_of};
use rows::Rows;
pub(crate) use slots::Change;
use slots::{Slot, Slots};
pub(crate) use sorted::Key;

/// A total's row: a series with all of its dimension values together, or with some values.
type RowNo = u32;
type CellNo = u32;
/// No row, cell or posting.
const NONE: u32 = u32::MAX;

/// A series with more dimension values than this has every event counted in its row of all, so that
/// neither a read nor a flush has to add up more rows.
const VALUES_ADDED_UP_MAX: usize = 64;
/// Fewer hours than this are looked up one by one.
const HOURS_LOOKED_UP_MAX: usize = 24;

/// Takes an hour, dimension values and postings in order.
pub(crate) type EachHour<'a> = dyn FnMut(Hour, &[u8], Vec<Posting>) + 'a;
/// Takes a meter, an hour and postings in order.
pub(crate) type EachMeterHour<'a> = dyn FnMut(&[u8], Hour, Vec<Posting>) + 'a;

/// What one event adds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addition<'a> {
    /// The key of its series.
    pub(crate) series: &'a [u8],
    /// Its dimension values as they are in keys; empty for none.
    pub(crate) dimensions: &'a [u8],
    /// Of the two.
    pub(crate) hash: RowHash,
    pub(crate) hour: Hour,
    pub(crate) aggregation: Aggregation,
    pub(crate) event: Counted,
}

#[derive(Debug, Default)]
pub(crate) struct Totals {
    rows: Rows,
    slots: Slots,
    /// Events whose standing changed, and how.
    marks: BTreeMap<u64, Vec<(u64, Standing)>>,
}

impl Totals {
    pub(crate) fn with_capacity(events: usize) -> Self {
        Self {
            rows: Rows::with_capacity(events.div_euclid(8)),
            slots: Slots::with_capacity(events),
            marks: BTreeMap::new(),
        }
    }

    /// Empties it, and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.slots.clear();
        self.marks.clear();
    }

    pub(crate) fn bytes(&self) -> usize {
        let marks = self.marks.len().saturating_mul(64);
        self.rows.bytes().saturating_add(self.slots.bytes()).saturating_add(marks)
    }

    /// Counts events, each in the total of its dimension values, and in that of its series where that
    /// is whole. Elsewhere the total of a series is what its rows amount to when it is asked for.
    ///
    /// Step by step for all of them instead of event by event: what a step looks at is seldom in the
    /// processor's caches, and within a step it waits for several events at once.
    pub(crate) fn add(&mut self, additions: &[Addition<'_>]) -> Result<(), CellError> {
        let find = |of: &Addition<'_>| self.rows.find(of.hash, of.series, of.dimensions);
        let found: Vec<Option<RowNo>> = additions.iter().map(find).collect();
        let mut rows = Vec::with_capacity(additions.len());
        for (of, found) in additions.iter().zip(found) {
            rows.push(match found {
                Some(row) => row,
                None => self.row_of(of.dimensions, of)?,
            });
        }
        // Only when all rows are made: a row that is made may make the total of its series whole.
        let mut cells = Vec::with_capacity(additions.len());
        for (of, row) in additions.iter().zip(rows) {
            let cell = self.cell(row, of.hour, of.aggregation)?;
            let of_all = match self.rows.counts_in(row) {
                Some(all) => Some(self.cell(all, of.hour, of.aggregation)?),
                None => None,
            };
            cells.push((cell, of_all));
        }
        for (of, (cell, of_all)) in additions.iter().zip(cells) {
            self.count(of, cell, of_all)?;
        }
        Ok(())
    }

    /// The row of the series with `values`, made when it is not there.
    fn row_of(&mut self, values: &[u8], of: &Addition<'_>) -> Result<RowNo, CellError> {
        let row = self.rows.find_or_make(of.hash, of.series, values);
        let all = self.rows.all_of(row);
        if self.rows.by_values(all).len() > VALUES_ADDED_UP_MAX {
            self.add_up(all)?;
        }
        Ok(row)
    }

    /// Makes the total of a series whole. Before it is corrected it must be: what takes the place of a
    /// total cannot be added up.
    pub(crate) fn make_whole(&mut self, series: &[u8]) -> Result<(), CellError> {
        let all = self.rows.find_or_make(RowHash::of(series, &[]), series, &[]);
        self.add_up(all)
    }

    fn add_up(&mut self, all: RowNo) -> Result<(), CellError> {
        for row in self.rows.make_whole(all) {
            let mut next = self.rows.newest_cell(row);
            while let Some(slot) = self.slots.get(next) {
                let (hour, said) = (slot.hour, self.slots.said(slot));
                next = slot.before;
                let Some(Change { cell, .. }) = said else { continue };
                match self.slots.find(all, hour) {
                    Some(at) => self.slots.change(at, |of_all| of_all.cell.merge(&cell))?,
                    None => {
                        self.make_cell(all, hour, cell)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        addition: &Addition<'_>,
        cell: CellNo,
        of_all: Option<CellNo>,
    ) -> Result<(), CellError> {
        let Addition { hour, event, .. } = addition;
        for at in std::iter::once(cell).chain(of_all) {
            self.slots.change(at, |total| Ok(total.cell.add(event)?))?;
        }
        let second = event.timestamp.0.saturating_sub(start_of(*hour).0);
        let second = u16::try_from(second).unwrap_or_default();
        let posting = Posting::Event { seq: event.seq, second, measure: event.measure };
        self.slots.post(cell, &posting);
        Ok(())
    }

    /// Counts an event again in the total of the row with `dimensions`, of a series that is whole.
    pub(crate) fn restore(
        &mut self,
        dimensions: &[u8],
        addition: &Addition<'_>,
    ) -> Result<(), CellError> {
        let at = self.cell_of(dimensions, addition)?;
        self.slots.change(at, |total| Ok(total.cell.add(&addition.event)?))
    }

    /// Takes an event out of the total of the row; `true` when the total must be counted anew.
    pub(crate) fn remove(
        &mut self,
        dimensions: &[u8],
        removal: &Addition<'_>,
    ) -> Result<bool, CellError> {
        let at = self.cell_of(dimensions, removal)?;
        self.slots.change(at, |total| Ok(total.cell.remove(&removal.event) == Removal::Recount))
    }

    /// Puts a total that was counted anew in place of all that was there.
    pub(crate) fn replace(
        &mut self,
        dimensions: &[u8],
        of: &Addition<'_>,
        cell: Cell,
    ) -> Result<(), CellError> {
        let at = self.cell_of(dimensions, of)?;
        self.slots.change(at, |total| {
            *total = Change { replaces: true, cell };
            Ok(())
        })
    }

    /// Notes that an event stands otherwise from `seq` on.
    pub(crate) fn mark(
        &mut self,
        removal: &Addition<'_>,
        seq: u64,
        standing: Standing,
    ) -> Result<(), CellError> {
        let event = removal.event.seq;
        let cell = self.cell_of(removal.dimensions, removal)?;
        self.slots.post(cell, &Posting::Mark { seq, event, standing });
        self.marks.entry(event).or_default().push((seq, standing));
        Ok(())
    }

    /// How the standing of an event changed.
    pub(crate) fn marks_of(&self, event: u64) -> &[(u64, Standing)] {
        self.marks.get(&event).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn marks(&self) -> &BTreeMap<u64, Vec<(u64, Standing)>> {
        &self.marks
    }

    /// Gives what the total of a row in `hours` is made of to `each`, for an hour perhaps several that
    /// are to be added up. `dimensions` is [`ALL`] or some values.
    pub(crate) fn cells(
        &self,
        series: &[u8],
        dimensions: &[u8],
        hours: &RangeInclusive<Hour>,
        each: &mut dyn FnMut(Hour, Change),
    ) {
        let values = values_in(dimensions);
        let Some(row) = self.rows.find(RowHash::of(series, values), series, values) else { return };
        let added_up = if values.is_empty() && !self.rows.is_whole(row) {
            self.rows.by_values(row)
        } else {
            &[]
        };
        for row in std::iter::once(&row).chain(added_up) {
            for slot in self.slots_in(*row, hours) {
                if let Some(change) = self.slots.said(slot) {
                    each(slot.hour, change);
                }
            }
        }
    }

    /// Gives the postings of a series in `hours` to `each`: hour, dimension values, postings in order.
    pub(crate) fn postings(
        &self,
        series: &[u8],
        hours: &RangeInclusive<Hour>,
        each: &mut EachHour<'_>,
    ) {
        if let Some(all) = self.find_all(series) {
            self.postings_of(all, hours, each);
        }
    }

    fn postings_of(&self, all: RowNo, hours: &RangeInclusive<Hour>, each: &mut EachHour<'_>) {
        for row in std::iter::once(&all).chain(self.rows.by_values(all)) {
            for slot in self.slots_in(*row, hours) {
                let postings = self.slots.postings(slot);
                if !postings.is_empty() {
                    each(slot.hour, self.rows.values_at(*row), postings);
                }
            }
        }
    }

    /// Gives the postings of a customer to `each`: meter, hour, postings in order.
    pub(crate) fn customer_postings(&self, customer: &[u8], each: &mut EachMeterHour<'_>) {
        let every = Hour::MIN..=Hour::MAX;
        for all in self.rows.of_customer(customer) {
            let series = self.rows.series_at(all);
            let meter = series.get(customer.len()..).and_then(<[u8]>::split_last);
            let meter = meter.map_or(&[][..], |(_, meter)| meter);
            self.postings_of(all, &every, &mut |hour, _, postings| each(meter, hour, postings));
        }
    }

    /// The dimension values under which the series has rows.
    pub(crate) fn values(&self, series: &[u8]) -> impl Iterator<Item = &[u8]> {
        let all = self.find_all(series);
        let rows = all.map_or(&[][..], |all| self.rows.by_values(all));
        rows.iter().map(|row| self.rows.values_at(*row))
    }

    /// The slots of a row in `hours`, in order.
    fn slots_in(&self, row: RowNo, hours: &RangeInclusive<Hour>) -> Vec<&Slot> {
        let width = hours.end().saturating_sub(*hours.start());
        if usize::try_from(width).is_ok_and(|width| width < HOURS_LOOKED_UP_MAX) {
            let probe = |hour| self.slots.find(row, hour).and_then(|at| self.slots.get(at));
            return hours.clone().filter_map(probe).collect();
        }
        let newest = self.slots.get(self.rows.newest_cell(row));
        let of_row = std::iter::successors(newest, |slot| self.slots.get(slot.before));
        let mut slots: Vec<&Slot> = of_row.filter(|slot| hours.contains(&slot.hour)).collect();
        slots.sort_unstable_by_key(|slot| slot.hour);
        slots
    }

    fn find_all(&self, series: &[u8]) -> Option<RowNo> {
        self.rows.find(RowHash::of(series, &[]), series, &[])
    }

    /// The cell of what is added, in the row with `dimensions`.
    fn cell_of(&mut self, dimensions: &[u8], of: &Addition<'_>) -> Result<CellNo, CellError> {
        let row = self.rows.find_or_make(of.hash, of.series, values_in(dimensions));
        self.cell(row, of.hour, of.aggregation)
    }

    fn cell(
        &mut self,
        row: RowNo,
        hour: Hour,
        aggregation: Aggregation,
    ) -> Result<CellNo, CellError> {
        if let Some((_, cell)) = self.rows.latest(row).filter(|(latest, _)| *latest == hour) {
            return Ok(cell);
        }
        let cell = match self.slots.find(row, hour) {
            Some(found) => found,
            None => self.make_cell(row, hour, Cell::empty(aggregation))?,
        };
        self.rows.set_latest(row, hour, cell);
        Ok(cell)
    }

    fn make_cell(&mut self, row: RowNo, hour: Hour, cell: Cell) -> Result<CellNo, CellError> {
        let at = self.slots.make(row, hour, self.rows.newest_cell(row), cell)?;
        self.rows.set_newest_cell(row, at);
        Ok(at)
    }
}

/// The values of some dimensions; none for [`ALL`].
fn values_in(dimensions: &[u8]) -> &[u8] {
    if dimensions == ALL { &[] } else { dimensions }
}

fn wide(no: u32) -> usize {
    usize::try_from(no).unwrap_or(usize::MAX)
}
