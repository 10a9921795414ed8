//! What the log determines: names, totals, standings.
//!
//! Names and totals have a lock each. The commit thread enters a name when it decides that an event is to be
//! recorded, before anything is written, so that a second copy behind it is recognised; a total takes
//! an event in only when the event is durable.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use taximeter_kernel::aggregate::{Aggregation, Cell, Counted};

use crate::error::ReadError;
use crate::event::Standing;
use crate::index::{Index, Run};
use crate::memtable::Frozen;
use crate::memtable::names::Names;
use crate::memtable::postings::{Posting, counted};
use crate::memtable::totals::{Addition, Totals};
use crate::totals::keys::{ALL, RowHash, start_of};
use crate::totals::layers::{Layers, Needs, Recent, marks_in};

/// Something that cannot follow what went before. Only a damaged log or a bug brings it.
#[derive(Debug)]
pub(crate) enum ApplyError {
    Inconsistent(&'static str),
    Read(ReadError),
}

impl From<ReadError> for ApplyError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// The runs, what is being flushed, and what came in since.
#[derive(Debug)]
pub(crate) struct Published {
    /// The place of the last record that totals hold.
    pub(crate) seq: u64,
    pub(crate) active: Totals,
    pub(crate) active_first_seq: u64,
    pub(crate) frozen: Option<Arc<Frozen>>,
    pub(crate) runs: Arc<[Arc<Run>]>,
}

#[derive(Debug, Default)]
pub(crate) struct NameLayers {
    pub(crate) active: Names,
    pub(crate) frozen: Option<Arc<Names>>,
}

#[derive(Debug)]
pub(crate) struct State {
    published: RwLock<Published>,
    names: RwLock<NameLayers>,
    /// An emptied memtable, whose memory the next one takes over.
    spare: Mutex<Option<(Names, Totals)>>,
    pub(crate) index: Index,
}

/// An event whose standing changes.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) series: &'a [u8],
    /// Its dimension values as in keys; empty for none.
    pub(crate) dimensions: &'a [u8],
    pub(crate) aggregation: Aggregation,
    pub(crate) event: Counted,
}

impl State {
    pub(crate) fn new(index: Index) -> Self {
        let runs = index.runs();
        let seq = index.watermark();
        let published = Published {
            seq,
            active: Totals::default(),
            active_first_seq: seq.saturating_add(1),
            frozen: None,
            runs,
        };
        Self {
            published: RwLock::new(published),
            names: RwLock::default(),
            spare: Mutex::default(),
            index,
        }
    }

    /// Reserves room for that many events in the memtable, which is empty: growing step by step takes
    /// fresh memory several times.
    pub(crate) fn make_room(&self, events: usize) {
        self.with_names(|names| names.active = Names::with_capacity(events));
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        published.active = Totals::with_capacity(events);
    }

