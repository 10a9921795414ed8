//! Rating: a quantity and a scheme become the lines of an invoice.
//!
//! **Invariant:** each line is rounded once, after an exact multiplication, half away from zero to
//! whole minor units. The sum of the lines is the amount; it is never rounded again.

use crate::decimal::{self, Decimal, DecimalError, Rounding};
use crate::price::{RoundQuantity, Scheme, Tier, TierMode, TransformQuantity};

/// One line of what a quantity costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatedLine {
    /// How many units the line shows: raw units for packages too, 0 for a flat amount.
    pub quantity: Decimal,
    /// What the line costs, in minor units.
    pub amount_minor: i64,
    /// Minor units for each unit or package; nothing for a flat amount.
    pub unit_amount: Option<Decimal>,
    /// Which part of the price the line is.
    pub part: Part,
}

/// Which part of a price a line is. Tiers count from 1, as people read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of a per-unit price.
    Whole,
    /// The units that fell into a tier.
    TierUnits {
        /// Which tier.
        tier: usize,
        /// Minor units for each unit, 0 where the tier has only a flat amount.
        unit_amount: Decimal,
    },
    /// The flat amount of a tier reached.
    TierFlat {
        /// Which tier.
        tier: usize,
        /// Minor units once.
        flat_amount: Decimal,
    },
}

/// Why a quantity could not be rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The quantity is below 0. Usage goes through [`billable_quantity`] first.
    #[error("the quantity is negative")]
    NegativeQuantity,
    /// No tier goes as far as the quantity; [`Scheme::validate`] refuses such tiers.
    #[error("no tier holds the quantity")]
    NoTier,
    /// A line's amount, or the sum of the lines, does not fit.
    #[error("the amount cannot be computed")]
    Amount(#[from] DecimalError),
}

/// The quantity billed for metered usage: corrections may bring usage below 0, which is billed as 0.
/// -3 is 0, 2.5 is 2.5.
#[must_use]
pub fn billable_quantity(usage: Decimal) -> Decimal {
    usage.max(Decimal::ZERO)
}

/// What `quantity` costs, as invoice lines in order.
///
/// - *Per unit*: one line. 31 at 3.6 minor units: 31 × 3.6 = 111.6, so 112.
/// - *Package*: one line. 101 in packages of 100 at 4, rounded up: 2 × 4 = 8; the line shows 101.
/// - *Graduated*: lines for each tier reached. "1000 free with 900 flat, then 3.6": 1031 costs
///   0 + 900 + 112 = 1012.
/// - *Volume*: lines for the one tier that holds the quantity. "5 at 700, then 650": 6 costs 3900.
///
/// A tier gives a line for its units, then one for its flat amount if it has one, be it 0. The first
/// tier is reached even by 0, so its flat amount is always billed.
///
/// # Errors
/// [`RateError`] when the quantity is negative, no tier holds it or an amount does not fit.
pub fn rate(scheme: &Scheme, quantity: Decimal) -> Result<Vec<RatedLine>, RateError> {
    if quantity.is_negative() {
        return Err(RateError::NegativeQuantity);
    }
    match scheme {
        Scheme::PerUnit { unit_amount, transform } => {
            let billed = match transform {
                Some(packages) => packages_begun(quantity, *packages)?,
                None => quantity,
            };
            Ok(vec![RatedLine {
                quantity,
                amount_minor: amount_of(*unit_amount, billed)?,
                unit_amount: Some(*unit_amount),
                part: Part::Whole,
            }])
        }
        Scheme::Tiered { mode: TierMode::Graduated, tiers } => graduated(tiers, quantity),
        Scheme::Tiered { mode: TierMode::Volume, tiers } => volume(tiers, quantity),
    }
}

/// The sum of the lines, in minor units. 0 + 900 + 112 = 1012.
///
/// # Errors
/// [`DecimalError::Overflow`] when it does not fit.
pub fn total_minor(lines: &[RatedLine]) -> Result<i64, RateError> {
    let mut total: i64 = 0;
    for line in lines {
        total = total.checked_add(line.amount_minor).ok_or(DecimalError::Overflow)?;
    }
    Ok(total)
}

/// `unit_amount × units` in minor units: the one rounding of a line.
fn amount_of(unit_amount: Decimal, units: Decimal) -> Result<i64, RateError> {
    Ok(decimal::mul_round(unit_amount, units, Rounding::HalfAwayFromZero)?)
}

/// How many packages are billed. 101 in packages of 100 are 2 up, 1 down.
fn packages_begun(quantity: Decimal, packages: TransformQuantity) -> Result<Decimal, RateError> {
    let rounding = match packages.round {
        RoundQuantity::Up => Rounding::Up,
        RoundQuantity::Down => Rounding::Down,
    };
    let count = decimal::div_round(quantity, Decimal::from_int(packages.divide_by), rounding)?;
    Ok(Decimal::from_int(count))
}

fn graduated(tiers: &[Tier], quantity: Decimal) -> Result<Vec<RatedLine>, RateError> {
    let mut lines = Vec::new();
    let mut below = Decimal::ZERO;
    for (tier, number) in tiers.iter().zip(1..) {
        let Some(up_to) = beyond(tier, quantity) else {
            push_tier(&mut lines, number, tier, quantity.checked_sub(below)?)?;
            return Ok(lines);
        };
        push_tier(&mut lines, number, tier, up_to.checked_sub(below)?)?;
        below = up_to;
    }
    Err(RateError::NoTier)
}

fn volume(tiers: &[Tier], quantity: Decimal) -> Result<Vec<RatedLine>, RateError> {
    for (tier, number) in tiers.iter().zip(1..) {
        if beyond(tier, quantity).is_none() {
            let mut lines = Vec::new();
            push_tier(&mut lines, number, tier, quantity)?;
            return Ok(lines);
        }
    }
    Err(RateError::NoTier)
}

/// The tier's end, when the quantity goes beyond it. The end itself belongs to the tier.
fn beyond(tier: &Tier, quantity: Decimal) -> Option<Decimal> {
    tier.up_to.map(Decimal::from_int).filter(|up_to| quantity > *up_to)
}

fn push_tier(
    lines: &mut Vec<RatedLine>,
    number: usize,
    tier: &Tier,
    units: Decimal,
) -> Result<(), RateError> {
    let unit_amount = tier.unit_amount.unwrap_or(Decimal::ZERO);
    lines.push(RatedLine {
        quantity: units,
        amount_minor: amount_of(unit_amount, units)?,
        unit_amount: Some(unit_amount),
        part: Part::TierUnits { tier: number, unit_amount },
    });
    if let Some(flat_amount) = tier.flat_amount {
        lines.push(RatedLine {
            quantity: Decimal::ZERO,
            amount_minor: amount_of(flat_amount, Decimal::ONE)?,
            unit_amount: None,
            part: Part::TierFlat { tier: number, flat_amount },
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
