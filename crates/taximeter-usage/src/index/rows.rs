//! Reading the rows of a table in order.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::index::blocks::{CHECKSUM_BYTES, Row, shared_length};
use crate::index::error::IndexError;
use crate::index::fence::Fence;
use crate::index::numbers::{Malformed, narrow};

const UNDECODABLE: &str = "a row does not decode";

/// Rows of a table in order, read a few blocks at a time. It stands on a row after
/// [`Rows::advance`] returned true, until it is advanced again.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    path: &'a Path,
    file: &'a File,
    fence: &'a Fence,
    readahead: u64,
    /// The blocks that are not in the buffer yet.
    unread: Range<usize>,
    buffer: Vec<u8>,
    /// The blocks that are in the buffer and not decoded yet.
    buffered: Range<usize>,
    /// Where in the buffer the next of these begins.
    next: usize,
    /// The block that is being decoded, for errors: where in the file it is.
    block_offset: u64,
    /// What of it is still to be decoded.
    rest: Range<usize>,
    key: Vec<u8>,
    value: Range<usize>,
}

impl<'a> Rows<'a> {
    /// All rows of a table.
    pub(crate) fn all(path: &'a Path, file: &'a File, fence: &'a Fence, readahead: u64) -> Self {
        Self::of_blocks(path, file, fence, readahead, fence.all())
    }

    /// The rows from `from` on, until perhaps some after `to`.
    pub(crate) fn between(
        path: &'a Path,
        file: &'a File,
        fence: &'a Fence,
        readahead: u64,
        (from, to): (&[u8], Option<&[u8]>),
    ) -> Result<Self, IndexError> {
        let blocks = fence.blocks(from, to);
        let mut rows = Self::of_blocks(path, file, fence, readahead, blocks);
        // The keys of all blocks but the first are above the separators.
        if rows.next_block()? {
            rows.skip_below(from).map_err(|Malformed| rows.damaged(UNDECODABLE))?;
        }
        Ok(rows)
    }

    fn of_blocks(
        path: &'a Path,
        file: &'a File,
        fence: &'a Fence,
        readahead: u64,
        unread: Range<usize>,
    ) -> Self {
        Self {
            path,
            file,
            fence,
            readahead,
            unread,
            buffer: Vec::new(),
            buffered: 0..0,
            next: 0,
            block_offset: 0,
            rest: 0..0,
            key: Vec::new(),
            value: 0..0,
        }
    }

    /// Goes to the next row; false after the last.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool, IndexError> {
        if self.rest.is_empty() && !self.next_block()? {
            return Ok(false);
        }
        self.decode().map_err(|Malformed| self.damaged(UNDECODABLE))?;
        Ok(true)
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.buffer.get(self.value.clone()).unwrap_or_default()
    }

    /// That the current block is not what was written.
    pub(crate) fn damaged(&self, what: &'static str) -> IndexError {
        IndexError::Damaged { path: self.path.to_owned(), offset: self.block_offset, what }
    }

    #[inline]
    fn decode(&mut self) -> Result<(), Malformed> {
        let row = Row::decode(self.buffer.get(self.rest.clone()).ok_or(Malformed)?)?;
        if row.shared > self.key.len() {
            return Err(Malformed);
        }
        self.key.truncate(row.shared);
        self.key.extend_from_slice(row.rest);
        self.rest.start = self.rest.start.saturating_add(row.bytes);
        self.value = self.rest.start.saturating_sub(row.value_bytes)..self.rest.start;
        Ok(())
    }

    /// Goes behind the rows of the block whose keys are below `from`.
    fn skip_below(&mut self, from: &[u8]) -> Result<(), Malformed> {
        // How many bytes the key of the row before begins with in common with `from`.
        let mut common = 0;
        let mut key_bytes = 0;
        let (mut next, mut block) =
            (self.rest.start, self.buffer.get(self.rest.clone()).ok_or(Malformed)?);
        while !block.is_empty() {
            let row = Row::decode(block)?;
            if row.shared > key_bytes {
                return Err(Malformed);
            }
            // A key that shares more with the one before is below `from` for the same byte. One
            // that shares less differs from it where that one did not differ from `from`, so it is
            // above.
            if row.shared == common {
                let sought = from.get(common..).unwrap_or_default();
                if row.rest >= sought {
                    break;
                }
                common = common.saturating_add(shared_length(row.rest, sought));
            } else if row.shared < common {
                break;
            }
            key_bytes = row.shared.saturating_add(row.rest.len());
            (next, block) =
                (next.saturating_add(row.bytes), block.get(row.bytes..).unwrap_or_default());
        }
        self.rest.start = next;
        self.key.extend_from_slice(from.get(..common).unwrap_or_default());
        Ok(())
    }

    /// Goes to the next block; false after the last.
    fn next_block(&mut self) -> Result<bool, IndexError> {
        if self.buffered.is_empty() && !self.fill()? {
            return Ok(false);
        }
        let block = self.buffered.start;
        self.buffered.start = block.saturating_add(1);
        self.block_offset = self.fence.offset(block);
        let bytes =
            narrow(self.fence.offset(self.buffered.start).saturating_sub(self.block_offset));
        let start = self.next;
        self.next = start.saturating_add(bytes);
        let block = self.buffer.get(start..self.next).unwrap_or_default();
        let whole = block
            .split_first_chunk()
            .is_some_and(|(checksum, checked)| xxh3_64(checked) == u64::from_le_bytes(*checksum));
        if !whole {
            return Err(self.damaged("a block of rows does not match its checksum"));
        }
        self.rest = start.saturating_add(CHECKSUM_BYTES)..self.next;
        self.key.clear();
        Ok(true)
    }

    /// Reads the next blocks; false if there are none.
    fn fill(&mut self) -> Result<bool, IndexError> {
        if self.unread.is_empty() {
            return Ok(false);
        }
        let first = self.unread.start;
        let start = self.fence.offset(first);
        let bytes_to = |end: usize| self.fence.offset(end).saturating_sub(start);
        let mut end = first.saturating_add(1);
        while end < self.unread.end && bytes_to(end.saturating_add(1)) <= self.readahead {
            end = end.saturating_add(1);
        }
        self.buffer.resize(narrow(bytes_to(end)), 0);
        self.file.read_exact_at(&mut self.buffer, start).map_err(|source| self.failed(source))?;
        self.buffered = first..end;
        self.unread.start = end;
        self.next = 0;
        Ok(true)
    }

    fn failed(&self, source: io::Error) -> IndexError {
        IndexError::Io { path: self.path.to_owned(), source }
    }
}
