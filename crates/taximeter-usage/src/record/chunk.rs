//! A chunk as a whole, and finding its groups without reading their records.

use std::iter;

use super::GROUP_RECORDS;
use crate::codec::{Malformed, Reader, put_length, put_u64};

/// A finished chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    records: u32,
    shapes: Vec<u8>,
    /// Of each group but the last.
    ends: Vec<GroupEnd>,
    /// The groups.
    bytes: Vec<u8>,
}

/// Where a group ends among the groups of its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupEnd {
    /// How many the group has.
    pub(super) records: u32,
    pub(super) end: usize,
}

impl Chunk {
    pub(super) fn new(records: u32, shapes: Vec<u8>, ends: Vec<GroupEnd>, bytes: Vec<u8>) -> Self {
        Self { records, shapes, ends, bytes }
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// No less than what it takes up in a frame.
    pub(crate) fn bytes(&self) -> usize {
        chunk_bytes_max(self.shapes.len(), self.bytes.len(), self.ends.len())
    }

    pub(super) fn shapes(&self) -> &[u8] {
        &self.shapes
    }

    /// What its groups take up.
    pub(super) fn groups_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes it behind what `out` holds; nothing if it has no records.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        if self.records == 0 {
            return;
        }
        out.reserve(self.bytes());
        put_head(out, self.records, &self.shapes, self.groups());
        out.extend_from_slice(&self.bytes);
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        let mut start = 0;
        let mut left = self.records;
        let ends = self.ends.iter().copied().map(Some).chain(iter::once(None));
        let groups = ends.map(move |end| {
            let last = GroupEnd { records: left, end: self.bytes.len() };
            let GroupEnd { records, end } = end.unwrap_or(last);
            let bytes = self.bytes.get(start..end).unwrap_or_default();
            start = end;
            left = left.saturating_sub(records);
            Group { records, shapes: &self.shapes, bytes }
        });
        groups.filter(|group| group.records > 0)
    }
}

/// Writes `groups`, which are all of one chunk, as a chunk, and gives how many records it has.
pub(crate) fn put_groups(out: &mut Vec<u8>, groups: &[Group<'_>]) -> u32 {
    let Some(Group { shapes, .. }) = groups.first() else { return 0 };
    let records = groups.iter().fold(0_u32, |sum, group| sum.saturating_add(group.records));
    put_head(out, records, shapes, groups.iter().copied());
    groups.iter().for_each(|group| out.extend_from_slice(group.bytes));
    records
}

/// Writes what stands before the groups.
fn put_head<'a>(
    out: &mut Vec<u8>,
    records: u32,
    shapes: &[u8],
    groups: impl Iterator<Item = Group<'a>>,
) {
    put_u64(out, records.into());
    put_length(out, shapes.len());
    out.extend_from_slice(shapes);
    let mut left = records;
    for group in groups {
        if group.records < records_of_full(left) {
            put_length(out, SHORT);
            put_u64(out, group.records.into());
        }
        put_length(out, group.bytes.len());
        left = left.saturating_sub(group.records);
    }
}

/// Stands in place of a group's bytes, of which there are always some, and says that the number of
/// its records comes before them.
const SHORT: usize = 0;

/// How many records a group has, of `left` records, unless it says otherwise.
fn records_of_full(left: u32) -> u32 {
    left.min(GROUP_RECORDS)
}

/// How many records and bytes the next group has. There are `left` records left.
fn group_size(sizes: &mut Reader<'_>, left: u32) -> Result<(u32, usize), Malformed> {
    let full = records_of_full(left);
    match sizes.length()? {
        SHORT => {
            let records = u32::try_from(sizes.u64()?).map_err(|_| Malformed)?;
            let bytes = sizes.length()?;
            if records == 0 || records >= full || bytes == SHORT {
                return Err(Malformed);
            }
            Ok((records, bytes))
        }
        bytes => Ok((full, bytes)),
    }
}

/// What a chunk takes up when each of its numbers takes as much as it can, and `ends` groups before
/// the last have fewer records than they could.
pub(super) fn chunk_bytes_max(shapes_bytes: usize, groups_bytes: usize, ends: usize) -> usize {
    const NUMBER_BYTES_MAX: usize = 5;
    const SHORT_BYTES: usize = 2;
    let numbers = ends.saturating_add(3).saturating_mul(NUMBER_BYTES_MAX);
    let shorts = ends.saturating_mul(SHORT_BYTES);
    numbers.saturating_add(shorts).saturating_add(shapes_bytes).saturating_add(groups_bytes)
}

/// The chunks in some bytes, in order.
#[derive(Debug)]
pub(crate) struct Chunks<'a> {
    reader: Reader<'a>,
}

/// A chunk being read, as far as its groups.
#[derive(Debug)]
pub(crate) struct ChunkParts<'a> {
    /// All of it.
    bytes: &'a [u8],
    /// How many records are in the groups that are left.
    records: u32,
    shapes: &'a [u8],
    /// Records and bytes of each group.
    sizes: Reader<'a>,
    groups: Reader<'a>,
}

/// Records that are read without the others of their chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) records: u32,
    pub(crate) shapes: &'a [u8],
    pub(crate) bytes: &'a [u8],
}

impl<'a> Chunks<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes) }
    }

    pub(crate) fn next(&mut self) -> Result<Option<ChunkParts<'a>>, Malformed> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let start = self.reader.rest();
        let records = u32::try_from(self.reader.u64()?).map_err(|_| Malformed)?;
        if records == 0 {
            return Err(Malformed);
        }
        let shapes = self.reader.length()?;
        let shapes = self.reader.bytes(shapes)?;
        let sizes = Reader::new(self.reader.rest());
        let mut bytes: usize = 0;
        let mut left = records;
        while left > 0 {
            let (in_group, group_bytes) = group_size(&mut self.reader, left)?;
            left = left.saturating_sub(in_group);
            bytes = bytes.checked_add(group_bytes).ok_or(Malformed)?;
        }
        let groups = Reader::new(self.reader.bytes(bytes)?);
        let length = start.len().saturating_sub(self.reader.rest().len());
        let bytes = start.get(..length).ok_or(Malformed)?;
        Ok(Some(ChunkParts { bytes, records, shapes, sizes, groups }))
    }
}

impl<'a> ChunkParts<'a> {
    /// How many records are in the groups that are left.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// All of the chunk.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn shapes(&self) -> &'a [u8] {
        self.shapes
    }

    pub(crate) fn next_group(&mut self) -> Result<Option<Group<'a>>, Malformed> {
        if self.records == 0 {
            return Ok(None);
        }
        let (records, bytes) = group_size(&mut self.sizes, self.records)?;
        self.records = self.records.saturating_sub(records);
        Ok(Some(Group { records, shapes: self.shapes, bytes: self.groups.bytes(bytes)? }))
    }
}
