//! The engine as plainly as it can be said: a journal, read from its beginning for every question.

use std::collections::{BTreeMap, BTreeSet};

use taximeter_kernel::aggregate::{Counted, usage_of};
use taximeter_kernel::id::{Customer, Id, Scope};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{
    Action, Appended, Corrected, Correction, Event, EventQuery, Order, REQUEST_KEY_KEPT_S,
    Standing, UsageGroup, UsageQuery,
};

use crate::support::Sent;

/// What happened; its place in the order is its place in the journal, from 1.
enum Entry {
    Arrived(Event),
    Cancelled {
        of: u64,
    },
    Restored {
        of: u64,
    },
    /// The version at `of` gave way to this one.
    Amended {
        of: u64,
        by: Event,
    },
}

pub(crate) struct Naive {
    journal: Vec<Entry>,
    series_max: usize,
    /// How often each answer was given, so that a test can see whether it met them all.
    pub(crate) answers: BTreeMap<&'static str, u64>,
}

fn name_of_appended(appended: &Appended) -> &'static str {
    match appended {
        Appended::Recorded(_) => "recorded",
        Appended::Replayed(_) => "replayed",
        Appended::RequestMismatch => "request mismatch",
        Appended::Duplicate(_) => "duplicate",
        Appended::TooManySeries => "too many series",
    }
}

fn name_of_corrected(action: &Action, corrected: Corrected) -> &'static str {
    match (corrected, action) {
        (Corrected::Done(_), Action::Cancel) => "cancelled",
        (Corrected::Done(_), Action::Restore) => "restored",
        (Corrected::Done(_), Action::Amend(_)) => "amended",
        (Corrected::NothingToDo, _) => "nothing to do",
        (Corrected::NotFound, _) => "not found",
        (Corrected::TooOld, _) => "too old",
        (Corrected::Ambiguous, _) => "ambiguous",
        (Corrected::TooManySeries, _) => "too many series by an amendment",
    }
}

/// How many names there are for answers.
pub(crate) const ANSWERS: usize = 13;

fn place(at: usize) -> u64 {
    u64::try_from(at).unwrap() + 1
}

fn at(seq: u64) -> usize {
    usize::try_from(seq).unwrap() - 1
}

impl Naive {
    pub(crate) fn new(series_max: usize) -> Self {
        Self { journal: Vec::new(), series_max, answers: BTreeMap::new() }
    }

    pub(crate) fn position(&self) -> u64 {
        u64::try_from(self.journal.len()).unwrap()
    }

    /// Every version of every event, in the order of arrival, as things stood at `as_of`.
    pub(crate) fn versions(&self, as_of: u64) -> Vec<(&Event, Standing)> {
        let upto = self.journal.len().min(usize::try_from(as_of).unwrap_or(usize::MAX));
        let journal = &self.journal[..upto];
        let mut standings = vec![Standing::Counts; journal.len()];
        for entry in journal {
            match entry {
                Entry::Arrived(_) => {}
                Entry::Cancelled { of } => standings[at(*of)] = Standing::Cancelled,
                Entry::Restored { of } => standings[at(*of)] = Standing::Counts,
                Entry::Amended { of, .. } => standings[at(*of)] = Standing::Amended,
            }
        }
        let events = journal.iter().zip(standings).filter_map(|(entry, standing)| match entry {
            Entry::Arrived(event) | Entry::Amended { by: event, .. } => Some((event, standing)),
            Entry::Cancelled { .. } | Entry::Restored { .. } => None,
        });
        events.collect()
    }

    fn now(&self) -> Vec<(&Event, Standing)> {
        self.versions(self.position())
    }

    fn with_standing((event, standing): (&Event, Standing)) -> Event {
        Event { standing, ..event.clone() }
    }

    /// The version that stands today for what arrived as `first`: its standing is never `Amended`.
    fn current(&self, first: &Event) -> Event {
        let mut seq = first.seq;
        for (entry, by_seq) in self.journal.iter().zip(1..) {
            if matches!(entry, Entry::Amended { of, .. } if *of == seq) {
                seq = by_seq;
            }
        }
        self.event_at(seq).expect("a version is an event")
    }

