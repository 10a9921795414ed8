//! What prices cost and what was used, reckoned as plainly as can be and without the kernel.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Quantities and prices are counted in millionths here.
pub(super) const ONE: i128 = 1_000_000;

/// How a price charges: amounts in millionths of a minor unit.
#[derive(Debug, Clone)]
pub(super) enum Terms {
    Unit(i128),
    Package { amount: i128, of: i128, up: bool },
    Graduated(Vec<Step>),
    Volume(Vec<Step>),
}

/// A tier: up to how many whole units, if it ends, what each costs and what all do together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) up_to: Option<i128>,
    pub(super) unit: i128,
    pub(super) flat: Option<i128>,
}

#[derive(Debug, Clone)]
pub(super) struct Price {
    pub(super) id: String,
    pub(super) metered: bool,
    /// Every how many intervals it recurs.
    pub(super) times: i64,
    pub(super) terms: Terms,
}

/// Half away from zero.
fn rounded(amount: i128, by: i128) -> i64 {
    let (size, sign) = (amount.abs(), amount.signum());
    i64::try_from(sign * ((2 * size + by) / (2 * by))).expect("small amounts")
}

impl Price {
    /// What a quantity in millionths costs, in minor units.
    pub(super) fn cost(&self, quantity: i128) -> i64 {
        let of_tier = |step: &Step, units: i128| {
            rounded(step.unit * units, ONE * ONE) + rounded(step.flat.unwrap_or(0), ONE)
        };
        match &self.terms {
            Terms::Unit(unit) => rounded(unit * quantity, ONE * ONE),
            Terms::Package { amount, of, up } => {
                let more = if *up { of * ONE - 1 } else { 0 };
                rounded(amount * ((quantity + more) / (of * ONE)), ONE)
            }
            Terms::Volume(steps) => {
                let holds = |step: &&Step| step.up_to.is_none_or(|end| quantity <= end * ONE);
                of_tier(steps.iter().find(holds).expect("a last tier"), quantity)
            }
            Terms::Graduated(steps) => {
                let (mut below, mut cost) = (0, 0);
                for step in steps {
                    let end = step.up_to.map_or(quantity, |end| quantity.min(end * ONE));
                    cost += of_tier(step, end - below);
                    below = end;
                    if step.up_to.is_none_or(|end| quantity <= end * ONE) {
                        break;
                    }
                }
                cost
            }
        }
    }
}

/// An event that was accepted.
#[derive(Debug, Clone)]
pub(super) struct Used {
    pub(super) customer: String,
    pub(super) at: i64,
    pub(super) value: i128,
}

/// What was seen of a metered item: the period, and what was to be billed when it was billed.
#[derive(Debug, Clone)]
pub(super) struct Billed {
    pub(super) period: (i64, i64),
    pub(super) invoice: String,
}

/// A customer of the simulation.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) clock: Option<String>,
    pub(super) sent: bool,
}

/// A subscription of the simulation.
#[derive(Debug, Clone)]
pub(super) struct Sub {
    pub(super) id: String,
    pub(super) customer: usize,
    /// Whether its periods began anew, or usage was let go of, on purpose: they do not tile then.
    pub(super) anew: bool,
    /// Whether a trial, a pause or classic billing may let go of usage.
    pub(super) lets_go: bool,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) currency: &'static str,
    pub(super) prices: Vec<Price>,
    pub(super) customers: Vec<Customer>,
    pub(super) subs: Vec<Sub>,
    pub(super) used: Vec<Used>,
    /// Customer and identifier.
    pub(super) identifiers: BTreeSet<(String, String)>,
    pub(super) coupons: Vec<String>,
    pub(super) taxes: Vec<String>,
    /// By customer: what was adjusted by hand.
    pub(super) adjusted: BTreeMap<String, i64>,
    /// By invoice: how it read when it was first seen finalized.
    pub(super) finalized: BTreeMap<String, Value>,
    /// By subscription item and price.
    pub(super) billed: BTreeMap<String, Vec<Billed>>,
    /// Items of usage that were billed when an item changed, as they were first seen.
    pub(super) items: BTreeSet<String>,
    /// By subscription item: the periods in which it was seen.
    pub(super) periods: BTreeMap<String, Vec<(i64, i64)>>,
}

impl Book {
    /// The usage of a customer in a period, in millionths, never below 0.
    pub(super) fn usage(&self, customer: &str, (start, end): (i64, i64)) -> i128 {
        let of = |used: &&Used| used.customer == customer && start <= used.at && used.at < end;
        self.used.iter().filter(of).map(|used| used.value).sum::<i128>().max(0)
    }

    pub(super) fn price(&self, id: &str) -> Option<&Price> {
        self.prices.iter().find(|price| price.id == id)
    }
}

/// Reads a decimal as millionths.
pub(super) fn millionths(text: &str) -> i128 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(part.len() <= 6, "{text} is finer than what was used");
    let digits: i128 = format!("{}{part:0<6}", whole.trim_start_matches('-')).parse().unwrap();
    if text.starts_with('-') { -digits } else { digits }
}

/// Writes millionths as a decimal.
pub(super) fn decimal(value: i128) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", value.abs() / ONE, value.abs() % ONE)
}
