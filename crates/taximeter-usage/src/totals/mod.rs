//! Totals as they are read: runs, oldest first, and what came in since.

pub(crate) mod keys;
pub(crate) mod layers;
pub(crate) mod merged;
pub(crate) mod rows;
pub(crate) mod standings;
pub(crate) mod usage;
