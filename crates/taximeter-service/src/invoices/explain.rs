//! Lines explained: what was counted, by which terms it was rated, and how it was rounded.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use taximeter_kernel::aggregate::{Aggregation, Window};
use taximeter_kernel::decimal::{Decimal, Rounding, div_round};
use taximeter_kernel::id::{InvoiceLine, Kind as _};
use taximeter_kernel::price::{RoundQuantity, Scheme, UsageType};
use taximeter_kernel::rate::{Part, RatedLine, billable_quantity, rate};
use taximeter_kernel::time::{HOUR_S, Period, Timestamp};
use taximeter_usage::{EVENTS_PER_READ_MAX, EventQuery, Order, Series, Standing, UsageQuery};

use super::build::query_of;
use super::wire::taxes;
use super::{Invoice, Line};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::invoice_items;
use crate::prices::{self, Price};
use crate::test_clocks;

/// The most events of which is told how many came in late: of more that is not known.
const EVENTS_TOLD_MAX: usize = 1_000_000;
/// The rounding of every amount.
const ROUNDING: &str = "half_away_from_zero";

/// Explains a line, both of whose ids are in the path.
///
/// # Errors
/// A 404 when there is no such invoice or line, a 500 when the usage cannot be read.
pub async fn explanation(ctx: &mut Ctx, id: &str, line: &str) -> Result<Value> {
    let invoice = super::retrieve(ctx, id).await?;
    let found = invoice.lines.iter().find(|own| own.id.as_str() == line);
    let line = found.ok_or_else(|| Error::no_such_path(InvoiceLine::NOUN, line))?;
    let price = match &line.price {
        Some(price) => Some(prices::retrieve(ctx, price.as_str()).await?),
        None => None,
    };
    let group = group_of(&invoice, line);
    let usage = match &price {
        Some(price) if line.details.metered => usage(ctx, &invoice, line, price).await?,
        _ => None,
    };
    let quantity = match &usage {
        Some(usage) => Some(usage.billed),
        None => total_quantity(&group),
    };
    let scheme = price.as_ref().and_then(|price| price.scheme_in(invoice.currency));
    let rated = match (scheme, quantity) {
        (Some(scheme), Some(quantity)) => rated(scheme, quantity, line, &group),
        _ => Value::Null,
    };
    let mut explanation = json!({
        "object": "invoice_line_explanation",
        "amount": line.amount,
        "currency": invoice.currency.code(),
        "discount_amounts": line.details.discount_amounts.iter().map(|taken| {
            json!({ "amount": taken.amount, "discount": taken.discount })
        }).collect::<Vec<_>>(),
        "invoice": invoice.id.as_str(),
        "kind": kind(line, price.as_ref()),
        "line": line.id.as_str(),
        "livemode": invoice.livemode,
        "period": { "end": line.period.end.0, "start": line.period.start.0 },
        "price": price.as_ref().map(|price| terms(price, &invoice)),
        "proration": proration(ctx, line).await?,
        "quantity": line.quantity.to_string(),
        "rated": rated,
        "rounding": ROUNDING,
        "subtotal": line.details.gross.unwrap_or(line.amount),
        "taxes": taxes(&line.details.taxes),
        "usage": usage.map(|usage| usage.wire),
    });
    explanation["content_hash"] = content_hash(&explanation).into();
    Ok(explanation)
}

fn kind(line: &Line, price: Option<&Price>) -> &'static str {
    if line.details.metered {
        return "metered";
    }
    if line.details.proration {
        return "proration";
    }
    match price {
        _ if line.invoice_item.is_some() => "invoice_item",
        Some(price) if price.usage_type() == UsageType::Metered => "no_usage",
        _ => "licensed",
    }
}

/// The lines that one quantity of one price made: more than one where there are tiers.
pub(super) fn group_of<'a>(invoice: &'a Invoice, head: &Line) -> Vec<&'a Line> {
    let same = |line: &&Line| line.id == head.id || line.is_tier_with(head);
    invoice.lines.iter().filter(same).collect()
}

fn total_quantity(group: &[&Line]) -> Option<Decimal> {
    let parts = group.iter().map(|line| line.quantity);
    parts.into_iter().try_fold(Decimal::ZERO, |sum, part| sum.checked_add(part).ok())
}

