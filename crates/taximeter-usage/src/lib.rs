//! The usage engine: durable append, exactly-once counting, totals.
//!
//! A shard is a log and the state that the log determines. An event is first decided
//! against the state (is it new?), then written and synced, then applied to the state, then
//! answered. So what was acknowledged is durable, is counted once, and is in the next read.
//!
//! The state is in memory as far as it came in lately, and else in an index of immutable files
//! ([runs](index)) that covers the log up to a watermark. A restart opens them and applies the log
//! behind the watermark again. Payloads stay in the log and are read back by their place in it.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]
#![warn(clippy::integer_division, clippy::wildcard_enum_match_arm, missing_docs)]

mod background;
mod batch;
mod codec;
mod commit;
mod correct;
#[cfg(test)]
mod crash;
mod decide;
mod engine;
mod error;
mod event;
#[cfg(test)]
mod faults;
mod index;
mod known;
mod listing;
mod log;
mod lookup;
mod memtable;
mod query;
mod queue;
mod record;
mod replay;
mod shard;
mod state;
pub mod tools;
mod totals;

pub use batch::{Batch, EVENT_BYTES_MAX, TooLarge};
pub use engine::{Engine, Options, Stats};
pub use error::{AppendError, OpenError, ReadError};
pub use event::{
    Action, Amendment, Appended, Corrected, Correction, Event, NewEvent, REQUEST_KEY_KEPT_S,
    RequestKey, Series, Standing,
};
pub use query::{DimensionFilter, EventPage, EventQuery, Order, UsageGroup, UsageQuery};
pub use queue::BATCH_EVENTS_MAX;

/// The most events that one [`Engine::events`] returns.
pub const EVENTS_PER_READ_MAX: usize = 1_000;
/// The most events that one [`Engine::events`] looks at.
pub const EVENTS_SCANNED_MAX: usize = 1_000_000;
