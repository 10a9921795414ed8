//! What came in since the last run was written.

pub(crate) mod flush;
pub(crate) mod names;
pub(crate) mod postings;
pub(crate) mod totals;

use std::sync::Arc;

use names::Names;
use totals::Totals;

/// A memtable that takes in nothing more and waits to be written as a run.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) names: Arc<Names>,
    pub(crate) totals: Totals,
}
