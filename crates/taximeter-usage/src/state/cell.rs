//! One hour of one series.

use std::collections::BTreeSet;

use taximeter_kernel::aggregate::{Latest, Total};
use taximeter_kernel::decimal::{Decimal, DecimalError};
use taximeter_kernel::time::Period;

/// The events of one series whose timestamps fall in the same UTC hour, and their total.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    total: Total,
    /// In the order of arrival, cancelled ones too.
    events: Vec<Latest>,
    cancelled: BTreeSet<u64>,
}

impl Cell {
    /// What the events amount to that are not cancelled.
    pub(crate) fn total(&self) -> &Total {
        &self.total
    }

    /// The places in the order of all events, cancelled ones too, ascending.
    pub(crate) fn arrivals(&self) -> &[Latest] {
        &self.events
    }

    pub(crate) fn is_cancelled(&self, seq: u64) -> bool {
        self.cancelled.contains(&seq)
    }

    /// What the events amount to that lie in `period` and are not cancelled.
    pub(crate) fn total_within(&self, period: Period) -> Result<Total, DecimalError> {
        let mut total = Total::EMPTY;
        for event in self.counting().filter(|event| period.contains(event.timestamp)) {
            total.add(*event)?;
        }
        Ok(total)
    }

    fn counting(&self) -> impl DoubleEndedIterator<Item = &Latest> {
        self.events.iter().filter(|event| !self.is_cancelled(event.seq))
    }

    /// Counts an event that arrived after all others.
    pub(crate) fn add(&mut self, event: Latest) -> Result<(), DecimalError> {
        self.total.add(event)?;
        self.events.push(event);
        Ok(())
    }

    /// The event at `seq`, if it is one of this hour's.
    pub(crate) fn event(&self, seq: u64) -> Option<&Latest> {
        let at = self.events.binary_search_by_key(&seq, |event| event.seq).ok()?;
        self.events.get(at)
    }

    /// The sum of the values without `value`, which is one of them.
    pub(crate) fn sum_without(&self, value: Decimal) -> Result<Decimal, DecimalError> {
        self.total.sum.checked_sub(value)
    }

    /// Stops counting one of the events that count.
    pub(crate) fn cancel(&mut self, event: Latest) -> Result<(), DecimalError> {
        let sum = self.sum_without(event.value)?;
        let count = self.total.count.checked_sub(1).ok_or(DecimalError::Overflow)?;
        self.cancelled.insert(event.seq);
        let is_it = |one: Option<Latest>| one.is_some_and(|one| one.seq == event.seq);
        let Total { mut last, mut latest_received, .. } = self.total;
        if is_it(last) {
            last = self.counting().max_by_key(|event| (event.timestamp, event.seq)).copied();
        }
        if is_it(latest_received) {
            latest_received = self.counting().next_back().copied();
        }
        self.total = Total { sum, count, last, latest_received };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use taximeter_kernel::time::Timestamp;

    const ALWAYS: Period = Period { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) };

    proptest! {
        #[test]
        fn a_cancelled_event_leaves_the_total_of_the_others(
            events in prop::collection::vec((0_i64..5, -9_i64..9, any::<bool>()), 0..30),
        ) {
            let mut cell = Cell::default();
            let mut cancelled = Vec::new();
            for ((timestamp, value, cancel), seq) in events.into_iter().zip(1..) {
                let timestamp = Timestamp(timestamp);
                let event = Latest { timestamp, seq, value: Decimal::from_int(value) };
                cell.add(event).unwrap();
                if cancel {
                    cancelled.push(event);
                }
            }
            for event in cancelled.into_iter().rev() {
                cell.cancel(event).unwrap();
                prop_assert_eq!(*cell.total(), cell.total_within(ALWAYS).unwrap());
            }
        }
    }
}
