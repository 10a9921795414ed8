//! Deciding what becomes of the events of a group, before anything is written.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::batch::{Batch, Meta};
use crate::error::ReadError;
use crate::event::{Event, REQUEST_KEY_KEPT_S, RequestKey};
use crate::index::Run;
use crate::log::LogReader;
use crate::lookup::candidates;
use crate::queue::AppendJob;
use crate::state::{NameLayers, State};
use crate::totals::keys::put_customer;
use crate::totals::layers::Needs;

/// The most dimension values that are remembered of series seen lately.
const KNOWN_VALUES_MAX: usize = 2_000_000;

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

/// Which dimension values the series seen lately have, by hashes, so that they are read once.
#[derive(Debug, Default)]
pub(crate) struct KnownValues {
    /// How many a series has.
    counts: HashMap<u64, usize>,
    /// Of a series together with its values.
    values: HashSet<u64>,
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

impl Decider<'_> {
    /// Enters the names of what is to be recorded.
    pub(crate) fn decide(&mut self) -> Result<Vec<Verdict>, ReadError> {
        let (state, jobs) = (self.state, self.jobs);
        let mut verdicts = Vec::with_capacity(jobs.iter().map(|job| job.batch.len()).sum());
        state.with_names(|names| {
            // Asked for behind the lock of the names, the runs hold all that left them: a flush adds
            // its run first, and only then takes the lock to drop what it wrote.
            self.runs = state.index.runs();
            for (job_no, job) in jobs.iter().enumerate() {
                for (event_no, event) in job.batch.events.iter().enumerate() {
                    let verdict = self.decide_one(names, &job.batch, event)?;
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

    fn next_seq(&self) -> u64 {
        let recorded = u64::try_from(self.recorded.len()).unwrap_or(u64::MAX);
        self.first_seq.saturating_add(recorded)
    }

    fn decide_one(
        &mut self,
        names: &NameLayers,
        batch: &Batch,
        event: &Meta,
    ) -> Result<Verdict, ReadError> {
        if let Some((hash, request)) = event.request
            && let Some(verdict) = self.of_request(names, batch, hash, request)?
        {
            return Ok(verdict);
        }
        let mut holder = None;
        for seq in candidates(names, &self.runs, event.name)? {
            if self.is_same_name(batch, event, seq)? {
                // The latest version of it.
                holder = holder.max(Some(seq));
            }
        }
        if let Some(seq) = holder {
            return Ok(Verdict::Duplicate(seq));
        }
        if !self.has_room(batch, event)? {
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
        let dimensions = batch.dimensions(event);
        if dimensions.is_empty() {
            return Ok(true);
        }
        self.known.has_room(self.state, batch.series(event), dimensions, self.series_max)
    }
}

impl KnownValues {
    /// Forgets when it is too much. Not within a group, whose values are nowhere else yet.
    pub(crate) fn trim(&mut self) {
        if self.values.len().saturating_add(self.counts.len()) > KNOWN_VALUES_MAX {
            *self = Self::default();
        }
    }

    /// Whether the series has the values already or may have more; it has them from then on.
    pub(crate) fn has_room(
        &mut self,
        state: &State,
        series: &[u8],
        dimensions: &[u8],
        max: usize,
    ) -> Result<bool, ReadError> {
        let of_series = xxh3_64(series);
        let together = |values: &[u8]| xxh3_64_with_seed(values, of_series);
        let new = together(dimensions);
        if self.values.contains(&new) {
            return Ok(true);
        }
        if !self.counts.contains_key(&of_series) {
            let needs = Needs {
                series: series.to_vec(),
                cells: None,
                by_values: true,
                postings: Vec::new(),
            };
            let values = state.read(&needs, |layers| layers.values(series))?;
            self.counts.insert(of_series, values.len());
            self.values.extend(values.iter().map(|values| together(values)));
            if self.values.contains(&new) {
                return Ok(true);
            }
        }
        let Some(count) = self.counts.get_mut(&of_series) else { return Ok(true) };
        if *count >= max {
            return Ok(false);
        }
        *count = count.saturating_add(1);
        self.values.insert(new);
        Ok(true)
    }
}
