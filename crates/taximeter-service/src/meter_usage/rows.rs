//! Totals of a meter by bucket and by dimension, read from the usage engine piece by piece: a page
//! costs what is on it and not what lies before it.

use std::ops::Range;

use sha2::{Digest as _, Sha256};
use taximeter_kernel::aggregate::Usage;
use taximeter_kernel::id::{Customer, Id};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{Engine, ReadError, UsageGroup, UsageQuery};

use crate::error::{Error, Result};

/// How many buckets the first piece has. Each further one has twice as many as the one before.
const BUCKETS_PER_READ: usize = 128;
/// The most totals that are read at once, where there are many combinations of dimension values.
const TOTALS_PER_READ_MAX: usize = 200_000;

/// The total of one bucket and one combination of dimension values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The bucket's place among the buckets.
    pub(crate) bucket: usize,
    /// The bucket.
    pub(crate) period: Period,
    /// The values of the dimensions that are grouped by.
    pub(crate) dimensions: Vec<String>,
    /// How much was used.
    pub(crate) usage: Usage,
}

/// In what order rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The newest bucket first, and in it by the values of the dimensions.
    Newest,
    /// The other way round.
    Oldest,
}

/// Where rows are read from: all of them, or those beyond one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    /// The first in the order.
    Start,
    /// The one after the row of this bucket and these values.
    Beyond(usize, Vec<String>),
}

/// A question whose answer is rows.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    /// What is added up.
    pub(crate) query: UsageQuery,
    /// Where buckets begin, and where the last one ends.
    pub(crate) boundaries: &'a [Timestamp],
    /// Whether a bucket is shown even if nothing was used in it.
    pub(crate) show_empty: bool,
}

impl Question<'_> {
    /// The first `want` rows, fewer when there are no more.
    ///
    /// # Errors
    /// A 400 when a total is too large for a number.
    pub(crate) fn rows(
        &self,
        engine: &Engine,
        order: Order,
        from: &From,
        want: usize,
    ) -> Result<Vec<Row>> {
        let buckets = self.boundaries.len().saturating_sub(1);
        let mut left = match (order, from) {
            (_, From::Start) => 0..buckets,
            (Order::Newest, From::Beyond(bucket, _)) => 0..bucket.saturating_add(1).min(buckets),
            (Order::Oldest, From::Beyond(bucket, _)) => *bucket..buckets,
        };
        let mut rows = Vec::new();
        let mut piece = BUCKETS_PER_READ;
        while !left.is_empty() && rows.len() < want {
            let range = take(&mut left, piece, order);
            let groups = self.read(engine, range.clone())?;
            self.collect(&groups, range, order, from, &mut rows);
            let widest = TOTALS_PER_READ_MAX.div_euclid(groups.len().max(1));
            piece = piece.saturating_mul(2).min(widest.max(BUCKETS_PER_READ));
        }
        rows.truncate(want);
        Ok(rows)
    }

    /// The combination of dimension values of a row, by the row's id.
    ///
    /// # Errors
    /// As for [`Self::rows`].
    pub(crate) fn find(
        &self,
        engine: &Engine,
        bucket: usize,
        is: impl Fn(Period, &[String]) -> bool,
    ) -> Result<Option<Vec<String>>> {
        let Some(period) = self.period(bucket) else { return Ok(None) };
        // What is not grouped has one row per bucket, even where there is no usage any more.
        if self.query.group_by.is_empty() {
            return Ok(is(period, &[]).then(Vec::new));
        }
        let groups = self.read(engine, bucket..bucket.saturating_add(1))?;
        Ok(groups.into_iter().map(|group| group.dimensions).find(|values| is(period, values)))
    }

    fn period(&self, bucket: usize) -> Option<Period> {
        match self.boundaries.get(bucket..)? {
            [start, end, ..] => Some(Period { start: *start, end: *end }),
            _ => None,
        }
    }

    fn read(&self, engine: &Engine, buckets: Range<usize>) -> Result<Vec<UsageGroup>> {
        let boundaries = self.boundaries.get(buckets.start..=buckets.end).unwrap_or_default();
        engine.usage(&self.query, boundaries).map_err(unreadable)
    }

    fn collect(
        &self,
        groups: &[UsageGroup],
        buckets: Range<usize>,
        order: Order,
        from: &From,
        rows: &mut Vec<Row>,
    ) {
        let first = buckets.start;
        let mut visit = |bucket: usize, group: &UsageGroup| {
            let usage = group.usage.get(bucket.saturating_sub(first)).copied();
            let (Some(usage), Some(period)) = (usage, self.period(bucket)) else { return };
            let is_empty = usage.events == 0 && usage.quantity.is_zero();
            if (!is_empty || self.show_empty) && is_beyond(from, order, bucket, &group.dimensions) {
                let dimensions = group.dimensions.clone();
                rows.push(Row { bucket, period, dimensions, usage });
            }
        };
        match order {
            Order::Newest => {
                buckets.rev().for_each(|bucket| groups.iter().for_each(|g| visit(bucket, g)));
            }
            Order::Oldest => {
                buckets.for_each(|bucket| groups.iter().rev().for_each(|g| visit(bucket, g)));
            }
        }
    }
}