    fn arrived(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.journal.iter().filter_map(|entry| match entry {
            Entry::Arrived(event) => Some(event),
            Entry::Cancelled { .. } | Entry::Restored { .. } | Entry::Amended { .. } => None,
        })
    }

    pub(crate) fn append(&mut self, sent: &Sent) -> Appended {
        let appended = self.appended(sent);
        *self.answers.entry(name_of_appended(&appended)).or_default() += 1;
        appended
    }

    fn appended(&mut self, sent: &Sent) -> Appended {
        if let Some(request) = sent.request {
            // Found from the newest, because a key that was forgotten may be used again.
            let first = self.arrived().rev().find(|event| {
                event.request.is_some_and(|other| other.key == request.key)
                    && event.scope == sent.scope
            });
            let since_s = |first: &Event| sent.received.0 - first.received.0;
            if let Some(first) = first.filter(|first| since_s(first) <= REQUEST_KEY_KEPT_S) {
                let same = first.request == Some(request);
                return if same {
                    Appended::Replayed(Box::new(self.current(first)))
                } else {
                    Appended::RequestMismatch
                };
            }
        }
        let first = self.arrived().find(|event| {
            event.identifier == sent.identifier
                && event.customer == sent.customer
                && event.scope == sent.scope
        });
        if let Some(first) = first {
            return Appended::Duplicate(self.current(first).seq);
        }
        let event = sent.recorded(place(self.journal.len()));
        if self.is_one_too_many(&event) {
            return Appended::TooManySeries;
        }
        self.journal.push(Entry::Arrived(event));
        Appended::Recorded(self.position())
    }

    /// Whether the event has a combination of dimension values beyond those that its customer may
    /// have for its meter. What was cancelled or amended took its place all the same.
    fn is_one_too_many(&self, new: &Event) -> bool {
        if new.dimensions.is_empty() {
            return false;
        }
        let versions = self.now();
        let of_series = versions.iter().map(|(event, _)| event).filter(|event| {
            event.meter == new.meter && event.customer == new.customer && event.scope == new.scope
        });
        let known: BTreeSet<_> = of_series
            .map(|event| &event.dimensions)
            .filter(|dimensions| !dimensions.is_empty())
            .collect();
        !known.contains(&new.dimensions) && known.len() >= self.series_max
    }

    pub(crate) fn correct(&mut self, order: &Correction) -> Corrected {
        let corrected = self.corrected(order);
        *self.answers.entry(name_of_corrected(&order.action, corrected)).or_default() += 1;
        corrected
    }

    fn corrected(&mut self, order: &Correction) -> Corrected {
        let found = self.by_identifier(&order.scope, order.customer.as_ref(), &order.identifier);
        let found: Vec<Event> =
            found.into_iter().filter(|event| event.event_name == order.event_name).collect();
        let event = match &found[..] {
            [] => return Corrected::NotFound,
            [event] => event,
            [_, _, ..] => return Corrected::Ambiguous,
        };
        let does_something = match (event.standing, &order.action) {
            (Standing::Counts, Action::Cancel | Action::Amend(_))
            | (Standing::Cancelled, Action::Restore) => true,
            (Standing::Counts, Action::Restore)
            | (Standing::Cancelled, Action::Cancel | Action::Amend(_)) => false,
            (Standing::Amended, _) => panic!("an identifier finds the version that stands"),
        };
        if !does_something {
            return Corrected::NothingToDo;
        }
        if order.window_s.is_some_and(|window_s| order.now.0 - event.received.0 > window_s) {
            return Corrected::TooOld;
        }
        let of = event.seq;
        let entry = match &order.action {
            Action::Cancel => Entry::Cancelled { of },
            Action::Restore => Entry::Restored { of },
            Action::Amend(amendment) => {
                let by = Event {
                    seq: self.position() + 1,
                    timestamp: amendment.timestamp,
                    measure: amendment.measure,
                    dimensions: amendment.dimensions.clone(),
                    payload: amendment.payload.clone(),
                    ..event.clone()
                };
                if self.is_one_too_many(&by) {
                    return Corrected::TooManySeries;
                }
                Entry::Amended { of, by }
            }
        };
        self.journal.push(entry);
        Corrected::Done(self.position())
    }

