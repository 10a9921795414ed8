//! Pages of recorded events.

use std::ops::ControlFlow;
use std::sync::Arc;

use taximeter_kernel::id::{Customer, Id};
use taximeter_kernel::time::Timestamp;

use crate::error::ReadError;
use crate::event::Event;
use crate::index::{Run, Table};
use crate::log::LogReader;
use crate::memtable::postings::{Posting, counted, read_row};
use crate::query::{EventPage, EventQuery, Order};
use crate::record::Record;
use crate::state::State;
use crate::totals::keys::{HOUR_BYTES, Hour, behind, hour_of, put_customer, read_hour, start_of};
use crate::totals::layers::each_row;
use crate::{EVENTS_PER_READ_MAX, EVENTS_SCANNED_MAX};

const UNREADABLE: ReadError = ReadError::Inconsistent("postings are unreadable");

pub(crate) fn page(
    state: &State,
    log: &LogReader,
    query: &EventQuery,
) -> Result<EventPage, ReadError> {
    let limit = query.limit.min(EVENTS_PER_READ_MAX);
    let mut page = match &query.customer {
        Some(customer) => of_customer(state, log, query, customer, limit)?,
        None => of_log(state, log, query, limit)?,
    };
    for event in &mut page.events {
        event.standing = state.standing(event.seq)?;
    }
    Ok(page)
}

/// Finds the events of one customer by the postings.
fn of_customer(
    state: &State,
    log: &LogReader,
    query: &EventQuery,
    customer: &Id<Customer>,
    limit: usize,
) -> Result<EventPage, ReadError> {
    let mut prefix = Vec::new();
    let scope = &query.scope;
    put_customer(&mut prefix, scope.account.as_str(), scope.mode, customer.as_str());
    let wanted = limit.saturating_add(1);
    let filter = Filter::new(query, log.first_seq());
    let (runs, mut recent) = {
        let published = state.published()?;
        let mut recent = Vec::new();
        let mut take = |totals: &crate::memtable::totals::Totals| {
            totals.customer_postings(&prefix, &mut |meter, hour, postings| {
                filter.take(meter, hour, postings, &mut recent);
            });
        };
        take(&published.active);
        if let Some(frozen) = &published.frozen {
            take(&frozen.totals);
        }
        (Arc::clone(&published.runs), recent)
    };
    recent.sort_unstable();
    // The runs' places follow one another, and those in memory come after all of them.
    let mut seqs: Vec<u64> = Vec::new();
    match query.order {
        Order::Newest => {
            seqs.extend(recent.iter().rev());
            for run in runs.iter().rev() {
                if seqs.len() >= wanted {
                    break;
                }
                seqs.extend(filter.in_run(run, &prefix)?.into_iter().rev());
            }
        }
        Order::Oldest => {
            for run in runs.iter() {
                if seqs.len() >= wanted {
                    break;
                }
                seqs.extend(filter.in_run(run, &prefix)?);
            }
            seqs.extend(recent);
        }
    }
    let more = seqs.len() > limit;
    seqs.truncate(limit);
    let next = seqs.last().copied().filter(|_| more);
    let mut ascending = seqs;
    ascending.sort_unstable();
    let mut events = log.events(&ascending)?;
    if query.order == Order::Newest {
        events.reverse();
    }
    Ok(EventPage { events, next })
}

