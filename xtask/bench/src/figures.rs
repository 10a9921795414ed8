//! Rates and latencies, in whole numbers.

use std::time::Duration;

/// What one measurement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) per_second: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    /// How many were measured.
    pub(crate) count: u64,
}

/// Whole microseconds; 5.9 µs are 5.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Figures {
    /// The figures of what took so long each, and `took` in all.
    pub(crate) fn of(mut latencies_us: Vec<u64>, took: Duration) -> Self {
        latencies_us.sort_unstable();
        let count = u64::try_from(latencies_us.len()).unwrap_or(u64::MAX);
        Self {
            per_second: count * 1_000_000 / micros(took).max(1),
            p50_us: percentile(&latencies_us, 50),
            p99_us: percentile(&latencies_us, 99),
            count,
        }
    }
}

/// The smallest value that so many percent of the values do not exceed (nearest rank).
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// The middle one; of an even number the lower of the two in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.into_iter().collect();
    values.sort_unstable();
    percentile(&values, 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (50, 99));
        assert_eq!((percentile(&[7, 13, 101], 50), percentile(&[7, 13, 101], 99)), (13, 101));
        assert_eq!((percentile(&[7], 50), percentile(&[], 50)), (7, 0));
        assert_eq!(median([101, 7, 13, 7, 99]), 13);
    }

    #[test]
    fn a_rate_is_per_second() {
        let figures = Figures::of(vec![13, 7, 101], Duration::from_millis(1_500));
        assert_eq!(figures, Figures { per_second: 2, p50_us: 13, p99_us: 101, count: 3 });
    }
}