    pub(crate) fn by_identifier(
        &self,
        scope: &Scope,
        customer: Option<&Id<Customer>>,
        identifier: &str,
    ) -> Vec<Event> {
        let found = self.now().into_iter().filter(|(event, standing)| {
            *standing != Standing::Amended
                && event.identifier == identifier
                && event.scope == *scope
                && customer.is_none_or(|customer| event.customer == *customer)
        });
        found.map(Self::with_standing).collect()
    }

    pub(crate) fn event_at(&self, seq: u64) -> Option<Event> {
        let entry = self.journal.get(usize::try_from(seq).ok()?.checked_sub(1)?)?;
        let event = match entry {
            Entry::Arrived(event) | Entry::Amended { by: event, .. } => event,
            Entry::Cancelled { .. } | Entry::Restored { .. } => return None,
        };
        let became = self.journal.iter().rev().find_map(|entry| match entry {
            Entry::Cancelled { of } if *of == seq => Some(Standing::Cancelled),
            Entry::Restored { of } if *of == seq => Some(Standing::Counts),
            Entry::Amended { of, .. } if *of == seq => Some(Standing::Amended),
            _ => None,
        });
        Some(Self::with_standing((event, became.unwrap_or(Standing::Counts))))
    }

    /// The places of all events that `query` asks for, whatever its limit.
    pub(crate) fn events(&self, query: &EventQuery) -> Vec<u64> {
        let mut found: Vec<(&Event, Standing)> = self.now();
        if query.order == Order::Newest {
            found.reverse();
        }
        let found = found.into_iter().map(|(event, _)| event).filter(|event| {
            query.customer.as_ref().is_none_or(|customer| event.customer == *customer)
                && query.meter.as_ref().is_none_or(|meter| event.meter == *meter)
                && event.scope == query.scope
                && query.period.is_none_or(|period| period.contains(event.timestamp))
                && query.after.is_none_or(|after| is_beyond(event.seq, after, query.order))
        });
        found.map(|event| event.seq).collect()
    }

    /// Without the groups that never counted anything between the boundaries.
    pub(crate) fn usage(&self, query: &UsageQuery, boundaries: &[Timestamp]) -> Vec<UsageGroup> {
        let mut groups: BTreeMap<Vec<String>, Vec<Counted>> = BTreeMap::new();
        for (event, standing) in self.versions(query.as_of.unwrap_or(u64::MAX)) {
            let is_of_series = event.meter == query.series.meter
                && event.customer == query.series.customer
                && event.scope == query.series.scope;
            let is_wanted = || {
                let mut filters = query.filters.iter();
                filters.all(|filter| filter.values.contains(&event.dimensions[filter.dimension]))
            };
            if is_of_series && standing == Standing::Counts && is_wanted() {
                let values = query.group_by.iter().map(|by| event.dimensions[*by].clone());
                let Event { seq, timestamp, measure, .. } = *event;
                groups.entry(values.collect()).or_default().push(Counted {
                    seq,
                    timestamp,
                    measure,
                });
            }
        }
        if query.group_by.is_empty() {
            groups.entry(Vec::new()).or_default();
        }
        let spans = boundaries.windows(2).map(|ends| Period { start: ends[0], end: ends[1] });
        let spans: Vec<Period> = spans.collect();
        let groups = groups.into_iter().map(|(dimensions, events)| UsageGroup {
            dimensions,
            usage: spans
                .iter()
                .map(|span| usage_of(query.aggregation, *span, &events).unwrap())
                .collect(),
        });
        groups.collect()
    }
}

pub(crate) fn is_beyond(seq: u64, after: u64, order: Order) -> bool {
    match order {
        Order::Newest => seq < after,
        Order::Oldest => seq > after,
    }
}
