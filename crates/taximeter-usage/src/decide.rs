//! Deciding what becomes of the events of a group, before anything is written.

use std::sync::Arc;

use crate::batch::{Batch, Meta};
use crate::error::ReadError;
use crate::event::{Event, REQUEST_KEY_KEPT_S, RequestKey};
use crate::index::Run;
use crate::known::KnownValues;
use crate::log::LogReader;
use crate::lookup::candidates;
use crate::queue::AppendJob;
use crate::state::{NameLayers, State};
use crate::totals::keys::put_customer;

/// What is to become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Record it at this place in the order.
    Record(u64),
    /// Answer with the event at this place.
    Replay(u64),
    RequestMismatch,
    Duplicate(u64),
    TooManySeries,
}

/// Decides a group.
#[derive(Debug)]
pub(crate) struct Decider<'a> {
    pub(crate) state: &'a State,
    pub(crate) log: &'a LogReader,
    pub(crate) runs: Arc<[Arc<Run>]>,
    pub(crate) jobs: &'a [AppendJob],
    pub(crate) series_max: usize,
    pub(crate) known: &'a mut KnownValues,
    /// The place that the first recorded event of the group takes.
    pub(crate) first_seq: u64,
    /// Job and event of each that is to be recorded.
    pub(crate) recorded: Vec<(usize, usize)>,
}

/// What is known of an event of the group before the events before it are decided.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Its name may be in what is being flushed or in a run.
    may_be_older: bool,
    /// Its customer has its combination of dimension values.
    has_values: bool,
}

