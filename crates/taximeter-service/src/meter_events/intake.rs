//! What taking in usage needs for as long as the process lives, beside the catalog.

use taximeter_usage::BATCH_EVENTS_MAX;

use crate::meter_event_session::Sessions;

/// How many events one request may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// On the stream. Stripe takes 100.
    pub stream_events_max: usize,
    /// In a batch, which Stripe does not have.
    pub batch_events_max: usize,
}

/// The most events that either limit can be set to.
pub const EVENTS_PER_REQUEST_MAX: usize = BATCH_EVENTS_MAX;

impl Default for Limits {
    fn default() -> Self {
        Self { stream_events_max: 100, batch_events_max: EVENTS_PER_REQUEST_MAX }
    }
}

/// The limits, and the sessions that are known.
#[derive(Debug, Default)]
pub struct Intake {
    /// How many events one request may bring.
    pub limits: Limits,
    /// Who may bring events to the stream.
    pub sessions: Sessions,
}
