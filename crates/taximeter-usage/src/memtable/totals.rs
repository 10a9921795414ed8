//! Recent totals: what the events since the last flush add to each hour of each series.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use hashbrown::HashTable;
use taximeter_kernel::aggregate::{Aggregation, Cell, Counted, Removal};
use taximeter_kernel::decimal::DecimalError;
use xxhash_rust::xxh3::xxh3_64;

use super::postings::{self, Posting};
use crate::event::Standing;
use crate::totals::keys::{ALL, Hour, start_of};

/// A total's row: a series with all of its dimension values together, or with some values.
type RowNo = u32;
type CellNo = u32;
/// Ends a chain of postings.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Row {
    hash: u64,
    /// Where its key is in the arena: series, then dimension values.
    start: usize,
    series_end: usize,
    end: usize,
    /// The other rows of the series with dimension values; only where this one is of all.
    by_values: Vec<RowNo>,
    /// Of what the customer's series begin with; only where this one is of all.
    customer_hash: u64,
    /// The row of all before it of the same customer.
    customer_before: RowNo,
    /// The cell asked for last, since most events are of now.
    latest: (Hour, CellNo),
}

#[derive(Debug)]
struct Slot {
    row: RowNo,
    hour: Hour,
    /// Whether the cell stands in place of what was there before, instead of adding to it.
    replaces: bool,
    cell: Cell,
    /// The latest posting, at this place in the arena.
    last_posting: u32,
    /// The place in the order of that posting.
    last_seq: u64,
}

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
    pub(crate) hour: Hour,
    pub(crate) aggregation: Aggregation,
    pub(crate) event: Counted,
}

/// A cell as a flush and a read see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) replaces: bool,
    pub(crate) cell: Cell,
}

#[derive(Debug, Default)]
pub(crate) struct Totals {
    row_table: HashTable<RowNo>,
    rows: Vec<Row>,
    keys: Vec<u8>,
    cell_table: HashTable<CellNo>,
    slots: Vec<Slot>,
    /// Postings: the place of the one before in its chain (4), their length (1), their bytes.
    postings: Vec<u8>,
    /// The latest row of all dimension values together of each customer.
    customers: HashTable<RowNo>,
    /// Events whose standing changed, and how.
    marks: BTreeMap<u64, Vec<(u64, Standing)>>,
}

