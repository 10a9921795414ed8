//! Meter usage: totals of one or of all meters for a customer, by hour, day, week or month of a time
//! zone, and by dimension.

mod dimensions;
mod rows;
mod wire;

pub(crate) use dimensions::Dimensions;
pub use dimensions::{FILTER_VALUES_MAX, Filters};
pub(crate) use rows::{From, Names, Order, Question, Row, too_large, unreadable};
use serde_json::Value;
use taximeter_kernel::aggregate::Usage;
use taximeter_kernel::calendar::buckets::{Bucket, CutError, Zone, cut};
use taximeter_kernel::id::{Customer, Id};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{Series, UsageQuery};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meters::{self, Meter};
use crate::params::{Path, Text};
use crate::{choice, customers};

/// What `starts_at` and `ends_at` are aligned with, in seconds.
pub const MINUTE_S: i64 = 60;
/// The most buckets that one read cuts its span into.
pub const BUCKETS_MAX: usize = 10_000;
/// The most rows of one answer.
pub const ROWS_MAX: usize = 10_000;
/// The most meters that one read names.
pub const METERS_NAMED_MAX: usize = 100;
/// The most meters that are added up when none is named.
pub const METERS_SUMMED_MAX: usize = 1_000;

choice! { for Bucket { Day = "day", Hour = "hour", Month = "month", Week = "week" } }

crate::params! {
    /// A meter whose usage is asked for.
    pub struct MeterUsage {
        /// Which.
        pub meter: Text<255>,
        /// Only usage whose dimensions have these values.
        pub dimension_filters: Option<Filters>,
        /// One row for each combination of values of these dimensions.
        pub dimension_group_by_keys: Option<Vec<Text<100>>>,
    }
}

crate::params! {
    /// Which usage to read.
    pub struct Retrieve {
        /// Whose.
        pub customer: Text<255>,
        /// The first second, on a minute.
        pub starts_at: Timestamp,
        /// The first second after the span, on a minute.
        pub ends_at: Timestamp,
        /// Of which meters; of all of them together, if left out.
        pub meters: Option<Vec<MeterUsage>>,
        /// Whose hours, days, weeks and months; those of UTC, if left out.
        pub timezone: Option<Text<64>>,
        /// One row per bucket, instead of one for the span.
        pub value_grouping_window: Option<Bucket>,
    }
}

/// Reads usage, oldest bucket first. Buckets without usage are left out; a span without buckets has
/// one row for each meter, even of nothing.
///
/// # Errors
/// A 400 when the customer, a meter, a dimension or the span is wrong, or there are too many rows.
pub async fn retrieve(ctx: &mut Ctx, input: Retrieve) -> Result<Value> {
    let customer = customers::named(ctx, &input.customer, "customer").await?.id;
    let boundaries = boundaries(&input)?;
    let show_empty = input.value_grouping_window.is_none();
    let rows = match input.meters {
        Some(meters) => of_meters(ctx, &customer, &boundaries, show_empty, meters).await?,
        None => of_all_meters(ctx, &customer, &boundaries, show_empty).await?,
    };
    Ok(wire::usage(ctx, rows))
}

/// Where the buckets begin, and where the last one ends.
fn boundaries(input: &Retrieve) -> Result<Vec<Timestamp>> {
    let period = Period { start: input.starts_at, end: input.ends_at };
    for (at, param) in [(period.start, "starts_at"), (period.end, "ends_at")] {
        if at.0.rem_euclid(MINUTE_S) != 0 {
            return Err(Error::invalid(format!(
                "Invalid {param}: {} must be aligned with minute boundaries.",
                at.0
            ))
            .param(param));
        }
    }
    if period.end <= period.start {
        return Err(Error::invalid("Invalid ends_at: must be after starts_at.").param("ends_at"));
    }
    let zone = match input.timezone.as_deref() {
        None => Zone::UTC,
        Some(name) => Zone::parse(name).ok_or_else(|| {
            Error::invalid(format!(
                "Invalid timezone: '{name}' is not a name of the IANA's time zone database, such \
                 as America/New_York."
            ))
            .param("timezone")
        })?,
    };
    let Some(bucket) = input.value_grouping_window else {
        return Ok(vec![period.start, period.end]);
    };
    cut(period, bucket, &zone, BUCKETS_MAX).map_err(|error| match error {
        CutError::TooMany => Error::invalid(format!(
            "Invalid ends_at: a span can have at most {BUCKETS_MAX} of value_grouping_window."
        ))
        .param("ends_at"),
        CutError::Calendar(error) => Error::internal(error),
    })
}

