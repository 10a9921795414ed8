//! Writing the records of a batch as a chunk.

use std::ops::Range;

use super::chunk::{Chunk, chunk_bytes_max};
use super::shape::{ShapeTable, are, is, put};
use super::text::{TextBuffer, decimal};
use super::{EventRecord, GROUP_RECORDS, Was, flags, uuid};
use crate::codec::{put_i64, put_signed, put_text, put_u64};
use crate::event::Standing;
use taximeter_kernel::aggregate::Measure;

/// A chunk being written.
#[derive(Debug, Default)]
pub(crate) struct ChunkEncoder {
    shapes: ShapeTable,
    /// The groups.
    bytes: Vec<u8>,
    /// Where each group but the first begins.
    starts: Vec<usize>,
    records: u32,
    /// The shape of the record before; that of the first when there is none in the group.
    shape: usize,
    /// The event before, when there is one in the group.
    previous: Option<Previous>,
}

/// The event that the next one is written relative to. Its texts are where they were last written.
#[derive(Debug)]
struct Previous {
    customer: Range<usize>,
    timestamp: i64,
    received: i64,
    dimension_count: usize,
    dimensions: Range<usize>,
}

impl ChunkEncoder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// No less than what the chunk takes up in a frame so far.
    pub(crate) fn bytes(&self) -> usize {
        chunk_bytes_max(self.shapes.bytes(), self.bytes.len(), self.starts.len())
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
        let kind = match standing {
            Standing::Counts => flags::RESTORE,
            Standing::Cancelled | Standing::Amended => flags::CANCEL,
        };
        self.put_event(&Kind::<&str>::Order(kind, event_seq), event);
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
        let Self { shapes, bytes, starts, records, shape: _, previous: _ } = self;
        Chunk::new(records, shapes.into_bytes(), starts, bytes)
    }

    /// Begins a record, and a group where one is due.
    fn begin(&mut self) {
        if self.records.is_multiple_of(GROUP_RECORDS) {
            if self.records > 0 {
                self.starts.push(self.bytes.len());
            }
            self.shape = 0;
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
        let uuid = uuid::parse(event.identifier.as_bytes());
        let shape = self.shapes.of_event(event, self.shape);
        let same = set(flags::SAME_SHAPE, shape == self.shape)
            | self.previous.as_ref().map_or(0, |previous| previous.same(&self.bytes, event));
        let more = more(event);
        let code = match kind {
            Kind::Amended(..) => flags::AMEND,
            Kind::Order(code, _) => *code,
            Kind::Event if more == 0 => flags::EVENT,
            Kind::Event => flags::EVENT_WITH_MORE,
        };
        let out = &mut self.bytes;
        out.push(code | same | set(flags::UUID, uuid.is_some()));
        if code != flags::EVENT {
            out.push(more);
        }
        match kind {
            Kind::Event => {}
            Kind::Order(_, event_seq) => put_u64(out, *event_seq),
            Kind::Amended(event_seq, was) => {
                put_u64(out, *event_seq);
                put_was(out, was);
            }
        }
        if same & flags::SAME_SHAPE == 0 {
            put_number(out, shape);
        }
        let (customer, dimensions) = match self.previous.take() {
            Some(previous) => {
                if same & flags::SAME_RECEIVED == 0 {
                    put_i64(out, event.received.wrapping_sub(previous.received));
                }
                put_i64(out, event.timestamp.wrapping_sub(previous.timestamp));
                (previous.customer, previous.dimensions)
            }
            None => {
                put_i64(out, event.received);
                put_i64(out, event.timestamp.wrapping_sub(event.received));
                (0..0, 0..0)
            }
        };
        let customer =
            if same & flags::SAME_CUSTOMER == 0 { put(out, event.customer) } else { customer };
        put_identifier(out, uuid, event.identifier);
        put_measure(out, event.measure);
        if let Some(request) = event.request {
            out.extend_from_slice(&request.key.to_le_bytes());
            out.extend_from_slice(&request.fingerprint.to_le_bytes());
        }
        if let Some(backfill) = event.backfill {
            put_text(out, backfill);
        }
        let dimensions = if same & flags::SAME_DIMENSIONS == 0 {
            let start = out.len();
            event.dimensions.iter().for_each(|dimension| put_text(out, dimension.as_ref()));
            start..out.len()
        } else {
            dimensions
        };
        put_values(out, event);
        self.shape = shape;
        let dimension_count = event.dimensions.len();
        let EventRecord { timestamp, received, .. } = *event;
        self.previous =
            Some(Previous { customer, timestamp, received, dimension_count, dimensions });
    }
}