impl Totals {
    pub(crate) fn with_capacity(events: usize) -> Self {
        let cells = events.checked_div(4).unwrap_or_default();
        Self {
            row_table: HashTable::with_capacity(cells),
            cell_table: HashTable::with_capacity(cells),
            slots: Vec::with_capacity(cells),
            postings: Vec::with_capacity(events.saturating_mul(16)),
            ..Self::default()
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let rows = self.rows.len().saturating_mul(size_of::<Row>());
        let slots = self.slots.len().saturating_mul(size_of::<Slot>());
        let tables = self.rows.len().saturating_add(self.slots.len());
        rows.saturating_add(slots)
            .saturating_add(tables.saturating_mul(10))
            .saturating_add(self.keys.len())
            .saturating_add(self.postings.len())
            .saturating_add(self.marks.len().saturating_mul(64))
    }

    /// Counts an event, in the total of its series and in that of its dimension values.
    pub(crate) fn add(&mut self, addition: &Addition<'_>) -> Result<(), DecimalError> {
        let Addition { series, dimensions, hour, aggregation, event } = *addition;
        let all = self.row(series, ALL);
        let all_cell = self.cell(all, hour, aggregation);
        if let Some(slot) = self.slot_mut(all_cell) {
            slot.cell.add(&event)?;
        }
        let leaf = if dimensions.is_empty() {
            all_cell
        } else {
            let row = self.values_row(all, series, dimensions);
            let cell = self.cell(row, hour, aggregation);
            if let Some(slot) = self.slot_mut(cell) {
                slot.cell.add(&event)?;
            }
            cell
        };
        let second = event.timestamp.0.saturating_sub(start_of(hour).0);
        let second = u16::try_from(second).unwrap_or_default();
        self.post(leaf, &Posting::Event { seq: event.seq, second, measure: event.measure });
        Ok(())
    }

    /// Counts an event again in the total of the row.
    pub(crate) fn restore(
        &mut self,
        series: &[u8],
        dimensions: &[u8],
        addition: &Addition<'_>,
    ) -> Result<(), DecimalError> {
        let row = self.any_row(series, dimensions);
        let cell = self.cell(row, addition.hour, addition.aggregation);
        self.slot_mut(cell).map_or(Ok(()), |slot| slot.cell.add(&addition.event))
    }

    /// Takes an event out of the total of the row; `true` when the total must be counted anew.
    pub(crate) fn remove(
        &mut self,
        series: &[u8],
        dimensions: &[u8],
        removal: &Addition<'_>,
    ) -> bool {
        let row = self.any_row(series, dimensions);
        let cell = self.cell(row, removal.hour, removal.aggregation);
        let slot = self.slot_mut(cell);
        slot.is_some_and(|slot| slot.cell.remove(&removal.event) == Removal::Recount)
    }

    /// Puts a total that was counted anew in place of all that was there.
    pub(crate) fn replace(
        &mut self,
        series: &[u8],
        dimensions: &[u8],
        (hour, aggregation): (Hour, Aggregation),
        cell: Cell,
    ) {
        let row = self.any_row(series, dimensions);
        let at = self.cell(row, hour, aggregation);
        if let Some(slot) = self.slot_mut(at) {
            slot.replaces = true;
            slot.cell = cell;
        }
    }

    /// Notes that an event stands otherwise from `seq` on.
    pub(crate) fn mark(&mut self, removal: &Addition<'_>, seq: u64, standing: Standing) {
        let event = removal.event.seq;
        let all = self.row(removal.series, ALL);
        let row = if removal.dimensions.is_empty() {
            all
        } else {
            self.values_row(all, removal.series, removal.dimensions)
        };
        let cell = self.cell(row, removal.hour, removal.aggregation);
        self.post(cell, &Posting::Mark { seq, event, standing });
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
        let Some(row) = self.find_row(series, dimensions) else { return };
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
        let Some(all) = self.find_row(series, ALL) else { return };
        let by_values = self.row_at(all).map_or(&[][..], |row| &row.by_values);
        for row in std::iter::once(&all).chain(by_values) {
            for slot in self.slots_in(*row, hours) {
                let postings = self.chain(slot);
                if !postings.is_empty() {
                    each(slot.hour, self.values_of(*row), postings);
                }
            }
        }
    }

    /// Gives the postings of a customer to `each`: meter, hour, postings in order.
    pub(crate) fn customer_postings(&self, customer: &[u8], each: &mut EachMeterHour<'_>) {
        let every = Hour::MIN..=Hour::MAX;
        let mut next = self.find_customer(xxh3_64(customer), customer);
        while let Some(row) = next.and_then(|no| self.row_at(no)) {
            next = Some(row.customer_before).filter(|before| *before != NONE);
            let series = self.keys.get(row.start..row.series_end).unwrap_or_default();
            let meter = series.get(customer.len()..).and_then(<[u8]>::split_last);
            let meter = meter.map_or(&[][..], |(_, meter)| meter);
            self.postings(series, &every, &mut |hour, _, postings| each(meter, hour, postings));
        }
    }

    /// The dimension values under which the series has rows.
    pub(crate) fn values(&self, series: &[u8]) -> impl Iterator<Item = &[u8]> {
        let all = self.find_row(series, ALL).and_then(|all| self.row_at(all));
        let rows = all.map_or(&[][..], |row| &row.by_values);
        rows.iter().map(|row| self.values_of(*row))
    }

    /// Every slot in the order of series, dimension values, hour, with what a flush writes.
    pub(crate) fn sorted(&self) -> Vec<SortedSlot<'_>> {
        let mut rows: Vec<(&[u8], RowNo)> =
            (0..).zip(&self.rows).map(|(no, row)| (self.key_of(row), no)).collect();
        rows.sort_unstable();
        let mut rank = vec![0_u32; self.rows.len()];
        for (place, (_, no)) in (0..).zip(&rows) {
            if let Some(slot) = rank.get_mut(wide(*no)) {
                *slot = place;
            }
        }
        let rank_of = |row: RowNo| rank.get(wide(row)).copied().unwrap_or_default();
        let mut order: Vec<(u32, Hour, usize)> = self
            .slots
            .iter()
            .enumerate()
            .map(|(at, slot)| (rank_of(slot.row), slot.hour, at))
            .collect();
        order.sort_unstable();
        order
            .into_iter()
            .filter_map(|(_, hour, at)| {
                let slot = self.slots.get(at)?;
                let row = self.row_at(slot.row)?;
                Some(SortedSlot {
                    series: self.keys.get(row.start..row.series_end)?,
                    dimensions: self.keys.get(row.series_end..row.end)?,
                    hour,
                    slot: at,
                })
            })
            .collect()
    }