impl Decider<'_> {
    /// Enters the names of what is to be recorded.
    pub(crate) fn decide(&mut self) -> Result<Vec<Verdict>, ReadError> {
        let (state, jobs) = (self.state, self.jobs);
        let mut verdicts = Vec::with_capacity(jobs.iter().map(|job| job.batch.len()).sum());
        state.with_names(|names| {
            // Asked for behind the lock of the names, the runs hold all that left them: a flush adds
            // its run first, and only then takes the lock to drop what it wrote.
            self.runs = state.index.runs();
            let mut known = self.known(names).into_iter();
            for (job_no, job) in jobs.iter().enumerate() {
                for (event_no, event) in job.batch.events.iter().enumerate() {
                    let known = known.next().unwrap_or_default();
                    let verdict = self.decide_one(names, &job.batch, event, known)?;
                    if let Verdict::Record(seq) = verdict {
                        names.active.insert(event.name, seq);
                        if let Some((hash, _)) = event.request {
                            names.active.insert(hash, seq);
                        }
                        self.recorded.push((job_no, event_no));
                    }
                    verdicts.push(verdict);
                }
            }
            Ok(verdicts)
        })
    }

    /// What is known of each event. What this looks at is seldom in the processor's caches, and in a
    /// loop that does nothing else it waits for several events at once.
    fn known(&self, names: &NameLayers) -> Vec<Known> {
        let events = || self.jobs.iter().flat_map(|job| &job.batch.events);
        let older = |event: &Meta| {
            let name = event.name;
            names.frozen.as_ref().is_some_and(|frozen| frozen.may_hold(name))
        };
        let mut known: Vec<Known> = events()
            .map(|event| Known { may_be_older: older(event), has_values: event.has_no_values() })
            .collect();
        for run in self.runs.iter() {
            for (known, event) in known.iter_mut().zip(events()) {
                known.may_be_older |= run.may_hold(event.name);
            }
        }
        for (known, event) in known.iter_mut().zip(events()) {
            known.has_values = known.has_values || self.known.has(event.hash);
        }
        known
    }

    fn next_seq(&self) -> u64 {
        let recorded = u64::try_from(self.recorded.len()).unwrap_or(u64::MAX);
        self.first_seq.saturating_add(recorded)
    }

    fn decide_one(
        &mut self,
        names: &NameLayers,
        batch: &Batch,
        event: &Meta,
        known: Known,
    ) -> Result<Verdict, ReadError> {
        if let Some((hash, request)) = event.request
            && let Some(verdict) = self.of_request(names, batch, hash, request)?
        {
            return Ok(verdict);
        }
        let mut holder = None;
        let seqs = if known.may_be_older {
            candidates(names, &self.runs, event.name)?
        } else {
            names.active.get(event.name).collect()
        };
        for seq in seqs {
            if self.is_same_name(batch, event, seq)? {
                // The latest version of it.
                holder = holder.max(Some(seq));
            }
        }
        if let Some(seq) = holder {
            return Ok(Verdict::Duplicate(seq));
        }
        if !known.has_values && !self.has_room(batch, event)? {
            return Ok(Verdict::TooManySeries);
        }
        Ok(Verdict::Record(self.next_seq()))
    }

    /// What an earlier attempt of the request decides.
    fn of_request(
        &self,
        names: &NameLayers,
        batch: &Batch,
        hash: u64,
        request: RequestKey,
    ) -> Result<Option<Verdict>, ReadError> {
        let mut latest: Option<(u64, RequestKey)> = None;
        for seq in candidates(names, &self.runs, hash)? {
            let first = self.request_at(batch, seq)?;
            let Some((key, received)) = first else { continue };
            let age_s = batch.received.0.saturating_sub(received);
            let newer = latest.is_none_or(|(other, _)| seq > other);
            if key.key == request.key && age_s <= REQUEST_KEY_KEPT_S && newer {
                latest = Some((seq, key));
            }
        }
        Ok(latest.map(|(seq, first)| {
            if first.fingerprint == request.fingerprint {
                Verdict::Replay(seq)
            } else {
                Verdict::RequestMismatch
            }
        }))
    }

    /// The request that brought the event at `seq`, when it is of the same account and mode, and
    /// when it was received.
    fn request_at(&self, batch: &Batch, seq: u64) -> Result<Option<(RequestKey, i64)>, ReadError> {
        if let Some((other, event)) = self.pending(seq) {
            let request = event.request.filter(|_| other.scope == batch.scope);
            return Ok(request.map(|(_, key)| (key, other.received.0)));
        }
        let event = self.recorded_event(seq)?.filter(|event| event.scope == batch.scope);
        Ok(event.and_then(|event| event.request.map(|key| (key, event.received.0))))
    }

    /// Whether the event at `seq`, whose name has the same hash, has the same name.
    fn is_same_name(&self, batch: &Batch, event: &Meta, seq: u64) -> Result<bool, ReadError> {
        let identity = batch.identity(event);
        Ok(match self.pending(seq) {
            Some((other, pending)) => other.identity(pending) == identity,
            None => self.recorded_event(seq)?.is_some_and(|recorded| {
                let mut customer = Vec::with_capacity(64);
                let account = recorded.scope.account.as_str();
                let mode = recorded.scope.mode;
                put_customer(&mut customer, account, mode, recorded.customer.as_str());
                (customer.as_slice(), recorded.identifier.as_bytes()) == identity
            }),
        })
    }

    /// The event of the group that takes the place `seq`.
    fn pending(&self, seq: u64) -> Option<(&Batch, &Meta)> {
        let at = usize::try_from(seq.checked_sub(self.first_seq)?).ok()?;
        let (job, event) = *self.recorded.get(at)?;
        let batch = &self.jobs.get(job)?.batch;
        Some((batch, batch.events.get(event)?))
    }

    /// The event at `seq`; `None` when it was deleted since, and its name is free.
    fn recorded_event(&self, seq: u64) -> Result<Option<Event>, ReadError> {
        if seq < self.log.first_seq() { Ok(None) } else { self.log.event(seq) }
    }

    /// Whether the customer may have the event's combination of dimension values.
    fn has_room(&mut self, batch: &Batch, event: &Meta) -> Result<bool, ReadError> {
        self.known.has_room(self.state, batch.series(event), event.hash, self.series_max)
    }
}