/// Reads the log itself, from the place on that the query names.
fn of_log(
    state: &State,
    log: &LogReader,
    query: &EventQuery,
    limit: usize,
) -> Result<EventPage, ReadError> {
    let published = state.published()?.seq;
    let mut page = EventPage { events: Vec::new(), next: None };
    let mut looked_at: usize = 0;
    let mut last_seen = None;
    let mut visit = |seq: u64, record: Record| {
        if page.events.len() >= limit || looked_at >= EVENTS_SCANNED_MAX {
            page.next = last_seen;
            return Ok(ControlFlow::Break(()));
        }
        looked_at = looked_at.saturating_add(1);
        match record {
            Record::Event(event) | Record::Amended { event, .. } => {
                if matches(query, &event) {
                    page.events.push(event);
                }
            }
            Record::Standing { .. } => {}
        }
        last_seen = Some(seq);
        Ok(ControlFlow::Continue(()))
    };
    match query.order {
        Order::Newest => {
            let before = query.after.unwrap_or(u64::MAX).min(published.saturating_add(1));
            log.scan_back(before, &mut visit)?;
        }
        Order::Oldest => {
            let from = query.after.map_or(0, |after| after.saturating_add(1));
            let mut visit_published = |seq, record| {
                if seq > published { Ok(ControlFlow::Break(())) } else { visit(seq, record) }
            };
            log.scan(from.max(log.first_seq()), &mut visit_published)?;
        }
    }
    Ok(page)
}

fn matches(query: &EventQuery, event: &Event) -> bool {
    event.scope == query.scope
        && query.meter.as_ref().is_none_or(|meter| event.meter == *meter)
        && query.period.is_none_or(|period| period.contains(event.timestamp))
}

/// Which postings of a customer are asked for.
struct Filter<'a> {
    query: &'a EventQuery,
    first_seq: u64,
    hours: Option<std::ops::RangeInclusive<Hour>>,
}

impl<'a> Filter<'a> {
    fn new(query: &'a EventQuery, first_seq: u64) -> Self {
        let hours = query.period.map(|period| {
            let last = Timestamp(period.end.0.saturating_sub(1));
            hour_of(period.start)..=hour_of(last)
        });
        Self { query, first_seq, hours }
    }

    /// Whether postings of the meter and hour can be meant.
    fn may_take(&self, meter: &[u8], hour: Hour) -> bool {
        let meant = self.query.meter.as_ref();
        meant.is_none_or(|meant| meant.as_str().as_bytes() == meter)
            && self.hours.as_ref().is_none_or(|hours| hours.contains(&hour))
    }

    fn take(&self, meter: &[u8], hour: Hour, postings: Vec<Posting>, found: &mut Vec<u64>) {
        if self.may_take(meter, hour) {
            found.extend(postings.into_iter().filter_map(|posting| self.seq(hour, posting)));
        }
    }

    fn seq(&self, hour: Hour, posting: Posting) -> Option<u64> {
        let Posting::Event { seq, second, measure } = posting else { return None };
        let at = counted(start_of(hour), seq, second, measure).timestamp;
        let in_period = self.query.period.is_none_or(|period| period.contains(at));
        let beyond = self.query.after.is_none_or(|after| match self.query.order {
            Order::Newest => seq < after,
            Order::Oldest => seq > after,
        });
        (in_period && beyond && seq >= self.first_seq).then_some(seq)
    }

    /// The places of the customer's events in a run, ascending.
    fn in_run(&self, run: &Run, prefix: &[u8]) -> Result<Vec<u64>, ReadError> {
        let mut found = Vec::new();
        let beyond = self.query.after.is_some_and(|after| match self.query.order {
            Order::Newest => run.first_seq() >= after,
            Order::Oldest => run.last_seq() <= after,
        });
        if beyond {
            return Ok(found);
        }
        each_row(run, Table::Postings, prefix, &behind(prefix), &mut |key, row| {
            let rest = key.get(prefix.len()..).unwrap_or_default();
            let meter_end = rest.iter().position(|byte| *byte == 0).ok_or(UNREADABLE)?;
            let (meter, rest) = rest.split_at(meter_end);
            let hour = rest.get(1..=HOUR_BYTES).and_then(read_hour).ok_or(UNREADABLE)?;
            if self.may_take(meter, hour) {
                let mut take = |posting| found.extend(self.seq(hour, posting));
                read_row(row, &mut take).map_err(|_| UNREADABLE)?;
            }
            Ok(())
        })?;
        found.sort_unstable();
        Ok(found)
    }
}
