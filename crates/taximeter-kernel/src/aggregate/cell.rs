//! What the events of one hour amount to.

use super::{Aggregation, CellError, Counted, Formula, Measure, WideSum};
use crate::decimal::{Decimal, DecimalError};
use crate::time::HOUR_S;

/// What the events of one series in one UTC hour amount to, for one aggregation.
///
/// Merging is commutative and associative. A cell may be a *change* to be merged with the cell that
/// it changes; its count may then be negative. The values 2 and 5 give a sum cell of count 2 and
/// sum 7; the change that takes the 2 out again has count -1 and sum -2; together: count 1, sum 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// For `sum` and `average`.
    Sum {
        /// How many events.
        count: i64,
        /// Their sum.
        sum: WideSum,
    },
    /// For `count`, and for what is made from the events: `unique_count` and `percentile`.
    Count {
        /// How many events.
        count: i64,
    },
    /// For `last`.
    Last {
        /// How many events.
        count: i64,
        /// The one with the greatest timestamp, among equals the one that arrived last.
        last: Option<Counted>,
    },
    /// For `max`.
    Max {
        /// How many events.
        count: i64,
        /// The greatest value.
        value: Option<Decimal>,
    },
    /// For `min`.
    Min {
        /// How many events.
        count: i64,
        /// The smallest value.
        value: Option<Decimal>,
    },
    /// For `weighted_sum`.
    Weighted {
        /// How many events.
        count: i64,
        /// The sum of the changes.
        sum: WideSum,
        /// The sum of each change times the seconds from the start of the hour to its timestamp.
        moment: WideSum,
    },
    /// For every formula over the survivors of a window.
    Survivor {
        /// The event that arrived last.
        latest: Option<Counted>,
    },
}

/// What became of an event that was to be taken out of a [`Cell`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Removal {
    /// It is out.
    Done,
    /// The cell is unchanged: it may be the event that the cell holds, and the cell does not know
    /// the next one. It must be counted anew from its events.
    Recount,
}

impl Cell {
    /// The cell of no events.
    #[must_use]
    pub const fn empty(aggregation: Aggregation) -> Self {
        if aggregation.window.is_some() {
            return Self::Survivor { latest: None };
        }
        match aggregation.formula {
            Formula::Sum | Formula::Average => Self::Sum { count: 0, sum: WideSum::ZERO },
            Formula::Count | Formula::UniqueCount | Formula::Percentile(_) => {
                Self::Count { count: 0 }
            }
            Formula::Last => Self::Last { count: 0, last: None },
            Formula::Max => Self::Max { count: 0, value: None },
            Formula::Min => Self::Min { count: 0, value: None },
            Formula::WeightedSum => {
                Self::Weighted { count: 0, sum: WideSum::ZERO, moment: WideSum::ZERO }
            }
        }
    }

    /// How many events the cell counts: below 0 when it only takes some out. A [`Self::Survivor`] is
    /// one or none, however many it survived.
    #[must_use]
    pub fn count(&self) -> i64 {
        match *self {
            Self::Sum { count, .. }
            | Self::Count { count }
            | Self::Last { count, .. }
            | Self::Max { count, .. }
            | Self::Min { count, .. }
            | Self::Weighted { count, .. } => count,
            Self::Survivor { latest } => i64::from(latest.is_some()),
        }
    }

    /// Counts one event of the cell's hour.
    ///
    /// # Errors
    /// [`DecimalError::Syntax`] when it measured no number and the formula needs one,
    /// [`DecimalError::Overflow`] when not even a [`WideSum`] holds the sum; the cell is then
    /// unchanged.
    pub fn add(&mut self, event: &Counted) -> Result<(), DecimalError> {
        match self {
            Self::Sum { count, sum } => {
                let added = sum.checked_add(event.number()?.into())?;
                *count = plus(*count, 1)?;
                *sum = added;
            }
            Self::Count { count } => *count = plus(*count, 1)?,
            Self::Last { count, last } => {
                *count = plus(*count, 1)?;
                keep_later(last, event);
            }
            Self::Max { count, value } => {
                let number = event.number()?;
                *count = plus(*count, 1)?;
                *value = Some(value.map_or(number, |value| value.max(number)));
            }
            Self::Min { count, value } => {
                let number = event.number()?;
                *count = plus(*count, 1)?;
                *value = Some(value.map_or(number, |value| value.min(number)));
            }
            Self::Weighted { count, sum, moment } => {
                let (change, its_moment) = weighted(event)?;
                let added = (sum.checked_add(change)?, moment.checked_add(its_moment)?);
                *count = plus(*count, 1)?;
                (*sum, *moment) = added;
            }
            Self::Survivor { latest } => keep_arrived_later(latest, event),
        }
        Ok(())
    }

