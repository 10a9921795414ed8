//! What the lines of an invoice come to: discounts, then taxes, then the total.

use taximeter_kernel::id::{Discount as DiscountKind, Id, TaxRate as TaxRateKind};
use taximeter_kernel::invoice::settle;
use taximeter_kernel::tax::Behavior;
use taximeter_kernel::totals::{self, Level, Line as Amount, Rate, Reduction, Taxation, Totals};

use super::details::{DiscountAmount, TaxAmount};
use super::{Invoice, Line, too_large};
use crate::coupons::Duration;
use crate::ctx::Ctx;
use crate::discounts::{self, Discount};
use crate::error::{Error, Result};
use crate::tax_rates::{self, TaxRate};

/// Brings the lines to the invoice's totals.
///
/// # Errors
/// A 400 when the invoice amounts to more than can be billed.
pub(super) async fn add_up(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    let discounts = discounts_of(ctx, invoice).await?;
    add_up_with(ctx, invoice, &discounts).await
}

/// Adds a finalized invoice up again, by the discounts that were taken off it.
pub(super) async fn add_up_again(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    let discounts = discounts::of(ctx, &parsed::<DiscountKind>(&taken(invoice))?).await?;
    add_up_with(ctx, invoice, &discounts).await
}

/// As [`add_up`], of an invoice that was added up before and has used up discounts since: what it was
/// given then it is given again.
pub(super) async fn add_up_with_taken(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    let taken = taken(invoice);
    let mut discounts = all_discounts_of(ctx, invoice).await?;
    discounts.retain(|own| {
        own.active_at(invoice.created) || taken.iter().any(|id| *id == own.id.as_str())
    });
    add_up_with(ctx, invoice, &discounts).await
}

/// The discounts by which an invoice was added up. Those that it shows for its prorations alone,
/// which were made with them, are none of these.
fn taken(invoice: &Invoice) -> Vec<String> {
    let is_taken = |id: &str| {
        let named = |all: &[DiscountAmount]| all.iter().any(|taken| taken.discount == id);
        let mut lines = invoice.lines.iter().map(|line| &line.details);
        lines.any(|line| named(&line.discount_amounts) && !named(&line.itemized))
    };
    let shown = invoice.details.total_discount_amounts.iter().map(|shown| &shown.discount);
    shown.filter(|id| is_taken(id)).cloned().collect()
}

async fn add_up_with(ctx: &mut Ctx, invoice: &mut Invoice, discounts: &[Discount]) -> Result<()> {
    invoice.tax_rates = rates_of(ctx, invoice).await?;
    let amounts: Vec<Amount> = invoice
        .lines
        .iter()
        .map(|line| Amount {
            subtotal_minor: before_discounts(line),
            discountable: line.details.discountable,
        })
        .collect();
    let mut used = Vec::new();
    let mut reductions: Vec<Reduction> = Vec::new();
    for discount in discounts {
        if let Some(reduction) = reduction(invoice, discount) {
            used.push(discount);
            reductions.push(reduction);
        }
    }
    let rates: Vec<Rate> = invoice.tax_rates.iter().map(|rate| taxing(invoice, rate)).collect();
    let taxation = match invoice.customer_snapshot.tax_exempt.as_str() {
        "exempt" | "reverse" => Taxation::Untaxed,
        _ => Taxation::Taxed,
    };
    let totals = totals::totals(&amounts, &reductions, &rates, taxation)
        .map_err(|error| too_large().because(error))?;
    set(invoice, &used, &totals);
    add_itemized(invoice)?;
    settle(invoice.total, invoice.starting_balance, invoice.currency)
        .map_err(|error| too_large().because(error))?;
    Ok(())
}

/// What is still to be discounted of a line: what a proration was made with is off already.
fn before_discounts(line: &Line) -> i64 {
    let gross = line.details.gross.unwrap_or(line.amount);
    let off = line.details.itemized.iter().map(|taken| taken.amount);
    off.fold(gross, i64::saturating_sub)
}

