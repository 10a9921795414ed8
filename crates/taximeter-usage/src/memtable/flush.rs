//! Writing a memtable as a run.

use super::Frozen;
use super::totals::SortedSlot;
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
    let mut slots = frozen.totals.sorted();
    let mut key = Vec::new();
    let mut value = Vec::new();
    for slot in &slots {
        let Some(change) = frozen.totals.change_at(slot.slot) else { continue };
        let dimensions = if slot.values.is_empty() { ALL } else { slot.values };
        fill(&mut key, &[slot.series, dimensions, &hour_bytes(slot.hour)]);
        value.clear();
        put_change(&mut value, &change);
        writer.push(Table::Cells, &key, &value)?;
    }
    let pairs = pairs(&slots);
    // Postings stand in the order of hours, the totals in that of dimension values.
    for of_series in slots.chunk_by_mut(|one, next| one.series == next.series) {
        of_series.sort_unstable_by_key(|slot| (slot.hour, slot.rank));
    }
    let mut slots = slots.iter();
    for (at, row) in frozen.totals.posting_rows(slots.as_slice()).iter() {
        let Some(slot) = slots.find(|slot| slot.slot == at) else { break };
        fill(&mut key, &[slot.series, &hour_bytes(slot.hour), slot.values]);
        writer.push(Table::Postings, &key, row)?;
    }
    write_dims(frozen, &pairs, &mut writer)?;
    writer.finish(&[])
}

/// Each series with each of its dimension values, in order.
fn pairs<'a>(slots: &[SortedSlot<'a>]) -> Vec<(&'a [u8], &'a [u8])> {
    let rows = slots.chunk_by(|one, next| one.rank == next.rank).filter_map(<[_]>::first);
    let with_values = rows.filter(|slot| !slot.values.is_empty());
    with_values.map(|slot| (slot.series, slot.values)).collect()
}

/// The marks of events, then the dimension values of each series.
fn write_dims(
    frozen: &Frozen,
    pairs: &[(&[u8], &[u8])],
    writer: &mut RunWriter<'_>,
) -> Result<(), IndexError> {
    let mut value = Vec::new();
    for (event, marks) in frozen.totals.marks() {
        value.clear();
        put_marks(&mut value, marks);
        writer.push(Table::Dims, &mark_key(*event), &value)?;
    }
    let mut key = Vec::new();
    for (series, values) in pairs {
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
