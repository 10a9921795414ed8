//! `/v2`: JSON in, JSON out.

mod events;
mod meter_events;

use crate::endpoint::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    [events::endpoints(), meter_events::endpoints()].concat()
}