/// A row, and what is told of it.
#[derive(Debug)]
struct Told {
    row: Row,
    /// Stable, unique within the answer.
    name: String,
    /// The meter, unless all were added up.
    meter: Option<String>,
    dimensions: Value,
}

async fn of_meters(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
    boundaries: &[Timestamp],
    show_empty: bool,
    meters: Vec<MeterUsage>,
) -> Result<Vec<Told>> {
    if meters.is_empty() || meters.len() > METERS_NAMED_MAX {
        return Err(Error::invalid(format!(
            "Invalid array: 1 to {METERS_NAMED_MAX} meters are accepted"
        ))
        .param("meters"));
    }
    let mut rows = Vec::new();
    let at = Path::ROOT.child("meters");
    for (index, asked) in meters.into_iter().enumerate() {
        let index = index.to_string();
        let at = at.child(&index);
        let meter = meters::named(ctx, &asked.meter, &at.child("meter").to_string()).await?;
        let (filters, group_by) = (asked.dimension_filters, asked.dimension_group_by_keys);
        let dimensions = Dimensions::of(&meter, filters, group_by, at)?;
        let question =
            Question { query: query(ctx, &meter, customer, &dimensions), boundaries, show_empty };
        let names = Names::of(&question.query);
        for row in all_rows(ctx, &question, rows.len())? {
            let name = names.name(row.period, &row.dimensions);
            let dimensions = dimensions.wire(&meter, &row.dimensions);
            rows.push(Told { row, name, meter: Some(meter.id.to_string()), dimensions });
        }
    }
    // By time, and at one time in the order of the meters that were asked for.
    rows.sort_by_key(|told| told.row.bucket);
    Ok(rows)
}

fn query(ctx: &Ctx, meter: &Meter, customer: &Id<Customer>, dimensions: &Dimensions) -> UsageQuery {
    let series =
        Series { scope: ctx.scope().clone(), meter: meter.id.clone(), customer: customer.clone() };
    UsageQuery {
        filters: dimensions.filters.clone(),
        group_by: dimensions.group_by.clone(),
        ..UsageQuery::of(series, meter.aggregation())
    }
}

/// All rows, oldest bucket first, if they still fit beside those that are there.
fn all_rows(ctx: &Ctx, question: &Question<'_>, there: usize) -> Result<Vec<Row>> {
    let room = ROWS_MAX.saturating_sub(there);
    let want = room.saturating_add(1);
    let mut rows = question.rows(ctx.usage(), Order::Newest, &From::Start, want)?;
    if rows.len() > room {
        return Err(Error::invalid(format!(
            "There are more than {ROWS_MAX} rows. Ask for a shorter span, a longer \
             value_grouping_window, or fewer dimensions."
        )));
    }
    rows.sort_by_key(|row| row.bucket);
    Ok(rows)
}

/// One row per bucket, of the usage of all meters added up.
async fn of_all_meters(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
    boundaries: &[Timestamp],
    show_empty: bool,
) -> Result<Vec<Told>> {
    let meters = meters::all(ctx, METERS_SUMMED_MAX.saturating_add(1)).await?;
    if meters.len() > METERS_SUMMED_MAX {
        return Err(Error::invalid(format!(
            "There are more than {METERS_SUMMED_MAX} meters. Name those whose usage you want."
        ))
        .param("meters"));
    }
    let mut sums: Vec<Option<Row>> = vec![None; boundaries.len()];
    for meter in meters {
        let query = query(ctx, &meter, customer, &Dimensions::default());
        let question = Question { query, boundaries, show_empty };
        for row in all_rows(ctx, &question, 0)? {
            let Some(place) = sums.get_mut(row.bucket) else { continue };
            *place = Some(match place.take() {
                None => row,
                Some(sum) => added(sum, &row)?,
            });
        }
    }
    if show_empty && let (Some(first @ None), [start, end]) = (sums.first_mut(), boundaries) {
        let period = Period { start: *start, end: *end };
        *first = Some(Row { bucket: 0, period, dimensions: Vec::new(), usage: Usage::NONE });
    }
    let names = Names::of_all_meters(customer);
    let told = sums.into_iter().flatten().map(|row| {
        let name = names.name(row.period, &row.dimensions);
        Told { row, name, meter: None, dimensions: Value::Null }
    });
    Ok(told.collect())
}

fn added(mut sum: Row, more: &Row) -> Result<Row> {
    let quantity = sum.usage.quantity.checked_add(more.usage.quantity).map_err(|_| too_large())?;
    sum.usage = Usage {
        quantity,
        events: sum.usage.events.saturating_add(more.usage.events),
        approximate: sum.usage.approximate || more.usage.approximate,
    };
    Ok(sum)
}
