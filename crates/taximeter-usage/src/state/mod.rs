//! What the log determines: which identifiers and requests were seen, and the totals.
//!
//! Nothing here does I/O or asks for the time. [`State::apply`] takes one record after another; the
//! same records give the same state, when they are committed and when they are read again at start.

mod cell;
mod decide;
mod read;
mod requests;

use std::collections::BTreeMap;
use std::hash::Hash;

use taximeter_kernel::aggregate::Latest;
use taximeter_kernel::id::{Customer, Id, Meter, Scope};
use taximeter_kernel::time::{HOUR_S, Timestamp};

use crate::event::{Event, NewEvent};
use crate::lookup::Lookup;
use crate::record::{CancelRecord, Record};
use cell::Cell;
pub(crate) use decide::{CancelDecision, Decision};
use requests::Requests;

/// The state of a shard.
#[derive(Debug, Default)]
pub(crate) struct State {
    applied_seq: u64,
    scopes: Lookup<Scope, ScopeState>,
}

/// A record that cannot follow the records before it. Only a damaged log or a bug brings one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inconsistent(pub(crate) &'static str);

/// A UTC hour, counted from 1970-01-01T00:00:00Z.
pub(crate) type Hour = i64;

pub(crate) fn hour_of(timestamp: Timestamp) -> Hour {
    timestamp.0.div_euclid(HOUR_S)
}

/// The small number that stands for a customer, a meter or a name within a scope.
type Short = u32;

#[derive(Debug, Default)]
struct ScopeState {
    customers: Shorts<Id<Customer>>,
    meters: Shorts<Id<Meter>>,
    event_names: Shorts<String>,
    series: Lookup<(Short, Short), BTreeMap<Hour, Cell>>,
    identifiers: Lookup<Box<str>, Holders>,
    requests: Requests,
}

/// Gives each distinct key a small number.
#[derive(Debug)]
struct Shorts<K>(Lookup<K, Short>);

impl<K> Default for Shorts<K> {
    fn default() -> Self {
        Self(Lookup::default())
    }
}

impl<K: Clone + Eq + Hash> Shorts<K> {
    fn get(&self, key: &K) -> Option<Short> {
        self.0.get(key).copied()
    }

    fn get_or_insert(&mut self, key: &K) -> Result<Short, Inconsistent> {
        if let Some(short) = self.get(key) {
            return Ok(short);
        }
        let short = Short::try_from(self.0.len()).map_err(|_| Inconsistent("too many names"))?;
        self.0.insert(key.clone(), short);
        Ok(short)
    }
}

/// An event that holds an identifier.
#[derive(Debug, Clone, Copy)]
struct Holder {
    seq: u64,
    timestamp: Timestamp,
    received: Timestamp,
    customer: Short,
    meter: Short,
    event_name: Short,
}

/// The events that hold the same identifier, each of another customer.
#[derive(Debug)]
enum Holders {
    One(Holder),
    Several(Vec<Holder>),
}

impl Holders {
    fn as_slice(&self) -> &[Holder] {
        match self {
            Self::One(holder) => std::slice::from_ref(holder),
            Self::Several(holders) => holders,
        }
    }

    fn push(&mut self, holder: Holder) {
        match self {
            Self::One(first) => *self = Self::Several(vec![*first, holder]),
            Self::Several(holders) => holders.push(holder),
        }
    }
}

impl State {
    /// The place in the order of the next record.
    pub(crate) fn next_seq(&self) -> u64 {
        self.applied_seq.saturating_add(1)
    }

    /// Takes the next record of the log.
    pub(crate) fn apply(&mut self, seq: u64, record: &Record) -> Result<(), Inconsistent> {
        match record {
            Record::Event(event) => self.apply_event(seq, event),
            Record::Cancel(cancel) => self.apply_cancel(seq, cancel),
        }
    }

