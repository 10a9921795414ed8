//! Reading through the layers of a shard: runs, what is being flushed, what came in since.
//!
//! What is recent is copied under the lock of the state, as far as a question needs it; the rest never
//! changes and is read without the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use taximeter_kernel::aggregate::Cell;

use super::keys::{HOUR_BYTES, Hour, behind, hour_bytes, join, read_hour};
use super::rows::{follow, mark_key, read_change, read_marks};
use crate::error::ReadError;
use crate::event::Standing;
use crate::index::{Run, Table};
use crate::memtable::postings::{Posting, read_row};
use crate::memtable::totals::{Change, Totals};

pub(crate) type Hours = RangeInclusive<Hour>;
/// A posting with its hour and its dimension values.
type EachPosting<'a> = dyn FnMut(Hour, &[u8], Posting) -> Result<(), ReadError> + 'a;

/// What a question needs of a series.
#[derive(Debug, Clone)]
pub(crate) struct Needs {
    /// The key of the series.
    pub(crate) series: Vec<u8>,
    /// The totals of these hours, of these dimension values or of all together.
    pub(crate) cells: Option<Hours>,
    /// Whether the totals are needed by dimension values, too.
    pub(crate) by_values: bool,
    /// The events of these hours.
    pub(crate) postings: Vec<Hours>,
}

/// What a question needs of what is held in memory.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    cells: Vec<(Vec<u8>, Hour, Change)>,
    postings: Vec<(Hour, Vec<u8>, Vec<Posting>)>,
    values: BTreeSet<Vec<u8>>,
}

impl Recent {
    pub(crate) fn copy(totals: &Totals, needs: &Needs) -> Self {
        let mut recent = Self::default();
        let series = &needs.series;
        if needs.by_values {
            recent.values.extend(totals.values(series).map(<[u8]>::to_vec));
        }
        if let Some(hours) = &needs.cells {
            let rows: Vec<&[u8]> = if needs.by_values {
                recent.values.iter().map(Vec::as_slice).collect()
            } else {
                vec![super::keys::ALL]
            };
            for dimensions in rows {
                totals.cells(series, dimensions, hours, &mut |hour, change| {
                    recent.cells.push((dimensions.to_vec(), hour, change));
                });
            }
        }
        for hours in &needs.postings {
            totals.postings(series, hours, &mut |hour, dimensions, postings| {
                recent.postings.push((hour, dimensions.to_vec(), postings));
            });
        }
        recent
    }
}

/// All layers, as far as a question needs them.
#[derive(Debug)]
pub(crate) struct Layers<'a> {
    pub(crate) runs: &'a [Arc<Run>],
    /// Oldest first.
    pub(crate) recent: &'a [Recent],
}

impl Layers<'_> {
    /// The totals of a row by the hour.
    pub(crate) fn cells(
        &self,
        series: &[u8],
        dimensions: &[u8],
        hours: &Hours,
    ) -> Result<BTreeMap<Hour, Cell>, ReadError> {
        let mut cells: BTreeMap<Hour, Change> = BTreeMap::new();
        let mut add = |hour: Hour, change: Change| match cells.get_mut(&hour) {
            Some(earlier) => follow(earlier, change).map_err(ReadError::Inconsistent),
            None => {
                cells.insert(hour, change);
                Ok(())
            }
        };
        let prefix = join(&[series, dimensions]);
        let (from, to) = hours_after(&prefix, hours);
        for run in self.runs {
            each_row(run, Table::Cells, &from, &to, &mut |key, value| {
                let hour = key.get(prefix.len()..).and_then(read_hour).ok_or(UNREADABLE)?;
                add(hour, read_change(value).map_err(|_| UNREADABLE)?)?;
                Ok(())
            })?;
        }
        for recent in self.recent {
            for (of, hour, change) in &recent.cells {
                if of == dimensions && hours.contains(hour) {
                    add(*hour, change.clone())?;
                }
            }
        }
        Ok(cells.into_iter().map(|(hour, change)| (hour, change.cell)).collect())
    }

    /// Gives the postings of some hours to `each`: of one hour and set of dimension values in the
    /// order of arrival.
    pub(crate) fn postings(
        &self,
        series: &[u8],
        hours: &Hours,
        each: &mut EachPosting<'_>,
    ) -> Result<(), ReadError> {
        let (from, to) = hours_after(series, hours);
        for run in self.runs {
            each_row(run, Table::Postings, &from, &to, &mut |key, value| {
                let rest = key.get(series.len()..).ok_or(UNREADABLE)?;
                let (hour, dimensions) = rest.split_at_checked(HOUR_BYTES).ok_or(UNREADABLE)?;
                let hour = read_hour(hour).ok_or(UNREADABLE)?;
                let mut result = Ok(());
                let read = read_row(value, &mut |posting| {
                    if result.is_ok() {
                        result = each(hour, dimensions, posting);
                    }
                });
                read.map_err(|_| UNREADABLE)?;
                result
            })?;
        }
        for recent in self.recent {
            for (hour, dimensions, postings) in &recent.postings {
                if hours.contains(hour) {
                    for posting in postings {
                        each(*hour, dimensions, *posting)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The sets of dimension values that occur in the series.
    pub(crate) fn values(&self, series: &[u8]) -> Result<BTreeSet<Vec<u8>>, ReadError> {
        let mut values = BTreeSet::new();
        let to = behind(series);
        for run in self.runs {
            each_row(run, Table::Dims, series, &to, &mut |key, _| {
                values.insert(key.get(series.len()..).ok_or(UNREADABLE)?.to_vec());
                Ok(())
            })?;
        }
        for recent in self.recent {
            values.extend(recent.values.iter().cloned());
        }
        Ok(values)
    }
}

/// Takes a row's key and value.
pub(crate) type EachRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), ReadError> + 'a;

/// Gives every row from the key `from` on and before `to` to `visit`.
pub(crate) fn each_row(
    run: &Run,
    table: Table,
    from: &[u8],
    to: &[u8],
    visit: &mut EachRow<'_>,
) -> Result<(), ReadError> {
    let flow =
        run.scan(table, from, Some(to), |key, value| visit(key, value).map(ControlFlow::Continue))?;
    match flow {
        ControlFlow::Continue(()) | ControlFlow::Break(()) => Ok(()),
    }
}

const UNREADABLE: ReadError = ReadError::Inconsistent("a row of the index is unreadable");

/// How the standing of an event changed according to the runs.
pub(crate) fn marks_in(runs: &[Arc<Run>], event: u64) -> Result<Vec<(u64, Standing)>, ReadError> {
    let key = mark_key(event);
    let mut marks = Vec::new();
    for run in runs.iter().filter(|run| run.last_seq() >= event) {
        if let Some(value) = run.get(Table::Dims, &key)? {
            marks.extend(read_marks(&value).map_err(|_| UNREADABLE)?);
        }
    }
    Ok(marks)
}

/// The keys of `hours` behind `prefix`: the first, and the first beyond.
fn hours_after(prefix: &[u8], hours: &Hours) -> (Vec<u8>, Vec<u8>) {
    let from = join(&[prefix, &hour_bytes(*hours.start())]);
    let to = match hours.end().checked_add(1) {
        Some(next) => join(&[prefix, &hour_bytes(next)]),
        None => behind(&join(&[prefix, &hour_bytes(*hours.end())])),
    };
    (from, to)
}
