//! Writing a memtable as a run.

use std::collections::BTreeSet;

use super::Frozen;
use super::postings::{Posting, put, put_row_head};
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
        fill(&mut key, &[slot.series, slot.dimensions, &hour_bytes(slot.hour)]);
        value.clear();
        put_change(&mut value, &change);
        writer.push(Table::Cells, &key, &value)?;
    }
    // Postings stand in the order of hours, the totals in that of dimension values.
    for of_series in slots.chunk_by_mut(|one, next| one.series == next.series) {
        of_series.sort_by(|a, b| (a.hour, values(a)).cmp(&(b.hour, values(b))));
    }
    for slot in &slots {
        let postings = frozen.totals.postings_at(slot.slot);
        if postings.is_empty() {
            continue;
        }
        fill(&mut key, &[slot.series, &hour_bytes(slot.hour), values(slot)]);
        value.clear();
        put_row(&mut value, &postings);
        writer.push(Table::Postings, &key, &value)?;
    }
    write_dims(frozen, &slots, &mut writer)?;
    writer.finish(&[])
}

/// The marks of events, then the dimension values of each series.
fn write_dims(
    frozen: &Frozen,
    slots: &[SortedSlot<'_>],
    writer: &mut RunWriter<'_>,
) -> Result<(), IndexError> {
    for (event, marks) in frozen.totals.marks() {
        let mut value = Vec::new();
        put_marks(&mut value, marks);
        writer.push(Table::Dims, &mark_key(*event), &value)?;
    }
    let with_values = slots.iter().filter(|slot| !values(slot).is_empty());
    let pairs: BTreeSet<(&[u8], &[u8])> =
        with_values.map(|slot| (slot.series, slot.dimensions)).collect();
    for (series, dimensions) in pairs {
        writer.push(Table::Dims, &[series, dimensions].concat(), &[])?;
    }
    Ok(())
}

/// The dimension values of a slot; empty for all together.
fn values<'a>(slot: &SortedSlot<'a>) -> &'a [u8] {
    if slot.dimensions == ALL { &[] } else { slot.dimensions }
}

fn put_row(out: &mut Vec<u8>, postings: &[Posting]) {
    put_row_head(out, postings.last().map_or(0, Posting::seq));
    let mut before = 0;
    for posting in postings {
        put(out, before, posting);
        before = posting.seq();
    }
}

fn fill(key: &mut Vec<u8>, parts: &[&[u8]]) {
    key.clear();
    for part in parts {
        key.extend_from_slice(part);
    }
}
