//! Finalized invoices derived again: their usage from the steps of the usage log alone, by the plain
//! rules of the kernel, and their totals from their lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::ControlFlow;

use taximeter_db::Tx;
use taximeter_kernel::aggregate::{Aggregation, Counted, usage_of};
use taximeter_kernel::id::Scope;
use taximeter_kernel::invoice::settle;
use taximeter_kernel::price::Scheme;
use taximeter_kernel::rate::{billable_quantity, rate};
use taximeter_kernel::time::Period;
use taximeter_usage::tools::Step;
use taximeter_usage::{Event, Series};

use super::build::query_of;
use super::explain::group_of;
use super::{Invoice, Line, Status, sql, totals};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::prices;

/// The accounts and modes that have an invoice of this id.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn scopes(tx: &mut Tx, id: &str) -> Result<Vec<Scope>> {
    sql::scopes(tx, id).await
}

/// What an invoice says, and what it was made of as far as the database knows.
#[derive(Debug)]
pub struct Basis {
    invoice: Invoice,
    again: Invoice,
    metered: Vec<Metered>,
}

/// The lines of one metered price and period.
#[derive(Debug)]
struct Metered {
    series: Series,
    aggregation: Aggregation,
    period: Period,
    scheme: Scheme,
    lines: Vec<Line>,
}

/// Reads what an invoice is derived from beside the usage log.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is a draft.
pub async fn basis(ctx: &mut Ctx, id: &str) -> Result<Basis> {
    let invoice = super::retrieve(ctx, id).await?;
    if invoice.status == Status::Draft {
        return Err(Error::invalid(
            "This invoice is a draft: its usage is counted until it is finalized.",
        ));
    }
    let mut metered = Vec::new();
    let mut done: BTreeSet<String> = BTreeSet::new();
    for head in invoice.lines.iter().filter(|line| line.details.metered) {
        if done.contains(head.id.as_str()) {
            continue;
        }
        let lines: Vec<Line> = group_of(&invoice, head).into_iter().cloned().collect();
        done.extend(lines.iter().map(|line| line.id.as_str().to_owned()));
        let Some(price) = &head.price else { continue };
        let price = prices::retrieve(ctx, price.as_str()).await?;
        let query =
            query_of(ctx, &invoice.customer, &price, invoice.details.usage_position).await?;
        let Some(query) = query else { continue };
        let scheme = price.scheme_in(invoice.currency).cloned();
        metered.push(Metered {
            series: query.series,
            aggregation: query.aggregation,
            period: head.period,
            scheme: scheme.ok_or_else(|| Error::internal("a price lacks its amount"))?,
            lines,
        });
    }
    let mut again = invoice.clone();
    totals::add_up_again(ctx, &mut again).await?;
    Ok(Basis { invoice, again, metered })
}

/// The events behind an invoice, taken from the steps of the log.
#[derive(Debug)]
pub struct Evidence {
    position: u64,
    first: Option<u64>,
    events: BTreeMap<Series, BTreeMap<u64, Counted>>,
    out: BTreeSet<u64>,
}

impl Evidence {
    /// Takes the step at a place in the order. Breaks when the invoice knows of no more.
    pub fn take(&mut self, seq: u64, step: &Step) -> ControlFlow<()> {
        if seq > self.position {
            return ControlFlow::Break(());
        }
        self.first.get_or_insert(seq);
        match step {
            Step::Recorded(event) => self.record(event),
            Step::Amended(event, of) => {
                self.out.insert(*of);
                self.record(event);
            }
            Step::Cancelled(event, _) => {
                self.out.insert(event.seq);
            }
            Step::Restored(event, _) => {
                self.out.remove(&event.seq);
            }
        }
        ControlFlow::Continue(())
    }

    fn record(&mut self, event: &Event) {
        let series = Series {
            scope: event.scope.clone(),
            meter: event.meter.clone(),
            customer: event.customer.clone(),
        };
        if let Some(events) = self.events.get_mut(&series) {
            let Event { seq, timestamp, measure, .. } = *event;
            events.insert(seq, Counted { seq, timestamp, measure });
        }
    }

    fn counting(&self, series: &Series) -> Vec<Counted> {
        let events = self.events.get(series).into_iter().flatten();
        events.filter(|(seq, _)| !self.out.contains(seq)).map(|(_, event)| *event).collect()
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How many lines the invoice has.
    pub lines: usize,
    /// How many of them were counted again.
    pub metered: usize,
    /// How many events these were counted from.
    pub events: usize,
    /// The first thing that is not as it was derived, if there is one.
    pub difference: Option<String>,
}

impl Basis {
    /// Whether there is usage behind it.
    #[must_use]
    pub const fn is_metered(&self) -> bool {
        !self.metered.is_empty()
    }

