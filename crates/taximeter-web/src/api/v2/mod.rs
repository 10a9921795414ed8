//! `/v2`: JSON in, JSON out.

mod events;
mod meter_event_adjustments;
mod meter_event_session;
mod meter_event_stream;
mod meter_events;

use crate::endpoint::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    [
        events::endpoints(),
        meter_event_adjustments::endpoints(),
        meter_event_session::endpoints(),
        meter_event_stream::endpoints(),
        meter_events::endpoints(),
    ]
    .concat()
}
