//! The rows of the totals in memory: a series with all of its dimension values together, or with some.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::{CellNo, NONE, RowNo, wide};
use crate::totals::keys::{Hour, RowHash, customer_of};

/// What is looked at for each event; the rest of a series is in [`Series`].
#[derive(Debug)]
struct Row {
    hash: u64,
    /// Where the key of its series is, which all rows of the series share.
    series_start: usize,
    /// Where its dimension values are.
    values_start: usize,
    series_bytes: u32,
    values_bytes: u32,
    /// The row of all dimension values together of the same series; itself if it is that.
    all: RowNo,
    /// The place of its series; only where it is of all.
    series: u32,
    /// The cell asked for last, since most events are of now.
    latest_cell: CellNo,
    /// The cell made last.
    newest_cell: CellNo,
    latest_hour: Hour,
    /// Whether its events are counted in the row of all, too, which is another.
    counts_in_all: bool,
}

#[derive(Debug)]
struct Series {
    all: RowNo,
    /// The rows with dimension values.
    by_values: Vec<RowNo>,
    /// Of what the customer's series begin with.
    customer_hash: u64,
    /// The series before it of the same customer.
    customer_before: u32,
    /// Whether the row of all holds every event itself. Otherwise it holds those without dimension
    /// values, and the total is what all rows of the series amount to together.
    whole: bool,
}

#[derive(Debug, Default)]
pub(super) struct Rows {
    table: HashTable<RowNo>,
    rows: Vec<Row>,
    keys: Vec<u8>,
    series: Vec<Series>,
    /// The latest series of each customer.
    customers: HashTable<u32>,
}

impl Rows {
    pub(super) fn with_capacity(rows: usize) -> Self {
        let table = HashTable::with_capacity(rows);
        Self { table, rows: Vec::with_capacity(rows), ..Self::default() }
    }

    pub(super) fn clear(&mut self) {
        let Self { table, rows, keys, series, customers } = self;
        table.clear();
        rows.clear();
        keys.clear();
        series.clear();
        customers.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let rows = self.rows.len().saturating_mul(size_of::<Row>().saturating_add(TABLE_BYTES));
        // A row of values stands in the list of its series, too.
        let listed = self.rows.len().saturating_mul(size_of::<RowNo>());
        let series_bytes = size_of::<Series>().saturating_add(TABLE_BYTES);
        let series = self.series.len().saturating_mul(series_bytes);
        rows.saturating_add(listed).saturating_add(series).saturating_add(self.keys.len())
    }

    /// The row of a series with `values`; without, that of all together.
    pub(super) fn find(&self, hash: RowHash, series: &[u8], values: &[u8]) -> Option<RowNo> {
        let hash = if values.is_empty() { hash.series } else { hash.row };
        let is_it = |no: &RowNo| {
            self.row(*no).is_some_and(|row| {
                row.hash == hash && self.series_of(row) == series && self.values_of(row) == values
            })
        };
        self.table.find(hash, is_it).copied()
    }

    /// The same, made when it is not there.
    pub(super) fn find_or_make(&mut self, hash: RowHash, series: &[u8], values: &[u8]) -> RowNo {
        if let Some(row) = self.find(hash, series, values) {
            return row;
        }
        if values.is_empty() {
            let no = self.make_all(hash.series, series);
            self.enter_series(no, series);
            return no;
        }
        let all = self.find_or_make(hash, series, &[]);
        self.make_with_values(hash.row, all, values)
    }

    fn make_all(&mut self, hash: u64, series: &[u8]) -> RowNo {
        let start = self.keys.len();
        self.keys.extend_from_slice(series);
        let no = u32::try_from(self.rows.len()).unwrap_or(NONE);
        self.enter(Row {
            hash,
            series_start: start,
            values_start: start,
            series_bytes: u32::try_from(series.len()).unwrap_or(NONE),
            values_bytes: 0,
            all: no,
            series: NONE,
            latest_cell: NONE,
            newest_cell: NONE,
            latest_hour: 0,
            counts_in_all: false,
        })
    }

    fn make_with_values(&mut self, hash: u64, all: RowNo, values: &[u8]) -> RowNo {
        let Some(of_all) = self.row(all) else { return NONE };
        let (series_start, series_bytes) = (of_all.series_start, of_all.series_bytes);
        let series = wide(of_all.series);
        let values_start = self.keys.len();
        self.keys.extend_from_slice(values);
        let no = self.enter(Row {
            hash,
            series_start,
            values_start,
            series_bytes,
            values_bytes: u32::try_from(values.len()).unwrap_or(NONE),
            all,
            series: NONE,
            latest_cell: NONE,
            newest_cell: NONE,
            latest_hour: 0,
            counts_in_all: self.series.get(series).is_some_and(|series| series.whole),
        });
        if let Some(series) = self.series.get_mut(series) {
            series.by_values.push(no);
        }
        no
    }

    fn enter(&mut self, row: Row) -> RowNo {
        let no = u32::try_from(self.rows.len()).unwrap_or(NONE);
        let hash = row.hash;
        self.rows.push(row);
        let rows = &self.rows;
        self.table.insert_unique(hash, no, |no| rows.get(wide(*no)).map_or(0, |row| row.hash));
        no
    }

