//! Subscriptions: how they begin, change and end.

mod additions;
mod cancel;
mod change;
mod create;
mod ends;
mod first_invoice;
mod list;
mod migrate;
mod modes;
mod pause;
mod pending_update;
mod proration;
mod refused;
mod thresholds;
mod trials;