    pub(crate) fn published(&self) -> Result<RwLockReadGuard<'_, Published>, ReadError> {
        self.published.read().map_err(|_| ReadError::Stopped)
    }

    /// Changes what is published. A panic in between leaves the lock poisoned, and the shard stops.
    pub(crate) fn publish<T>(
        &self,
        change: impl FnOnce(&mut Published) -> Result<T, ApplyError>,
    ) -> Result<T, ApplyError> {
        let mut published = self.published.write().map_err(|_| ReadError::Stopped)?;
        change(&mut published)
    }

    pub(crate) fn names(&self) -> RwLockReadGuard<'_, NameLayers> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with_names<T>(&self, change: impl FnOnce(&mut NameLayers) -> T) -> T {
        change(&mut self.names.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts aside what came in so far, to be flushed; `false` when nothing came in. Only when
    /// nothing is aside.
    pub(crate) fn freeze(&self, capacity: usize) -> Result<bool, ApplyError> {
        {
            let published = self.published()?;
            if published.seq < published.active_first_seq {
                return Ok(false);
            }
        }
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (empty_names, empty_totals) = spare
            .unwrap_or_else(|| (Names::with_capacity(capacity), Totals::with_capacity(capacity)));
        let names = self.with_names(|names| {
            let active = std::mem::replace(&mut names.active, empty_names);
            let frozen = Arc::new(active);
            names.frozen = Some(Arc::clone(&frozen));
            frozen
        });
        self.publish(|published| {
            let totals = std::mem::replace(&mut published.active, empty_totals);
            let (first_seq, last_seq) = (published.active_first_seq, published.seq);
            published.frozen = Some(Arc::new(Frozen { first_seq, last_seq, names, totals }));
            published.active_first_seq = last_seq.saturating_add(1);
            Ok(true)
        })
    }

    /// Takes over the runs of the index as they are now, and drops what was flushed into them.
    pub(crate) fn take_runs(&self) -> Result<(), ApplyError> {
        let flushed = self.publish(|published| {
            published.runs = self.index.runs();
            let watermark = published.runs.last().map_or(0, |run| run.last_seq());
            Ok(published.frozen.take_if(|frozen| frozen.last_seq <= watermark))
        })?;
        if let Some(frozen) = flushed {
            self.with_names(|names| names.frozen = None);
            self.keep_spare(frozen);
        }
        Ok(())
    }

    /// Empties a memtable that was flushed for the next one, unless somebody still reads it: fresh
    /// memory costs more than what is written to it.
    fn keep_spare(&self, flushed: Arc<Frozen>) {
        let Some(Frozen { names, mut totals, .. }) = Arc::into_inner(flushed) else { return };
        let Some(mut names) = Arc::into_inner(names) else { return };
        names.clear();
        totals.clear();
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some((names, totals));
    }

    /// Copies what `needs` names of what is in memory, and answers from it and the runs.
    pub(crate) fn read<T>(
        &self,
        needs: &Needs,
        answer: impl FnOnce(&Layers<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let (runs, frozen, active) = {
            let published = self.published()?;
            let active = Recent::copy(&published.active, needs);
            (Arc::clone(&published.runs), published.frozen.clone(), active)
        };
        let older = frozen.map(|frozen| Recent::copy(&frozen.totals, needs)).unwrap_or_default();
        answer(&Layers { runs: &runs, recent: &[older, active] })
    }

    /// How the standing of an event changed, in order.
    pub(crate) fn marks(&self, event: u64) -> Result<Vec<(u64, Standing)>, ReadError> {
        let published = self.published()?;
        let runs = Arc::clone(&published.runs);
        let mut recent = Vec::new();
        if let Some(frozen) = &published.frozen {
            recent.extend_from_slice(frozen.totals.marks_of(event));
        }
        recent.extend_from_slice(published.active.marks_of(event));
        drop(published);
        let mut marks = marks_in(&runs, event)?;
        marks.extend(recent);
        Ok(marks)
    }

    pub(crate) fn standing(&self, event: u64) -> Result<Standing, ReadError> {
        Ok(self.marks(event)?.last().map_or(Standing::Counts, |(_, standing)| *standing))
    }
}

impl Published {
    /// Counts the next events.
    pub(crate) fn add(&mut self, additions: &[Addition<'_>]) -> Result<(), ApplyError> {
        self.count(additions)?;
        additions.iter().try_for_each(|addition| self.advance(addition.event.seq))
    }

    pub(crate) fn advance(&mut self, seq: u64) -> Result<(), ApplyError> {
        if seq != self.seq.saturating_add(1) {
            return Err(ApplyError::Inconsistent("record is out of order"));
        }
        self.seq = seq;
        Ok(())
    }

    pub(crate) fn count(&mut self, additions: &[Addition<'_>]) -> Result<(), ApplyError> {
        let overflow = |_| ApplyError::Inconsistent("an event that cannot be counted");
        self.active.add(additions).map_err(overflow)
    }

    /// Notes that an event stands otherwise from the record at `seq` on, and corrects the totals.
    pub(crate) fn change_standing(
        &mut self,
        target: &Target<'_>,
        seq: u64,
        standing: Standing,
    ) -> Result<(), ApplyError> {
        let hour = crate::totals::keys::hour_of(target.event.timestamp);
        let Target { series, dimensions, aggregation, event } = *target;
        let hash = RowHash::of(series, dimensions);
        let addition = Addition { series, dimensions, hash, hour, aggregation, event };
        let failed = |_| ApplyError::Inconsistent("totals that do not go together");
        self.active.make_whole(series).map_err(failed)?;
        self.active.mark(&addition, seq, standing).map_err(failed)?;
        let mut rows = vec![ALL];
        if !dimensions.is_empty() {
            rows.push(dimensions);
        }
        for row in rows {
            let recount = match standing {
                Standing::Counts => {
                    let overflow = |_| ApplyError::Inconsistent("an event that cannot be counted");
                    self.active.restore(row, &addition).map_err(overflow)?;
                    false
                }
                Standing::Cancelled | Standing::Amended => {
                    self.active.remove(row, &addition).map_err(failed)?
                }
            };
            if recount {
                let cell = self.recount(&addition, row)?;
                self.active.replace(row, &addition, cell).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The total of a row and hour, counted from its events.
    fn recount(&self, of: &Addition<'_>, row: &[u8]) -> Result<Cell, ApplyError> {
        let hours = of.hour..=of.hour;
        let needs = Needs {
            series: of.series.to_vec(),
            cells: None,
            by_values: false,
            postings: vec![hours.clone()],
        };
        let frozen = self.frozen.as_ref().map(|frozen| Recent::copy(&frozen.totals, &needs));
        let recent = [frozen.unwrap_or_default(), Recent::copy(&self.active, &needs)];
        let layers = Layers { runs: &self.runs, recent: &recent };
        let mut events = std::collections::BTreeMap::new();
        let mut out = std::collections::BTreeSet::new();
        layers.postings(of.series, &hours, &mut |hour, dimensions, posting| {
            match posting {
                Posting::Event { seq, second, measure } if row == ALL || row == dimensions => {
                    events.insert(seq, counted(start_of(hour), seq, second, measure));
                }
                Posting::Mark { event, standing: Standing::Counts, .. } => {
                    out.remove(&event);
                }
                Posting::Mark { event, .. } => {
                    out.insert(event);
                }
                Posting::Event { .. } => {}
            }
            Ok(())
        })?;
        let mut cell = Cell::empty(of.aggregation);
        for (_, event) in events.iter().filter(|(seq, _)| !out.contains(seq)) {
            let overflow = |_| ApplyError::Inconsistent("an event that cannot be counted");
            cell.add(event).map_err(overflow)?;
        }
        Ok(cell)
    }
}
