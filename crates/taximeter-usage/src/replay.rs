//! Applying the records of the log again, at start.

use taximeter_kernel::aggregate::{Aggregation, Counted};
use taximeter_kernel::id::{Id, Scope};
use taximeter_kernel::time::Timestamp;

use crate::background::Work;
use crate::correct::Correct;
use crate::error::ReadError;
use crate::event::{Event, Standing};
use crate::memtable::totals::Addition;
use crate::record::{EventView, Record, View};
use crate::state::ApplyError;
use crate::totals::keys::{RowHash, hour_of, put_customer, put_dimensions, put_meter};
use crate::totals::rows::{name_hash, request_hash, scope_hash};

/// Applies record after record.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    pub(crate) work: &'a Work,
    /// Used again for each event.
    pub(crate) key: Vec<u8>,
    /// The account and mode of the event before, and what hashes of its names begin with.
    pub(crate) scope: Option<(Scope, u64)>,
}

/// Looking whether a flush is due takes locks.
const DUE_LOOKED_AT_EVERY: u64 = 64;
const UNREADABLE: ApplyError = ApplyError::Inconsistent("record is unreadable");

impl Replay<'_> {
    pub(crate) fn apply(&mut self, seq: u64, view: &View<'_>) -> Result<(), ApplyError> {
        match view {
            View::Event(event) => self.apply_event(seq, event)?,
            View::Standing { .. } | View::Amended { .. } => self.apply_correction(seq, view)?,
        }
        // Much to apply is written to the index on the way, as when it came in.
        let Work { background, state, .. } = self.work;
        if seq.is_multiple_of(DUE_LOOKED_AT_EVERY)
            && background.is_due(state)?
            && state.freeze(background.capacity(state))?
        {
            self.work.flush().map_err(ReadError::from)?;
        }
        Ok(())
    }

    fn apply_correction(&mut self, seq: u64, view: &View<'_>) -> Result<(), ApplyError> {
        match Record::of(seq, view).map_err(|_| UNREADABLE)? {
            Record::Event(_) => Err(UNREADABLE),
            Record::Standing { standing, event, .. } => {
                let correct = Correct { event: &event, standing, amended: None };
                self.work.state.publish(|published| correct.to(published, seq))
            }
            Record::Amended { event_seq, was, event } => {
                let old = Event {
                    seq: event_seq,
                    timestamp: Timestamp(was.timestamp),
                    measure: was.measure,
                    dimensions: was.dimensions,
                    ..event.clone()
                };
                let scope = scope_hash(&event.scope);
                let name = name_hash(scope, event.customer.as_str(), &event.identifier);
                self.work.state.with_names(|names| names.active.insert(name, seq));
                let standing = Standing::Amended;
                let correct = Correct { event: &old, standing, amended: Some(&event) };
                self.work.state.publish(|published| correct.to(published, seq))
            }
        }
    }

    fn apply_event(&mut self, seq: u64, event: &EventView<'_>) -> Result<(), ApplyError> {
        let scope = self.scope_hash(event)?;
        let identifier = event.identifier.to_string();
        let name = name_hash(scope, event.customer, &identifier);
        self.work.state.with_names(|names| {
            names.active.insert(name, seq);
            if let Some(request) = event.request {
                names.active.insert(request_hash(scope, request.key), seq);
            }
        });
        let aggregation = Aggregation::from_bytes(event.aggregation).ok_or(UNREADABLE)?;
        let timestamp = Timestamp(event.timestamp);
        let key = &mut self.key;
        key.clear();
        put_customer(key, event.account, event.mode, event.customer);
        put_meter(key, event.meter);
        let series_end = key.len();
        put_dimensions(key, event.dimensions.iter().copied());
        let (series, dimensions) = key.split_at_checked(series_end).ok_or(UNREADABLE)?;
        self.work.state.publish(|published| {
            published.add(&[Addition {
                series,
                dimensions,
                hash: RowHash::of(series, dimensions),
                hour: hour_of(timestamp),
                aggregation,
                event: Counted { seq, timestamp, measure: event.measure },
            }])
        })
    }

    fn scope_hash(&mut self, event: &EventView<'_>) -> Result<u64, ApplyError> {
        if let Some((scope, hash)) = &self.scope
            && scope.mode == event.mode
            && scope.account.as_str() == event.account
        {
            return Ok(*hash);
        }
        let account = Id::parse(event.account).map_err(|_| UNREADABLE)?;
        let scope = Scope { account, mode: event.mode };
        let hash = scope_hash(&scope);
        self.scope = Some((scope, hash));
        Ok(hash)
    }
}