    /// What a flush writes for a slot: its change, unless it holds only postings.
    pub(crate) fn change_at(&self, slot: usize) -> Option<Change> {
        self.slots.get(slot).filter(|slot| !slot.is_only_postings()).map(Slot::change)
    }

    pub(crate) fn postings_at(&self, slot: usize) -> Vec<Posting> {
        self.slots.get(slot).map(|slot| self.chain(slot)).unwrap_or_default()
    }

    fn slots_in<'a>(&'a self, row: RowNo, hours: &RangeInclusive<Hour>) -> Vec<&'a Slot> {
        let width = hours.end().saturating_sub(*hours.start());
        let few = usize::try_from(width).is_ok_and(|width| width < self.slots.len());
        if few {
            let probe = |hour| self.find_cell(row, hour).and_then(|at| self.slot(at));
            return hours.clone().filter_map(probe).collect();
        }
        let mut slots: Vec<&Slot> = self
            .slots
            .iter()
            .filter(|slot| slot.row == row && hours.contains(&slot.hour))
            .collect();
        slots.sort_unstable_by_key(|slot| slot.hour);
        slots
    }

    fn chain(&self, slot: &Slot) -> Vec<Posting> {
        let mut postings = Vec::new();
        let mut at = slot.last_posting;
        while at != NONE {
            let Some((before, posting)) = self.posting_at(at) else { break };
            postings.push(posting);
            at = before;
        }
        postings.reverse();
        postings
    }

    fn posting_at(&self, at: u32) -> Option<(u32, Posting)> {
        let bytes = self.postings.get(wide(at)..)?;
        let (before, bytes) = bytes.split_first_chunk::<4>()?;
        let mut found = None;
        let (length, bytes) = bytes.split_first()?;
        let row = bytes.get(..usize::from(*length))?;
        postings::read_row(row, &mut |posting| found = Some(posting)).ok()?;
        Some((u32::from_le_bytes(*before), found?))
    }

    fn post(&mut self, cell: CellNo, posting: &Posting) {
        let Ok(at) = u32::try_from(self.postings.len()) else { return };
        let Some(slot) = self.slots.get_mut(wide(cell)) else { return };
        self.postings.extend_from_slice(&slot.last_posting.to_le_bytes());
        self.postings.push(0);
        let start = self.postings.len();
        // Each is a row of its own, so that it can be read by itself.
        postings::put_row_head(&mut self.postings, 0);
        postings::put(&mut self.postings, 0, posting);
        let length = self.postings.len().saturating_sub(start);
        if let Some(byte) = self.postings.get_mut(start.saturating_sub(1)) {
            *byte = u8::try_from(length).unwrap_or(u8::MAX);
        }
        slot.last_posting = at;
        slot.last_seq = posting.seq();
    }

    fn any_row(&mut self, series: &[u8], dimensions: &[u8]) -> RowNo {
        let all = self.row(series, ALL);
        if dimensions == ALL { all } else { self.values_row(all, series, dimensions) }
    }

    fn values_row(&mut self, all: RowNo, series: &[u8], dimensions: &[u8]) -> RowNo {
        let rows = self.rows.len();
        let row = self.row(series, dimensions);
        if self.rows.len() > rows
            && let Some(all) = self.rows.get_mut(wide(all))
        {
            all.by_values.push(row);
        }
        row
    }

    fn row(&mut self, series: &[u8], dimensions: &[u8]) -> RowNo {
        if let Some(row) = self.find_row(series, dimensions) {
            return row;
        }
        let hash = hash_of(series, dimensions);
        let start = self.keys.len();
        self.keys.extend_from_slice(series);
        let series_end = self.keys.len();
        self.keys.extend_from_slice(dimensions);
        let end = self.keys.len();
        let no = u32::try_from(self.rows.len()).unwrap_or(NONE);
        self.rows.push(Row {
            hash,
            start,
            series_end,
            end,
            by_values: Vec::new(),
            customer_hash: 0,
            customer_before: NONE,
            latest: (0, NONE),
        });
        if dimensions == ALL {
            self.enter_customer(no, customer_of(series));
        }
        let rows = &self.rows;
        self.row_table.insert_unique(hash, no, |no| rows.get(wide(*no)).map_or(0, |row| row.hash));
        no
    }

    /// Makes a row of all the latest of its customer.
    fn enter_customer(&mut self, no: RowNo, customer: &[u8]) {
        let hash = xxh3_64(customer);
        let before = self.find_customer(hash, customer);
        if let Some(row) = self.rows.get_mut(wide(no)) {
            row.customer_hash = hash;
            row.customer_before = before.unwrap_or(NONE);
        }
        let rows = &self.rows;
        let is_before = |head: &RowNo| Some(*head) == before;
        match self.customers.find_mut(hash, is_before) {
            Some(head) => *head = no,
            None => {
                self.customers.insert_unique(hash, no, |no| {
                    rows.get(wide(*no)).map_or(0, |row| row.customer_hash)
                });
            }
        }
    }

    fn find_customer(&self, hash: u64, customer: &[u8]) -> Option<RowNo> {
        let is_it = |no: &RowNo| {
            self.row_at(*no).is_some_and(|row| {
                let series = self.keys.get(row.start..row.series_end).unwrap_or_default();
                row.customer_hash == hash && customer_of(series) == customer
            })
        };
        self.customers.find(hash, is_it).copied()
    }

    fn find_row(&self, series: &[u8], dimensions: &[u8]) -> Option<RowNo> {
        let hash = hash_of(series, dimensions);
        let is_it = |no: &RowNo| {
            self.row_at(*no).is_some_and(|row| {
                row.hash == hash
                    && self.keys.get(row.start..row.series_end) == Some(series)
                    && self.keys.get(row.series_end..row.end) == Some(dimensions)
            })
        };
        self.row_table.find(hash, is_it).copied()
    }

    fn cell(&mut self, row: RowNo, hour: Hour, aggregation: Aggregation) -> CellNo {
        let latest = self.row_at(row).map(|row| row.latest);
        if let Some((_, cell)) = latest.filter(|(of, cell)| *of == hour && *cell != NONE) {
            return cell;
        }
        let cell = self.find_or_make_cell(row, hour, aggregation);
        if let Some(row) = self.rows.get_mut(wide(row)) {
            row.latest = (hour, cell);
        }
        cell
    }

    fn find_or_make_cell(&mut self, row: RowNo, hour: Hour, aggregation: Aggregation) -> CellNo {
        if let Some(cell) = self.find_cell(row, hour) {
            return cell;
        }
        let no = u32::try_from(self.slots.len()).unwrap_or(NONE);
        self.slots.push(Slot {
            row,
            hour,
            replaces: false,
            cell: Cell::empty(aggregation),
            last_posting: NONE,
            last_seq: 0,
        });
        let slots = &self.slots;
        self.cell_table.insert_unique(cell_hash(row, hour), no, |no| {
            slots.get(wide(*no)).map_or(0, |slot| cell_hash(slot.row, slot.hour))
        });
        no
    }

    fn find_cell(&self, row: RowNo, hour: Hour) -> Option<CellNo> {
        let is_it =
            |no: &CellNo| self.slot(*no).is_some_and(|slot| slot.row == row && slot.hour == hour);
        self.cell_table.find(cell_hash(row, hour), is_it).copied()
    }

    fn slot(&self, at: CellNo) -> Option<&Slot> {
        self.slots.get(wide(at))
    }

    fn slot_mut(&mut self, at: CellNo) -> Option<&mut Slot> {
        self.slots.get_mut(wide(at))
    }

    fn row_at(&self, no: RowNo) -> Option<&Row> {
        self.rows.get(wide(no))
    }

    fn key_of(&self, row: &Row) -> &[u8] {
        self.keys.get(row.start..row.end).unwrap_or_default()
    }

    /// The dimension values of a row; empty for all.
    fn values_of(&self, row: RowNo) -> &[u8] {
        let values = self.row_at(row).and_then(|row| self.keys.get(row.series_end..row.end));
        values.filter(|values| *values != ALL).unwrap_or_default()
    }
}

