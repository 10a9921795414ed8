//! What applying a backfill would change, customer by customer, before anything is changed.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use taximeter_kernel::aggregate::{Counted, Formula, Usage, usage_of};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Customer, Id, Kind as _};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{Event, EventQuery, Order, Series, Standing, UsageQuery};

use super::chunks::is_in_the_way;
use super::sql::{self, Staged};
use super::stage::measured;
use super::{Backfill, Status, retrieve};
use crate::aside::aside;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_event_adjustments::of_identifier;
use crate::meter_events::Member;
use crate::meters::{self, Meter};
use crate::number::json_number;
use crate::page::List as Page;

/// The most customers that a backfill can have to be previewed as a whole.
pub const PREVIEW_CUSTOMERS_MAX: usize = 100_000;
/// The most recorded events of a customer that are read to say what a customer's usage would be, and
/// the most events in the timeframe that are looked through for customers.
pub const PREVIEW_EVENTS_MAX: usize = 100_000;
/// How many times the usage log is asked for more before a preview gives up.
pub const PREVIEW_SCANNED_MAX: usize = 200;
/// How many staged events are read at once.
const STAGED_PER_READ: i64 = 10_000;

crate::params! {
    /// What a backfill would change.
    pub struct Preview with page {
        /// Only for this customer.
        pub customer: Option<Id<Customer>>,
    }
}

/// Says for each customer what its usage in the timeframe is, and what it would be. Customers come in
/// the order of their ids.
///
/// # Errors
/// A 404 when there is no such backfill, a 400 when it is not open, or is too large to be previewed as
/// a whole.
pub async fn preview(ctx: &mut Ctx, id: &str, input: Preview) -> Result<Page> {
    let page = input.page()?;
    let backfill = retrieve(ctx, id).await?;
    backfill.require(Status::Open, "previewed")?;
    let meter = meters::named(ctx, backfill.meter.as_str(), "meter").await?;
    let customers = match input.customer {
        Some(customer) => {
            if backfill.customer.as_ref().is_some_and(|only| *only != customer) {
                let message = "Invalid customer: the backfill is for another customer.";
                return Err(Error::invalid(message).param("customer"));
            }
            vec![customer.to_string()]
        }
        None => customers(ctx, &backfill).await?,
    };
    let slice = page.cut_from(customers, Customer::NOUN, String::as_str)?;
    let mut data = Vec::with_capacity(slice.rows.len());
    for customer in slice.rows {
        let customer = Id::parse(&customer).map_err(Error::internal)?;
        data.push(row(ctx, &backfill, &meter, &customer).await?);
    }
    let url = format!("/v1/billing/meter_event_backfills/{id}/preview");
    Ok(Page { url, has_more: slice.has_more, data })
}

