//! What a credit note and its lines say beyond what is asked for by column.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::invoices::{DiscountAmount, TaxAmount};

/// A line of what is taken back. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// What is taken back, before discounts and tax that comes on top.
    pub amount: i64,
    /// What it says.
    pub description: Option<String>,
    /// The line of the invoice that it takes back, or a part of.
    pub invoice_line_item: Option<String>,
    /// How many.
    pub quantity: Option<i64>,
    /// What each costs, as a decimal.
    pub unit_amount: Option<String>,
    /// What discounts had taken off what it takes back.
    pub discount_amounts: Vec<DiscountAmount>,
    /// The tax of what it takes back.
    pub taxes: Vec<TaxAmount>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
}

/// A refund that gives back what is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// Which.
    pub refund: String,
    /// How much of it, in minor units.
    pub amount: i64,
}

/// What a credit note says beyond its columns. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Its lines.
    pub lines: Vec<Line>,
    /// What it says to the customer.
    pub memo: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The date that it bears, if another than when it was made.
    pub effective_at: Option<i64>,
    /// What of it went on the customer's balance.
    pub credit_amount: i64,
    /// The row of that.
    pub customer_balance_transaction: Option<String>,
    /// What of it was given back otherwise than through us.
    pub out_of_band_amount: Option<i64>,
    /// What of it was refunded.
    pub refunds: Vec<Refunded>,
}

/// Adds what each of several lines has of the same thing.
fn add_up<'a, T: Clone + 'a>(
    parts: impl Iterator<Item = &'a T>,
    same: impl Fn(&T, &T) -> bool,
    add: impl Fn(&mut T, &T),
) -> Vec<T> {
    let mut sums: Vec<T> = Vec::new();
    for part in parts {
        match sums.iter_mut().find(|sum| same(sum, part)) {
            Some(sum) => add(sum, part),
            None => sums.push(part.clone()),
        }
    }
    sums
}

impl Line {
    /// What discounts had taken off.
    #[must_use]
    pub fn discount_minor(&self) -> i64 {
        self.discount_amounts.iter().map(|discount| discount.amount).fold(0, i64::saturating_add)
    }

    fn tax_minor(&self, inclusive: bool) -> i64 {
        let taxes = self.taxes.iter().filter(|tax| tax.inclusive == inclusive);
        taxes.map(|tax| tax.amount).fold(0, i64::saturating_add)
    }
}

impl Details {
    fn sum(&self, of: impl Fn(&Line) -> i64) -> i64 {
        self.lines.iter().map(of).fold(0, i64::saturating_add)
    }

    /// What is taken back before discounts of the invoice and tax that comes on top.
    #[must_use]
    pub fn subtotal_minor(&self) -> i64 {
        self.sum(|line| line.amount)
    }

    /// What discounts had taken off.
    #[must_use]
    pub fn discount_minor(&self) -> i64 {
        self.sum(Line::discount_minor)
    }

    /// Tax that comes on top.
    #[must_use]
    pub fn exclusive_tax_minor(&self) -> i64 {
        self.sum(|line| line.tax_minor(false))
    }

    /// Tax that is in the amounts.
    #[must_use]
    pub fn inclusive_tax_minor(&self) -> i64 {
        self.sum(|line| line.tax_minor(true))
    }

    /// What is taken back in all: 1000 less 100 of a discount and 20 % of 900 on top are 1080.
    #[must_use]
    pub fn total_minor(&self) -> i64 {
        let net = self.subtotal_minor().saturating_sub(self.discount_minor());
        net.saturating_add(self.exclusive_tax_minor())
    }

    /// What each discount had taken off.
    #[must_use]
    pub fn discount_amounts(&self) -> Vec<DiscountAmount> {
        add_up(
            self.lines.iter().flat_map(|line| &line.discount_amounts),
            |a, b| a.discount == b.discount,
            |sum, part| sum.amount = sum.amount.saturating_add(part.amount),
        )
    }

    /// What each rate took.
    #[must_use]
    pub fn taxes(&self) -> Vec<TaxAmount> {
        add_up(
            self.lines.iter().flat_map(|line| &line.taxes),
            |a, b| a.tax_rate == b.tax_rate,
            |sum, part| {
                sum.amount = sum.amount.saturating_add(part.amount);
                sum.taxable_amount = sum.taxable_amount.saturating_add(part.taxable_amount);
            },
        )
    }
}
