//! How events become a quantity.
//!
//! A [`Cell`] is what the events of one hour amount to. Cells are mergeable: the cell of all events
//! is the merge of the cells of any of their parts, in any order and any grouping, so cells can be
//! kept by the hour and put together on demand, and rebuilt cells equal those that were kept. A
//! [`Tally`] makes one period's quantity out of cells and events; [`usage_of`] is the same quantity
//! from all events of a series, as plainly as it can be said.

mod cell;
mod encoding;
mod formula;
mod percentile;
mod reference;
mod tally;
mod wide;

pub use cell::{Cell, Removal};
pub use formula::{Aggregation, Formula, Percentile, Source, Window};
pub use percentile::PERCENTILE_EXACT_MAX;
pub use reference::usage_of;
pub use tally::Tally;
pub use wide::WideSum;

use crate::decimal::{Decimal, DecimalError};
use crate::time::Timestamp;

/// The digits after the point of a quantity that a division makes: of `average` and `weighted_sum`.
pub const QUOTIENT_DECIMALS: u8 = 12;

/// What one event measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// A number.
    Number(Decimal),
    /// The hash of a text, of which [`Formula::UniqueCount`] counts the distinct ones.
    Member(u128),
}

/// One event that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Counted {
    /// Its place in the order of arrival.
    pub seq: u64,
    /// When it happened.
    pub timestamp: Timestamp,
    /// What it measured.
    pub measure: Measure,
}

/// What the events of a period amount to by one aggregation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Usage {
    /// The quantity.
    pub quantity: Decimal,
    /// How many events it is made of: those in the period, of a window's only the survivors.
    pub events: u64,
    /// Whether the quantity is near the exact one and may not equal it: a percentile of very many.
    pub approximate: bool,
}

impl Usage {
    /// The usage of no events, by every formula; a level carried over aside.
    pub const NONE: Self = Self { quantity: Decimal::ZERO, events: 0, approximate: false };
}

/// Why cells do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// A cell of another formula, or a cell where only events are taken.
    #[error("cell is for another formula")]
    Kind,
    /// An hour that is not one of UTC or not wholly in the period.
    #[error("cell is not of a whole hour of the period")]
    Hour,
    /// A sum that does not fit.
    #[error(transparent)]
    Number(#[from] DecimalError),
}

#[cfg(test)]
mod tests;
