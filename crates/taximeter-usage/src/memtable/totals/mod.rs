//! Recent totals: what the events since the last flush add to each hour of each series.

mod rows;
mod slots;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use taximeter_kernel::aggregate::{Aggregation, Cell, Counted, Removal};
use taximeter_kernel::decimal::DecimalError;

use super::postings::Posting;
use crate::event::Standing;
use crate::totals::keys::{ALL, Hour, RowHash, start_of};
use rows::Rows;
pub(crate) use slots::Change;
use slots::{Slot, Slots};

/// A total's row: a series with all of its dimension values together, or with some values.
type RowNo = u32;
type CellNo = u32;
/// No row, cell or posting.
const NONE: u32 = u32::MAX;

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

    /// Counts events, each in the total of its series and in that of its dimension values.
    ///
    /// Step by step for all of them instead of event by event: what a step looks at is seldom in the
    /// processor's caches, and within a step it waits for several events at once.
    pub(crate) fn add(&mut self, additions: &[Addition<'_>]) -> Result<(), DecimalError> {
        let find = |of: &Addition<'_>| self.rows.find(of.hash, of.series, of.dimensions);
        let found: Vec<Option<RowNo>> = additions.iter().map(find).collect();
        let mut rows = Vec::with_capacity(additions.len());
        for (of, found) in additions.iter().zip(found) {
            let leaf =
                found.unwrap_or_else(|| self.rows.find_or_make(of.hash, of.series, of.dimensions));
            rows.push((leaf, self.rows.all_of(leaf)));
        }
        let mut cells = Vec::with_capacity(additions.len());
        for (of, (leaf, all)) in additions.iter().zip(rows) {
            let cell = self.cell(leaf, of.hour, of.aggregation);
            let of_all = if all == leaf { cell } else { self.cell(all, of.hour, of.aggregation) };
            cells.push((cell, of_all));
        }
        for (of, (leaf, all)) in additions.iter().zip(cells) {
            self.count(of, leaf, all)?;
        }
        Ok(())
    }

    fn count(
        &mut self,
        addition: &Addition<'_>,
        leaf: CellNo,
        all: CellNo,
    ) -> Result<(), DecimalError> {
        let Addition { hour, event, .. } = addition;
        if let Some(slot) = self.slots.get_mut(leaf) {
            slot.cell.add(event)?;
        }
        if leaf != all
            && let Some(slot) = self.slots.get_mut(all)
        {
            slot.cell.add(event)?;
        }
        let second = event.timestamp.0.saturating_sub(start_of(*hour).0);
        let second = u16::try_from(second).unwrap_or_default();
        let posting = Posting::Event { seq: event.seq, second, measure: event.measure };
        self.slots.post(leaf, &posting);
        Ok(())
    }

    /// Counts an event again in the total of the row with `dimensions`.
    pub(crate) fn restore(
        &mut self,
        dimensions: &[u8],
        addition: &Addition<'_>,
    ) -> Result<(), DecimalError> {
        let cell = self.cell_of(dimensions, addition);
        self.slots.get_mut(cell).map_or(Ok(()), |slot| slot.cell.add(&addition.event))
    }

    /// Takes an event out of the total of the row; `true` when the total must be counted anew.
    pub(crate) fn remove(&mut self, dimensions: &[u8], removal: &Addition<'_>) -> bool {
        let cell = self.cell_of(dimensions, removal);
        let slot = self.slots.get_mut(cell);
        slot.is_some_and(|slot| slot.cell.remove(&removal.event) == Removal::Recount)
    }

    /// Puts a total that was counted anew in place of all that was there.
    pub(crate) fn replace(&mut self, dimensions: &[u8], of: &Addition<'_>, cell: Cell) {
        let at = self.cell_of(dimensions, of);
        if let Some(slot) = self.slots.get_mut(at) {
            slot.replaces = true;
            slot.cell = cell;
        }
    }

    /// Notes that an event stands otherwise from `seq` on.
    pub(crate) fn mark(&mut self, removal: &Addition<'_>, seq: u64, standing: Standing) {
        let event = removal.event.seq;
        let cell = self.cell_of(removal.dimensions, removal);
        self.slots.post(cell, &Posting::Mark { seq, event, standing });
        self.marks.entry(event).or_default().push((seq, standing));
    }

    /// How the standing of an event changed.
    pub(crate) fn marks_of(&self, event: u64) -> &[(u64, Standing)] {
        self.marks.get(&event).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn marks(&self) -> &BTreeMap<u64, Vec<(u64, Standing)>> {
        &self.marks
    }

    /// Gives the cells of a row in `hours` to `each`, in order of hours. `dimensions` is [`ALL`] or
    /// some values.
    pub(crate) fn cells(
        &self,
        series: &[u8],
        dimensions: &[u8],
        hours: &RangeInclusive<Hour>,
        each: &mut dyn FnMut(Hour, Change),
    ) {
        let values = values_in(dimensions);
        let Some(row) = self.rows.find(RowHash::of(series, values), series, values) else { return };
        for slot in self.slots_in(row, hours) {
            if !slot.is_only_postings() {
                each(slot.hour, slot.change());
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

    /// Every slot in the order of series, dimension values, hour.
    pub(crate) fn sorted(&self) -> Sorted<'_> {
        let rows = self.rows.sorted();
        let mut ranks: Vec<u32> = vec![0; self.rows.len()];
        for (rank, row) in (0..).zip(&rows) {
            if let Some(of_row) = ranks.get_mut(wide(*row)) {
                *of_row = rank;
            }
        }
        let rank_of = |row: RowNo| ranks.get(wide(row)).copied().unwrap_or_default();
        let slots = (0..).zip(self.slots.all());
        let mut slots: Vec<Ranked> = slots
            .map(|(at, slot)| Ranked { rank: rank_of(slot.row), slot: at, hour: slot.hour })
            .collect();
        slots.sort_unstable_by_key(|slot| (slot.rank, slot.hour));
        Sorted { totals: self, rows, slots }
    }

    fn slots_in<'a>(&'a self, row: RowNo, hours: &RangeInclusive<Hour>) -> Vec<&'a Slot> {
        let width = hours.end().saturating_sub(*hours.start());
        let few = usize::try_from(width).is_ok_and(|width| width < self.slots.len());
        if few {
            let probe = |hour| self.slots.find(row, hour).and_then(|at| self.slots.get(at));
            return hours.clone().filter_map(probe).collect();
        }
        let is_in = |slot: &&Slot| slot.row == row && hours.contains(&slot.hour);
        let mut slots: Vec<&Slot> = self.slots.all().iter().filter(is_in).collect();
        slots.sort_unstable_by_key(|slot| slot.hour);
        slots
    }

    fn find_all(&self, series: &[u8]) -> Option<RowNo> {
        self.rows.find(RowHash::of(series, &[]), series, &[])
    }

    /// The cell of what is added, in the row with `dimensions`.
    fn cell_of(&mut self, dimensions: &[u8], of: &Addition<'_>) -> CellNo {
        let row = self.rows.find_or_make(of.hash, of.series, values_in(dimensions));
        self.cell(row, of.hour, of.aggregation)
    }

    fn cell(&mut self, row: RowNo, hour: Hour, aggregation: Aggregation) -> CellNo {
        if let Some((_, cell)) = self.rows.latest(row).filter(|(latest, _)| *latest == hour) {
            return cell;
        }
        let cell = self.slots.find_or_make(row, hour, aggregation);
        self.rows.set_latest(row, hour, cell);
        cell
    }
}

/// The slots of a memtable in the order in which a flush writes them.
#[derive(Debug)]
pub(crate) struct Sorted<'a> {
    totals: &'a Totals,
    /// In the order of series and values.
    rows: Vec<RowNo>,
    slots: Vec<Ranked>,
}

