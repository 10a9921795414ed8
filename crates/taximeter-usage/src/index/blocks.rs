//! A table of rows: byte keys in order, each with a value of bytes.
//!
//! ```text
//! block = checksum 8 | rows
//! row   = length shared with the key before | length of the rest | length of the value | rest | value
//! ```
//!
//! A block is about 8 KiB, or one row that is larger. The fence tells, for each block, its length
//! and a text that is above all keys before it and not above its own first.

use std::cmp::Ordering;

use xxhash_rust::xxh3::xxh3_64;

use crate::index::error::IndexError;
use crate::index::numbers::{Malformed, put, put_bytes, take_length, take_slice, wide};
use crate::index::sink::Sink;

/// The longest key.
pub(crate) const KEY_BYTES_MAX: usize = 1 << 16;
/// The longest value.
pub(crate) const VALUE_BYTES_MAX: usize = 1 << 30;
/// The bytes of a block before its rows.
pub(crate) const CHECKSUM_BYTES: usize = 8;

const BLOCK_BYTES: usize = 8_192;
/// What the lengths of a row take at most.
const LENGTHS_BYTES: usize = 16;

/// Makes blocks of rows that come in order.
#[derive(Debug, Default)]
pub(crate) struct RowsBuilder {
    block: Vec<u8>,
    /// The key before, none at the start.
    last: Option<Vec<u8>>,
    /// What the fence says of the block that is being filled.
    separator: Vec<u8>,
    count: u64,
    fence: Vec<u8>,
}

impl RowsBuilder {
    pub(crate) fn push(
        &mut self,
        key: &[u8],
        value: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), IndexError> {
        let refused = |what| IndexError::Refused { path: sink.path().to_owned(), what };
        if key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(refused("a row is too large"));
        }
        let mut shared = 0;
        if let Some(last) = &self.last {
            shared = shared_length(last, key);
            if last.get(shared..).cmp(&key.get(shared..)) != Ordering::Less {
                return Err(refused("rows out of order"));
            }
        }
        let row = key.len().saturating_sub(shared).saturating_add(value.len());
        let bytes = self.block.len().saturating_add(row).saturating_add(LENGTHS_BYTES);
        if !self.block.is_empty() && bytes > BLOCK_BYTES {
            self.flush(sink)?;
        }
        if self.block.is_empty() {
            self.block.extend_from_slice(&[0; CHECKSUM_BYTES]);
            let distinct = if self.last.is_some() { shared.saturating_add(1) } else { 0 };
            self.separator.clear();
            self.separator.extend_from_slice(key.get(..distinct).unwrap_or(key));
            shared = 0;
        }
        put(&mut self.block, wide(shared));
        let rest = key.get(shared..).unwrap_or_default();
        put(&mut self.block, wide(rest.len()));
        put(&mut self.block, wide(value.len()));
        self.block.extend_from_slice(rest);
        self.block.extend_from_slice(value);
        let last = self.last.get_or_insert_default();
        last.truncate(shared);
        last.extend_from_slice(rest);
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Writes what is left, and returns how many rows there are and the bytes of the fence.
    pub(crate) fn finish(mut self, sink: &mut Sink<'_>) -> Result<(u64, Vec<u8>), IndexError> {
        if !self.block.is_empty() {
            self.flush(sink)?;
        }
        Ok((self.count, self.fence))
    }

    fn flush(&mut self, sink: &mut Sink<'_>) -> Result<(), IndexError> {
        if let Some((checksum, checked)) = self.block.split_first_chunk_mut() {
            *checksum = xxh3_64(checked).to_le_bytes();
        }
        put(&mut self.fence, wide(self.block.len()));
        put_bytes(&mut self.fence, &self.separator);
        sink.write(&self.block)?;
        self.block.clear();
        Ok(())
    }
}

/// A row at the start of what is left of a block.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// How much of the key before it begins with.
    pub(crate) shared: usize,
    pub(crate) rest: &'a [u8],
    pub(crate) value_bytes: usize,
    /// How many bytes all of it takes.
    pub(crate) bytes: usize,
}

impl<'a> Row<'a> {
    #[inline]
    pub(crate) fn decode(block: &'a [u8]) -> Result<Self, Malformed> {
        let mut left = block;
        // Mostly each length is one byte.
        let (shared, key_bytes, value_bytes) = match block.split_first_chunk() {
            Some(([shared, key, value], rows)) if (shared | key | value) < 0x80 => {
                left = rows;
                (usize::from(*shared), usize::from(*key), usize::from(*value))
            }
            _ => (take_length(&mut left)?, take_length(&mut left)?, take_length(&mut left)?),
        };
        let rest = take_slice(&mut left, key_bytes)?;
        let left = left.len().checked_sub(value_bytes).ok_or(Malformed)?;
        Ok(Self { shared, rest, value_bytes, bytes: block.len().saturating_sub(left) })
    }
}

/// How many bytes `one` and `other` begin with in common.
pub(crate) fn shared_length(one: &[u8], other: &[u8]) -> usize {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let words = words.take_while(|(one, other)| one == other).count().wrapping_mul(8);
    let one = one.get(words..).unwrap_or_default();
    let other = other.get(words..).unwrap_or_default();
    let bytes = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    words.wrapping_add(bytes)
}
