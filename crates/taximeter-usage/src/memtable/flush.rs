//! Writing a memtable as a run.

use super::Frozen;
use super::totals::Key;
use crate::index::{Index, IndexError, NewRun, Run, RunWriter, Table};
use crate::log::disk::Disk;
use crate::totals::keys::{ALL, hour_bytes};
use crate::totals::rows::{mark_key, put_change, put_marks};

/// Writes `frozen` as the next run of `index`, which does not have it yet.
pub(crate) fn write(frozen: &Frozen, index: &Index, disk: &dyn Disk) -> Result<Run, IndexError> {
    let mut names = frozen.names.entries().to_vec();
    names.sort_unstable();
    let new = NewRun {
        number: index.next_number()?,
        first_seq: frozen.first_seq,
        last_seq: frozen.last_seq,
        level: 0,
        names_max: u64::try_from(names.len()).unwrap_or(u64::MAX),
    };
    let mut writer = RunWriter::create(index.dir(), new, disk)?;
    for (hash, seq) in names {
        writer.push_name(hash, seq)?;
    }
    let sorted = frozen.totals.sorted();
    let mut key = Vec::new();
    let mut value = Vec::new();
    let failed = |_| IndexError::Refused {
        path: index.dir().to_owned(),
        what: "totals that do not go together",
    };
    sorted.changes(failed, |of, hour, change| {
        let dimensions = if of.values.is_empty() { ALL } else { of.values };
        fill(&mut key, &[of.series, dimensions, &hour_bytes(hour)]);
        value.clear();
        put_change(&mut value, &change);
        writer.push(Table::Cells, &key, &value)
    })?;
    let with_values: Vec<Key<'_>> = sorted.with_values().collect();
    // Postings stand in the order of hours, the totals in that of dimension values.
    sorted.postings(|of, hour, row| {
        fill(&mut key, &[of.series, &hour_bytes(hour), of.values]);
        writer.push(Table::Postings, &key, row)
    })?;
    write_dims(frozen, &with_values, &mut writer)?;
    writer.finish(&[])
}

/// The marks of events, then the dimension values of each series.
fn write_dims(
    frozen: &Frozen,
    with_values: &[Key<'_>],
    writer: &mut RunWriter<'_>,
) -> Result<(), IndexError> {
    let mut value = Vec::new();
    for (event, marks) in frozen.totals.marks() {
        value.clear();
        put_marks(&mut value, marks);
        writer.push(Table::Dims, &mark_key(*event), &value)?;
    }
    let mut key = Vec::new();
    for Key { series, values } in with_values {
        fill(&mut key, &[series, values]);
        writer.push(Table::Dims, &key, &[])?;
    }
    Ok(())
}

fn fill(key: &mut Vec<u8>, parts: &[&[u8]]) {
    key.clear();
    for part in parts {
        key.extend_from_slice(part);
    }
}
