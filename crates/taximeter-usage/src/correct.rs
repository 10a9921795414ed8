//! Committing corrections.

use std::collections::BTreeSet;

use crate::commit::{Committer, StopError};
use crate::error::ReadError;
use crate::event::{Action, Amendment, Corrected, Correction, Event, Series, Standing};
use crate::lookup::by_identifier;
use crate::memtable::totals::Addition;
use crate::queue::CorrectJob;
use crate::record::{ChunkEncoder, Was, record_of};
use crate::state::{ApplyError, Published, Target};
use crate::totals::keys::{RowHash, hour_of, put_dimensions, series_key};
use crate::totals::rows::{name_hash, scope_hash};

/// A correction that is to be recorded.
#[derive(Debug)]
struct Change {
    /// The event as it was, with the time of the order as its `received`.
    event: Event,
    standing: Standing,
    /// The version that takes its place.
    amended: Option<Event>,
}

impl Committer {
    pub(crate) fn commit_corrections(&mut self, jobs: Vec<CorrectJob>) -> Result<(), StopError> {
        for job in jobs {
            let mut outcomes = vec![Corrected::NotFound; job.corrections.len()];
            let mut changes: Vec<(usize, Change)> = Vec::new();
            let mut touched: BTreeSet<&str> = BTreeSet::new();
            self.known.begin_group();
            for (at, order) in job.corrections.iter().enumerate() {
                // What an order finds must not depend on what is not written yet.
                if !touched.insert(&order.identifier) {
                    self.commit_changes(&mut changes, &mut outcomes)?;
                    touched = BTreeSet::from([order.identifier.as_str()]);
                }
                match self.decide_correction(order)? {
                    Ok(change) => changes.push((at, change)),
                    Err(outcome) => set(&mut outcomes, at, outcome),
                }
            }
            self.commit_changes(&mut changes, &mut outcomes)?;
            job.answer.send(outcomes).ok();
        }
        Ok(())
    }

    fn decide_correction(
        &mut self,
        order: &Correction,
    ) -> Result<Result<Change, Corrected>, ReadError> {
        let customer = order.customer.as_ref();
        let found =
            by_identifier(&self.state, &self.reader, &order.scope, customer, &order.identifier)?;
        let mut found = found.into_iter().filter(|event| event.event_name == order.event_name);
        let Some(event) = found.next() else { return Ok(Err(Corrected::NotFound)) };
        if found.next().is_some() {
            return Ok(Err(Corrected::Ambiguous));
        }
        let does_something = match (&order.action, event.standing) {
            (Action::Cancel | Action::Amend(_), standing) => standing == Standing::Counts,
            (Action::Restore, standing) => standing == Standing::Cancelled,
        };
        // Before its age: an order that comes again is answered as before, however late.
        if !does_something {
            return Ok(Err(Corrected::NothingToDo));
        }
        let age_s = order.now.0.saturating_sub(event.received.0);
        if order.window_s.is_some_and(|window_s| age_s > window_s) {
            return Ok(Err(Corrected::TooOld));
        }
        let (standing, amended) = match &order.action {
            Action::Cancel => (Standing::Cancelled, None),
            Action::Restore => (Standing::Counts, None),
            Action::Amend(amendment) => {
                let Some(amended) = self.amended(&event, amendment)? else {
                    return Ok(Err(Corrected::TooManySeries));
                };
                (Standing::Amended, Some(amended))
            }
        };
        let event = Event { received: order.now, ..event };
        Ok(Ok(Change { event, standing, amended }))
    }

    /// The next version of an event; `None` when its dimension values are too many.
    fn amended(
        &mut self,
        event: &Event,
        amendment: &Amendment,
    ) -> Result<Option<Event>, ReadError> {
        let Amendment { timestamp, measure, dimensions, payload } = amendment;
        let (series, values) = keys(event, dimensions);
        if !values.is_empty()
            && !self.known.has_room(
                &self.state,
                &series,
                RowHash::of(&series, &values),
                self.series_max,
            )?
        {
            return Ok(None);
        }
        Ok(Some(Event {
            timestamp: *timestamp,
            measure: *measure,
            dimensions: dimensions.clone(),
            payload: payload.clone(),
            ..event.clone()
        }))
    }