    /// Counts the events of another cell of the same hour, which must not be counted already.
    ///
    /// # Errors
    /// [`CellError::Kind`] when the two are for different formulas, [`CellError::Number`] when not
    /// even a [`WideSum`] holds the sum; the cell is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), CellError> {
        match (self, other) {
            (Self::Sum { count, sum }, Self::Sum { count: more, sum: term }) => {
                let added = sum.checked_add(*term)?;
                *count = plus(*count, *more)?;
                *sum = added;
            }
            (Self::Count { count }, Self::Count { count: more }) => *count = plus(*count, *more)?,
            (Self::Last { count, last }, Self::Last { count: more, last: other }) => {
                *count = plus(*count, *more)?;
                other.iter().for_each(|other| keep_later(last, other));
            }
            (Self::Max { count, value }, Self::Max { count: more, value: other }) => {
                *count = plus(*count, *more)?;
                // Nothing is less than something.
                *value = (*value).max(*other);
            }
            (Self::Min { count, value }, Self::Min { count: more, value: other }) => {
                *count = plus(*count, *more)?;
                *value = value.iter().chain(other).min().copied();
            }
            (
                Self::Weighted { count, sum, moment },
                Self::Weighted { count: more, sum: term, moment: its_moment },
            ) => {
                let added = (sum.checked_add(*term)?, moment.checked_add(*its_moment)?);
                *count = plus(*count, *more)?;
                (*sum, *moment) = added;
            }
            (Self::Survivor { latest }, Self::Survivor { latest: other }) => {
                other.iter().for_each(|other| keep_arrived_later(latest, other));
            }
            (
                Self::Sum { .. }
                | Self::Count { .. }
                | Self::Last { .. }
                | Self::Max { .. }
                | Self::Min { .. }
                | Self::Weighted { .. }
                | Self::Survivor { .. },
                _,
            ) => return Err(CellError::Kind),
        }
        Ok(())
    }

    /// Takes out an event that is counted in this cell, or in the cell that this change is to be
    /// merged with: an empty sum cell becomes count -1, sum -v. Where a change of a `last`, `max`,
    /// `min` or survivor cell has taken an event out, counting anew means the whole hour: the cell
    /// that the change is to be merged with may hold what was taken out.
    pub fn remove(&mut self, event: &Counted) -> Removal {
        match self.without(event) {
            Some(cell) => {
                *self = cell;
                Removal::Done
            }
            None => Removal::Recount,
        }
    }

    /// The cell without the event; nothing when it must be counted anew.
    fn without(&self, event: &Counted) -> Option<Self> {
        let less = |count: i64| count.checked_sub(1);
        Some(match *self {
            Self::Sum { count, sum } => {
                let sum = sum.checked_sub(event.number().ok()?.into()).ok()?;
                Self::Sum { count: less(count)?, sum }
            }
            Self::Count { count } => Self::Count { count: less(count)? },
            Self::Last { count, last } => {
                let held = last?;
                let below = (event.timestamp, event.seq) < (held.timestamp, held.seq);
                below.then_some(Self::Last { count: less(count)?, last })?
            }
            Self::Max { count, value } => {
                let below = event.number().ok()? < value?;
                below.then_some(Self::Max { count: less(count)?, value })?
            }
            Self::Min { count, value } => {
                let above = event.number().ok()? > value?;
                above.then_some(Self::Min { count: less(count)?, value })?
            }
            Self::Weighted { count, sum, moment } => {
                let (change, its_moment) = weighted(event).ok()?;
                Self::Weighted {
                    count: less(count)?,
                    sum: sum.checked_sub(change).ok()?,
                    moment: moment.checked_sub(its_moment).ok()?,
                }
            }
            Self::Survivor { latest } => {
                (event.seq < latest?.seq).then_some(Self::Survivor { latest })?
            }
        })
    }
}

impl Counted {
    /// What was measured, when it is a number.
    ///
    /// # Errors
    /// [`DecimalError::Syntax`] when it is a member.
    pub(super) const fn number(&self) -> Result<Decimal, DecimalError> {
        match self.measure {
            Measure::Number(number) => Ok(number),
            Measure::Member(_) => Err(DecimalError::Syntax),
        }
    }
}

fn plus(count: i64, more: i64) -> Result<i64, DecimalError> {
    count.checked_add(more).ok_or(DecimalError::Overflow)
}

/// A change of the level, and the same times the seconds from the start of its hour: 5 at 0:10 is
/// 5 and 3,000.
fn weighted(event: &Counted) -> Result<(WideSum, WideSum), DecimalError> {
    let change = WideSum::from(event.number()?);
    let into_hour = event.timestamp.0.checked_rem_euclid(HOUR_S).unwrap_or(0);
    Ok((change, change.checked_mul(into_hour)?))
}

fn keep_later(last: &mut Option<Counted>, event: &Counted) {
    if last.is_none_or(|last| (last.timestamp, last.seq) < (event.timestamp, event.seq)) {
        *last = Some(*event);
    }
}

fn keep_arrived_later(latest: &mut Option<Counted>, event: &Counted) {
    if latest.is_none_or(|latest| latest.seq < event.seq) {
        *latest = Some(*event);
    }
}