impl Change {
    /// Whether it says nothing: adding it changes nothing, or it says that nothing is there.
    pub(crate) fn is_nothing(&self) -> bool {
        is_nothing(&self.cell)
    }
}

impl Slot {
    fn change(&self) -> Change {
        Change { replaces: self.replaces, cell: self.cell }
    }

    /// Whether it says nothing about the total: a mark alone touched it.
    fn is_only_postings(&self) -> bool {
        !self.replaces && is_nothing(&self.cell)
    }
}

/// Whether merging the cell changes nothing.
fn is_nothing(cell: &Cell) -> bool {
    let nothing = match *cell {
        Cell::Sum { sum, .. } => sum.is_zero(),
        Cell::Count { .. } => true,
        Cell::Last { last, .. } => last.is_none(),
        Cell::Max { value, .. } | Cell::Min { value, .. } => value.is_none(),
        Cell::Weighted { sum, moment, .. } => sum.is_zero() && moment.is_zero(),
        Cell::Survivor { latest } => latest.is_none(),
    };
    nothing && cell.count() == 0
}

/// A slot in the order of keys.
#[derive(Debug)]
pub(crate) struct SortedSlot<'a> {
    pub(crate) series: &'a [u8],
    /// [`ALL`] or some values.
    pub(crate) dimensions: &'a [u8],
    pub(crate) hour: Hour,
    pub(crate) slot: usize,
}

/// The beginning of a series' key that names the customer.
fn customer_of(series: &[u8]) -> &[u8] {
    let zero = |from: usize| {
        let rest = series.get(from..).unwrap_or_default();
        rest.iter().position(|byte| *byte == 0).map(|at| from.saturating_add(at))
    };
    // Behind the account's zero stands the mode, which may be a zero, too.
    let end = zero(0).and_then(|account| zero(account.saturating_add(2)));
    end.and_then(|end| series.get(..=end)).unwrap_or(series)
}

fn hash_of(series: &[u8], dimensions: &[u8]) -> u64 {
    if dimensions == ALL {
        return xxh3_64(series);
    }
    xxh3_64(series).rotate_left(1) ^ xxh3_64(dimensions)
}

fn cell_hash(row: RowNo, hour: Hour) -> u64 {
    // Odd multipliers spread the low bits over the high ones, which the table looks at, too.
    let row = u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hour = hour.cast_unsigned().wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    let mixed = row.rotate_left(29) ^ hour;
    mixed ^ mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(23)
}

fn wide(no: u32) -> usize {
    usize::try_from(no).unwrap_or(usize::MAX)
}