/// Shows prorations before the discounts that they were made with, and these beside them.
fn add_itemized(invoice: &mut Invoice) -> Result<()> {
    for line in &mut invoice.lines {
        for taken in line.details.itemized.clone() {
            let amount = taken.amount;
            line.amount = line.amount.checked_add(amount).ok_or_else(too_large)?;
            invoice.subtotal = invoice.subtotal.checked_add(amount).ok_or_else(too_large)?;
            add_to(&mut line.details.discount_amounts, &taken)?;
            add_to(&mut invoice.details.total_discount_amounts, &taken)?;
        }
    }
    Ok(())
}

fn add_to(all: &mut Vec<DiscountAmount>, taken: &DiscountAmount) -> Result<()> {
    match all.iter_mut().find(|one| one.discount == taken.discount) {
        Some(one) => one.amount = one.amount.checked_add(taken.amount).ok_or_else(too_large)?,
        None => all.push(taken.clone()),
    }
    Ok(())
}

/// Reads the rates that a finalized invoice was taxed by.
pub(super) async fn read_rates(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    invoice.tax_rates = rates_of(ctx, invoice).await?;
    Ok(())
}

fn set(invoice: &mut Invoice, used: &[&Discount], totals: &Totals) {
    let reason = match invoice.customer_snapshot.tax_exempt.as_str() {
        "exempt" => "customer_exempt",
        "reverse" => "reverse_charge",
        _ => "not_available",
    };
    let rates = invoice.tax_rates.clone();
    let amount_of = |rate: &TaxRate, tax: &totals::Tax| TaxAmount {
        amount: tax.amount_minor,
        inclusive: rate.behavior == Behavior::Inclusive,
        tax_rate: rate.id.as_str().to_owned(),
        taxable_amount: tax.taxable_minor,
        taxability_reason: reason.to_owned(),
    };
    let taxes = |of: &[Option<totals::Tax>]| -> Vec<TaxAmount> {
        let pairs = rates.iter().zip(of);
        pairs.filter_map(|(rate, tax)| tax.as_ref().map(|tax| amount_of(rate, tax))).collect()
    };
    let off = |of: &[i64]| -> Vec<DiscountAmount> {
        let pairs = used.iter().zip(of);
        pairs
            .map(|(discount, amount)| DiscountAmount {
                amount: *amount,
                discount: discount.id.as_str().to_owned(),
            })
            .collect()
    };
    for (line, total) in invoice.lines.iter_mut().zip(&totals.lines) {
        let discounted = total.amount_minor != total.subtotal_minor;
        line.details.gross = discounted.then_some(total.subtotal_minor);
        line.amount = total.amount_minor;
        line.details.discount_amounts = off(&total.discounts_minor);
        line.details.taxes = taxes(&total.taxes);
    }
    let details = &mut invoice.details;
    details.total_discount_amounts = off(&totals.discounts_minor);
    details.total_taxes = taxes(&totals.taxes);
    details.inclusive_tax =
        totals.subtotal_minor.saturating_sub(totals.subtotal_excluding_tax_minor);
    details.total_excluding_tax = Some(totals.total_excluding_tax_minor);
    invoice.subtotal = totals.subtotal_minor;
    invoice.total = totals.total_minor;
    invoice.amount_due = invoice.total.max(0);
}

/// How a discount is taken off an invoice's lines, if it is at all.
fn reduction(invoice: &Invoice, discount: &Discount) -> Option<Reduction> {
    let id = discount.id.as_str();
    let of_invoice = invoice.details.discounts.iter().any(|own| own == id);
    let level = if of_invoice { Level::Invoice } else { Level::Lines };
    let covers = |line: &Line| {
        let held = of_invoice || line.details.discounts.iter().any(|own| own == id);
        let all = discount.coupon.products.is_none();
        held && line.product.as_ref().map_or(all, |product| discount.coupon.covers(product))
    };
    let lines = invoice.lines.iter().map(covers).collect();
    discount.of_lines(invoice.currency, level, lines)
}

