//! Instants and periods. Time enters only as an argument.

use jiff::Timestamp as Instant;

/// Seconds in an hour, the grain of usage totals.
pub const HOUR_S: i64 = 3_600;
/// Seconds in a day.
pub const DAY_S: i64 = 86_400;

/// An instant, in whole seconds since 1970-01-01T00:00:00Z. The wire's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A text that is no RFC 3339 instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 timestamp such as 2024-06-01T12:10:00.000Z")]
pub struct InvalidInstant;

impl Timestamp {
    /// Reads an RFC 3339 instant, dropping the part below a second.
    /// `2024-06-01T12:10:00.000Z` is 1717243800.
    ///
    /// # Errors
    /// [`InvalidInstant`] when the text is none.
    pub fn from_rfc3339(text: &str) -> Result<Self, InvalidInstant> {
        // The length keeps out the many other notations that the parser takes.
        if !text.contains('T') || text.len() > 40 {
            return Err(InvalidInstant);
        }
        let instant: Instant = text.parse().map_err(|_| InvalidInstant)?;
        Ok(Self(instant.as_second()))
    }

    /// Writes an RFC 3339 instant with milliseconds: 1717243800 is `2024-06-01T12:10:00.000Z`.
    /// Instants outside the years -9999 to 9999 are written as the nearest year's end.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let nearest = if self.0 < 0 { Instant::MIN } else { Instant::MAX };
        let instant = Instant::from_second(self.0).unwrap_or(nearest);
        format!("{instant:.3}")
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_with_milliseconds_and_read_with_or_without() {
        assert_eq!(Timestamp(1_717_243_800).to_rfc3339(), "2024-06-01T12:10:00.000Z");
        for text in
            ["2024-06-01T12:10:00.000Z", "2024-06-01T12:10:00Z", "2024-06-01T14:10:00+02:00"]
        {
            assert_eq!(Timestamp::from_rfc3339(text), Ok(Timestamp(1_717_243_800)), "{text}");
        }
        for text in ["", "2024-06-01", "1717243800", "yesterday", "2024-13-01T00:00:00Z"] {
            assert_eq!(Timestamp::from_rfc3339(text), Err(InvalidInstant), "{text}");
        }
    }
}