/// The terms that a price has in the invoice's currency.
fn terms(price: &Price, invoice: &Invoice) -> Value {
    let whole = price.wire();
    let mut scheme =
        json!({ "tiers": null, "transform_quantity": null, "unit_amount_decimal": null });
    match price.scheme_in(invoice.currency) {
        Some(Scheme::PerUnit { unit_amount, transform }) => {
            scheme["unit_amount_decimal"] = unit_amount.to_string().into();
            if let Some(packages) = transform {
                scheme["transform_quantity"] =
                    json!({ "divide_by": packages.divide_by, "round": packages.round.as_str() });
            }
        }
        Some(Scheme::Tiered { tiers, .. }) => {
            let tier = |tier: &taximeter_kernel::price::Tier| {
                json!({
                    "flat_amount_decimal": tier.flat_amount.map(|amount| amount.to_string()),
                    "unit_amount_decimal": tier.unit_amount.map(|amount| amount.to_string()),
                    "up_to": tier.up_to,
                })
            };
            scheme["tiers"] = tiers.iter().map(tier).collect();
        }
        None => {}
    }
    json!({
        "id": price.id.as_str(),
        "billing_scheme": whole["billing_scheme"],
        "product": price.product.as_str(),
        "tiers": scheme["tiers"],
        "tiers_mode": whole["tiers_mode"],
        "transform_quantity": scheme["transform_quantity"],
        "unit_amount_decimal": scheme["unit_amount_decimal"],
        "usage_type": price.usage_type().as_str(),
    })
}

/// What the quantity costs, part by part. Nothing where the lines are not what it costs: a proration,
/// a time that is free.
fn rated(scheme: &Scheme, quantity: Decimal, line: &Line, group: &[&Line]) -> Value {
    let Ok(parts) = rate(scheme, quantity) else { return Value::Null };
    let gross = |line: &Line| line.details.gross.unwrap_or(line.amount);
    if line.invoice_item.is_some() {
        // An item is one line, whatever its price has of tiers.
        let sum = parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(part.amount_minor));
        if sum != Some(gross(line)) {
            return Value::Null;
        }
        return parts.iter().map(|part| part_wire(scheme, part, line)).collect();
    }
    let same = |(part, line): (&RatedLine, &&Line)| part.amount_minor == gross(line);
    if parts.len() != group.len() || !parts.iter().zip(group).all(same) {
        return Value::Null;
    }
    parts.iter().zip(group).map(|(part, line)| part_wire(scheme, part, line)).collect()
}

fn part_wire(scheme: &Scheme, part: &RatedLine, line: &Line) -> Value {
    let (what, tier, each, units) = match part.part {
        Part::Whole => ("whole", None, part.unit_amount, billed(scheme, part.quantity)),
        Part::TierUnits { tier, unit_amount } => {
            ("tier_units", Some(tier), Some(unit_amount), Some(part.quantity))
        }
        Part::TierFlat { tier, flat_amount } => {
            ("tier_flat", Some(tier), Some(flat_amount), Some(Decimal::ONE))
        }
    };
    // Nothing where it has more digits than an exact decimal holds.
    let exact = each.zip(units).and_then(|(each, units)| each.checked_mul(units).ok());
    json!({
        "amount": part.amount_minor,
        "amount_exact": exact.map(|exact| exact.to_string()),
        "billed_units": units.map(|units| units.to_string()),
        "line": line.id.as_str(),
        "part": what,
        "quantity": part.quantity.to_string(),
        "tier": tier,
        "unit_amount_decimal": each.map(|each| each.to_string()),
    })
}

/// How many units or packages are paid for. 101 in packages of 100, rounded up, are 2.
fn billed(scheme: &Scheme, quantity: Decimal) -> Option<Decimal> {
    let Scheme::PerUnit { transform: Some(packages), .. } = scheme else { return Some(quantity) };
    let rounding = match packages.round {
        RoundQuantity::Up => Rounding::Up,
        RoundQuantity::Down => Rounding::Down,
    };
    div_round(quantity, Decimal::from_int(packages.divide_by), rounding).ok().map(Decimal::from_int)
}

/// Which part of a period a proration is of, in seconds.
async fn proration(ctx: &mut Ctx, line: &Line) -> Result<Value> {
    let (true, Some(item)) = (line.details.proration, &line.invoice_item) else {
        return Ok(Value::Null);
    };
    let Some(item) = invoice_items::find(ctx, item).await? else { return Ok(Value::Null) };
    let whole = item.proration.and_then(|proration| proration.whole);
    Ok(json!({
        "seconds": line.period.end.0.saturating_sub(line.period.start.0),
        "of_seconds": whole.map(|(start, end)| end.saturating_sub(start)),
    }))
}

/// The usage behind a line.
struct Used {
    /// What is billed of it.
    billed: Decimal,
    wire: Value,
}

async fn usage(
    ctx: &mut Ctx,
    invoice: &Invoice,
    line: &Line,
    price: &Price,
) -> Result<Option<Used>> {
    let as_of = invoice.details.usage_position;
    let query = query_of(ctx, &invoice.customer, price, as_of).await?;
    let Some(query) = query else { return Ok(None) };
    let used = ctx.usage().usage_in(&query, line.period).map_err(Error::internal)?;
    let billed = billable_quantity(used.quantity);
    let ended = test_clocks::reached(ctx, &query.series.customer, line.period.end).await?;
    let wire = json!({
        "aggregation": aggregation(query.aggregation),
        "approximate": used.approximate,
        "billed_quantity": billed.to_string(),
        "events": events(ctx, &query.series, line.period, (as_of, ended))?,
        "hours": hours(ctx, &query, line.period)?,
        "meter": query.series.meter.as_str(),
        "position": as_of,
        "quantity": used.quantity.to_string(),
    });
    Ok(Some(Used { billed, wire }))
}

