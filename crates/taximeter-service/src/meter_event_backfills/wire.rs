//! A backfill as clients see it.

use serde_json::{Value, json};
use taximeter_kernel::id::Id;

use super::Backfill;
use crate::params::Choice as _;
use crate::wire::seconds;

impl Backfill {
    /// The object `billing.meter_event_backfill`, which is ours.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "billing.meter_event_backfill",
            "created": self.created.0,
            "customer": self.customer.as_ref().map(Id::as_str),
            "events": self.counts(),
            "livemode": self.livemode,
            "meter": self.meter.as_str(),
            "replace_existing": self.replace_existing,
            "status": self.status.as_str(),
            "status_transitions": {
                "applied_at": seconds(self.applied_at),
                "discarded_at": seconds(self.discarded_at),
                "reverted_at": seconds(self.reverted_at),
            },
            "timeframe_end": self.timeframe.end.0,
            "timeframe_start": self.timeframe.start.0,
            "updated": self.updated.0,
        })
    }

    /// What became of how many events.
    pub(super) fn counts(&self) -> Value {
        json!({
            "recorded": self.recorded,
            "repeated": self.repeated,
            "replaced": self.replaced,
            "skipped": self.skipped,
            "staged": self.staged,
        })
    }

    /// What the audit trail shows of it.
    pub(super) fn state(&self) -> Value {
        json!({
            "events": self.counts(),
            "replace_existing": self.replace_existing,
            "status": self.status.as_str(),
            "timeframe_end": self.timeframe.end.0,
            "timeframe_start": self.timeframe.start.0,
        })
    }
}
