//! What a shard knows behind its watermark, in sorted files that are never changed.
//!
//! A *run* covers a stretch of the log and holds four tables: the names (fixed keys of 64 bits, each
//! with a position), and three of rows. A run is written from memory, or by merging runs that are
//! next to each other; the *manifest* names the runs that count. All of it is derived from the log
//! and can be made again.
//!
//! This layer knows bytes only. What keys and values mean, and how the values of one key in several
//! runs become one, is the caller's.

mod blocks;
mod error;
mod fence;
mod filter;
mod layout;
mod manifest;
mod merge;
mod names;
mod numbers;
mod open;
mod pages;
mod rows;
mod run;
mod set;
mod sink;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub(crate) use error::IndexError;
pub(crate) use manifest::Manifest;
pub(crate) use merge::{Combine, merge, pick};
pub(crate) use run::Run;
pub(crate) use set::Index;
#[cfg(test)]
pub(crate) use verify::Summary;
pub(crate) use verify::verify;
pub(crate) use writer::{NewRun, RunWriter};

/// A table of rows: byte keys in order, each with a value of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Cells,
    Postings,
    Dims,
}

impl Table {
    /// All, in the order in which they are written.
    pub(crate) const ALL: [Self; 3] = [Self::Cells, Self::Postings, Self::Dims];

    fn next(self) -> Option<Self> {
        match self {
            Self::Cells => Some(Self::Postings),
            Self::Postings => Some(Self::Dims),
            Self::Dims => None,
        }
    }

    /// What of three things is this table's.
    fn of<T>(self, [cells, postings, dims]: &[T; 3]) -> &T {
        match self {
            Self::Cells => cells,
            Self::Postings => postings,
            Self::Dims => dims,
        }
    }

    fn of_mut<T>(self, [cells, postings, dims]: &mut [T; 3]) -> &mut T {
        match self {
            Self::Cells => cells,
            Self::Postings => postings,
            Self::Dims => dims,
        }
    }
}
