//! What the log determines, as plainly as it can be said: one list of events.

use std::collections::BTreeMap;

use taximeter_kernel::aggregate::{Counted, Usage, usage_of};
use taximeter_kernel::decimal::DecimalError;
use taximeter_kernel::id::{Customer, Id, Scope};
use taximeter_kernel::time::{Period, Timestamp};

use crate::event::{
    Action, Amendment, Appended, Corrected, Correction, Event, REQUEST_KEY_KEPT_S, Series, Standing,
};
use crate::query::{EventPage, EventQuery, Order, UsageGroup, UsageQuery, spans};
use crate::record::{Change, CorrectionRecord, Record};

/// A record that cannot follow the records before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inconsistent(pub(crate) &'static str);

#[derive(Debug, Default)]
pub(crate) struct State {
    applied_seq: u64,
    events: Vec<Event>,
    /// When each event stopped or began to count: its place among `events`, where, what it became.
    history: Vec<(usize, u64, Standing)>,
    identifiers: BTreeMap<(Scope, Id<Customer>, String), usize>,
    requests: BTreeMap<(Scope, u128), usize>,
}

impl State {
    pub(crate) fn next_seq(&self) -> u64 {
        self.applied_seq.saturating_add(1)
    }

    pub(crate) fn apply(&mut self, seq: u64, record: &Record) -> Result<(), Inconsistent> {
        if seq != self.next_seq() {
            return Err(Inconsistent("record is out of order"));
        }
        self.applied_seq = seq;
        match record {
            Record::Event(event) => self.add(seq, event.clone()),
            Record::Correction(CorrectionRecord { event_seq, change, .. }) => {
                let at = self.events.iter().position(|event| event.seq == *event_seq);
                let at = at.ok_or(Inconsistent("correction of no event"))?;
                let standing = match change {
                    Change::Cancelled => Standing::Cancelled,
                    Change::Restored => Standing::Counts,
                    Change::Amended(event) => {
                        self.add(seq, Event::clone(event));
                        Standing::Amended
                    }
                };
                self.history.push((at, seq, standing));
                if let Some(event) = self.events.get_mut(at) {
                    event.standing = standing;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, seq: u64, mut event: Event) {
        event.seq = seq;
        let at = self.events.len();
        let name = (event.scope.clone(), event.customer.clone(), event.identifier.clone());
        self.identifiers.insert(name, at);
        if let Some(request) = event.request {
            self.requests.insert((event.scope.clone(), request.key), at);
        }
        self.events.push(event);
    }

    /// What becomes of an event that arrives now; it is applied already when it is recorded.
    pub(crate) fn decide(&self, new: &Event, series_max: usize) -> Appended {
        if let Some(request) = new.request {
            let first = self.requests.get(&(new.scope.clone(), request.key));
            let first = first.and_then(|at| self.events.get(*at));
            let kept = |first: &&Event| {
                new.received.0.saturating_sub(first.received.0) <= REQUEST_KEY_KEPT_S
            };
            if let Some(first) = first.filter(kept) {
                return if first.request == Some(request) {
                    Appended::Replayed(Box::new(first.clone()))
                } else {
                    Appended::RequestMismatch
                };
            }
        }
        let name = (new.scope.clone(), new.customer.clone(), new.identifier.clone());
        if let Some(first) = self.identifiers.get(&name).and_then(|at| self.events.get(*at)) {
            return Appended::Duplicate(first.seq);
        }
        if self.is_one_too_many(&series_of(new), &new.dimensions, series_max) {
            return Appended::TooManySeries;
        }
        Appended::Recorded(self.next_seq())
    }

    fn is_one_too_many(&self, series: &Series, dimensions: &[String], max: usize) -> bool {
        if dimensions.is_empty() {
            return false;
        }
        let mut known: Vec<&[String]> =
            self.of(series).map(|event| event.dimensions.as_slice()).collect();
        known.sort_unstable();
        known.dedup();
        !known.contains(&dimensions) && known.len() >= max
    }

    fn of<'a>(&'a self, series: &'a Series) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |event| {
            event.customer == series.customer
                && event.meter == series.meter
                && event.scope == series.scope
        })
    }

