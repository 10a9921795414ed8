//! Looking at a log that no engine has open, without changing it.

use std::path::Path;
use std::sync::Arc;

use super::reader::LogReader;
use super::recover::{Access, first_seq_in, recover};
use super::segment::Form;
use crate::error::OpenError;
use crate::log::disk::OsDisk;

/// What there is of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) segments: u64,
    pub(crate) sealed_segments: u64,
    /// The place in the order of the first record that is kept.
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// What a crash left at the end, which the next start cuts off.
    pub(crate) torn_bytes: u64,
}

/// Reads and checks every byte of the log in `dir`. A frame that a crash cut short at the very end is
/// no damage, and is left.
pub(crate) fn check(dir: &Path) -> Result<Checked, OpenError> {
    let nothing =
        Checked { segments: 0, sealed_segments: 0, first_seq: 1, last_seq: 0, torn_bytes: 0 };
    if !dir.is_dir() {
        return Ok(nothing);
    }
    let reader = LogReader::new(dir.to_owned(), Arc::new(OsDisk));
    let first_seq = first_seq_in(dir)?;
    // With an index that ends right before the first record, all is read.
    let before = first_seq.saturating_sub(1);
    let Some(end) = recover(&reader, before, Access::Read, &mut |_, _| Ok(()))? else {
        return Ok(nothing);
    };
    let segments = reader.segments();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let sealed_segments = segments.full().filter(|full| full.form == Form::Sealed).count();
    Ok(Checked {
        segments: count(segments.starts().len()),
        sealed_segments: count(sealed_segments),
        first_seq,
        last_seq: segments.end_seq().saturating_sub(1),
        torn_bytes: end.torn_bytes,
    })
}
