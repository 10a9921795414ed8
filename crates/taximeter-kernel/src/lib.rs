//! The mathematics of billing: ids, money, exact quantities, periods, prices, rating, invoices.
//!
//! **Invariant:** deterministic. The same inputs give the same invoice on any machine and any day:
//! no clock, no randomness, no I/O, no float, and no arithmetic that can overflow unseen.
#![warn(
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    clippy::wildcard_enum_match_arm,
    missing_docs
)]

pub mod aggregate;
pub mod calendar;
pub mod decimal;
pub mod describe;
pub mod discount;
pub mod id;
pub mod invoice;
pub mod money;
pub mod price;
pub mod prorate;
pub mod rate;
pub mod tax;
pub mod time;
pub mod totals;