    /// Enters the series of a new row of all, and makes it the latest of its customer.
    fn enter_series(&mut self, all: RowNo, key: &[u8]) {
        let customer = customer_of(key);
        let hash = xxh3_64(customer);
        let before = self.find_customer(hash, customer);
        let no = u32::try_from(self.series.len()).unwrap_or(NONE);
        if let Some(row) = self.rows.get_mut(wide(all)) {
            row.series = no;
        }
        self.series.push(Series {
            all,
            by_values: Vec::new(),
            customer_hash: hash,
            customer_before: before.unwrap_or(NONE),
            whole: false,
        });
        let series = &self.series;
        match self.customers.find_mut(hash, |head| Some(*head) == before) {
            Some(head) => *head = no,
            None => {
                self.customers.insert_unique(hash, no, |no| {
                    series.get(wide(*no)).map_or(0, |series| series.customer_hash)
                });
            }
        }
    }

    fn find_customer(&self, hash: u64, customer: &[u8]) -> Option<u32> {
        let is_it = |no: &u32| {
            self.series.get(wide(*no)).is_some_and(|series| {
                series.customer_hash == hash && customer_of(self.series_at(series.all)) == customer
            })
        };
        self.customers.find(hash, is_it).copied()
    }

    /// The rows of all of the series of a customer.
    pub(super) fn of_customer(&self, customer: &[u8]) -> impl Iterator<Item = RowNo> {
        let mut next = self.find_customer(xxh3_64(customer), customer);
        std::iter::from_fn(move || {
            let series = self.series.get(wide(next?))?;
            next = Some(series.customer_before).filter(|before| *before != NONE);
            Some(series.all)
        })
    }

    /// The rows with dimension values of the series that `all` is the row of all of.
    pub(super) fn by_values(&self, all: RowNo) -> &[RowNo] {
        let series = self.row(all).and_then(|row| self.series.get(wide(row.series)));
        series.map_or(&[], |series| &series.by_values)
    }

    /// The row of all of the row's series.
    pub(super) fn all_of(&self, row: RowNo) -> RowNo {
        self.row(row).map_or(row, |row| row.all)
    }

    /// The other row in which an event of the row is counted, too.
    pub(super) fn counts_in(&self, row: RowNo) -> Option<RowNo> {
        self.row(row).filter(|row| row.counts_in_all).map(|row| row.all)
    }

    /// Whether the row of all holds every event of its series itself.
    pub(super) fn is_whole(&self, all: RowNo) -> bool {
        let series = self.row(all).and_then(|row| self.series.get(wide(row.series)));
        series.is_some_and(|series| series.whole || series.by_values.is_empty())
    }

    /// From now on the events of the series are counted in the row of all, too. Gives the rows whose
    /// events are not counted there yet.
    pub(super) fn make_whole(&mut self, all: RowNo) -> Vec<RowNo> {
        let series = self.row(all).map_or(NONE, |row| row.series);
        let Some(series) = self.series.get_mut(wide(series)) else { return Vec::new() };
        if std::mem::replace(&mut series.whole, true) {
            return Vec::new();
        }
        let leaves = series.by_values.clone();
        for leaf in &leaves {
            if let Some(row) = self.rows.get_mut(wide(*leaf)) {
                row.counts_in_all = true;
            }
        }
        leaves
    }

    /// The cell of the row that was made last.
    pub(super) fn newest_cell(&self, row: RowNo) -> CellNo {
        self.row(row).map_or(NONE, |row| row.newest_cell)
    }

    pub(super) fn set_newest_cell(&mut self, row: RowNo, cell: CellNo) {
        if let Some(row) = self.rows.get_mut(wide(row)) {
            row.newest_cell = cell;
        }
    }

    pub(super) fn latest(&self, row: RowNo) -> Option<(Hour, CellNo)> {
        let row = self.row(row).filter(|row| row.latest_cell != NONE)?;
        Some((row.latest_hour, row.latest_cell))
    }

    pub(super) fn set_latest(&mut self, row: RowNo, hour: Hour, cell: CellNo) {
        if let Some(row) = self.rows.get_mut(wide(row)) {
            (row.latest_hour, row.latest_cell) = (hour, cell);
        }
    }

    /// The key of the row's series.
    pub(super) fn series_at(&self, row: RowNo) -> &[u8] {
        self.row(row).map(|row| self.series_of(row)).unwrap_or_default()
    }

    /// The dimension values of a row; empty for all.
    pub(super) fn values_at(&self, row: RowNo) -> &[u8] {
        self.row(row).map(|row| self.values_of(row)).unwrap_or_default()
    }

    /// All rows in the order of series and dimension values; of all before those of some.
    pub(super) fn sorted(&self) -> Vec<RowNo> {
        let mut series: Vec<(&[u8], &Series)> =
            self.series.iter().map(|series| (self.series_at(series.all), series)).collect();
        series.sort_unstable_by_key(|(key, _)| *key);
        let mut sorted = Vec::with_capacity(self.rows.len());
        let mut values: Vec<(&[u8], RowNo)> = Vec::new();
        for (_, series) in series {
            sorted.push(series.all);
            values.clear();
            values.extend(series.by_values.iter().map(|row| (self.values_at(*row), *row)));
            values.sort_unstable();
            sorted.extend(values.iter().map(|(_, row)| *row));
        }
        sorted
    }

    fn row(&self, no: RowNo) -> Option<&Row> {
        self.rows.get(wide(no))
    }

    fn series_of(&self, row: &Row) -> &[u8] {
        let end = row.series_start.saturating_add(wide(row.series_bytes));
        self.keys.get(row.series_start..end).unwrap_or_default()
    }

    fn values_of(&self, row: &Row) -> &[u8] {
        let end = row.values_start.saturating_add(wide(row.values_bytes));
        self.keys.get(row.values_start..end).unwrap_or_default()
    }
}

/// What an entry takes of a table that is at most half empty.
pub(super) const TABLE_BYTES: usize = 10;
