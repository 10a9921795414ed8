//! One period's quantity, out of cells and events.

use super::percentile::Values;
use super::{
    Aggregation, Cell, CellError, Counted, Formula, Measure, QUOTIENT_DECIMALS, Usage, WideSum,
};
use crate::decimal::{Decimal, DecimalError};
use crate::time::{HOUR_S, Period, Timestamp};

/// One output period of one query: give it what happened in the period, as whole hours' cells or as
/// events, each once and in any order, and it gives the quantity.
///
/// With a window it takes only events, which are the survivors already.
#[derive(Debug, Clone)]
pub struct Tally {
    aggregation: Aggregation,
    period: Period,
    events: i128,
    kept: Kept,
}

/// What a formula needs to keep.
#[derive(Debug, Clone)]
enum Kept {
    /// The merge of all.
    Cell(Cell),
    /// The changes of the level × the seconds from each to the end of the period.
    Area(WideSum),
    Members(Members),
    Values(Values),
}

/// Distinct measures. Both lists are kept in order and distinct up to `settled` and are put in
/// order anew whenever they have doubled: 16 bytes a member at rest, and no hashing.
#[derive(Debug, Clone, Default)]
struct Members {
    hashes: Vec<u128>,
    numbers: Vec<Decimal>,
    settled: usize,
}

impl Members {
    fn add(&mut self, measure: Measure) {
        match measure {
            Measure::Member(hash) => self.hashes.push(hash),
            Measure::Number(number) => self.numbers.push(number),
        }
        if self.len() >= self.settled.saturating_mul(2).max(1_024) {
            self.settle();
        }
    }

    const fn len(&self) -> usize {
        self.hashes.len().saturating_add(self.numbers.len())
    }

    fn settle(&mut self) {
        // A sort that makes use of the order that is there already.
        self.hashes.sort();
        self.hashes.dedup();
        // Any order will do, and this one takes no arithmetic.
        self.numbers.sort_by_key(|number| (number.mantissa(), number.scale()));
        self.numbers.dedup();
        self.settled = self.len();
    }

    fn distinct(mut self) -> usize {
        self.settle();
        self.settled
    }
}

impl Tally {
    /// The tally of nothing yet.
    #[must_use]
    pub fn new(aggregation: Aggregation, period: Period) -> Self {
        let kept = match aggregation.formula {
            Formula::WeightedSum => Kept::Area(WideSum::ZERO),
            Formula::UniqueCount => Kept::Members(Members::default()),
            Formula::Percentile(percentile) => Kept::Values(Values::new(percentile)),
            Formula::Sum
            | Formula::Count
            | Formula::Last
            | Formula::Max
            | Formula::Min
            | Formula::Average => Kept::Cell(Cell::empty(Aggregation::new(aggregation.formula))),
        };
        Self { aggregation, period, events: 0, kept }
    }

    /// Counts a whole hour of the period by its cell.
    ///
    /// # Errors
    /// [`CellError::Kind`] when this is no cell of the aggregation's, or the aggregation is not
    /// made from cells; [`CellError::Hour`] when the hour is not one of UTC or not wholly in the
    /// period; [`CellError::Number`] when not even a [`WideSum`] holds the sum.
    pub fn add_cell(&mut self, hour_start: Timestamp, cell: &Cell) -> Result<(), CellError> {
        let end = Timestamp(hour_start.0.checked_add(HOUR_S).ok_or(CellError::Hour)?);
        let whole = hour_start.0.checked_rem_euclid(HOUR_S) == Some(0);
        if !whole || hour_start < self.period.start || self.period.end < end {
            return Err(CellError::Hour);
        }
        if self.aggregation.window.is_some() {
            return Err(CellError::Kind);
        }
        let count = match (&mut self.kept, *cell) {
            (Kept::Cell(kept), _) => {
                kept.merge(cell)?;
                cell.count()
            }
            (Kept::Area(area), Cell::Weighted { count, sum, moment }) => {
                let from_start = by_seconds(sum, hour_start, self.period.end)?;
                *area = area.checked_add(from_start)?.checked_sub(moment)?;
                count
            }
            (Kept::Area(_) | Kept::Members(_) | Kept::Values(_), _) => return Err(CellError::Kind),
        };
        self.events = self.events.saturating_add(count.into());
        Ok(())
    }