fn aggregation(aggregation: Aggregation) -> Value {
    json!({
        "formula": aggregation.formula.as_str(),
        "percentile": aggregation.formula.percentile().map(|percentile| percentile.to_string()),
        "window": aggregation.window.map(Window::as_str),
    })
}

/// The totals of the hours in which something was used, each of its UTC hour as far as it is in the
/// period.
fn hours(ctx: &Ctx, query: &UsageQuery, period: Period) -> Result<Vec<Value>> {
    let mut boundaries = vec![period.start];
    let first = period.start.0.div_euclid(HOUR_S).saturating_add(1).saturating_mul(HOUR_S);
    let mut at = first;
    while at < period.end.0 {
        boundaries.push(Timestamp(at));
        at = at.saturating_add(HOUR_S);
    }
    boundaries.push(period.end);
    let groups = ctx.usage().usage(query, &boundaries).map_err(Error::internal)?;
    let totals = groups.into_iter().next().map(|group| group.usage).unwrap_or_default();
    let spans = boundaries.iter().zip(boundaries.iter().skip(1)).zip(totals);
    let something = spans.filter(|(_, used)| used.events > 0 || !used.quantity.is_zero());
    Ok(something
        .map(|((start, end), used)| {
            json!({
                "end": end.0,
                "events": used.events,
                "quantity": used.quantity.to_string(),
                "start": start.0,
            })
        })
        .collect())
}

/// How many events there are, and what became of them.
/// `ended` is the place of the log behind which the period was over by the customer's test clock, if
/// it has one.
fn events(
    ctx: &Ctx,
    series: &Series,
    period: Period,
    (as_of, ended): (Option<u64>, Option<u64>),
) -> Result<Value> {
    let standings = ctx.usage().standings(series, period, as_of).map_err(Error::internal)?;
    let count = |standing: Standing| standings.values().filter(|own| **own == standing).count();
    let mut late: Option<usize> = (standings.len() <= EVENTS_TOLD_MAX).then_some(0);
    // An amended event came in where its first version did.
    let (mut seen, mut amended) = (0_usize, BTreeSet::new());
    let mut query = EventQuery {
        scope: series.scope.clone(),
        customer: Some(series.customer.clone()),
        meter: Some(series.meter.clone()),
        period: Some(period),
        order: Order::Oldest,
        after: None,
        limit: EVENTS_PER_READ_MAX,
    };
    while late.is_some() {
        let page = ctx.usage().events(&query).map_err(Error::internal)?;
        for event in &page.events {
            let Some(standing) = standings.get(&event.seq) else { continue };
            seen = seen.saturating_add(1);
            let over = ended.map_or(event.received >= period.end, |ended| event.seq > ended);
            if *standing == Standing::Amended && !over {
                amended.insert(event.identifier.clone());
            }
            let is_late =
                *standing == Standing::Counts && over && !amended.contains(&event.identifier);
            late = late.map(|late| late.saturating_add(usize::from(is_late)));
        }
        match page.next {
            Some(next) if as_of.is_none_or(|as_of| next < as_of) => query.after = Some(next),
            _ => break,
        }
    }
    // Of events that retention has deleted nobody knows when they came in.
    let known = seen == standings.len();
    Ok(json!({
        "amended": count(Standing::Amended),
        "canceled": count(Standing::Cancelled),
        "counted": count(Standing::Counts),
        "late": late.filter(|_| known),
    }))
}

/// The SHA-256 of a value in its canonical form: members in the order of their names, and no space.
fn content_hash(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    let digest: [u8; 32] = Sha256::digest(text).into();
    let mut hash = "sha256:".to_owned();
    for byte in digest {
        hash.push_str(&format!("{byte:02x}"));
    }
    hash
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(b.0));
            out.push('{');
            for (place, (name, member)) in sorted.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                canonical(member, out);
            }
            out.push('}');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_content_has_one_hash_however_it_is_ordered() {
        let one = json!({ "b": [1, "x\u{e9}\n"], "a": { "d": null, "c": "0.10" } });
        let other = json!({ "a": { "c": "0.10", "d": null }, "b": [1, "x\u{e9}\n"] });
        let mut text = String::new();
        canonical(&one, &mut text);
        assert_eq!(text, r#"{"a":{"c":"0.10","d":null},"b":[1,"xé\n"]}"#);
        assert_eq!(content_hash(&one), content_hash(&other));
        assert_ne!(content_hash(&one), content_hash(&json!({ "b": [1] })));
        assert_eq!(
            content_hash(&json!({})),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}