/// A rate and the lines that it taxes: those that name it, and where it is the invoice's, those that
/// name none.
fn taxing(invoice: &Invoice, rate: &TaxRate) -> Rate {
    let id = rate.id.as_str();
    let default = invoice.details.default_tax_rates.iter().any(|own| own == id);
    let taxed = |line: &Line| {
        let own = &line.details.tax_rates;
        if own.is_empty() { default } else { own.iter().any(|own| own == id) }
    };
    rate.of_lines(invoice.lines.iter().map(taxed).collect())
}

/// The discounts of an invoice and of its lines that are in force.
async fn discounts_of(ctx: &mut Ctx, invoice: &Invoice) -> Result<Vec<Discount>> {
    let mut discounts = all_discounts_of(ctx, invoice).await?;
    discounts.retain(|discount| discount.active_at(invoice.created));
    Ok(discounts)
}

async fn all_discounts_of(ctx: &mut Ctx, invoice: &Invoice) -> Result<Vec<Discount>> {
    let of_lines = invoice.lines.iter().flat_map(|line| &line.details.discounts);
    let ids = distinct(invoice.details.discounts.iter().chain(of_lines));
    discounts::of(ctx, &parsed::<DiscountKind>(&ids)?).await
}

async fn rates_of(ctx: &mut Ctx, invoice: &Invoice) -> Result<Vec<TaxRate>> {
    let of_lines = invoice.lines.iter().flat_map(|line| &line.details.tax_rates);
    let ids = distinct(invoice.details.default_tax_rates.iter().chain(of_lines));
    tax_rates::of(ctx, &parsed::<TaxRateKind>(&ids)?).await
}

/// Uses up the discounts of a single use that took something off an invoice which is finalized now.
pub(super) async fn spend(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    let used = invoice.details.total_discount_amounts.iter().filter(|used| used.amount > 0);
    let ids: Vec<String> = used.map(|used| used.discount.clone()).collect();
    discounts::spend(ctx, &parsed::<DiscountKind>(&ids)?).await
}

/// What discounts of a single use are used up by, before an invoice that is only looked at.
pub(super) enum Used {
    /// Invoices like it.
    All,
    /// Drafts that are billed before it.
    ByDrafts(Vec<Invoice>),
}

/// Takes the discounts of a single use off an invoice that are used up before it.
pub(super) async fn forget_single_use(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    used: &Used,
) -> Result<()> {
    let is_used = |id: &str| match used {
        Used::All => true,
        Used::ByDrafts(drafts) => drafts.iter().any(|draft| {
            let mut off = draft.details.total_discount_amounts.iter();
            off.any(|off| off.discount == id && off.amount > 0)
        }),
    };
    let discounts = discounts_of(ctx, invoice).await?;
    let single = discounts.iter().filter(|discount| discount.coupon.duration == Duration::Once);
    let gone: Vec<&str> =
        single.map(|discount| discount.id.as_str()).filter(|id| is_used(id)).collect();
    let stays = |id: &String| !gone.contains(&id.as_str());
    invoice.details.discounts.retain(stays);
    for line in &mut invoice.lines {
        line.details.discounts.retain(stays);
    }
    Ok(())
}

/// The discounts among `held` that nothing else on the invoice lists: only these end where what held
/// them lets go of them.
pub(super) fn only_here<'a>(
    held: &[String],
    elsewhere: impl Iterator<Item = &'a String>,
) -> Result<Vec<Id<DiscountKind>>> {
    let elsewhere: Vec<&String> = elsewhere.collect();
    let only: Vec<String> = held.iter().filter(|id| !elsewhere.contains(id)).cloned().collect();
    parsed(&only)
}

fn distinct<'a>(ids: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for id in ids {
        if !distinct.contains(id) {
            distinct.push(id.clone());
        }
    }
    distinct
}

pub(crate) fn parsed<K: taximeter_kernel::id::Kind>(ids: &[String]) -> Result<Vec<Id<K>>> {
    ids.iter().map(|id| Id::parse(id).map_err(Error::internal)).collect()
}
