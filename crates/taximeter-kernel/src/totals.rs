//! What the lines of an invoice come to: discounts, then credits, then taxes.
//!
//! ```text
//! line's subtotal − its own discounts = its amount;  the amounts sum to the invoice's subtotal
//! amount − the invoice's discounts − credits = net
//! net + exclusive taxes sum to the total; inclusive taxes are in the net
//! ```

use crate::decimal::{Decimal, DecimalError};
use crate::discount::{self, Discount};
use crate::tax::{self, Behavior};

/// Whether a discount is of lines or of the invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Of some lines, such as those of one item: it is in their amounts and in the subtotal.
    Lines,
    /// Of the invoice: it comes off after the subtotal.
    Invoice,
}

/// A discount and the lines that it may be taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduction {
    /// How much.
    pub discount: Discount,
    /// Whose it is. Those of lines come off first, whatever their place.
    pub level: Level,
    /// For each line, whether it covers it. Lines that are not discountable are passed over.
    pub lines: Vec<bool>,
}

/// A tax rate and the lines that it taxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// So many per cent.
    pub percent: Decimal,
    /// On top of amounts or within them.
    pub behavior: Behavior,
    /// For each line, whether it is taxed by it.
    pub lines: Vec<bool>,
}

/// Whether the customer pays tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taxation {
    /// Yes.
    Taxed,
    /// No: exempt, or the customer accounts for the tax. Every rate comes to 0 of 0.
    Untaxed,
}

/// A line before anything is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Quantity times price, in minor units.
    pub subtotal_minor: i64,
    /// Whether discounts may be taken off it. What is not above 0 gets none in any case.
    pub discountable: bool,
}

/// Tax by one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tax {
    /// The tax, in minor units.
    pub amount_minor: i64,
    /// What it is the tax of, without tax.
    pub taxable_minor: i64,
}

/// A line with all that is taken off it and put on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineTotals {
    /// Before anything is taken off.
    pub subtotal_minor: i64,
    /// After discounts of lines.
    pub amount_minor: i64,
    /// What each discount takes off, in the order in which the discounts were given: 0 for one that
    /// does not cover the line.
    pub discounts_minor: Vec<i64>,
    /// What credits take off.
    pub credits_minor: i64,
    /// After all discounts and credits: what is taxed.
    pub net_minor: i64,
    /// The tax by each rate, in the order in which the rates were given: nothing for one that does
    /// not tax the line.
    pub taxes: Vec<Option<Tax>>,
}

/// An invoice's totals, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// The lines, in the order in which they were given.
    pub lines: Vec<LineTotals>,
    /// The sum of the lines' amounts: discounts of lines are in it, inclusive tax too.
    pub subtotal_minor: i64,
    /// The subtotal without inclusive tax.
    pub subtotal_excluding_tax_minor: i64,
    /// What each discount takes off all lines, in the order in which they were given.
    pub discounts_minor: Vec<i64>,
    /// What credits take off all lines.
    pub credits_minor: i64,
    /// After discounts and credits, without tax.
    pub total_excluding_tax_minor: i64,
    /// The tax by each rate over all lines, in the order in which the rates were given; nothing for
    /// a rate that taxes no line.
    pub taxes: Vec<Option<Tax>>,
    /// What the invoice comes to.
    pub total_minor: i64,
}

/// Lines with their discounts taken off: where credits go, before tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discounted {
    lines: Vec<LineTotals>,
}

fn add(a: i64, b: i64) -> Result<i64, DecimalError> {
    a.checked_add(b).ok_or(DecimalError::Overflow)
}

fn sub(a: i64, b: i64) -> Result<i64, DecimalError> {
    a.checked_sub(b).ok_or(DecimalError::Overflow)
}

fn sum(amounts: impl IntoIterator<Item = i64>) -> Result<i64, DecimalError> {
    amounts.into_iter().try_fold(0, add)
}

/// The totals of an invoice without credits.
///
/// 500 off lines of 1000 and 2000, and 10 % on top: 166 and 334 off, 83 and 167 (of 834 and 1666) on
/// top, so 3000 − 500 + 250 = 2750.
///
/// # Errors
/// [`DecimalError`] when an amount does not fit.
pub fn totals(
    lines: &[Line],
    reductions: &[Reduction],
    rates: &[Rate],
    taxation: Taxation,
) -> Result<Totals, DecimalError> {
    discounted(lines, reductions)?.taxed(rates, taxation)
}

/// Takes the discounts off, those of lines first, each off what the ones before it left.
///
/// # Errors
/// [`DecimalError`] when an amount does not fit.
pub fn discounted(lines: &[Line], reductions: &[Reduction]) -> Result<Discounted, DecimalError> {
    let none = vec![0; reductions.len()];
    let mut totals: Vec<LineTotals> = lines
        .iter()
        .map(|line| LineTotals {
            subtotal_minor: line.subtotal_minor,
            amount_minor: line.subtotal_minor,
            discounts_minor: none.clone(),
            credits_minor: 0,
            net_minor: line.subtotal_minor,
            taxes: Vec::new(),
        })
        .collect();
    for level in [Level::Lines, Level::Invoice] {
        for (place, reduction) in reductions.iter().enumerate() {
            if reduction.level == level {
                take_off(&mut totals, lines, place, reduction)?;
            }
        }
    }
    Ok(Discounted { lines: totals })
}

