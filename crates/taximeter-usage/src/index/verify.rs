//! Reads all of an index and checks it, without changing anything.

use std::path::Path;

use crate::index::Table;
use crate::index::error::IndexError;
use crate::index::manifest::Manifest;
use crate::index::run::{Run, RunStats};
use crate::index::set::open_runs;

/// What a verified index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) runs: u64,
    /// The last position of the log that the runs cover.
    pub(crate) watermark: u64,
    /// Of the files.
    pub(crate) bytes: u64,
    pub(crate) names: u64,
    /// Of each table.
    pub(crate) rows: [u64; Table::ALL.len()],
}

/// Reads every page and block of every run in `dir`.
pub(crate) fn verify(dir: &Path) -> Result<Summary, IndexError> {
    let manifest = Manifest::load(dir)?.unwrap_or_default();
    let mut summary = Summary { watermark: manifest.watermark(), ..Summary::default() };
    for run in open_runs(dir, &manifest)? {
        verify_names(&run)?;
        for table in Table::ALL {
            verify_rows(&run, table)?;
        }
        let RunStats { bytes, names, rows, .. } = run.stats();
        summary.runs = summary.runs.saturating_add(1);
        summary.bytes = summary.bytes.saturating_add(bytes);
        summary.names = summary.names.saturating_add(names);
        for (sum, rows) in summary.rows.iter_mut().zip(rows) {
            *sum = sum.saturating_add(rows);
        }
    }
    Ok(summary)
}

fn verify_names(run: &Run) -> Result<(), IndexError> {
    let stats = run.stats();
    let damaged = |what| IndexError::Damaged { path: run.path().to_owned(), offset: 0, what };
    let (mut count, mut last) = (0_u64, (0, 0));
    let mut names = run.names();
    while let Some((key, seq)) = names.buffered()?.first().copied() {
        names.consume(1);
        if (key, seq) < last || !(stats.first_seq..=stats.last_seq).contains(&seq) {
            return Err(damaged("a name is not in its place"));
        }
        if !run.may_hold(key) {
            return Err(damaged("the filter misses a name"));
        }
        last = (key, seq);
        count = count.saturating_add(1);
    }
    if count == stats.names { Ok(()) } else { Err(damaged("names are missing")) }
}

fn verify_rows(run: &Run, table: Table) -> Result<(), IndexError> {
    let damaged = |what| IndexError::Damaged { path: run.path().to_owned(), offset: 0, what };
    let mut count = 0_u64;
    let mut last: Option<Vec<u8>> = None;
    let mut rows = run.rows(table);
    while rows.advance()? {
        let key = last.get_or_insert_default();
        if count > 0 && rows.key() <= key.as_slice() {
            return Err(damaged("a row is not in its place"));
        }
        key.clear();
        key.extend_from_slice(rows.key());
        count = count.saturating_add(1);
    }
    let expected = *table.of(&run.stats().rows);
    if count == expected { Ok(()) } else { Err(damaged("rows are missing")) }
}