    /// Counts one event; nothing happens when it is not of the period.
    ///
    /// # Errors
    /// [`DecimalError::Syntax`] when it measured no number and the formula needs one,
    /// [`DecimalError::Overflow`] when not even a [`WideSum`] holds the sum.
    pub fn add_event(&mut self, event: &Counted) -> Result<(), DecimalError> {
        if !self.period.contains(event.timestamp) {
            return Ok(());
        }
        match &mut self.kept {
            Kept::Cell(cell) => cell.add(event)?,
            Kept::Area(area) => {
                let change = event.number()?.into();
                let term = by_seconds(change, event.timestamp, self.period.end)?;
                *area = area.checked_add(term)?;
            }
            Kept::Members(members) => members.add(event.measure),
            Kept::Values(values) => values.add(event.number()?),
        }
        self.events = self.events.saturating_add(1);
        Ok(())
    }

    /// The usage. `level_before` is the sum of all values before the period, which only
    /// `weighted_sum` has a use for. From 0:00 to 1:00, a level of 8 before and +100 at 0:45 give
    /// 8 + 100 × 900 ÷ 3,600 = 33 unit-hours.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when the quantity does not fit, or the count of the events does
    /// not: it is below 0 when a cell was only a change.
    pub fn finish(self, level_before: &WideSum) -> Result<Usage, DecimalError> {
        let events = u64::try_from(self.events).map_err(|_| DecimalError::Overflow)?;
        let mut approximate = false;
        let quantity = match self.kept {
            Kept::Cell(cell) => quantity_of(&cell, self.aggregation.formula, events)?,
            Kept::Area(area) => {
                let Period { start, end } = self.period;
                let area = area.checked_add(by_seconds(*level_before, start, end)?)?;
                area.div_round(HOUR_S.unsigned_abs(), QUOTIENT_DECIMALS)?
            }
            Kept::Members(members) => {
                let distinct = u64::try_from(members.distinct());
                whole(distinct.map_err(|_| DecimalError::Overflow)?)?
            }
            Kept::Values(values) => {
                approximate = values.is_approximate();
                values.quantity()
            }
        };
        Ok(Usage { quantity, events, approximate })
    }
}

/// `sum × (to - from)` in seconds; 0 when `to` is not after `from`.
fn by_seconds(sum: WideSum, from: Timestamp, to: Timestamp) -> Result<WideSum, DecimalError> {
    if to <= from {
        return Ok(WideSum::ZERO);
    }
    sum.checked_mul_unsigned(to.0.abs_diff(from.0))
}

fn whole(count: u64) -> Result<Decimal, DecimalError> {
    Decimal::new(count.into(), 0)
}

/// What the merge of all says by the formula. Sum 8 of 3 events is 2.666666666667 on average.
fn quantity_of(cell: &Cell, formula: Formula, events: u64) -> Result<Decimal, DecimalError> {
    match *cell {
        Cell::Sum { sum, .. } if formula == Formula::Average => match events {
            0 => Ok(Decimal::ZERO),
            _ => sum.div_round(events, QUOTIENT_DECIMALS),
        },
        Cell::Sum { sum, .. } => sum.to_decimal(),
        Cell::Count { .. } => whole(events),
        Cell::Last { last, .. } => last.map_or(Ok(Decimal::ZERO), |event| event.number()),
        Cell::Max { value, .. } | Cell::Min { value, .. } => Ok(value.unwrap_or(Decimal::ZERO)),
        Cell::Weighted { sum, .. } => sum.to_decimal(),
        Cell::Survivor { latest } => latest.map_or(Ok(Decimal::ZERO), |event| event.number()),
    }
}