/// Takes the next `count` of what is left, in the order.
fn take(left: &mut Range<usize>, count: usize, order: Order) -> Range<usize> {
    match order {
        Order::Newest => {
            let start = left.end.saturating_sub(count).max(left.start);
            let taken = start..left.end;
            left.end = start;
            taken
        }
        Order::Oldest => {
            let end = left.start.saturating_add(count).min(left.end);
            let taken = left.start..end;
            left.start = end;
            taken
        }
    }
}

fn is_beyond(from: &From, order: Order, bucket: usize, values: &[String]) -> bool {
    match (from, order) {
        (From::Beyond(at, than), Order::Newest) if bucket == *at => values > than.as_slice(),
        (From::Beyond(at, than), Order::Oldest) if bucket == *at => values < than.as_slice(),
        (From::Start | From::Beyond(..), _) => true,
    }
}

/// What keeps totals from being read, as a client should see it.
pub(crate) fn unreadable(error: ReadError) -> Error {
    match error {
        ReadError::Overflow => too_large(),
        error => Error::internal(error),
    }
}

/// The error of a total that no number holds.
pub(crate) fn too_large() -> Error {
    Error::invalid("The usage of this span is too large to be shown as one number.")
}

/// Names the rows of one question, alike in every read.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// Of what all rows have in common.
    common: Sha256,
}

impl Names {
    /// The names of what `query` gives.
    pub(crate) fn of(query: &UsageQuery) -> Self {
        let mut names = Self::of_all_meters(&query.series.customer);
        names.put(query.series.meter.as_str());
        for filter in &query.filters {
            names.put("filter");
            names.put_number(filter.dimension);
            names.put_number(filter.values.len());
            filter.values.iter().for_each(|value| names.put(value));
        }
        for dimension in &query.group_by {
            names.put("by");
            names.put_number(*dimension);
        }
        names
    }

    /// The names of what all meters of a customer add up to.
    pub(crate) fn of_all_meters(customer: &Id<Customer>) -> Self {
        let mut names = Self { common: Sha256::new() };
        names.put(customer.as_str());
        names
    }

    /// The name of a row: 32 hexadecimal digits.
    pub(crate) fn name(&self, period: Period, dimensions: &[String]) -> String {
        let mut names = self.clone();
        names.common.update(period.start.0.to_le_bytes());
        names.common.update(period.end.0.to_le_bytes());
        dimensions.iter().for_each(|value| names.put(value));
        let hash: [u8; 32] = names.common.finalize().into();
        let half = hash.first_chunk().copied().unwrap_or_default();
        format!("{:032x}", u128::from_be_bytes(half))
    }

    /// With its length, so that no two texts can run together.
    fn put(&mut self, text: &str) {
        self.put_number(text.len());
        self.common.update(text);
    }

    fn put_number(&mut self, number: usize) {
        self.common.update(u64::try_from(number).unwrap_or(u64::MAX).to_le_bytes());
    }
}
