//! A batch of events on its way in.

use taximeter_kernel::id::Scope;
use taximeter_kernel::time::Timestamp;

use crate::event::{Event, NewEvent, Standing};
use crate::queue::{BATCH_EVENTS_MAX, Records};
use crate::record::put_event;

/// The most bytes that one event takes up in the log.
pub const EVENT_BYTES_MAX: usize = 64 * 1_024;

/// An event or a batch exceeds a limit, and would never be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event or the batch is too large")]
pub struct TooLarge;

/// Events of one account and mode that came in together, encoded as they are pushed.
#[derive(Debug)]
pub struct Batch {
    pub(crate) scope: Scope,
    pub(crate) received: Timestamp,
    pub(crate) events: Vec<Event>,
    pub(crate) records: Records,
}

impl Batch {
    /// An empty batch of events that the server took in at `received`.
    #[must_use]
    pub fn new(scope: Scope, received: Timestamp) -> Self {
        Self { scope, received, events: Vec::new(), records: Records::default() }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// [`TooLarge`] beyond [`EVENT_BYTES_MAX`] and [`BATCH_EVENTS_MAX`]; the batch is then as it
    /// was.
    pub fn push(&mut self, new: &NewEvent<'_>) -> Result<(), TooLarge> {
        if self.len() >= BATCH_EVENTS_MAX {
            return Err(TooLarge);
        }
        let event = Event {
            seq: 0,
            standing: Standing::Counts,
            scope: self.scope.clone(),
            meter: new.meter.clone(),
            aggregation: new.aggregation,
            customer: new.customer.clone(),
            event_name: new.event_name.to_owned(),
            identifier: new.identifier.to_owned(),
            timestamp: new.timestamp,
            measure: new.measure,
            dimensions: new.dimensions.iter().map(|&text| text.to_owned()).collect(),
            payload: new.payload.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            received: self.received,
            request: new.request,
            backfill: new.backfill.map(str::to_owned),
        };
        let mut record = Vec::new();
        put_event(&mut record, &event);
        if record.len() > EVENT_BYTES_MAX {
            return Err(TooLarge);
        }
        self.records.push(|out| out.extend_from_slice(&record));
        self.events.push(event);
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
}
