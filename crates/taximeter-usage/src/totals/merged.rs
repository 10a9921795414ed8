//! The rows of all runs as if they were one.

use std::cmp::Ordering;
use std::sync::Arc;

use super::layers::EachRow;
use super::rows::Combiner;
use crate::error::ReadError;
use crate::index::{Combine, Run, Table};

/// Gives every row of `table` to `each`, in the order of keys, with what the runs say of it together.
pub(crate) fn each_merged_row(
    runs: &[Arc<Run>],
    table: Table,
    each: &mut EachRow<'_>,
) -> Result<(), ReadError> {
    let mut heads = Vec::with_capacity(runs.len());
    for run in runs {
        let mut rows = run.rows(table);
        if rows.advance()? {
            heads.push(rows);
        }
    }
    let mut out = Vec::new();
    while let Some(least) = heads.iter().map(|rows| rows.key().to_vec()).min() {
        let is_least = |key: &[u8]| key.cmp(&least) == Ordering::Equal;
        let mut values: Vec<&[u8]> = Vec::with_capacity(heads.len());
        for rows in heads.iter().filter(|rows| is_least(rows.key())) {
            values.push(rows.value());
        }
        out.clear();
        match values.as_slice() {
            [value] => out.extend_from_slice(value),
            values => Combiner
                .combine(table, &least, values, &mut out)
                .map_err(ReadError::Inconsistent)?,
        }
        each(&least, &out)?;
        let mut left = Vec::with_capacity(heads.len());
        for mut rows in heads {
            if rows.key() != least || rows.advance()? {
                left.push(rows);
            }
        }
        heads = left;
    }
    Ok(())
}