/// Everyone whose usage would change: who has staged events, and who has events that they replace.
async fn customers(ctx: &mut Ctx, backfill: &Backfill) -> Result<Vec<String>> {
    let limit = i64::try_from(PREVIEW_CUSTOMERS_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let staged = sql::customers(ctx, backfill, limit).await?;
    let mut all: BTreeSet<String> = staged.into_iter().collect();
    if backfill.replace_existing {
        let there =
            events_in(ctx, backfill, None, backfill.timeframe).await?.ok_or_else(too_many)?;
        all.extend(there.into_iter().map(|event| event.customer.to_string()));
    }
    if all.len() > PREVIEW_CUSTOMERS_MAX {
        return Err(too_many());
    }
    Ok(all.into_iter().collect())
}

fn too_many() -> Error {
    Error::invalid("The backfill is too large to be previewed as a whole. Name one customer.")
        .param("customer")
}

/// The recorded events of the meter in a span that count; nothing when there are too many.
async fn events_in(
    ctx: &Ctx,
    backfill: &Backfill,
    customer: Option<&Id<Customer>>,
    period: Period,
) -> Result<Option<Vec<Event>>> {
    let mut events = Vec::new();
    let mut after = None;
    for _ in 0..PREVIEW_SCANNED_MAX {
        let query = EventQuery {
            scope: ctx.scope().clone(),
            customer: customer.or(backfill.customer.as_ref()).cloned(),
            meter: Some(backfill.meter.clone()),
            period: Some(period),
            order: Order::Oldest,
            after,
            limit: taximeter_usage::EVENTS_PER_READ_MAX,
        };
        let page = aside(ctx.usage(), move |engine| engine.events(&query)).await?;
        let page = page.map_err(Error::internal)?;
        let counts = page.events.into_iter().filter(|event| event.standing == Standing::Counts);
        events.extend(counts);
        after = page.next;
        if after.is_none() || events.len() > PREVIEW_EVENTS_MAX {
            break;
        }
    }
    Ok(Some(events).filter(|events| after.is_none() && events.len() <= PREVIEW_EVENTS_MAX))
}

/// The object `billing.meter_event_backfill_preview`, which is ours. Its id is the customer's, since
/// there is one for each.
async fn row(
    ctx: &mut Ctx,
    backfill: &Backfill,
    meter: &Meter,
    customer: &Id<Customer>,
) -> Result<Value> {
    let coming = coming(ctx, backfill, meter, customer).await?;
    let query = UsageQuery::of(series(ctx, backfill, customer), meter.aggregation());
    let now = ctx.usage().usage_in(&query, backfill.timeframe).map_err(Error::internal)?;
    let after = after(ctx, backfill, meter, customer, &now, &coming.counted).await?;
    let difference = after.as_ref().map(|after| difference(after, &now)).transpose()?;
    Ok(json!({
        "id": customer.as_str(),
        "object": "billing.meter_event_backfill_preview",
        "backfill": backfill.id.as_str(),
        "customer": customer.as_str(),
        "difference": difference.map(json_number),
        "events": { "skipped": coming.skipped, "staged": coming.staged },
        "livemode": backfill.livemode,
        "meter": meter.id.as_str(),
        "usage_after": after.map(|usage| json_number(usage.quantity)),
        "usage_now": json_number(now.quantity),
    }))
}

fn series(ctx: &Ctx, backfill: &Backfill, customer: &Id<Customer>) -> Series {
    Series { scope: ctx.scope().clone(), meter: backfill.meter.clone(), customer: customer.clone() }
}

fn difference(after: &Usage, now: &Usage) -> Result<Decimal> {
    after.quantity.checked_sub(now.quantity).map_err(Error::internal)
}

/// The staged events of a customer that would be recorded, and how many would not.
struct Coming {
    counted: Vec<Counted>,
    staged: u64,
    skipped: u64,
}

async fn coming(
    ctx: &mut Ctx,
    backfill: &Backfill,
    meter: &Meter,
    customer: &Id<Customer>,
) -> Result<Coming> {
    let mut coming = Coming { counted: Vec::new(), staged: 0, skipped: 0 };
    let mut place = 0;
    loop {
        let events =
            sql::events_of_customer_after(ctx, backfill, customer.as_str(), place, STAGED_PER_READ);
        let events = events.await?;
        let Some(last) = events.last() else { return Ok(coming) };
        place = last.place;
        for event in &events {
            coming.staged = coming.staged.saturating_add(1);
            match counted(ctx, backfill, meter, event)? {
                Some(counted) => coming.counted.push(counted),
                None => coming.skipped = coming.skipped.saturating_add(1),
            }
        }
    }
}

/// The staged event as it would count, after all that is recorded; nothing when its customer has an
/// event with its identifier that stays.
fn counted(
    ctx: &Ctx,
    backfill: &Backfill,
    meter: &Meter,
    event: &Staged,
) -> Result<Option<Counted>> {
    if let Some(identifier) = &event.identifier {
        let stays = |there: &Event| {
            !backfill.replace_existing
                || there.standing != Standing::Cancelled && !is_in_the_way(backfill, there)
        };
        let there = of_identifier(ctx, Some(&event.customer), identifier)?;
        if there.iter().any(stays) {
            return Ok(None);
        }
    }
    let members: Vec<Member<'_>> =
        event.payload.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect();
    let Ok(measured) = measured(meter, &members) else { return Ok(None) };
    let seq = FIRST_STAGED_SEQ.saturating_add(event.place);
    Ok(Some(Counted { seq, timestamp: event.timestamp, measure: measured.measure }))
}

/// Beyond every place in the usage log: what is staged would arrive last.
const FIRST_STAGED_SEQ: u64 = 1 << 62;

/// The usage in the timeframe once the staged events count; nothing when too many recorded events
/// would have to be read for it.
async fn after(
    ctx: &Ctx,
    backfill: &Backfill,
    meter: &Meter,
    customer: &Id<Customer>,
    now: &Usage,
    staged: &[Counted],
) -> Result<Option<Usage>> {
    let aggregation = meter.aggregation();
    let whole = |usage: Result<Usage, taximeter_kernel::decimal::DecimalError>| {
        usage.map(Some).map_err(|_| Error::invalid("The usage would be too large to be counted."))
    };
    let adds_up = matches!(aggregation.formula, Formula::Sum | Formula::Count);
    if adds_up && aggregation.window.is_none() && !backfill.replace_existing {
        let more = usage_of(aggregation, backfill.timeframe, staged);
        return whole(more.and_then(|more| {
            let quantity = now.quantity.checked_add(more.quantity)?;
            Ok(Usage { quantity, events: now.events.saturating_add(more.events), ..more })
        }));
    }
    let mut all = staged.to_vec();
    // All that the timeframe holds is replaced, and by most formulas nothing else matters.
    let reaches_out = aggregation.window.is_some() || aggregation.formula == Formula::WeightedSum;
    if reaches_out || !backfill.replace_existing {
        let span = span(backfill, meter);
        let there = events_in(ctx, backfill, Some(customer), span).await?;
        let Some(there) = there else { return Ok(None) };
        let stays = |event: &&Event| !(backfill.replace_existing && is_in_the_way(backfill, event));
        let kept = there.iter().filter(stays);
        all.extend(kept.map(|event| Counted {
            seq: event.seq,
            timestamp: event.timestamp,
            measure: event.measure,
        }));
    }
    whole(usage_of(aggregation, backfill.timeframe, &all))
}

/// Where the events lie on which the usage of the timeframe depends: whole windows, and for a level
/// that carries over all that came before.
fn span(backfill: &Backfill, meter: &Meter) -> Period {
    let Period { mut start, mut end } = backfill.timeframe;
    if let Some(window) = meter.event_time_window {
        start = window.start_of(start);
        let last = window.start_of(Timestamp(end.0.saturating_sub(1)));
        end = Timestamp(last.0.saturating_add(window.length_s()));
    }
    if meter.formula == Formula::WeightedSum {
        start = Timestamp(i64::MIN);
    }
    Period { start, end }
}