    /// What its usage is to be taken into: the steps of the log from the first on.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let series = self.metered.iter().map(|metered| (metered.series.clone(), BTreeMap::new()));
        Evidence {
            position: self.invoice.details.usage_position.unwrap_or(0),
            first: None,
            events: series.collect(),
            out: BTreeSet::new(),
        }
    }

    /// Derives the invoice again, and says what differs.
    ///
    /// # Errors
    /// A 400 when the log begins too late, or an amount does not fit.
    pub fn verify(&self, evidence: &Evidence) -> Result<Verdict> {
        if self.is_metered() && evidence.first.is_some_and(|first| first > 1) {
            return Err(Error::invalid(
                "The first events were deleted from the log after their time: usage cannot be \
                 counted from it again.",
            ));
        }
        let mut difference = None;
        let (mut lines, mut events) = (0_usize, 0_usize);
        for metered in &self.metered {
            let counting = evidence.counting(&metered.series);
            lines = lines.saturating_add(metered.lines.len());
            events = events.saturating_add(
                counting.iter().filter(|event| metered.period.contains(event.timestamp)).count(),
            );
            if difference.is_none() {
                difference = metered.difference(&counting)?;
            }
        }
        let difference = match difference {
            Some(found) => Some(found),
            None => self.of_totals()?,
        };
        Ok(Verdict { lines: self.invoice.lines.len(), metered: lines, events, difference })
    }

    fn of_totals(&self) -> Result<Option<String>> {
        let (is, again) = (&self.invoice, &self.again);
        for (line, should) in is.lines.iter().zip(&again.lines) {
            let (details, due) = (&line.details, &should.details);
            let id = &line.id;
            let found = differs(&format!("amount of {id}"), line.amount, should.amount)
                .or_else(|| {
                    list_differs(id, "discounts", &details.discount_amounts, &due.discount_amounts)
                })
                .or_else(|| list_differs(id, "taxes", &details.taxes, &due.taxes));
            if found.is_some() {
                return Ok(found);
            }
        }
        let (details, due) = (&is.details, &again.details);
        let settled = settle(again.total, is.starting_balance, is.currency);
        let settled = settled.map_err(|error| super::too_large().because(error))?;
        Ok(differs("subtotal", is.subtotal, again.subtotal)
            .or_else(|| {
                let (is, due) = (&details.total_discount_amounts, &due.total_discount_amounts);
                list_differs(&self.invoice.id, "discounts", is, due)
            })
            .or_else(|| list_differs(&is.id, "taxes", &details.total_taxes, &due.total_taxes))
            .or_else(|| differs("total", is.total, again.total))
            .or_else(|| differs("amount due", is.amount_due, settled.amount_due))
            .or_else(|| {
                let ending = is.ending_balance.unwrap_or(0);
                differs("ending balance", ending, settled.ending_balance)
            }))
    }
}

impl Metered {
    fn difference(&self, counting: &[Counted]) -> Result<Option<String>> {
        let overflow = |error| super::too_large().because(error);
        let used = usage_of(self.aggregation, self.period, counting).map_err(overflow)?;
        let billed = billable_quantity(used.quantity);
        let parts =
            rate(&self.scheme, billed).map_err(|error| super::too_large().because(error))?;
        let meter = &self.series.meter;
        let first = self.lines.first().map_or("", |line| line.id.as_str());
        if parts.len() != self.lines.len() {
            return Ok(Some(format!(
                "usage of {meter} from {first} on: the log has {billed}, which makes {} lines; the \
                 invoice has {}",
                parts.len(),
                self.lines.len()
            )));
        }
        let found = parts.iter().zip(&self.lines).find_map(|(part, line)| {
            let gross = line.details.gross.unwrap_or(line.amount);
            let id = &line.id;
            differs(&format!("quantity of {id}"), line.quantity, part.quantity)
                .or_else(|| differs(&format!("amount of {id}"), gross, part.amount_minor))
        });
        Ok(found)
    }
}

fn differs<T: PartialEq + Display + Copy>(what: &str, is: T, should: T) -> Option<String> {
    (is != should).then(|| format!("{what}: the invoice says {is}, and {should} was derived"))
}

fn list_differs<T: PartialEq + std::fmt::Debug>(
    of: &impl Display,
    what: &str,
    is: &[T],
    should: &[T],
) -> Option<String> {
    (is != should)
        .then(|| format!("{what} of {of}: the invoice says {is:?}, and {should:?} was derived"))
}
