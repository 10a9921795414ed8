//! What many events of a chunk have in common. It is written once for each chunk, and events say
//! which shape they have.
//!
//! ```text
//! shape: mode 1 | aggregation 4 | account | meter | event name | dimensions | keys | each key
//! ```

use std::ops::Range;

use taximeter_kernel::id::Mode;

use super::EventRecord;
use crate::codec::{Malformed, Reader, put_length, put_text};

const TEST: u8 = 0;
const LIVE: u8 = 1;

/// After so many comparisons a shape is written again rather than looked for.
const COMPARED_MAX: usize = 32;

/// The shapes of a chunk being written.
#[derive(Debug, Default)]
pub(super) struct ShapeTable {
    bytes: Vec<u8>,
    shapes: Vec<Written>,
}

/// A shape by where its texts are.
#[derive(Debug)]
struct Written {
    mode: Mode,
    aggregation: [u8; 4],
    account: Range<usize>,
    meter: Range<usize>,
    event_name: Range<usize>,
    dimensions: usize,
    key_count: usize,
    keys: Range<usize>,
    /// Tells most names apart at once.
    name_end: Option<u8>,
}

impl ShapeTable {
    /// The number of the event's shape; it is probably `likely`.
    pub(super) fn of_event<D, K: AsRef<str>, S>(
        &mut self,
        event: &EventRecord<'_, D, K, S>,
        likely: usize,
    ) -> usize {
        let found = self.find(likely, |bytes, shape| shape.is_of(bytes, event));
        found.unwrap_or_else(|| {
            let keys = event.payload.iter().map(|(key, _)| key.as_ref());
            let shape = Written::put(&mut self.bytes, event, keys);
            self.shapes.push(shape);
            self.shapes.len().saturating_sub(1)
        })
    }

    fn find(&self, likely: usize, is: impl Fn(&[u8], &Written) -> bool) -> Option<usize> {
        if self.shapes.get(likely).is_some_and(|shape| is(&self.bytes, shape)) {
            return Some(likely);
        }
        let newest_first = self.shapes.iter().enumerate().rev().take(COMPARED_MAX);
        newest_first
            .filter(|(number, _)| *number != likely)
            .find(|(_, shape)| is(&self.bytes, shape))
            .map(|(number, _)| number)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Written {
    fn put<'s, D, K, S>(
        out: &mut Vec<u8>,
        event: &EventRecord<'_, D, K, S>,
        keys: impl Iterator<Item = &'s str>,
    ) -> Self {
        out.reserve(SHAPE_BYTES_USUAL);
        out.push(if event.mode.is_live() { LIVE } else { TEST });
        out.extend_from_slice(&event.aggregation);
        let account = put(out, event.account);
        let meter = put(out, event.meter);
        let event_name = put(out, event.event_name);
        put_length(out, event.dimensions.len());
        put_length(out, event.payload.len());
        let start = out.len();
        keys.for_each(|key| put_text(out, key));
        Self {
            mode: event.mode,
            aggregation: event.aggregation,
            account,
            meter,
            event_name,
            dimensions: event.dimensions.len(),
            key_count: event.payload.len(),
            keys: start..out.len(),
            name_end: event.event_name.as_bytes().last().copied(),
        }
    }

    fn is_of<D, K: AsRef<str>, S>(&self, bytes: &[u8], event: &EventRecord<'_, D, K, S>) -> bool {
        self.name_end == event.event_name.as_bytes().last().copied()
            && self.key_count == event.payload.len()
            && self.dimensions == event.dimensions.len()
            && self.mode == event.mode
            && self.aggregation == event.aggregation
            && is(bytes, &self.event_name, event.event_name)
            && is(bytes, &self.meter, event.meter)
            && is(bytes, &self.account, event.account)
            && are(bytes, &self.keys, event.payload.iter().map(|(key, _)| key.as_ref()))
    }
}

/// Enough for most shapes, so that the first one takes one allocation.
const SHAPE_BYTES_USUAL: usize = 128;

/// Whether the text at `range` is `text`.
pub(super) fn is(bytes: &[u8], range: &Range<usize>, text: &str) -> bool {
    bytes.get(range.clone()) == Some(text.as_bytes())
}

/// Whether the texts at `range` are `texts`, which are as many.
pub(super) fn are<'s>(
    bytes: &[u8],
    range: &Range<usize>,
    mut texts: impl Iterator<Item = &'s str>,
) -> bool {
    let mut reader = Reader::new(bytes.get(range.clone()).unwrap_or_default());
    texts.all(|text| {
        let written = reader.length().and_then(|length| reader.bytes(length));
        written.is_ok_and(|written| written == text.as_bytes())
    })
}

/// Writes a text behind its length and says where the text is.
pub(super) fn put(out: &mut Vec<u8>, text: &str) -> Range<usize> {
    put_text(out, text);
    out.len().saturating_sub(text.len())..out.len()
}

/// The shapes of a chunk being read.
#[derive(Debug, Default)]
pub(super) struct Shapes<'a> {
    shapes: Vec<Shape<'a>>,
    /// Of all shapes, one after another.
    keys: Vec<&'a str>,
}

#[derive(Debug, Clone)]
pub(super) struct Shape<'a> {
    pub(super) mode: Mode,
    pub(super) aggregation: [u8; 4],
    pub(super) account: &'a str,
    pub(super) meter: &'a str,
    pub(super) event_name: &'a str,
    pub(super) dimensions: usize,
    keys: Range<usize>,
}

impl<'a> Shapes<'a> {
    /// Holds those in `bytes` from now on.
    pub(super) fn read(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        self.shapes.clear();
        self.keys.clear();
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let mode = match reader.byte()? {
                TEST => Mode::Test,
                LIVE => Mode::Live,
                _ => return Err(Malformed),
            };
            let aggregation = reader.array()?;
            let account = reader.text()?;
            let meter = reader.text()?;
            let event_name = reader.text()?;
            let dimensions = reader.length()?;
            let start = self.keys.len();
            // No room by the count, which is not to be trusted before the keys are there.
            for _ in 0..reader.length()? {
                self.keys.push(reader.text()?);
            }
            let keys = start..self.keys.len();
            let shape = Shape { mode, aggregation, account, meter, event_name, dimensions, keys };
            self.shapes.push(shape);
        }
        Ok(())
    }

    pub(super) fn get(&self, number: usize) -> Result<(&Shape<'a>, &[&'a str]), Malformed> {
        let shape = self.shapes.get(number).ok_or(Malformed)?;
        let keys = self.keys.get(shape.keys.clone()).ok_or(Malformed)?;
        Ok((shape, keys))
    }
}
