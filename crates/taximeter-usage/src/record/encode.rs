//! Writing the records of a batch as a chunk.

use super::chunk::{Chunk, GroupEnd, chunk_bytes_max};
use super::relative::{Kind, Previous, put_event};
use super::shape::ShapeTable;
use super::{EventRecord, GROUP_RECORDS, Was};
use crate::event::Standing;

/// About how many bytes an event takes in its group.
const EVENT_BYTES_USUAL: usize = 72;

/// A chunk being written.
#[derive(Debug, Default)]
pub(crate) struct ChunkEncoder {
    shapes: ShapeTable,
    /// The groups.
    bytes: Vec<u8>,
    /// Of each group but the last.
    ends: Vec<GroupEnd>,
    records: u32,
    /// The event before, when there is one in the group.
    previous: Option<Previous>,
}

impl ChunkEncoder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With room for that many usual events.
    pub(crate) fn with_room(events: usize) -> Self {
        let bytes = Vec::with_capacity(events.saturating_mul(EVENT_BYTES_USUAL));
        Self { bytes, ..Self::default() }
    }

    /// No less than what the chunk takes up in a frame so far.
    pub(crate) fn bytes(&self) -> usize {
        chunk_bytes_max(self.shapes.bytes(), self.bytes.len(), self.ends.len())
    }

    pub(crate) fn push<D: AsRef<str>, K: AsRef<str>, S: AsRef<str>>(
        &mut self,
        event: &EventRecord<'_, D, K, S>,
    ) {
        self.put_event(&Kind::<&str>::Event, event);
    }

    /// Adds that the event at `event_seq`, which is `event`, counts no longer or counts again.
    pub(crate) fn push_standing<D: AsRef<str>, K: AsRef<str>, S: AsRef<str>>(
        &mut self,
        standing: Standing,
        event_seq: u64,
        event: &EventRecord<'_, D, K, S>,
    ) {
        self.put_event(&Kind::<&str>::standing(standing, event_seq), event);
    }

    /// Adds that `event` takes the place of the version at `event_seq`.
    pub(crate) fn push_amended<D: AsRef<str>, K: AsRef<str>, S: AsRef<str>>(
        &mut self,
        event_seq: u64,
        was: &Was<String>,
        event: &EventRecord<'_, D, K, S>,
    ) {
        self.put_event(&Kind::Amended(event_seq, was), event);
    }

    pub(crate) fn finish(self) -> Chunk {
        let Self { shapes, bytes, ends, records, previous: _ } = self;
        Chunk::new(records, shapes.into_bytes(), ends, bytes)
    }

    /// Begins a record, and a group where one is due.
    fn begin(&mut self) {
        if self.records.is_multiple_of(GROUP_RECORDS) {
            if self.records > 0 {
                self.ends.push(GroupEnd { records: GROUP_RECORDS, end: self.bytes.len() });
            }
            self.previous = None;
        }
        self.records = self.records.saturating_add(1);
    }

    fn put_event<W: AsRef<str>, D: AsRef<str>, K: AsRef<str>, S: AsRef<str>>(
        &mut self,
        kind: &Kind<'_, W>,
        event: &EventRecord<'_, D, K, S>,
    ) {
        self.begin();
        let previous = self.previous.take();
        let likely = previous.as_ref().map_or(0, Previous::shape);
        let shape = self.shapes.of_event(event, likely);
        self.previous = Some(put_event(&mut self.bytes, kind, event, shape, previous));
    }
}
