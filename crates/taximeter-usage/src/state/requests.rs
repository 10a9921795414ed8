//! The requests of one scope that a retry is recognised by.

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
    pub(crate) received: Timestamp,
}

impl Remembered {
    /// Whether a retry received at `now` is still a retry, and no new request that happens to have
    /// the same key. Only the two times decide, not what else was or is being recorded.
    pub(crate) fn is_kept_at(&self, now: Timestamp) -> bool {
        now.0.saturating_sub(self.received.0) <= REQUEST_KEY_KEPT_S
    }
}

/// The requests that may still be retried.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    remembered: Lookup<u128, Remembered>,
    /// In the order of arrival.
    arrivals: VecDeque<(u128, Remembered)>,
    latest: Option<Timestamp>,
}

impl Requests {
    /// The latest request with that key.
    pub(crate) fn get(&self, key: u128) -> Option<Remembered> {
        self.remembered.get(&key).copied()
    }

    /// Remembers a request, and frees the memory of those that the latest one has outlived.
    pub(crate) fn remember(&mut self, request: RequestKey, seq: u64, received: Timestamp) {
        let RequestKey { key, fingerprint } = request;
        let remembered = Remembered { fingerprint, seq, received };
        self.remembered.insert(key, remembered);
        self.arrivals.push_back((key, remembered));
        let latest = self.latest.map_or(received, |latest| latest.max(received));
        self.latest = Some(latest);
        while let Some((key, old)) = self.arrivals.pop_front_if(|(_, old)| !old.is_kept_at(latest))
        {
            // The key may have come back since, as a new request.
            if self.get(key) == Some(old) {
                self.remembered.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: u128) -> RequestKey {
        RequestKey { key, fingerprint: 13 }
    }

    #[test]
    fn a_request_is_kept_for_a_day_and_then_freed() {
        let mut requests = Requests::default();
        requests.remember(key(1), 7, Timestamp(1_000));
        requests.remember(key(2), 8, Timestamp(1_000 + REQUEST_KEY_KEPT_S));
        let first = Remembered { fingerprint: 13, seq: 7, received: Timestamp(1_000) };
        assert_eq!(requests.get(1), Some(first));
        assert!(first.is_kept_at(Timestamp(1_000 + REQUEST_KEY_KEPT_S)));
        assert!(!first.is_kept_at(Timestamp(1_001 + REQUEST_KEY_KEPT_S)));
        requests.remember(key(3), 9, Timestamp(1_001 + REQUEST_KEY_KEPT_S));
        assert_eq!(requests.get(1), None);
        assert!(requests.get(2).is_some() && requests.get(3).is_some());
        assert_eq!((requests.remembered.len(), requests.arrivals.len()), (2, 2));
    }

    #[test]
    fn a_key_that_came_back_as_a_new_request_is_kept_from_then_on() {
        let mut requests = Requests::default();
        let day_later = Timestamp(1_001 + REQUEST_KEY_KEPT_S);
        requests.remember(key(9), 6, Timestamp(2_000));
        requests.remember(key(1), 7, Timestamp(1_000));
        requests.remember(key(1), 8, day_later);
        requests.remember(key(2), 9, Timestamp(2_001 + REQUEST_KEY_KEPT_S));
        assert_eq!(requests.get(9), None);
        assert_eq!(requests.get(1).map(|remembered| remembered.seq), Some(8));
    }

    #[test]
    fn a_clock_that_goes_back_frees_nothing_early() {
        let mut requests = Requests::default();
        requests.remember(key(1), 7, Timestamp(1_000_000));
        requests.remember(key(2), 8, Timestamp(999_000));
        requests.remember(key(3), 9, Timestamp(999_000 + REQUEST_KEY_KEPT_S));
        assert!(requests.get(1).is_some() && requests.get(2).is_some());
    }
}
