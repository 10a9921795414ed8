//! Merging runs that are next to each other into one, and which to merge.

use std::cmp::Ordering;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::index::Table;
use crate::index::error::IndexError;
use crate::index::names::Names;
use crate::index::rows::Rows;
use crate::index::run::Run;
use crate::index::writer::{NewRun, RunWriter};
use crate::log::disk::Disk;

/// So many runs of a level are worth merging.
pub(crate) const MERGE_RUNS_MIN: usize = 8;
/// No more are merged at once.
pub(crate) const MERGE_RUNS_MAX: usize = 16;

/// How what several runs say becomes one. An error says what is wrong with the bytes.
pub(crate) trait Combine {
    /// Appends to `out` the value of `key` that stands for `values`, of which there are at least
    /// two, oldest first.
    fn combine(
        &mut self,
        table: Table,
        key: &[u8],
        values: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str>;

    /// The merged run's `meta`, from those of the runs, oldest first.
    fn meta(&mut self, metas: &[&[u8]]) -> Result<Vec<u8>, &'static str>;
}

/// Merges `runs`, oldest first, into run `number` in `dir`, without the names that `keep_name` does
/// not keep. Takes memory for a few blocks of each run, the longest row, and the filter.
pub(crate) fn merge(
    dir: &Path,
    number: u32,
    runs: &[Arc<Run>],
    combine: &mut dyn Combine,
    keep_name: &mut dyn FnMut(u64, u64) -> bool,
    disk: &dyn Disk,
) -> Result<Run, IndexError> {
    let new = merged(dir, number, runs)?;
    let mut writer = RunWriter::create(dir, new, disk)?;
    merge_names(runs, keep_name, &mut writer)?;
    for table in Table::ALL {
        merge_table(table, runs, combine, &mut writer)?;
    }
    let metas: Vec<&[u8]> = runs.iter().map(|run| run.meta()).collect();
    let meta = combine.meta(&metas).map_err(|what| {
        let path = super::run::path(dir, number);
        IndexError::Refused { path, what }
    })?;
    writer.finish(&meta)
}

/// The runs to merge, given the level of each run, oldest first: the oldest of [`MERGE_RUNS_MIN`]
/// or more that are next to each other and of one level.
pub(crate) fn pick(levels: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    for same in levels.chunk_by(|one, next| one == next) {
        if same.len() >= MERGE_RUNS_MIN {
            return Some(start..start.saturating_add(same.len().min(MERGE_RUNS_MAX)));
        }
        start = start.saturating_add(same.len());
    }
    None
}

/// What the run will be that `runs` are merged into.
fn merged(dir: &Path, number: u32, runs: &[Arc<Run>]) -> Result<NewRun, IndexError> {
    let refused = |what| IndexError::Refused { path: super::run::path(dir, number), what };
    let (Some(oldest), Some(newest)) = (runs.first(), runs.last()) else {
        return Err(refused("a merger of nothing"));
    };
    let later = runs.iter().skip(1);
    if runs.iter().zip(later).any(|(run, next)| !follows(run.last_seq(), next.first_seq())) {
        return Err(refused("runs that are not next to each other"));
    }
    let level = runs.iter().map(|run| run.level()).max().unwrap_or_default();
    let names = runs.iter().map(|run| run.stats().names);
    Ok(NewRun {
        number,
        first_seq: oldest.first_seq(),
        last_seq: newest.last_seq(),
        level: level.saturating_add(1),
        names_max: names.fold(0, u64::saturating_add),
    })
}

/// Whether a run from `first_seq` on continues one to `last_seq`.
pub(crate) fn follows(last_seq: u64, first_seq: u64) -> bool {
    last_seq.checked_add(1) == Some(first_seq)
}

fn merge_names(
    runs: &[Arc<Run>],
    keep_name: &mut dyn FnMut(u64, u64) -> bool,
    writer: &mut RunWriter<'_>,
) -> Result<(), IndexError> {
    let mut inputs: Vec<Names<'_>> = runs.iter().map(|run| run.names()).collect();
    let mut batch = Vec::new();
    loop {
        // Of every input a page is at hand. Names up to the least of the last ones are all there:
        // sorting them, which finds the stretches that are in order, is faster than to take them
        // one by one.
        let mut bound = None;
        for names in &mut inputs {
            let last = names.buffered()?.last().copied();
            bound = [bound, last].into_iter().flatten().min();
        }
        let Some(bound) = bound else { return Ok(()) };
        batch.clear();
        for names in &mut inputs {
            let buffered = names.buffered()?;
            let count = buffered.partition_point(|name| *name <= bound);
            batch.extend_from_slice(buffered.get(..count).unwrap_or_default());
            names.consume(count);
        }
        batch.sort();
        for (key, seq) in &batch {
            if keep_name(*key, *seq) {
                writer.push_name(*key, *seq)?;
            }
        }
    }
}

fn merge_table(
    table: Table,
    runs: &[Arc<Run>],
    combine: &mut dyn Combine,
    writer: &mut RunWriter<'_>,
) -> Result<(), IndexError> {
    let mut heads: Vec<Rows<'_>> = Vec::with_capacity(runs.len());
    for run in runs {
        let mut rows = run.rows(table);
        if rows.advance()? {
            heads.push(rows);
        }
    }
    let (mut least, mut out) = (Vec::new(), Vec::new());
    while !heads.is_empty() {
        find_least(&heads, &mut least);
        let rows: Vec<&Rows<'_>> = least.iter().filter_map(|at| heads.get(*at)).collect();
        match rows.as_slice() {
            [row] => writer.push(table, row.key(), row.value())?,
            [row, ..] => {
                let values: Vec<&[u8]> = rows.iter().map(|row| row.value()).collect();
                out.clear();
                combine
                    .combine(table, row.key(), &values, &mut out)
                    .map_err(|what| row.damaged(what))?;
                writer.push(table, row.key(), &out)?;
            }
            [] => break,
        }
        // From the last, so that removing one does not move the others. Order is kept: it is age.
        for at in least.iter().rev() {
            let ended = match heads.get_mut(*at) {
                Some(rows) => !rows.advance()?,
                None => false,
            };
            if ended {
                drop(heads.remove(*at));
            }
        }
    }
    Ok(())
}

/// Puts into `least` which of `heads` stand on the least key.
fn find_least(heads: &[Rows<'_>], least: &mut Vec<usize>) {
    let mut least_key: &[u8] = &[];
    least.clear();
    for (at, rows) in heads.iter().enumerate() {
        let order = if least.is_empty() { Ordering::Less } else { rows.key().cmp(least_key) };
        match order {
            Ordering::Less => {
                least_key = rows.key();
                least.clear();
                least.push(at);
            }
            Ordering::Equal => least.push(at),
            Ordering::Greater => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_eight_or_more_neighbours_of_one_level_are_merged() {
        let check = |levels: &[(u8, usize)], expected: Option<Range<usize>>| {
            let levels: Vec<u8> = levels
                .iter()
                .flat_map(|(level, runs)| std::iter::repeat_n(*level, *runs))
                .collect();
            assert_eq!(pick(&levels), expected, "{levels:?}");
        };
        check(&[], None);
        check(&[(0, 7)], None);
        check(&[(0, 8)], Some(0..8));
        check(&[(0, 13)], Some(0..13));
        check(&[(0, 101)], Some(0..16));
        check(&[(1, 7), (0, 7)], None);
        check(&[(1, 7), (0, 9)], Some(7..16));
        check(&[(2, 3), (1, 8), (0, 8)], Some(3..11));
        check(&[(0, 5), (1, 1), (0, 5)], None);
    }
}
