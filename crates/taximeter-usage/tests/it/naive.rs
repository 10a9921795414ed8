//! The engine as plainly as it can be said: one list of events, searched anew for every question.

use std::collections::BTreeMap;

use taximeter_kernel::aggregate::{Latest, Total, Window};
use taximeter_kernel::id::{Customer, Id, Scope};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{
    Appended, Cancel, Cancelled, Event, EventQuery, Grain, NewEvent, REQUEST_KEY_KEPT_S, Series,
};

#[derive(Default)]
pub(crate) struct Naive {
    pub(crate) events: Vec<Event>,
    next_seq: u64,
}

fn recorded(seq: u64, new: NewEvent) -> Event {
    Event {
        seq,
        cancelled: false,
        scope: new.scope,
        meter: new.meter,
        customer: new.customer,
        event_name: new.event_name,
        identifier: new.identifier,
        timestamp: new.timestamp,
        value: new.value,
        payload: new.payload,
        received: new.received,
        request: new.request,
    }
}

fn is_of(event: &Event, series: &Series) -> bool {
    event.scope == series.scope && event.meter == series.meter && event.customer == series.customer
}

impl Naive {
    fn next_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }

    pub(crate) fn append(&mut self, new: NewEvent) -> Appended {
        if let Some(request) = new.request {
            // Found from the newest, because a key that was forgotten may be used again.
            let first = self.events.iter().rev().find(|event| {
                event.scope == new.scope
                    && event.request.is_some_and(|other| other.key == request.key)
            });
            let since_s = |first: &Event| new.received.0 - first.received.0;
            if let Some(first) = first.filter(|first| since_s(first) <= REQUEST_KEY_KEPT_S) {
                let same = first.request == Some(request);
                return if same {
                    Appended::Replayed(first.clone())
                } else {
                    Appended::RequestMismatch
                };
            }
        }
        if self.event_by_identifier(&new.scope, &new.customer, &new.identifier).is_some() {
            return Appended::DuplicateIdentifier;
        }
        let event = recorded(self.next_seq(), new);
        self.events.push(event.clone());
        Appended::Recorded(event)
    }

    pub(crate) fn cancel(&mut self, order: &Cancel) -> Cancelled {
        let mut meant = self.events.iter_mut().filter(|event| {
            event.scope == order.scope
                && event.identifier == order.identifier
                && event.event_name == order.event_name
                && order.customer.as_ref().is_none_or(|customer| event.customer == *customer)
        });
        let Some(event) = meant.next() else { return Cancelled::NotFound };
        if meant.next().is_some() {
            return Cancelled::Ambiguous;
        }
        if event.cancelled {
            return Cancelled::AlreadyCancelled;
        }
        if order.now.0 - event.received.0 > order.window_s {
            return Cancelled::TooOld;
        }
        event.cancelled = true;
        self.next_seq();
        Cancelled::Cancelled
    }

    fn counting(&self, series: &Series, window: Option<Window>, of: Period) -> Vec<&Event> {
        let all = self.events.iter().filter(|event| is_of(event, series) && !event.cancelled);
        let survivors: Vec<&Event> = match window {
            None => all.collect(),
            Some(window) => {
                let bucket = |event: &Event| event.timestamp.0.div_euclid(window.length_s());
                // A later arrival takes the place of an earlier one.
                let by_bucket: BTreeMap<i64, &Event> = all.map(|one| (bucket(one), one)).collect();
                by_bucket.into_values().collect()
            }
        };
        survivors.into_iter().filter(|event| of.contains(event.timestamp)).collect()
    }

    pub(crate) fn total(&self, series: &Series, window: Option<Window>, of: Period) -> Total {
        let mut total = Total::EMPTY;
        for event in self.counting(series, window, of) {
            let Event { timestamp, seq, value, .. } = *event;
            total.add(Latest { timestamp, seq, value }).unwrap();
        }
        total
    }

    pub(crate) fn totals(
        &self,
        series: &Series,
        window: Option<Window>,
        of: Period,
        grain: Grain,
    ) -> Vec<(Period, Total)> {
        let length_s = match grain {
            Grain::Hour => 3_600,
            Grain::Day => 86_400,
        };
        let mut buckets: BTreeMap<i64, Total> = BTreeMap::new();
        for event in self.counting(series, window, of) {
            let Event { timestamp, seq, value, .. } = *event;
            let bucket = buckets.entry(timestamp.0.div_euclid(length_s)).or_default();
            bucket.add(Latest { timestamp, seq, value }).unwrap();
        }
        let whole = |bucket: i64| Period {
            start: of.start.max(Timestamp(bucket * length_s)),
            end: of.end.min(Timestamp((bucket + 1) * length_s)),
        };
        buckets.into_iter().map(|(bucket, total)| (whole(bucket), total)).collect()
    }

    pub(crate) fn events(&self, query: &EventQuery) -> Vec<Event> {
        let found = self.events.iter().filter(|event| {
            is_of(event, &query.series)
                && query.period.contains(event.timestamp)
                && event.seq > query.after
        });
        found.take(query.limit).cloned().collect()
    }

    pub(crate) fn event_by_identifier(
        &self,
        scope: &Scope,
        customer: &Id<Customer>,
        identifier: &str,
    ) -> Option<&Event> {
        self.events.iter().find(|event| {
            event.scope == *scope && event.customer == *customer && event.identifier == identifier
        })
    }
}