    /// Counts the next event.
    pub(crate) fn apply_event(&mut self, seq: u64, event: &NewEvent) -> Result<(), Inconsistent> {
        self.advance(seq)?;
        let scope = match self.scopes.get_mut(&event.scope) {
            Some(scope) => scope,
            None => self.scopes.entry(event.scope.clone()).or_default(),
        };
        let holder = Holder {
            seq,
            timestamp: event.timestamp,
            received: event.received,
            customer: scope.customers.get_or_insert(&event.customer)?,
            meter: scope.meters.get_or_insert(&event.meter)?,
            event_name: scope.event_names.get_or_insert(&event.event_name)?,
        };
        scope.hold(&event.identifier, holder)?;
        if let Some(request) = event.request {
            scope.requests.remember(request, seq, event.received);
        }
        let hours = scope.series.entry((holder.customer, holder.meter)).or_default();
        let counted = Latest { timestamp: event.timestamp, seq, value: event.value };
        let cell = hours.entry(hour_of(event.timestamp)).or_default();
        cell.add(counted).map_err(|_| Inconsistent("event makes the total of its hour overflow"))
    }

    /// Stops counting an event.
    pub(crate) fn apply_cancel(
        &mut self,
        seq: u64,
        cancel: &CancelRecord,
    ) -> Result<(), Inconsistent> {
        const UNKNOWN: Inconsistent = Inconsistent("cancel of an event that does not count");
        self.advance(seq)?;
        let scope = self.scopes.get_mut(&cancel.scope).ok_or(UNKNOWN)?;
        let holder = scope.holder(&cancel.identifier, |holder| holder.seq == cancel.event_seq);
        let holder = *holder.ok_or(UNKNOWN)?;
        let hours = scope.series.get_mut(&(holder.customer, holder.meter)).ok_or(UNKNOWN)?;
        let cell = hours.get_mut(&hour_of(holder.timestamp)).ok_or(UNKNOWN)?;
        let event = *cell.event(holder.seq).ok_or(UNKNOWN)?;
        if cell.is_cancelled(event.seq) {
            return Err(UNKNOWN);
        }
        cell.cancel(event).map_err(|_| Inconsistent("cancel makes the total of its hour overflow"))
    }

    fn advance(&mut self, seq: u64) -> Result<(), Inconsistent> {
        if seq != self.next_seq() {
            return Err(Inconsistent("record is out of order"));
        }
        self.applied_seq = seq;
        Ok(())
    }

    /// Where the customer's event with that identifier is in the order.
    pub(crate) fn seq_of(
        &self,
        scope: &Scope,
        customer: &Id<Customer>,
        identifier: &str,
    ) -> Option<u64> {
        let scope = self.scopes.get(scope)?;
        let customer = scope.customers.get(customer)?;
        scope.holder(identifier, |holder| holder.customer == customer).map(|holder| holder.seq)
    }

    /// Whether a recorded event counts no longer.
    pub(crate) fn is_cancelled(&self, event: &Event) -> bool {
        let cell = self.scopes.get(&event.scope).and_then(|scope| {
            let hours = scope.hours(&event.meter, &event.customer)?;
            hours.get(&hour_of(event.timestamp))
        });
        cell.is_some_and(|cell| cell.is_cancelled(event.seq))
    }
}

impl ScopeState {
    fn holder(&self, identifier: &str, is_it: impl Fn(&Holder) -> bool) -> Option<&Holder> {
        self.identifiers.get(identifier)?.as_slice().iter().find(|holder| is_it(holder))
    }

    fn hold(&mut self, identifier: &str, holder: Holder) -> Result<(), Inconsistent> {
        match self.identifiers.get_mut(identifier) {
            None => {
                self.identifiers.insert(identifier.into(), Holders::One(holder));
            }
            Some(holders) => {
                if holders.as_slice().iter().any(|other| other.customer == holder.customer) {
                    return Err(Inconsistent("identifier is recorded twice"));
                }
                holders.push(holder);
            }
        }
        Ok(())
    }

    fn hours(&self, meter: &Id<Meter>, customer: &Id<Customer>) -> Option<&BTreeMap<Hour, Cell>> {
        let key = (self.customers.get(customer)?, self.meters.get(meter)?);
        self.series.get(&key)
    }
}