/// What is said of an event.
enum Kind<'a, W> {
    Event,
    Order(u8, u64),
    Amended(u64, &'a Was<W>),
}

fn put_was<W: AsRef<str>>(out: &mut Vec<u8>, was: &Was<W>) {
    put_i64(out, was.timestamp);
    out.push(measure_flags(was.measure));
    put_measure(out, was.measure);
    put_number(out, was.dimensions.len());
    was.dimensions.iter().for_each(|dimension| put_text(out, dimension.as_ref()));
}

fn measure_flags(measure: Measure) -> u8 {
    match measure {
        Measure::Number(number) => set(flags::SCALED, number.scale() > 0),
        Measure::Member(_) => flags::MEMBER,
    }
}

const fn set(flag: u8, is_set: bool) -> u8 {
    if is_set { flag } else { 0 }
}

/// The flags of the second byte.
fn more<D, K, S>(event: &EventRecord<'_, D, K, S>) -> u8 {
    measure_flags(event.measure)
        | set(flags::REQUEST, event.request.is_some())
        | set(flags::BACKFILL, event.backfill.is_some())
}

impl Previous {
    /// The flags of what is repeated.
    fn same<D: AsRef<str>, K: AsRef<str>, S: AsRef<str>>(
        &self,
        bytes: &[u8],
        event: &EventRecord<'_, D, K, S>,
    ) -> u8 {
        let same_dimensions = self.dimension_count == event.dimensions.len()
            && are(bytes, &self.dimensions, event.dimensions.iter().map(AsRef::as_ref));
        set(flags::SAME_CUSTOMER, is(bytes, &self.customer, event.customer))
            | set(flags::SAME_RECEIVED, self.received == event.received)
            | set(flags::SAME_DIMENSIONS, same_dimensions)
    }
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    put_u64(out, u64::try_from(number).unwrap_or(u64::MAX));
}

fn put_identifier(out: &mut Vec<u8>, uuid: Option<[u8; 16]>, identifier: &str) {
    match uuid {
        Some(uuid) => out.extend_from_slice(&uuid),
        None => put_text(out, identifier),
    }
}

fn put_measure(out: &mut Vec<u8>, measure: Measure) {
    match measure {
        Measure::Number(number) => {
            match i64::try_from(number.mantissa()) {
                Ok(short) => put_i64(out, short),
                Err(_) => put_signed(out, number.mantissa()),
            }
            if number.scale() > 0 {
                out.push(number.scale());
            }
        }
        Measure::Member(member) => out.extend_from_slice(&member.to_le_bytes()),
    }
}

fn put_values<D: AsRef<str>, K: AsRef<str>, S: AsRef<str>>(
    out: &mut Vec<u8>,
    event: &EventRecord<'_, D, K, S>,
) {
    let mut buffer = TextBuffer::default();
    let number = match event.measure {
        Measure::Number(number) if !event.payload.is_empty() => decimal(number, &mut buffer),
        Measure::Number(_) | Measure::Member(_) => &[],
    };
    for (_, value) in event.payload {
        let value = value.as_ref();
        if value == event.customer {
            put_u64(out, flags::VALUE_CUSTOMER);
        } else if !number.is_empty() && value.as_bytes() == number {
            put_u64(out, flags::VALUE_MEASURE);
        } else if let Some(at) = dimension(event.dimensions, value) {
            put_u64(out, flags::VALUE_DIMENSION.saturating_add(at));
        } else {
            let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
            put_u64(out, flags::VALUE_TEXT.saturating_add(length));
            out.extend_from_slice(value.as_bytes());
        }
    }
}

fn dimension<S: AsRef<str>>(dimensions: &[S], value: &str) -> Option<u64> {
    let mut dimensions = (0..).zip(dimensions).take(flags::VALUE_DIMENSIONS);
    dimensions.find(|(_, dimension)| dimension.as_ref() == value).map(|(at, _)| at)
}
