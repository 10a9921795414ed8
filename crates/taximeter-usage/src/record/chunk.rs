//! A chunk as a whole, and finding its groups without reading their records.

use std::borrow::Cow;
use std::iter;

use super::text::{Text, TextBuffer};
use super::{ChunkEncoder, Cursor, EventRecord, EventView, GROUP_RECORDS, Record, View};
use crate::codec::{Malformed, Reader, put_length, put_u64};

/// A finished chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    records: u32,
    shapes: Vec<u8>,
    /// Where each group but the first begins.
    starts: Vec<usize>,
    /// The groups.
    bytes: Vec<u8>,
}

impl Chunk {
    pub(super) fn new(records: u32, shapes: Vec<u8>, starts: Vec<usize>, bytes: Vec<u8>) -> Self {
        Self { records, shapes, starts, bytes }
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// No less than what it takes up in a frame.
    pub(crate) fn bytes(&self) -> usize {
        chunk_bytes_max(self.shapes.len(), self.bytes.len(), self.starts.len())
    }

    /// Writes it behind what `out` holds; nothing if it has no records.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        if self.records == 0 {
            return;
        }
        out.reserve(self.bytes());
        put_u64(out, self.records.into());
        put_length(out, self.shapes.len());
        out.extend_from_slice(&self.shapes);
        let mut start = 0;
        for end in self.starts.iter().copied().chain(iter::once(self.bytes.len())) {
            put_length(out, end.saturating_sub(start));
            start = end;
        }
        out.extend_from_slice(&self.bytes);
    }

    /// The chunk of only the records whose number `keep` says yes to, counted from 0. Writes them
    /// anew, because each is written relative to the one before it.
    pub(crate) fn retain(&self, mut keep: impl FnMut(usize) -> bool) -> Result<Self, Malformed> {
        let mut written = Vec::with_capacity(self.bytes());
        self.write_to(&mut written);
        let mut cursor = Cursor::new(&written);
        let mut kept = ChunkEncoder::new();
        for number in 0.. {
            let Some(view) = cursor.next()? else { break };
            if keep(number) {
                match &view {
                    View::Event(event) => push_again(&mut kept, event),
                    View::Standing { .. } | View::Amended { .. } => {
                        Record::of(0, &view)?.push_to(&mut kept);
                    }
                }
            }
        }
        Ok(kept.finish())
    }
}

/// Writes an event that was read, without copying its texts.
fn push_again(chunk: &mut ChunkEncoder, event: &EventView<'_>) {
    let mut buffer = TextBuffer::default();
    let payload: Vec<(&str, Cow<'_, str>)> = event
        .payload()
        .map(|(key, value)| match value {
            Text::Plain(value) => (key, Cow::Borrowed(value)),
            value @ (Text::Uuid(_) | Text::Number(_)) => (key, Cow::Owned(value.to_string())),
        })
        .collect();
    chunk.push(&EventRecord {
        account: event.account,
        mode: event.mode,
        meter: event.meter,
        aggregation: event.aggregation,
        event_name: event.event_name,
        customer: event.customer,
        identifier: event.identifier.as_str(&mut buffer),
        timestamp: event.timestamp,
        received: event.received,
        measure: event.measure,
        dimensions: event.dimensions,
        payload: &payload,
        request: event.request,
        backfill: event.backfill,
    });
}

/// What a chunk takes up when each of its numbers takes as much as it can.
pub(super) fn chunk_bytes_max(shapes_bytes: usize, groups_bytes: usize, starts: usize) -> usize {
    const NUMBER_BYTES_MAX: usize = 5;
    let numbers = starts.saturating_add(3).saturating_mul(NUMBER_BYTES_MAX);
    numbers.saturating_add(shapes_bytes).saturating_add(groups_bytes)
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
    lengths: Reader<'a>,
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
        let lengths = Reader::new(self.reader.rest());
        let mut bytes: usize = 0;
        for _ in 0..records.div_ceil(GROUP_RECORDS) {
            bytes = bytes.checked_add(self.reader.length()?).ok_or(Malformed)?;
        }
        let groups = Reader::new(self.reader.bytes(bytes)?);
        let length = start.len().saturating_sub(self.reader.rest().len());
        let bytes = start.get(..length).ok_or(Malformed)?;
        Ok(Some(ChunkParts { bytes, records, shapes, lengths, groups }))
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
        let records = self.records.min(GROUP_RECORDS);
        self.records = self.records.saturating_sub(records);
        let length = self.lengths.length()?;
        Ok(Some(Group { records, shapes: self.shapes, bytes: self.groups.bytes(length)? }))
    }
}