#[derive(Debug, Clone, Copy)]
struct Ranked {
    /// The place of its row.
    rank: u32,
    slot: CellNo,
    hour: Hour,
}

/// Whose total something is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) series: &'a [u8],
    /// Its dimension values; empty for all together.
    pub(crate) values: &'a [u8],
}

impl<'a> Sorted<'a> {
    /// The totals in the order of their keys, without what holds only postings.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (Key<'a>, Hour, Change)> {
        self.slots.iter().filter_map(|of| {
            let slot = self.totals.slots.get(of.slot).filter(|slot| !slot.is_only_postings())?;
            Some((self.key(of.rank)?, slot.hour, slot.change()))
        })
    }

    /// Each series with each of its dimension values, in order.
    pub(crate) fn with_values(&self) -> impl Iterator<Item = Key<'a>> {
        let used = self.slots.chunk_by(|one, next| one.rank == next.rank).filter_map(<[_]>::first);
        used.filter_map(|slot| self.key(slot.rank)).filter(|key| !key.values.is_empty())
    }

    /// Gives the rows of postings to `each`, in the order of series, hour, values.
    pub(crate) fn postings<E>(
        mut self,
        mut each: impl FnMut(Key<'_>, Hour, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { totals, rows, slots } = &mut self;
        let all_of = |of: &Ranked| rows.get(wide(of.rank)).map(|row| totals.rows.all_of(*row));
        for of_series in slots.chunk_by_mut(|one, next| all_of(one) == all_of(next)) {
            of_series.sort_unstable_by_key(|slot| (slot.hour, slot.rank));
        }
        let mut slots = self.slots.iter();
        let rows = self.totals.slots.posting_rows(self.slots.iter().map(|slot| slot.slot));
        for (at, row) in rows.iter() {
            let Some(slot) = slots.find(|slot| slot.slot == at) else { break };
            let Some(key) = self.key(slot.rank) else { break };
            each(key, slot.hour, row)?;
        }
        Ok(())
    }

    fn key(&self, rank: u32) -> Option<Key<'a>> {
        let row = *self.rows.get(wide(rank))?;
        let rows = &self.totals.rows;
        Some(Key { series: rows.series_at(row), values: rows.values_at(row) })
    }
}

/// The values of some dimensions; none for [`ALL`].
fn values_in(dimensions: &[u8]) -> &[u8] {
    if dimensions == ALL { &[] } else { dimensions }
}

fn wide(no: u32) -> usize {
    usize::try_from(no).unwrap_or(usize::MAX)
}
