//! The values of the index's rows, and how those of one key in several runs become one.

use taximeter_kernel::aggregate::Cell;
use taximeter_kernel::id::Scope;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::codec::{Malformed, Reader, put_unsigned};
use crate::event::Standing;
use crate::index::{Combine, Table};
use crate::memtable::postings::{code, join_rows, standing_of};
use crate::memtable::totals::Change;

const ADDS: u8 = 0;
const REPLACES: u8 = 1;
/// Begins the keys of marks, which are in the same table as dimension values. No id begins so.
const MARK: u8 = 0;

pub(crate) fn put_change(out: &mut Vec<u8>, change: &Change) {
    out.push(if change.replaces { REPLACES } else { ADDS });
    change.cell.encode(out);
}

pub(crate) fn read_change(bytes: &[u8]) -> Result<Change, Malformed> {
    let (head, rest) = bytes.split_first().ok_or(Malformed)?;
    let replaces = match *head {
        ADDS => false,
        REPLACES => true,
        _ => return Err(Malformed),
    };
    match Cell::decode(rest) {
        Some((cell, used)) if used == rest.len() => Ok(Change { replaces, cell }),
        _ => Err(Malformed),
    }
}

/// Adds what came later to what was there.
pub(crate) fn follow(earlier: &mut Change, later: Change) -> Result<(), &'static str> {
    if later.replaces {
        *earlier = later;
        return Ok(());
    }
    earlier.cell.merge(&later.cell).map_err(|_| "totals that do not go together")
}

pub(crate) fn mark_key(event: u64) -> Vec<u8> {
    let mut key = vec![MARK];
    key.extend_from_slice(&event.to_be_bytes());
    key
}

pub(crate) fn put_marks(out: &mut Vec<u8>, marks: &[(u64, Standing)]) {
    for (seq, standing) in marks {
        put_unsigned(out, (*seq).into());
        out.push(code(*standing));
    }
}

pub(crate) fn read_marks(bytes: &[u8]) -> Result<Vec<(u64, Standing)>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut marks = Vec::new();
    while !reader.is_empty() {
        let seq = u64::try_from(reader.unsigned()?).map_err(|_| Malformed)?;
        marks.push((seq, standing_of(reader.byte()?).ok_or(Malformed)?));
    }
    Ok(marks)
}

/// How rows of several runs become one.
#[derive(Debug)]
pub(crate) struct Combiner;

impl Combine for Combiner {
    fn combine(
        &mut self,
        table: Table,
        key: &[u8],
        values: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        match table {
            Table::Cells => {
                let mut changes = values.iter().map(|value| read_change(value));
                let unreadable = |_| "a total is unreadable";
                let mut sum = changes.next().ok_or("no total")?.map_err(unreadable)?;
                for change in changes {
                    follow(&mut sum, change.map_err(unreadable)?)?;
                }
                put_change(out, &sum);
                Ok(())
            }
            Table::Postings => join_rows(values, out).map_err(|_| "postings are unreadable"),
            Table::Dims if key.first() == Some(&MARK) => {
                values.iter().for_each(|value| out.extend_from_slice(value));
                Ok(())
            }
            // Dimension values are only there or not.
            Table::Dims => Ok(()),
        }
    }

    fn meta(&mut self, _: &[&[u8]]) -> Result<Vec<u8>, &'static str> {
        Ok(Vec::new())
    }
}

/// The hash that an event's name is looked up by: the upper half is of account, mode and identifier,
/// the lower half of the customer, too. So the events of an identifier are neighbours, whoever's.
pub(crate) fn name_hash(scope: u64, customer: &str, identifier: &str) -> u64 {
    let upper = xxh3_64_with_seed(identifier.as_bytes(), scope);
    let lower = xxh3_64_with_seed(customer.as_bytes(), upper) >> 32;
    (upper & !u64::from(u32::MAX)) | lower
}

/// The upper half of [`name_hash`].
pub(crate) fn name_prefix(scope: u64, identifier: &str) -> u32 {
    let upper = xxh3_64_with_seed(identifier.as_bytes(), scope) >> 32;
    u32::try_from(upper).unwrap_or_default()
}

/// The hash that a request is looked up by.
pub(crate) fn request_hash(scope: u64, key: u128) -> u64 {
    xxh3_64_with_seed(&key.to_le_bytes(), scope.wrapping_add(1))
}

/// What the hashes of names are made with.
pub(crate) fn scope_hash(scope: &Scope) -> u64 {
    let mut bytes = scope.account.as_str().as_bytes().to_vec();
    bytes.push(u8::from(scope.mode.is_live()));
    xxh3_64(&bytes)
}