    fn commit_changes(
        &mut self,
        changes: &mut Vec<(usize, Change)>,
        outcomes: &mut [Corrected],
    ) -> Result<(), StopError> {
        let mut waiting = std::mem::take(changes).into_iter().peekable();
        while waiting.peek().is_some() {
            let mut encoder = ChunkEncoder::new();
            let mut written = Vec::new();
            while let Some((at, change)) = waiting.next_if(|_| encoder.bytes() < FRAME_BYTES) {
                let Change { event, standing, amended } = &change;
                match amended {
                    None => encoder.push_standing(*standing, event.seq, &record_of(event)),
                    Some(amended) => {
                        encoder.push_amended(event.seq, &was(event), &record_of(amended));
                    }
                }
                written.push((at, change));
            }
            let mut seq = self.log.next_seq();
            self.frame.clear();
            self.frame.push(&encoder.finish());
            if self.log.append(&mut self.frame)? {
                self.background.tidy();
            }
            for (at, change) in written {
                self.publish_change(&change, seq)?;
                set(outcomes, at, Corrected::Done(seq));
                seq = seq.saturating_add(1);
            }
        }
        Ok(())
    }

    fn publish_change(&self, change: &Change, seq: u64) -> Result<(), StopError> {
        let Change { event, standing, amended } = change;
        if let Some(amended) = amended {
            let scope = scope_hash(&amended.scope);
            let name = name_hash(scope, amended.customer.as_str(), &amended.identifier);
            self.state.with_names(|names| names.active.insert(name, seq));
        }
        let apply = Correct { event, standing: *standing, amended: amended.as_ref() };
        Ok(self.state.publish(|published| apply.to(published, seq))?)
    }
}

/// A correction being applied, when it is committed and when it is read again at start.
#[derive(Debug)]
pub(crate) struct Correct<'a> {
    /// The event as it counted, with its own place.
    pub(crate) event: &'a Event,
    pub(crate) standing: Standing,
    pub(crate) amended: Option<&'a Event>,
}

impl Correct<'_> {
    pub(crate) fn to(&self, published: &mut Published, seq: u64) -> Result<(), ApplyError> {
        published.advance(seq)?;
        let event = self.event;
        let (series, dimensions) = keys(event, &event.dimensions);
        let target = Target {
            series: &series,
            dimensions: &dimensions,
            aggregation: event.aggregation,
            event: counted(event, event.seq),
        };
        published.change_standing(&target, seq, self.standing)?;
        let Some(amended) = self.amended else { return Ok(()) };
        let (series, dimensions) = keys(amended, &amended.dimensions);
        published.count(&[Addition {
            series: &series,
            dimensions: &dimensions,
            hash: RowHash::of(&series, &dimensions),
            hour: hour_of(amended.timestamp),
            aggregation: amended.aggregation,
            event: counted(amended, seq),
        }])
    }
}

fn was(event: &Event) -> Was<String> {
    let Event { timestamp, measure, .. } = *event;
    Was { timestamp: timestamp.0, measure, dimensions: event.dimensions.clone() }
}

/// How many bytes of corrections are written at once.
const FRAME_BYTES: usize = 1_024 * 1_024;

fn set(outcomes: &mut [Corrected], at: usize, outcome: Corrected) {
    if let Some(place) = outcomes.get_mut(at) {
        *place = outcome;
    }
}

fn counted(event: &Event, seq: u64) -> taximeter_kernel::aggregate::Counted {
    let Event { timestamp, measure, .. } = *event;
    taximeter_kernel::aggregate::Counted { seq, timestamp, measure }
}

/// The key of the event's series, and of these dimension values.
fn keys(event: &Event, dimensions: &[String]) -> (Vec<u8>, Vec<u8>) {
    let series = series_key(&Series {
        scope: event.scope.clone(),
        meter: event.meter.clone(),
        customer: event.customer.clone(),
    });
    let mut values = Vec::new();
    put_dimensions(&mut values, dimensions.iter().map(String::as_str));
    (series, values)
}
