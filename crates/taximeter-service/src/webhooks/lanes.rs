//! How many deliveries are under way at once, in all and to each endpoint.
//!
//! An endpoint that answers is given several at once. One that lets callers wait holds what it has
//! been given, without that counting against the others, and is given one at a time until it
//! answers quickly again. So a dead endpoint delays no other.

use std::collections::BTreeMap;

use taximeter_kernel::time::Timestamp;

/// How many deliveries to one endpoint are under way at once.
pub const AT_ONCE_TO_ONE_MAX: usize = 4;
/// Who is not answered for so long is waiting, in seconds.
pub const WAITING_S: i64 = 3;
/// How many wait at once, for each that may be under way and does not.
const WAITING_FACTOR: usize = 8;

/// What is under way.
#[derive(Debug, Clone)]
pub struct Lanes {
    at_once: usize,
    endpoints: BTreeMap<i64, Endpoint>,
    /// The endpoint that was served last: whose turn it is next follows.
    served: i64,
}

#[derive(Debug, Clone, Default)]
struct Endpoint {
    /// When each delivery began, by its number.
    begun: BTreeMap<i64, Timestamp>,
    /// Whether the latest to end had to wait.
    slow: bool,
}

impl Endpoint {
    fn waiting(&self, now: Timestamp) -> usize {
        self.begun.values().filter(|begun| is_waiting(**begun, now)).count()
    }
}

fn is_waiting(begun: Timestamp, now: Timestamp) -> bool {
    now.0.saturating_sub(begun.0) >= WAITING_S
}

impl Lanes {
    /// Nothing under way, and room for so many that do not wait.
    #[must_use]
    pub const fn new(at_once: usize) -> Self {
        Self { at_once, endpoints: BTreeMap::new(), served: 0 }
    }

    /// Whether no endpoint has room.
    #[must_use]
    pub fn is_full(&self, now: Timestamp) -> bool {
        self.room_in_all(now) == 0
    }

    /// After which endpoint the next to be served comes.
    pub(super) const fn after(&self) -> i64 {
        self.served
    }

    /// An endpoint was given what it had room for; 0 is before all.
    pub(super) const fn served(&mut self, endpoint: i64) {
        self.served = endpoint;
    }

    fn room_in_all(&self, now: Timestamp) -> usize {
        let (mut all, mut waiting) = (0_usize, 0_usize);
        for endpoint in self.endpoints.values() {
            all = all.saturating_add(endpoint.begun.len());
            waiting = waiting.saturating_add(endpoint.waiting(now));
        }
        let waiting_max = self.at_once.saturating_mul(WAITING_FACTOR);
        if waiting >= waiting_max {
            return 0;
        }
        self.at_once.saturating_sub(all.saturating_sub(waiting))
    }

    /// How many more deliveries an endpoint may be given.
    #[must_use]
    pub fn room(&self, endpoint: i64, now: Timestamp) -> usize {
        let in_all = self.room_in_all(now);
        let Some(own) = self.endpoints.get(&endpoint) else {
            return in_all.min(AT_ONCE_TO_ONE_MAX);
        };
        let at_once = if own.slow || own.waiting(now) > 0 { 1 } else { AT_ONCE_TO_ONE_MAX };
        in_all.min(at_once.saturating_sub(own.begun.len()))
    }

    /// A delivery begins.
    pub fn begin(&mut self, endpoint: i64, delivery: i64, now: Timestamp) {
        self.endpoints.entry(endpoint).or_default().begun.insert(delivery, now);
    }

    /// A delivery has ended.
    pub fn end(&mut self, endpoint: i64, delivery: i64, now: Timestamp) {
        let Some(own) = self.endpoints.get_mut(&endpoint) else { return };
        if let Some(begun) = own.begun.remove(&delivery) {
            own.slow = is_waiting(begun, now);
        }
        if own.begun.is_empty() && !own.slow {
            self.endpoints.remove(&endpoint);
        }
    }

    /// Forgets what began before `since`: whoever had it is gone.
    pub fn forget_before(&mut self, since: Timestamp) {
        for endpoint in self.endpoints.values_mut() {
            endpoint.begun.retain(|_, begun| *begun >= since);
        }
        self.endpoints.retain(|_, endpoint| endpoint.slow || !endpoint.begun.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives each endpoint all that it has room for.
    fn fill(lanes: &mut Lanes, endpoints: impl IntoIterator<Item = i64>, now: i64) {
        for endpoint in endpoints {
            for number in 0..lanes.room(endpoint, Timestamp(now)) {
                let delivery = endpoint * 1_000 + now * 10 + i64::try_from(number).unwrap();
                lanes.begin(endpoint, delivery, Timestamp(now));
            }
        }
    }

    #[test]
    fn an_endpoint_is_given_four_at_once_and_all_together_no_more_than_there_is_room() {
        let mut lanes = Lanes::new(7);
        fill(&mut lanes, [1], 0);
        assert_eq!([1, 2].map(|it| lanes.room(it, Timestamp(0))), [0, 3]);
        fill(&mut lanes, [2], 0);
        assert_eq!([1, 2, 3].map(|it| lanes.room(it, Timestamp(0))), [0, 0, 0]);
        lanes.end(1, 1_000, Timestamp(1));
        assert_eq!([1, 2, 3].map(|it| lanes.room(it, Timestamp(1))), [1, 1, 1]);
    }

    #[test]
    fn who_lets_callers_wait_takes_no_room_from_others() {
        let mut lanes = Lanes::new(7);
        fill(&mut lanes, [1, 2], 0);
        assert_eq!([1, 2, 3].map(|it| lanes.room(it, Timestamp(2))), [0, 0, 0]);
        assert_eq!([1, 2, 3].map(|it| lanes.room(it, Timestamp(3))), [0, 0, 4]);
        fill(&mut lanes, [3, 4], 3);
        assert_eq!([3, 4, 5].map(|it| lanes.room(it, Timestamp(3))), [0, 0, 0]);
        assert_eq!([3, 4, 5].map(|it| lanes.room(it, Timestamp(6))), [0, 0, 4]);
    }

    #[test]
    fn who_let_a_caller_wait_is_given_one_at_a_time_until_it_answers_quickly() {
        let mut lanes = Lanes::new(16);
        fill(&mut lanes, [1], 0);
        for delivery in 1_000..1_004 {
            assert_eq!(lanes.room(1, Timestamp(30)), 0);
            lanes.end(1, delivery, Timestamp(30));
        }
        assert_eq!(lanes.room(1, Timestamp(30)), 1);
        lanes.begin(1, 7, Timestamp(30));
        assert_eq!(lanes.room(1, Timestamp(30)), 0);
        lanes.end(1, 7, Timestamp(31));
        assert_eq!((lanes.room(1, Timestamp(31)), lanes.endpoints.len()), (4, 0));
    }

    #[test]
    fn no_more_than_a_bound_wait_at_once() {
        let mut lanes = Lanes::new(2);
        for round in 0..20 {
            fill(&mut lanes, [round], round * WAITING_S);
        }
        let waiting: usize = lanes.endpoints.values().map(|it| it.begun.len()).sum();
        assert_eq!((waiting, lanes.room(99, Timestamp(1_000))), (16, 0));
        lanes.forget_before(Timestamp(1_000));
        assert_eq!((lanes.endpoints.len(), lanes.room(99, Timestamp(1_000))), (0, 2));
    }
}