fn take_off(
    totals: &mut [LineTotals],
    lines: &[Line],
    place: usize,
    reduction: &Reduction,
) -> Result<(), DecimalError> {
    let covered = reduction.lines.iter().copied().chain(std::iter::repeat(false));
    let bases: Vec<i64> = totals
        .iter()
        .zip(lines)
        .zip(covered)
        .map(
            |((line, given), covers)| {
                if covers && given.discountable { line.net_minor.max(0) } else { 0 }
            },
        )
        .collect();
    let off = discount::taken_off(reduction.discount, sum(bases.iter().copied())?)?;
    for (line, share) in totals.iter_mut().zip(discount::spread(off, &bases)?) {
        if let Some(discount) = line.discounts_minor.get_mut(place) {
            *discount = share;
        }
        line.net_minor = sub(line.net_minor, share)?;
        if reduction.level == Level::Lines {
            line.amount_minor = sub(line.amount_minor, share)?;
        }
    }
    Ok(())
}

impl Discounted {
    /// The lines, in the order in which they were given: credits can be taken off what is left of
    /// each.
    #[must_use]
    pub fn lines(&self) -> &[LineTotals] {
        &self.lines
    }

    /// Takes a credit off each line, in their order: no more than is left of it.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when one is below 0 or more than is left of its line.
    pub fn credited(mut self, credits_minor: &[i64]) -> Result<Self, DecimalError> {
        for (line, credit) in self.lines.iter_mut().zip(credits_minor) {
            if *credit < 0 || *credit > line.net_minor.max(0) {
                return Err(DecimalError::Overflow);
            }
            line.credits_minor = add(line.credits_minor, *credit)?;
            line.net_minor = sub(line.net_minor, *credit)?;
        }
        Ok(self)
    }

    /// Taxes what is left, rounding each tax of each line by itself, and sums up.
    ///
    /// # Errors
    /// [`DecimalError`] when an amount does not fit.
    pub fn taxed(mut self, rates: &[Rate], taxation: Taxation) -> Result<Totals, DecimalError> {
        for (at, line) in self.lines.iter_mut().enumerate() {
            line.taxes = taxes(line.net_minor, at, rates, taxation)?;
        }
        self.sum_up(rates)
    }

    fn sum_up(self, rates: &[Rate]) -> Result<Totals, DecimalError> {
        let lines = self.lines;
        let subtotal_minor = sum(lines.iter().map(|line| line.amount_minor))?;
        let net = sum(lines.iter().map(|line| line.net_minor))?;
        let places = lines.first().map_or(0, |line| line.discounts_minor.len());
        let of_discount = |place: usize| {
            let shares = lines.iter().filter_map(|line| line.discounts_minor.get(place).copied());
            sum(shares)
        };
        let discounts_minor = (0..places).map(of_discount).collect::<Result<_, _>>()?;
        let mut taxes = Vec::with_capacity(rates.len());
        let (mut inclusive, mut exclusive) = (0, 0);
        for (place, rate) in rates.iter().enumerate() {
            let mut tax: Option<Tax> = None;
            for part in lines.iter().filter_map(|line| line.taxes.get(place).copied().flatten()) {
                let so_far = tax.unwrap_or_default();
                tax = Some(Tax {
                    amount_minor: add(so_far.amount_minor, part.amount_minor)?,
                    taxable_minor: add(so_far.taxable_minor, part.taxable_minor)?,
                });
            }
            let amount = tax.unwrap_or_default().amount_minor;
            match rate.behavior {
                Behavior::Inclusive => inclusive = add(inclusive, amount)?,
                Behavior::Exclusive => exclusive = add(exclusive, amount)?,
            }
            taxes.push(tax);
        }
        Ok(Totals {
            subtotal_minor,
            subtotal_excluding_tax_minor: sub(subtotal_minor, inclusive)?,
            discounts_minor,
            credits_minor: sum(lines.iter().map(|line| line.credits_minor))?,
            total_excluding_tax_minor: sub(net, inclusive)?,
            taxes,
            total_minor: add(net, exclusive)?,
            lines,
        })
    }
}

/// The taxes of the line at place `at`. Several inclusive rates are within one amount together.
fn taxes(
    net_minor: i64,
    at: usize,
    rates: &[Rate],
    taxation: Taxation,
) -> Result<Vec<Option<Tax>>, DecimalError> {
    let applies = |rate: &&Rate| rate.lines.get(at).copied().unwrap_or(false);
    if taxation == Taxation::Untaxed {
        return Ok(rates.iter().map(|rate| applies(&rate).then(Tax::default)).collect());
    }
    let mut within = Decimal::ZERO;
    for rate in rates.iter().filter(applies).filter(|rate| rate.behavior == Behavior::Inclusive) {
        within = within.checked_add(rate.percent)?;
    }
    let amounts = rates
        .iter()
        .map(|rate| match rate.behavior {
            _ if !applies(&rate) => Ok(None),
            Behavior::Exclusive => tax::tax(net_minor, rate.percent, rate.behavior).map(Some),
            Behavior::Inclusive => tax::within(net_minor, rate.percent, within).map(Some),
        })
        .collect::<Result<Vec<Option<i64>>, _>>()?;
    let included = rates.iter().zip(&amounts).filter(|(r, _)| r.behavior == Behavior::Inclusive);
    let taxable_minor = sub(net_minor, sum(included.filter_map(|(_, amount)| *amount))?)?;
    let tax = |amount: Option<i64>| amount.map(|amount_minor| Tax { amount_minor, taxable_minor });
    Ok(amounts.into_iter().map(tax).collect())
}

#[cfg(test)]
mod tests;
