//! The totals of a meter for one customer over a span, whole or by hour or day.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use taximeter_kernel::aggregate::Usage;
use taximeter_kernel::id::{Kind as _, MeterEventSummary};
use taximeter_kernel::time::{DAY_S, HOUR_S, Period, Timestamp};
use taximeter_usage::{Series, UsageQuery};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meters::{self, Meter};
use crate::number::json_number;
use crate::page::List;
use crate::params::Text;
use crate::{choice, customers};

const MINUTE_S: i64 = 60;
/// The longest span that is cut into buckets, in seconds: ten years of hours would be 87,600 rows.
const GROUPED_SPAN_S_MAX: i64 = 10 * 366 * DAY_S;

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
    }
}

/// Reads totals, newest bucket first. Buckets without usage are left out; a span without buckets
/// has one total, even of nothing.
///
/// # Errors
/// A 404 when there is no such meter, a 400 when the customer or the span is wrong.
pub async fn summaries(ctx: &mut Ctx, id: &str, input: Summaries) -> Result<List> {
    let meter = meters::retrieve(ctx, id).await?;
    let customer = customers::named(ctx, &input.customer, "customer").await?;
    let period = checked_period(&input)?;
    let series =
        Series { scope: ctx.scope().clone(), meter: meter.id.clone(), customer: customer.id };
    let query = UsageQuery::of(series.clone(), meter.aggregation());
    let boundaries = boundaries(period, input.value_grouping_window);
    let groups = ctx.usage().usage(&query, &boundaries).map_err(Error::internal)?;
    let usage = groups.into_iter().flat_map(|group| group.usage);
    let spans = boundaries.windows(2).map(|pair| Period { start: pair[0], end: pair[1] });
    let whole = input.value_grouping_window.is_none();
    let counts = |(_, usage): &(Period, Usage)| {
        whole || usage.events > 0 || !usage.quantity.is_zero()
    };
    let mut totals: Vec<(Period, Usage)> = spans.zip(usage).filter(counts).collect();
    totals.reverse();
    page(&meter, &series, &totals, &input)
}

/// Where the buckets of an aligned period begin and end.
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

fn page(
    meter: &Meter,
    series: &Series,
    totals: &[(Period, Usage)],
    input: &Summaries,
) -> Result<List> {
    let page = input.page()?;
    let rows: Vec<Value> =
        totals.iter().map(|(period, usage)| wire(meter, series, *period, usage)).collect();
    let slice = page.cut_from(rows, MeterEventSummary::NOUN, id_of)?;
    Ok(List {
        url: format!("/v1/billing/meters/{}/event_summaries", meter.id),
        has_more: slice.has_more,
        data: slice.rows,
    })
}

fn id_of(summary: &Value) -> &str {
    summary["id"].as_str().unwrap_or("")
}

/// The object `billing.meter_event_summary`. Its id is made of what it is the total of, so that it
/// is the same in every read.
fn wire(meter: &Meter, series: &Series, period: Period, usage: &Usage) -> Value {
    let named = format!("{}/{}/{}/{}", meter.id, series.customer, period.start.0, period.end.0);
    let hash = Sha256::digest(named.as_bytes());
    let random: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    json!({
        "id": format!("{}_{random}", MeterEventSummary::PREFIX),
        "object": "billing.meter_event_summary",
        "aggregated_value": json_number(usage.quantity),
        "end_time": period.end.0,
        "livemode": meter.livemode,
        "meter": meter.id.as_str(),
        "start_time": period.start.0,
    })
}
