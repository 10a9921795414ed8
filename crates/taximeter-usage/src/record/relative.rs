//! Writing one record relative to the one before.

use std::borrow::Cow;
use std::ops::Range;

use taximeter_kernel::aggregate::Measure;

use super::shape::{are, is, put};
use super::text::{Text, TextBuffer, decimal};
use super::{EventRecord, EventView, View, Was, flags, uuid};
use crate::codec::{put_i64, put_signed, put_text, put_u64};
use crate::event::Standing;

/// What is said of an event.
pub(super) enum Kind<'a, W> {
    Event,
    Order(u8, u64),
    Amended(u64, &'a Was<W>),
}

impl<W> Kind<'_, W> {
    pub(super) const fn standing(standing: Standing, event_seq: u64) -> Self {
        match standing {
            Standing::Counts => Self::Order(flags::RESTORE, event_seq),
            Standing::Cancelled | Standing::Amended => Self::Order(flags::CANCEL, event_seq),
        }
    }
}

/// The event that the next one is written relative to.
#[derive(Debug)]
pub(super) struct Previous {
    shape: usize,
    timestamp: i64,
    received: i64,
    dimensions: usize,
    texts: Texts,
}

/// Where the texts were last written that the next event may repeat.
#[derive(Debug, Default)]
struct Texts {
    customer: Range<usize>,
    dimensions: Range<usize>,
}

/// How an event is written relative to the one before.
struct Relation {
    shape: usize,
    /// The flags of what is repeated.
    same: u8,
    /// When the one before was received, and when it happened; none for the first of a group.
    times: Option<(i64, i64)>,
}

impl Previous {
    pub(super) fn shape(&self) -> usize {
        self.shape
    }

    /// An event that was read. Its texts are written into `texts`, which is cleared.
    pub(super) fn of_view(texts: &mut Vec<u8>, event: &EventView<'_>) -> Self {
        texts.clear();
        let customer = put(texts, event.customer);
        let start = texts.len();
        event.dimensions.iter().for_each(|dimension| put_text(texts, dimension));
        let dimensions = start..texts.len();
        Self {
            shape: event.shape,
            timestamp: event.timestamp,
            received: event.received,
            dimensions: event.dimensions.len(),
            texts: Texts { customer, dimensions },
        }
    }
}

impl Relation {
    /// Of an event to `previous`, whose texts are in `texts`.
    #[inline]
    fn new<D: AsRef<str>, K, S>(
        previous: Option<&Previous>,
        texts: &[u8],
        shape: usize,
        event: &EventRecord<'_, D, K, S>,
    ) -> Self {
        let Some(previous) = previous else {
            return Self { shape, same: set(flags::SAME_SHAPE, shape == 0), times: None };
        };
        let Texts { customer, dimensions } = &previous.texts;
        let same_dimensions = previous.dimensions == event.dimensions.len()
            && are(texts, dimensions, event.dimensions.iter().map(AsRef::as_ref));
        let same = set(flags::SAME_SHAPE, shape == previous.shape)
            | set(flags::SAME_CUSTOMER, is(texts, customer, event.customer))
            | set(flags::SAME_RECEIVED, previous.received == event.received)
            | set(flags::SAME_DIMENSIONS, same_dimensions);
        Self { shape, same, times: Some((previous.received, previous.timestamp)) }
    }
}

/// Writes a record as one that follows `previous`, whose texts are in `out`.
#[inline]
pub(super) fn put_event<W: AsRef<str>, D: AsRef<str>, K: AsRef<str>, S: AsRef<str>>(
    out: &mut Vec<u8>,
    kind: &Kind<'_, W>,
    event: &EventRecord<'_, D, K, S>,
    shape: usize,
    previous: Option<Previous>,
) -> Previous {
    let relation = Relation::new(previous.as_ref(), out, shape, event);
    let before = previous.map(|previous| previous.texts).unwrap_or_default();
    let texts = put_record(out, kind, event, &relation, before);
    let EventRecord { timestamp, received, dimensions, .. } = *event;
    Previous { shape, timestamp, received, dimensions: dimensions.len(), texts }
}

/// Writes a record that was read as one that follows `previous`, whose texts are in `texts`.
pub(super) fn put_again(
    out: &mut Vec<u8>,
    previous: Option<&Previous>,
    texts: &[u8],
    view: &View<'_>,
) {
    let kind = match view {
        View::Event(_) => Kind::Event,
        View::Standing { standing, event_seq, .. } => Kind::standing(*standing, *event_seq),
        View::Amended { event_seq, was, .. } => Kind::Amended(*event_seq, was),
    };
    let event = view.event();
    let mut buffer = TextBuffer::default();
    let payload: Vec<(&str, Cow<'_, str>)> = event
        .payload()
        .map(|(key, value)| match value {
            Text::Plain(value) => (key, Cow::Borrowed(value)),
            value @ (Text::Uuid(_) | Text::Number(_)) => (key, Cow::Owned(value.to_string())),
        })
        .collect();
    let record = EventRecord {
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
    };
    let relation = Relation::new(previous, texts, event.shape, &record);
    put_record(out, &kind, &record, &relation, Texts::default());
}

/// Writes a record. Gives where its texts are; those that it repeats are where they were `before`.
#[inline]
fn put_record<W: AsRef<str>, D: AsRef<str>, K: AsRef<str>, S: AsRef<str>>(
    out: &mut Vec<u8>,
    kind: &Kind<'_, W>,
    event: &EventRecord<'_, D, K, S>,
    relation: &Relation,
    before: Texts,
) -> Texts {
    let Relation { shape, same, times } = *relation;
    let uuid = uuid::parse(event.identifier.as_bytes());
    let more = more(event);
    let code = match kind {
        Kind::Amended(..) => flags::AMEND,
        Kind::Order(code, _) => *code,
        Kind::Event if more == 0 => flags::EVENT,
        Kind::Event => flags::EVENT_WITH_MORE,
    };
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
    if let Some((received, timestamp)) = times {
        if same & flags::SAME_RECEIVED == 0 {
            put_i64(out, event.received.wrapping_sub(received));
        }
        put_i64(out, event.timestamp.wrapping_sub(timestamp));
    } else {
        put_i64(out, event.received);
        put_i64(out, event.timestamp.wrapping_sub(event.received));
    }
    let customer =
        if same & flags::SAME_CUSTOMER == 0 { put(out, event.customer) } else { before.customer };
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
        before.dimensions
    };
    put_values(out, event);
    Texts { customer, dimensions }
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
