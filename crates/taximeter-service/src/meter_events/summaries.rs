//! The totals of a meter for one customer over a span, whole or by hour or day.

use serde_json::{Value, json};
use taximeter_kernel::id::{Kind as _, MeterEventSummary};
use taximeter_kernel::time::{DAY_S, HOUR_S, Period, Timestamp};
use taximeter_usage::{Series, UsageQuery};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_usage::{
    BUCKETS_MAX, Dimensions, Filters, From, MINUTE_S, Names, Order, Question, Row,
};
use crate::meters::{self, Meter};
use crate::number::json_number;
use crate::page::{Direction, List, Page};
use crate::params::{Path, Text};
use crate::{choice, customers};

/// The longest span that is cut into buckets, in seconds: ten years of hours would be 87,600 rows.
const GROUPED_SPAN_S_MAX: i64 = 10 * 366 * DAY_S;
/// How many digits of an id's end say what it is the total of, after those that say when.
const NAME_CHARS: usize = 32;

choice! {
    /// The buckets that a span is cut into.
    pub enum GroupingWindow {
        /// UTC days.
        Day = "day",
        /// UTC hours.
        Hour = "hour",
    }
}

crate::params! {
    /// Which totals to read.
    pub struct Summaries with page {
        /// Whose usage.
        pub customer: Text<255>,
        /// The first second, on a minute.
        pub start_time: Timestamp,
        /// The first second after the span, on a minute.
        pub end_time: Timestamp,
        /// One total per bucket, instead of one for the span.
        pub value_grouping_window: Option<GroupingWindow>,
        /// Only usage whose dimensions have these values.
        pub dimension_filters: Option<Filters>,
        /// One total for each combination of values of these dimensions.
        pub dimension_group_by_keys: Option<Vec<Text<100>>>,
    }
}

/// Reads totals, newest bucket first. Buckets without usage are left out; a span without buckets
/// has one total, even of nothing.
///
/// # Errors
/// A 404 when there is no such meter, a 400 when the customer, a dimension or the span is wrong.
pub async fn summaries(ctx: &mut Ctx, id: &str, input: Summaries) -> Result<List> {
    let meter = meters::retrieve(ctx, id).await?;
    let customer = customers::named(ctx, &input.customer, "customer").await?;
    let page = input.page()?;
    let period = checked_period(&input)?;
    let (filters, group_by) = (input.dimension_filters, input.dimension_group_by_keys);
    let dimensions = Dimensions::of(&meter, filters, group_by, Path::ROOT)?;
    let boundaries = boundaries(period, input.value_grouping_window);
    if !dimensions.group_by.is_empty() && boundaries.len() > BUCKETS_MAX.saturating_add(1) {
        return Err(Error::invalid(format!(
            "Invalid end_time: a span grouped by dimensions can have at most {BUCKETS_MAX} of \
             value_grouping_window."
        ))
        .param("end_time"));
    }
    let series =
        Series { scope: ctx.scope().clone(), meter: meter.id.clone(), customer: customer.id };
    let question = Question {
        query: UsageQuery {
            filters: dimensions.filters.clone(),
            group_by: dimensions.group_by.clone(),
            ..UsageQuery::of(series, meter.aggregation())
        },
        boundaries: &boundaries,
        show_empty: input.value_grouping_window.is_none(),
    };
    let ids = Ids { names: Names::of(&question.query) };
    let slice = rows(ctx, &question, &ids, &page)?;
    Ok(List {
        url: format!("/v1/billing/meters/{}/event_summaries", meter.id),
        has_more: slice.has_more,
        data: slice.rows.iter().map(|row| wire(&meter, &dimensions, &ids, row)).collect(),
    })
}

/// The rows of a page. What the page does not show is not read.
fn rows(
    ctx: &Ctx,
    question: &Question<'_>,
    ids: &Ids,
    page: &Page,
) -> Result<crate::page::Slice<Row>> {
    let from = match page.cursor() {
        None => From::Start,
        Some((cursor, param)) => {
            let found = ids.find(ctx, question, cursor)?;
            found.ok_or_else(|| Error::no_such(MeterEventSummary::NOUN, cursor, param))?
        }
    };
    let order = match page.direction() {
        Direction::Descending => Order::Newest,
        Direction::Ascending => Order::Oldest,
    };
    let want = usize::try_from(page.rows()).unwrap_or(usize::MAX);
    Ok(page.cut(question.rows(ctx.usage(), order, &from, want)?))
}

