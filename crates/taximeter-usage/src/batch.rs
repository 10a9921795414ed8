//! A batch of events on its way in.

use std::borrow::Cow;

use taximeter_kernel::aggregate::{Aggregation, Counted, Measure};
use taximeter_kernel::id::Scope;
use taximeter_kernel::time::Timestamp;

use crate::event::{NewEvent, RequestKey};
use crate::queue::BATCH_EVENTS_MAX;
use crate::record::{ChunkEncoder, EventRecord};
use crate::totals::keys::{RowHash, put_customer, put_dimensions, put_meter};
use crate::totals::rows::{name_hash, request_hash, scope_hash};

/// The most bytes that one event takes up in the log.
pub const EVENT_BYTES_MAX: usize = 64 * 1_024;

/// About how many bytes the texts of an event take that are kept beside its record.
const TEXT_BYTES_USUAL: usize = 160;

/// An event or a batch exceeds a limit, or the event measures what its meter cannot count, and so it
/// would never be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event or the batch is too large")]
pub struct TooLarge;

/// Events of one account and mode that came in together, encoded as they are pushed.
#[derive(Debug)]
pub struct Batch {
    pub(crate) scope: Scope,
    pub(crate) scope_hash: u64,
    pub(crate) received: Timestamp,
    pub(crate) encoder: ChunkEncoder,
    pub(crate) events: Vec<Meta>,
    /// Of each event: the key of its series, its dimension values, its identifier.
    texts: Vec<u8>,
}

/// What is decided and counted by, of one event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    pub(crate) name: u64,
    /// Of its series and its dimension values.
    pub(crate) hash: RowHash,
    pub(crate) request: Option<(u64, RequestKey)>,
    pub(crate) aggregation: Aggregation,
    pub(crate) timestamp: Timestamp,
    pub(crate) measure: Measure,
    start: u32,
    /// Where that of the key ends that names the customer.
    customer_end: u32,
    series_end: u32,
    dimensions_end: u32,
    end: u32,
}

impl Batch {
    /// An empty batch of events that the server took in at `received`.
    #[must_use]
    pub fn new(scope: Scope, received: Timestamp) -> Self {
        Self::with_room(scope, received, 0)
    }

    /// The same, with room for that many usual events: growing step by step copies each several times.
    #[must_use]
    pub fn with_room(scope: Scope, received: Timestamp, events: usize) -> Self {
        let scope_hash = scope_hash(&scope);
        let events = events.min(BATCH_EVENTS_MAX);
        Self {
            scope,
            scope_hash,
            received,
            encoder: ChunkEncoder::with_room(events),
            events: Vec::with_capacity(events),
            texts: Vec::with_capacity(events.saturating_mul(TEXT_BYTES_USUAL)),
        }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// [`TooLarge`] beyond [`EVENT_BYTES_MAX`] and [`BATCH_EVENTS_MAX`], and for a member where the
    /// meter counts numbers; the batch is then as it was.
    pub fn push(&mut self, new: &NewEvent<'_>) -> Result<(), TooLarge> {
        let is_countable = match new.measure {
            Measure::Number(_) => true,
            Measure::Member(_) => new.aggregation.formula.counts_members(),
        };
        if self.len() >= BATCH_EVENTS_MAX || !is_countable || bytes_of(new) > EVENT_BYTES_MAX {
            return Err(TooLarge);
        }
        let place = |texts: &Vec<u8>| u32::try_from(texts.len()).map_err(|_| TooLarge);
        let start = place(&self.texts)?;
        let account = self.scope.account.as_str();
        put_customer(&mut self.texts, account, self.scope.mode, new.customer.as_str());
        let customer_end = place(&self.texts)?;
        put_meter(&mut self.texts, new.meter.as_str());
        let series_end = place(&self.texts)?;
        put_dimensions(&mut self.texts, new.dimensions.iter().copied());
        let dimensions_end = place(&self.texts)?;
        self.texts.extend_from_slice(new.identifier.as_bytes());
        let end = place(&self.texts)?;
        let hash = RowHash::of(self.text(start, series_end), self.text(series_end, dimensions_end));
        self.events.push(Meta {
            hash,
            name: name_hash(self.scope_hash, new.customer.as_str(), new.identifier),
            request: new.request.map(|key| (request_hash(self.scope_hash, key.key), key)),
            aggregation: new.aggregation,
            timestamp: new.timestamp,
            measure: new.measure,
            start,
            customer_end,
            series_end,
            dimensions_end,
            end,
        });
        self.encoder.push(&EventRecord {
            account: self.scope.account.as_str(),
            mode: self.scope.mode,
            meter: new.meter.as_str(),
            aggregation: new.aggregation.to_bytes(),
            event_name: new.event_name,
            customer: new.customer.as_str(),
            identifier: new.identifier,
            timestamp: new.timestamp.0,
            received: self.received.0,
            measure: new.measure,
            dimensions: new.dimensions,
            payload: new.payload,
            request: new.request,
            backfill: new.backfill,
        });
        Ok(())
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// What no other event of the shard may have: account, mode, customer, and identifier.
    pub(crate) fn identity(&self, event: &Meta) -> (&[u8], &[u8]) {
        let customer = self.text(event.start, event.customer_end);
        (customer, self.text(event.dimensions_end, event.end))
    }

    pub(crate) fn series(&self, event: &Meta) -> &[u8] {
        self.text(event.start, event.series_end)
    }

    /// The dimension values as in keys; empty for none.
    pub(crate) fn dimensions(&self, event: &Meta) -> &[u8] {
        self.text(event.series_end, event.dimensions_end)
    }

    fn text(&self, start: u32, end: u32) -> &[u8] {
        let wide = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        self.texts.get(wide(start)..wide(end)).unwrap_or_default()
    }
}

impl Meta {
    pub(crate) fn has_no_values(&self) -> bool {
        self.dimensions_end == self.series_end
    }

    pub(crate) fn counted(&self, seq: u64) -> Counted {
        Counted { seq, timestamp: self.timestamp, measure: self.measure }
    }
}

/// No less than the event takes up in the log.
fn bytes_of(new: &NewEvent<'_>) -> usize {
    const NUMBERS_AND_IDS: usize = 2_048;
    let texts = [new.event_name, new.identifier, new.backfill.unwrap_or_default()];
    let payload = new
        .payload
        .iter()
        .flat_map(|(key, value)| [key, value])
        .map(|text: &Cow<'_, str>| text.len());
    let lengths = texts.iter().chain(new.dimensions).map(|text| text.len()).chain(payload);
    lengths.fold(NUMBERS_AND_IDS, |sum, length| sum.saturating_add(length).saturating_add(4))
}
