//! Deciding what becomes of what was asked, before anything is written.
//!
//! A group is decided as a whole against the state and against the members of the group before it,
//! so that two copies of an event in one group are recorded once.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Customer, Id, Meter, Scope};

use super::requests::Remembered;
use super::{Holder, Hour, ScopeState, Short, State, hour_of};
use crate::event::{Cancel, Cancelled, NewEvent};
use crate::lookup::Lookup;
use crate::record::CancelRecord;

/// What is to become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Record it at this place in the order.
    Record(u64),
    /// Answer with the event at this place.
    Replay(u64),
    RequestMismatch,
    DuplicateIdentifier,
    Overflow,
}

/// What is to become of an order to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CancelDecision {
    /// Record it, then answer `Cancelled`.
    Record(CancelRecord),
    /// Record nothing.
    Answer(Cancelled),
}

/// Names an hour of a series that the state may not know yet.
type CellKey<'a> = (&'a Scope, &'a Id<Customer>, &'a Id<Meter>, Hour);

/// What the group so far will add to the state.
#[derive(Debug, Default)]
struct Pending<'a> {
    identifiers: HashSet<(&'a Scope, &'a Id<Customer>, &'a str)>,
    requests: Lookup<(&'a Scope, u128), Remembered>,
    sums: Lookup<CellKey<'a>, Decimal>,
}

/// What the group so far will take out of the state.
#[derive(Debug, Default)]
struct PendingCancels<'a> {
    event_seqs: BTreeSet<u64>,
    sums: BTreeMap<(&'a Scope, Short, Short, Hour), Decimal>,
}

impl State {
    /// Decides each event of a group, in order.
    pub(crate) fn decide<'a>(&self, events: impl Iterator<Item = &'a NewEvent>) -> Vec<Decision> {
        let mut next_seq = self.next_seq();
        let mut pending = Pending::default();
        let mut decisions = Vec::with_capacity(events.size_hint().0);
        for event in events {
            let decision = self.decide_one(&mut pending, event, next_seq);
            if decision == Decision::Record(next_seq) {
                next_seq = next_seq.saturating_add(1);
            }
            decisions.push(decision);
        }
        decisions
    }

    fn decide_one<'a>(
        &self,
        pending: &mut Pending<'a>,
        event: &'a NewEvent,
        next_seq: u64,
    ) -> Decision {
        let scope = self.scopes.get(&event.scope);
        if let Some(request) = event.request {
            let remembered = scope
                .and_then(|scope| scope.requests.get(request.key))
                .or_else(|| pending.requests.get(&(&event.scope, request.key)).copied());
            match remembered.filter(|first| first.is_kept_at(event.received)) {
                Some(first) if first.fingerprint == request.fingerprint => {
                    return Decision::Replay(first.seq);
                }
                Some(_) => return Decision::RequestMismatch,
                None => {}
            }
        }
        let identifier = (&event.scope, &event.customer, event.identifier.as_str());
        let recorded = self.seq_of(identifier.0, identifier.1, identifier.2).is_some();
        if recorded || pending.identifiers.contains(&identifier) {
            return Decision::DuplicateIdentifier;
        }
        let hour = hour_of(event.timestamp);
        let cell = (&event.scope, &event.customer, &event.meter, hour);
        let sum = pending.sums.get(&cell).copied().unwrap_or_else(|| {
            let hours = scope.and_then(|scope| scope.hours(&event.meter, &event.customer));
            hours.and_then(|hours| hours.get(&hour)).map_or(Decimal::ZERO, |cell| cell.total().sum)
        });
        let Ok(sum) = sum.checked_add(event.value) else {
            return Decision::Overflow;
        };
        pending.sums.insert(cell, sum);
        pending.identifiers.insert(identifier);
        if let Some(request) = event.request {
            let fingerprint = request.fingerprint;
            let remembered = Remembered { fingerprint, seq: next_seq, received: event.received };
            pending.requests.insert((&event.scope, request.key), remembered);
        }
        Decision::Record(next_seq)
    }

    /// Decides each order of a group, in order.
    pub(crate) fn decide_cancels<'a>(
        &self,
        cancels: impl Iterator<Item = &'a Cancel>,
    ) -> Vec<CancelDecision> {
        let mut pending = PendingCancels::default();
        cancels
            .map(|cancel| {
                self.decide_cancel(&mut pending, cancel)
                    .map_or_else(CancelDecision::Answer, CancelDecision::Record)
            })
            .collect()
    }

    /// The record that fulfils an order, or why there is none.
    fn decide_cancel<'a>(
        &self,
        pending: &mut PendingCancels<'a>,
        cancel: &'a Cancel,
    ) -> Result<CancelRecord, Cancelled> {
        let scope = self.scopes.get(&cancel.scope).ok_or(Cancelled::NotFound)?;
        let holder = scope.holder_to_cancel(cancel)?;
        let hour = hour_of(holder.timestamp);
        let cell = scope.series.get(&(holder.customer, holder.meter));
        let cell = cell.and_then(|hours| hours.get(&hour)).ok_or(Cancelled::NotFound)?;
        let event = cell.event(holder.seq).ok_or(Cancelled::NotFound)?;
        if cell.is_cancelled(event.seq) || pending.event_seqs.contains(&event.seq) {
            return Err(Cancelled::AlreadyCancelled);
        }
        if cancel.now.0.saturating_sub(holder.received.0) > cancel.window_s {
            return Err(Cancelled::TooOld);
        }
        let key = (&cancel.scope, holder.customer, holder.meter, hour);
        let sum = pending.sums.get(&key).copied().unwrap_or(cell.total().sum);
        let sum = sum.checked_sub(event.value).map_err(|_| Cancelled::Overflow)?;
        pending.sums.insert(key, sum);
        pending.event_seqs.insert(event.seq);
        Ok(CancelRecord {
            scope: cancel.scope.clone(),
            identifier: cancel.identifier.clone(),
            event_seq: event.seq,
            now: cancel.now,
        })
    }
}

impl ScopeState {
    /// The one event that the order means.
    fn holder_to_cancel(&self, cancel: &Cancel) -> Result<&Holder, Cancelled> {
        let event_name = self.event_names.get(&cancel.event_name).ok_or(Cancelled::NotFound)?;
        let customer = match &cancel.customer {
            Some(customer) => Some(self.customers.get(customer).ok_or(Cancelled::NotFound)?),
            None => None,
        };
        let holders = self.identifiers.get(cancel.identifier.as_str());
        let holders = holders.map_or(&[][..], |holders| holders.as_slice());
        let mut meant = holders.iter().filter(|holder| {
            holder.event_name == event_name
                && customer.is_none_or(|customer| holder.customer == customer)
        });
        let holder = meant.next().ok_or(Cancelled::NotFound)?;
        if meant.next().is_some() { Err(Cancelled::Ambiguous) } else { Ok(holder) }
    }
}
