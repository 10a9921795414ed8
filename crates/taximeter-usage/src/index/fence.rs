//! Where the blocks of a table of rows begin, and with what, in memory.

use std::ops::Range;

use crate::index::numbers::{Malformed, take, take_bytes, wide};

/// Where the blocks of a table begin, and with what.
#[derive(Debug)]
pub(crate) struct Fence {
    separators: Vec<u8>,
    /// Where in `separators` each ends.
    ends: Vec<usize>,
    /// Where in the file each block begins, and where the last ends.
    offsets: Vec<u64>,
}

impl Fence {
    /// Reads the fence of a table that begins at `offset` in the file and takes `bytes`.
    pub(crate) fn decode(mut rest: &[u8], mut offset: u64, bytes: u64) -> Result<Self, Malformed> {
        let end = offset.saturating_add(bytes);
        let mut fence = Self { separators: Vec::new(), ends: Vec::new(), offsets: vec![offset] };
        while !rest.is_empty() {
            offset = offset.checked_add(take(&mut rest)?).ok_or(Malformed)?;
            fence.separators.extend_from_slice(take_bytes(&mut rest)?);
            fence.ends.push(fence.separators.len());
            fence.offsets.push(offset);
        }
        fence.separators.shrink_to_fit();
        fence.ends.shrink_to_fit();
        fence.offsets.shrink_to_fit();
        if offset == end { Ok(fence) } else { Err(Malformed) }
    }

    /// How many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let per_block = wide(self.ends.len()).saturating_mul(16);
        wide(self.separators.len()).saturating_add(per_block)
    }

    pub(crate) fn all(&self) -> Range<usize> {
        0..self.ends.len()
    }

    /// The blocks that may have keys of the range.
    pub(crate) fn blocks(&self, from: &[u8], to: Option<&[u8]>) -> Range<usize> {
        let above = self.below(|separator| separator <= from);
        let end = match to {
            Some(to) => self.below(|separator| separator < to),
            None => self.ends.len(),
        };
        above.saturating_sub(1)..end
    }

    /// The first block of which `holds` is not true; it is true of all before that one.
    fn below(&self, holds: impl Fn(&[u8]) -> bool) -> usize {
        let mut range = self.all();
        while !range.is_empty() {
            let middle = range.start.midpoint(range.end);
            if holds(self.separator(middle)) {
                range.start = middle.saturating_add(1);
            } else {
                range.end = middle;
            }
        }
        range.start
    }

    fn separator(&self, block: usize) -> &[u8] {
        let end = self.ends.get(block).copied().unwrap_or_default();
        let before = block.checked_sub(1).and_then(|before| self.ends.get(before));
        self.separators.get(before.copied().unwrap_or_default()..end).unwrap_or_default()
    }

    pub(crate) fn offset(&self, block: usize) -> u64 {
        self.offsets.get(block).copied().unwrap_or_default()
    }
}
