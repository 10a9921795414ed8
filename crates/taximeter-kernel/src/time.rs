//! Instants and periods. Time enters only as an argument.

/// Seconds in an hour, the grain of usage totals.
pub const HOUR_S: i64 = 3_600;
/// Seconds in a day.
pub const DAY_S: i64 = 86_400;

/// An instant, in whole seconds since 1970-01-01T00:00:00Z. The wire's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A half-open span of time: `start <= t < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    /// The first second that belongs to the span.
    pub start: Timestamp,
    /// The first second after the span.
    pub end: Timestamp,
}

impl Period {
    /// Whether `at` lies in the span. `[10, 20)` holds 10 and 19, not 20.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}