    pub(crate) fn decide_correction(
        &self,
        order: &Correction,
        series_max: usize,
    ) -> Result<CorrectionRecord, Corrected> {
        let event = self.meant(order)?;
        if let Some(window_s) = order.window_s
            && order.now.0.saturating_sub(event.received.0) > window_s
        {
            return Err(Corrected::TooOld);
        }
        let change = match (&order.action, event.standing) {
            (Action::Cancel, Standing::Counts) => Change::Cancelled,
            (Action::Restore, Standing::Cancelled) => Change::Restored,
            (Action::Amend(amendment), Standing::Counts) => {
                let Amendment { timestamp, measure, dimensions, payload } = &**amendment;
                if self.is_one_too_many(&series_of(event), dimensions, series_max) {
                    return Err(Corrected::TooManySeries);
                }
                Change::Amended(Box::new(Event {
                    timestamp: *timestamp,
                    measure: *measure,
                    dimensions: dimensions.clone(),
                    payload: payload.clone(),
                    ..event.clone()
                }))
            }
            _ => return Err(Corrected::NothingToDo),
        };
        Ok(CorrectionRecord { event_seq: event.seq, now: order.now, change })
    }

    fn meant(&self, order: &Correction) -> Result<&Event, Corrected> {
        let found = self.by_identifier(&order.scope, order.customer.as_ref(), &order.identifier);
        let mut found = found.into_iter().filter(|event| event.event_name == order.event_name);
        let event = found.next().ok_or(Corrected::NotFound)?;
        if found.next().is_some() { Err(Corrected::Ambiguous) } else { Ok(event) }
    }

    pub(crate) fn by_identifier(
        &self,
        scope: &Scope,
        customer: Option<&Id<Customer>>,
        identifier: &str,
    ) -> Vec<&Event> {
        let matching = self.events.iter().filter(|event| {
            event.standing != Standing::Amended
                && event.identifier == identifier
                && event.scope == *scope
                && customer.is_none_or(|customer| event.customer == *customer)
        });
        matching.collect()
    }

    fn standing_at(&self, at: usize, seq: u64) -> Standing {
        let before = self.history.iter().filter(|(of, when, _)| *of == at && *when <= seq);
        before.last().map_or(Standing::Counts, |(_, _, standing)| *standing)
    }

    pub(crate) fn usage(
        &self,
        query: &UsageQuery,
        boundaries: &[Timestamp],
    ) -> Result<Vec<UsageGroup>, DecimalError> {
        let as_of = query.as_of.unwrap_or(u64::MAX);
        let mut groups: BTreeMap<Vec<String>, Vec<Counted>> = BTreeMap::new();
        if query.group_by.is_empty() {
            groups.insert(Vec::new(), Vec::new());
        }
        for (at, event) in self.events.iter().enumerate() {
            let of_series = event.customer == query.series.customer
                && event.meter == query.series.meter
                && event.scope == query.series.scope;
            let matches = query.filters.iter().all(|filter| {
                let value = event.dimensions.get(filter.dimension);
                value.is_some_and(|value| filter.values.contains(value))
            });
            let counts = event.seq <= as_of && self.standing_at(at, as_of) == Standing::Counts;
            if !(of_series && matches && counts) {
                continue;
            }
            let value = |at: &usize| event.dimensions.get(*at).cloned().unwrap_or_default();
            let key = query.group_by.iter().map(value).collect();
            let Event { seq, timestamp, measure, .. } = *event;
            groups.entry(key).or_default().push(Counted { seq, timestamp, measure });
        }
        let of_span = |events: &[Counted], period: Period| -> Result<Usage, DecimalError> {
            usage_of(query.aggregation, period, events)
        };
        groups
            .into_iter()
            .map(|(dimensions, events)| {
                let usage = spans(boundaries).map(|period| of_span(&events, period));
                Ok(UsageGroup { dimensions, usage: usage.collect::<Result<_, _>>()? })
            })
            .collect()
    }

    pub(crate) fn events(&self, query: &EventQuery, limit: usize) -> EventPage {
        let matches = |event: &&Event| {
            event.scope == query.scope
                && query.customer.as_ref().is_none_or(|customer| event.customer == *customer)
                && query.meter.as_ref().is_none_or(|meter| event.meter == *meter)
                && query.period.is_none_or(|period| period.contains(event.timestamp))
                && query.after.is_none_or(|after| match query.order {
                    Order::Newest => event.seq < after,
                    Order::Oldest => event.seq > after,
                })
        };
        let wanted = limit.saturating_add(1);
        let mut events: Vec<Event> = match query.order {
            Order::Newest => {
                self.events.iter().rev().filter(matches).take(wanted).cloned().collect()
            }
            Order::Oldest => self.events.iter().filter(matches).take(wanted).cloned().collect(),
        };
        let more = events.len() > limit;
        events.truncate(limit);
        let next = events.last().filter(|_| more).map(|event| event.seq);
        EventPage { events, next }
    }

    pub(crate) fn event_at(&self, seq: u64) -> Option<&Event> {
        self.events.iter().find(|event| event.seq == seq)
    }
}

fn series_of(event: &Event) -> Series {
    Series {
        scope: event.scope.clone(),
        meter: event.meter.clone(),
        customer: event.customer.clone(),
    }
}
