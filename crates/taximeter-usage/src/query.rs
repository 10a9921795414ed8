//! Questions to the engine.

use taximeter_kernel::aggregate::{Aggregation, Usage};
use taximeter_kernel::id::{Customer, Id, Meter, Scope};
use taximeter_kernel::time::{Period, Timestamp};

use crate::event::{Event, Series};

/// What usage to add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// Of which customer and meter.
    pub series: Series,
    /// How the meter counts.
    pub aggregation: Aggregation,
    /// Only events whose dimensions have these values.
    pub filters: Vec<DimensionFilter>,
    /// One answer for each combination of values of these dimensions, as places in the meter's
    /// order. Empty for one answer.
    pub group_by: Vec<usize>,
    /// Counts as if nothing had been recorded after this place in the order: what an invoice has
    /// pinned. `None` counts all that is recorded.
    pub as_of: Option<u64>,
}

impl UsageQuery {
    /// All usage of `series`.
    #[must_use]
    pub fn of(series: Series, aggregation: Aggregation) -> Self {
        Self { series, aggregation, filters: Vec::new(), group_by: Vec::new(), as_of: None }
    }
}

/// Which values a dimension may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DimensionFilter {
    /// The dimension's place in the meter's order.
    pub dimension: usize,
    /// One of these.
    pub values: Vec<String>,
}

/// The usage of one combination of dimension values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageGroup {
    /// The values of the dimensions that were grouped by, in the order asked for.
    pub dimensions: Vec<String>,
    /// One for each span between two boundaries.
    pub usage: Vec<Usage>,
}

/// In what order events are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Those that arrived last come first.
    Newest,
    /// Those that arrived first come first.
    Oldest,
}

/// Which recorded events to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Whose.
    pub scope: Scope,
    /// Of this customer only.
    pub customer: Option<Id<Customer>>,
    /// Of this meter only.
    pub meter: Option<Id<Meter>>,
    /// With a timestamp in this span only.
    pub period: Option<Period>,
    /// In what order.
    pub order: Order,
    /// Only events beyond this place, in the order asked for: the `next` of the page before.
    pub after: Option<u64>,
    /// At most so many, and at most [`EVENTS_PER_READ_MAX`](crate::EVENTS_PER_READ_MAX).
    pub limit: usize,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events, cancelled and amended ones too.
    pub events: Vec<Event>,
    /// Where to go on; `None` at the end. A read gives up after so many events that do not match
    /// ([`EVENTS_SCANNED_MAX`](crate::EVENTS_SCANNED_MAX)), so a page may be short or empty and still have a next one.
    pub next: Option<u64>,
}

/// The spans between neighbouring boundaries: `[0, 60, 120]` are `[0, 60)` and `[60, 120)`.
pub(crate) fn spans(boundaries: &[Timestamp]) -> impl Iterator<Item = Period> + '_ {
    let ends = boundaries.iter().skip(1);
    boundaries.iter().zip(ends).map(|(start, end)| Period { start: *start, end: *end })
}
