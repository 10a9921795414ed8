//! Records with texts of their own, for whoever keeps them.

use taximeter_kernel::aggregate::Aggregation;
use taximeter_kernel::id::{Id, Kind, Scope};
use taximeter_kernel::time::Timestamp;

use super::{EventRecord, EventView, View, Was};
use crate::codec::Malformed;
use crate::event::{Event, Standing};

/// One step of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Event(Event),
    /// The event counts no longer, or counts again. Its `received` is the time of the order.
    Standing {
        standing: Standing,
        event_seq: u64,
        event: Event,
    },
    /// The event takes the place of the version at `event_seq`.
    Amended {
        event_seq: u64,
        was: Was<String>,
        event: Event,
    },
}

impl Record {
    #[cfg(test)]
    pub(crate) fn push_to(&self, chunk: &mut super::ChunkEncoder) {
        match self {
            Self::Event(event) => chunk.push(&record_of(event)),
            Self::Standing { standing, event_seq, event } => {
                chunk.push_standing(*standing, *event_seq, &record_of(event));
            }
            Self::Amended { event_seq, was, event } => {
                chunk.push_amended(*event_seq, was, &record_of(event));
            }
        }
    }

    /// The record at `seq`.
    pub(crate) fn of(seq: u64, view: &View<'_>) -> Result<Self, Malformed> {
        Ok(match view {
            View::Event(event) => Self::Event(event_of(seq, event)?),
            View::Standing { standing, event_seq, event } => Self::Standing {
                standing: *standing,
                event_seq: *event_seq,
                event: event_of(*event_seq, event)?,
            },
            View::Amended { event_seq, was, event } => Self::Amended {
                event_seq: *event_seq,
                was: Was {
                    timestamp: was.timestamp,
                    measure: was.measure,
                    dimensions: was.dimensions.iter().map(|&text| text.to_owned()).collect(),
                },
                event: event_of(seq, event)?,
            },
        })
    }
}

/// The event as it is written.
pub(crate) fn record_of(event: &Event) -> EventRecord<'_, String, String, String> {
    EventRecord {
        account: event.scope.account.as_str(),
        mode: event.scope.mode,
        meter: event.meter.as_str(),
        aggregation: event.aggregation.to_bytes(),
        event_name: &event.event_name,
        customer: event.customer.as_str(),
        identifier: &event.identifier,
        timestamp: event.timestamp.0,
        received: event.received.0,
        measure: event.measure,
        dimensions: &event.dimensions,
        payload: &event.payload,
        request: event.request,
        backfill: event.backfill.as_deref(),
    }
}

/// The event at `seq`, with a standing that is not filled in.
fn event_of(seq: u64, view: &EventView<'_>) -> Result<Event, Malformed> {
    let payload = view.payload().map(|(key, value)| (key.to_owned(), value.to_string()));
    Ok(Event {
        seq,
        standing: Standing::Counts,
        scope: Scope { account: id(view.account)?, mode: view.mode },
        meter: id(view.meter)?,
        aggregation: Aggregation::from_bytes(view.aggregation).ok_or(Malformed)?,
        customer: id(view.customer)?,
        event_name: view.event_name.to_owned(),
        identifier: view.identifier.to_string(),
        timestamp: Timestamp(view.timestamp),
        measure: view.measure,
        dimensions: view.dimensions.iter().map(|&text| text.to_owned()).collect(),
        payload: payload.collect(),
        received: Timestamp(view.received),
        request: view.request,
        backfill: view.backfill.map(str::to_owned),
    })
}

fn id<K: Kind>(text: &str) -> Result<Id<K>, Malformed> {
    Id::parse(text).map_err(|_| Malformed)
}
