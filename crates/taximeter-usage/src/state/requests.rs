//! The requests of one scope that a retry would be recognised by.

use std::collections::VecDeque;

use taximeter_kernel::time::Timestamp;

use crate::event::{REQUEST_KEY_KEPT_S, RequestKey};
use crate::lookup::Lookup;

/// What a request key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) fingerprint: u64,
    /// The event that the request recorded.
    pub(crate) seq: u64,
}

/// The remembered requests. Which are forgotten follows from the log alone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    remembered: Lookup<u128, Remembered>,
    /// In the order of arrival.
    arrivals: VecDeque<(Timestamp, u128)>,
    latest: Option<Timestamp>,
}

impl Requests {
    pub(crate) fn get(&self, key: u128) -> Option<Remembered> {
        self.remembered.get(&key).copied()
    }

    /// Remembers a request, and forgets those received more than [`REQUEST_KEY_KEPT_S`] before the
    /// latest one.
    pub(crate) fn remember(&mut self, request: RequestKey, seq: u64, received: Timestamp) {
        let RequestKey { key, fingerprint } = request;
        self.remembered.insert(key, Remembered { fingerprint, seq });
        self.arrivals.push_back((received, key));
        let latest = self.latest.map_or(received, |latest| latest.max(received));
        self.latest = Some(latest);
        let kept_from = Timestamp(latest.0.saturating_sub(REQUEST_KEY_KEPT_S));
        while let Some((_, key)) = self.arrivals.pop_front_if(|(received, _)| *received < kept_from)
        {
            self.remembered.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_remembered_for_a_day_of_received_time_and_then_forgotten() {
        let mut requests = Requests::default();
        let key = |key| RequestKey { key, fingerprint: 13 };
        requests.remember(key(1), 7, Timestamp(1_000));
        requests.remember(key(2), 8, Timestamp(1_000 + REQUEST_KEY_KEPT_S));
        assert_eq!(requests.get(1), Some(Remembered { fingerprint: 13, seq: 7 }));
        requests.remember(key(3), 9, Timestamp(1_001 + REQUEST_KEY_KEPT_S));
        assert_eq!(requests.get(1), None);
        assert!(requests.get(2).is_some() && requests.get(3).is_some());
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing_early() {
        let mut requests = Requests::default();
        let key = |key| RequestKey { key, fingerprint: 13 };
        requests.remember(key(1), 7, Timestamp(1_000_000));
        requests.remember(key(2), 8, Timestamp(999_000));
        requests.remember(key(3), 9, Timestamp(999_000 + REQUEST_KEY_KEPT_S));
        assert!(requests.get(1).is_some() && requests.get(2).is_some());
    }
}