/// The ids of a query's rows. Each is made of when its row begins and of what it is the total of, so
/// it is the same in every read, and a page is found by it without reading those before.
struct Ids {
    names: Names,
}

impl Ids {
    fn of(&self, period: Period, dimensions: &[String]) -> String {
        let name = self.names.name(period, dimensions);
        format!("{}_{:x}{name}", MeterEventSummary::PREFIX, period.start.0)
    }

    /// Where the row of an id is, if the id is of a row that this query can have.
    fn find(&self, ctx: &Ctx, question: &Question<'_>, id: &str) -> Result<Option<From>> {
        let Some(bucket) = bucket_of(question.boundaries, id) else { return Ok(None) };
        let is = |period: Period, dimensions: &[String]| self.of(period, dimensions) == id;
        let found = question.find(ctx.usage(), bucket, is)?;
        Ok(found.map(|dimensions| From::Beyond(bucket, dimensions)))
    }
}

/// The bucket that an id says to begin with.
fn bucket_of(boundaries: &[Timestamp], id: &str) -> Option<usize> {
    let digits = id.strip_prefix(MeterEventSummary::PREFIX)?.strip_prefix('_')?;
    let (start, _) = digits.split_at_checked(digits.len().checked_sub(NAME_CHARS)?)?;
    let start = i64::from_str_radix(start, 16).ok()?;
    boundaries.binary_search(&Timestamp(start)).ok()
}

/// Where the buckets of an aligned period begin, and where the last one ends.
fn boundaries(period: Period, grouping: Option<GroupingWindow>) -> Vec<Timestamp> {
    let step_s = match grouping {
        None => return vec![period.start, period.end],
        Some(GroupingWindow::Hour) => HOUR_S,
        Some(GroupingWindow::Day) => DAY_S,
    };
    let starts = std::iter::successors(Some(period.start), |at| {
        Some(Timestamp(at.0.saturating_add(step_s))).filter(|next| *next <= period.end)
    });
    starts.collect()
}

fn checked_period(input: &Summaries) -> Result<Period> {
    let (unit_s, what) = match input.value_grouping_window {
        None => (MINUTE_S, "minute"),
        Some(GroupingWindow::Hour) => (HOUR_S, "hour"),
        Some(GroupingWindow::Day) => (DAY_S, "UTC day"),
    };
    for (at, param) in [(input.start_time, "start_time"), (input.end_time, "end_time")] {
        if at.0.rem_euclid(unit_s) != 0 {
            return Err(Error::invalid(format!(
                "Invalid {param}: {} must be aligned with {what} boundaries.",
                at.0
            ))
            .param(param));
        }
    }
    if input.end_time <= input.start_time {
        return Err(Error::invalid("Invalid end_time: must be after start_time.").param("end_time"));
    }
    let span_s = input.end_time.0.saturating_sub(input.start_time.0);
    if input.value_grouping_window.is_some() && span_s > GROUPED_SPAN_S_MAX {
        return Err(Error::invalid(
            "Invalid end_time: a span with value_grouping_window can be at most ten years long.",
        )
        .param("end_time"));
    }
    Ok(Period { start: input.start_time, end: input.end_time })
}

/// The object `billing.meter_event_summary`.
fn wire(meter: &Meter, dimensions: &Dimensions, ids: &Ids, row: &Row) -> Value {
    let mut object = json!({
        "id": ids.of(row.period, &row.dimensions),
        "object": "billing.meter_event_summary",
        "aggregated_value": json_number(row.usage.quantity),
        "end_time": row.period.end.0,
        "livemode": meter.livemode,
        "meter": meter.id.as_str(),
        "start_time": row.period.start.0,
    });
    // Stripe's, in private preview: absent unless the meter has dimensions.
    if !meter.dimension_keys.is_empty() {
        object["dimensions"] = dimensions.wire(meter, &row.dimensions);
    }
    if row.usage.approximate {
        object["approximate"] = true.into();
    }
    object
}
