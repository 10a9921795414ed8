//! Meter events: usage coming in, and its totals going out.
//!
//! Recording is the hot path: everything it needs to know of the control plane is in the
//! [`crate::catalog`], and idempotency is the usage engine's, which has each event's identifier and,
//! in the frame of the event, the key of its request. What is wrong with an event is found by
//! [`mod@check`], whichever way the event comes; whether that is told at once or kept for later
//! ([`crate::meter_errors`]) is the endpoint's to say.

mod check;
mod events;
mod identifier;
mod intake;
mod list;
mod lookup;
mod many;
mod params;
mod plain;
mod record;
mod scan;
mod summaries;
mod wire;

pub use check::{AHEAD_S_MAX, Checked, Clock, ErrorCode, EventError, check, when};
pub use events::{BatchCreate, EventList, Events, Stream};
pub use intake::{EVENTS_PER_REQUEST_MAX, Intake, Limits};
pub use list::{EVENTS_LOOKED_AT_MAX, List, Retrieve, Status, find, id_of, list, retrieve, shown};
pub(crate) use lookup::{absent, meter_of};
pub use many::{Counts, Outcome, Outcomes, Validation, record_many};
pub use params::{
    Create, CreateV2, Member, NAME_CHARS_MAX, PAYLOAD_KEY_CHARS_MAX, PAYLOAD_MEMBERS_MAX,
    PAYLOAD_VALUE_CHARS_MAX, Payload, Rfc3339,
};
pub use plain::Plain;
pub use record::{Recorded, record, request_key};
pub(crate) use record::{refused, too_large};
pub use scan::Instants;
pub use summaries::{Summaries, summaries};
pub use taximeter_usage::RequestKey;
pub use wire::{v1_text, v2_text};
