//! The records of the log: events, and what is done to events later.
//!
//! The records of one batch form a *chunk*. It begins with the *shapes*: what many of its events have
//! in common. Each event is written relative to the event before it; every [`GROUP_RECORDS`] records
//! a *group* begins anew, so that a record is found by decoding its group alone.
//!
//! ```text
//! chunk:  records | bytes of the shapes | shapes | size of each group | groups
//! size:   bytes                   [`GROUP_RECORDS`], or what is left of the chunk
//!         0 | records | bytes     fewer
//! record: kind and what it repeats 1 | (what it has 1) | fields
//! ```
//!
//! A group has fewer records before the end of its chunk when duplicates were taken out of it after
//! it was written. The others stay as they are, and so do the shapes, even those no longer used.

mod chunk;
mod decode;
mod encode;
mod relative;
mod retain;
mod shape;
mod stored;
mod text;
mod uuid;

#[cfg(test)]
mod tests;

use taximeter_kernel::aggregate::Measure;
use taximeter_kernel::id::Mode;

pub(crate) use chunk::{Chunk, ChunkParts, Chunks, Group, put_groups};
pub(crate) use decode::Cursor;
pub(crate) use encode::ChunkEncoder;
pub(crate) use stored::{Record, record_of};
use text::Text;

use crate::event::{RequestKey, Standing};

/// How many records a group has at most.
pub(crate) const GROUP_RECORDS: u32 = 16;

/// An event to be written. `D`, `K` and `S` are whatever texts its lists hold.
#[derive(Debug)]
pub(crate) struct EventRecord<'a, D, K, S> {
    pub(crate) account: &'a str,
    pub(crate) mode: Mode,
    pub(crate) meter: &'a str,
    pub(crate) aggregation: [u8; 4],
    pub(crate) event_name: &'a str,
    pub(crate) customer: &'a str,
    pub(crate) identifier: &'a str,
    /// When the usage happened, in seconds.
    pub(crate) timestamp: i64,
    /// When the server took it in, in seconds.
    pub(crate) received: i64,
    pub(crate) measure: Measure,
    /// The values of the meter's dimensions, in the meter's order.
    pub(crate) dimensions: &'a [D],
    /// Keys and values as sent, in the order sent.
    pub(crate) payload: &'a [(K, S)],
    pub(crate) request: Option<RequestKey>,
    /// The backfill that it came in with.
    pub(crate) backfill: Option<&'a str>,
}

/// What an amended event said before, as far as it counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Was<D> {
    /// When the usage happened, in seconds.
    pub(crate) timestamp: i64,
    pub(crate) measure: Measure,
    pub(crate) dimensions: Vec<D>,
}

/// A record being read. Whatever changes totals is repeated in it, so that a restart need not look up
/// what was recorded before.
#[derive(Debug)]
pub(crate) enum View<'v> {
    Event(EventView<'v>),
    /// The event, which is the one at `event_seq` with the time of the order as its `received`,
    /// counts no longer, or counts again.
    Standing {
        standing: Standing,
        event_seq: u64,
        event: EventView<'v>,
    },
    /// The event takes the place of the version at `event_seq`.
    Amended {
        event_seq: u64,
        was: Was<&'v str>,
        event: EventView<'v>,
    },
}

impl<'v> View<'v> {
    /// The event that it is about, as it is from now on.
    fn event(&self) -> &EventView<'v> {
        match self {
            Self::Event(event) | Self::Standing { event, .. } | Self::Amended { event, .. } => {
                event
            }
        }
    }
}

/// An event being read. The fields are those of [`EventRecord`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventView<'v> {
    pub(crate) account: &'v str,
    pub(crate) mode: Mode,
    pub(crate) meter: &'v str,
    pub(crate) aggregation: [u8; 4],
    pub(crate) event_name: &'v str,
    pub(crate) customer: &'v str,
    pub(crate) identifier: Text<'v>,
    pub(crate) timestamp: i64,
    pub(crate) received: i64,
    pub(crate) measure: Measure,
    pub(crate) dimensions: &'v [&'v str],
    pub(crate) request: Option<RequestKey>,
    pub(crate) backfill: Option<&'v str>,
    /// Its number among those of the chunk.
    shape: usize,
    keys: &'v [&'v str],
    values: &'v [Text<'v>],
}

impl<'v> EventView<'v> {
    /// Keys and values in the order sent.
    pub(crate) fn payload(&self) -> impl ExactSizeIterator<Item = (&'v str, Text<'v>)> + use<'v> {
        self.keys.iter().copied().zip(self.values.iter().copied())
    }
}

/// The first bytes of a record and the numbers in it.
mod flags {
    pub(super) const KIND: u8 = 0b111;
    /// An event without a second byte.
    pub(super) const EVENT: u8 = 1;
    pub(super) const EVENT_WITH_MORE: u8 = 2;
    pub(super) const AMEND: u8 = 3;
    pub(super) const CANCEL: u8 = 4;
    pub(super) const RESTORE: u8 = 5;

    // In the first byte.
    /// As the record before it; the first of a group, as the first of the chunk's shapes.
    pub(super) const SAME_SHAPE: u8 = 1 << 3;
    pub(super) const SAME_CUSTOMER: u8 = 1 << 4;
    pub(super) const SAME_RECEIVED: u8 = 1 << 5;
    pub(super) const SAME_DIMENSIONS: u8 = 1 << 6;
    pub(super) const UUID: u8 = 1 << 7;

    // In the second byte.
    pub(super) const MEMBER: u8 = 1;
    pub(super) const SCALED: u8 = 1 << 1;
    pub(super) const REQUEST: u8 = 1 << 2;
    pub(super) const BACKFILL: u8 = 1 << 3;
    pub(super) const ALL: u8 = MEMBER | SCALED | REQUEST | BACKFILL;

    // A payload value that stands elsewhere in the event is one byte.
    pub(super) const VALUE_CUSTOMER: u64 = 0;
    pub(super) const VALUE_MEASURE: u64 = 1;
    /// And so many from here on: the first dimensions.
    pub(super) const VALUE_DIMENSION: u64 = 2;
    pub(super) const VALUE_DIMENSIONS: usize = 16;
    /// And so many from here on: the length of a text that follows.
    pub(super) const VALUE_TEXT: u64 = 18;
}
