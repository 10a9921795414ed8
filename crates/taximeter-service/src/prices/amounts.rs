//! From the amounts of one currency, as a request says them, to a scheme that keeps every rule.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::price::{Scheme, Tier, TierMode, TransformQuantity};

use super::fault::{amounts_fault, exclusive, needs_tiered, no_amount, param};
use super::input::{CurrencyOptionInput, Infinity, TierInput};
use crate::error::{Error, Result};
use crate::params::{OrWord, Path};

/// What a price has in common in all its currencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One amount for each unit or package.
    PerUnit { transform: Option<TransformQuantity> },
    /// Amounts by tier.
    Tiered { mode: TierMode },
}

impl From<&Scheme> for Shape {
    fn from(scheme: &Scheme) -> Self {
        match scheme {
            Scheme::PerUnit { transform, .. } => Self::PerUnit { transform: *transform },
            Scheme::Tiered { mode, .. } => Self::Tiered { mode: *mode },
        }
    }
}

/// The amounts of one currency, as a request says them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amounts<'a> {
    pub(super) unit_amount: Option<i64>,
    pub(super) unit_amount_decimal: Option<Decimal>,
    pub(super) tiers: Option<&'a [TierInput]>,
}

impl<'a> From<&'a CurrencyOptionInput> for Amounts<'a> {
    fn from(option: &'a CurrencyOptionInput) -> Self {
        Self {
            unit_amount: option.unit_amount,
            unit_amount_decimal: option.unit_amount_decimal,
            tiers: option.tiers.as_deref(),
        }
    }
}

impl Amounts<'_> {
    /// Whether the request says no amount at all.
    pub(super) const fn are_absent(&self) -> bool {
        self.unit_amount.is_none() && self.unit_amount_decimal.is_none() && self.tiers.is_none()
    }

    /// The scheme that the amounts at `path` make, if they keep every rule.
    pub(super) fn scheme(&self, shape: Shape, path: Path<'_>) -> Result<Scheme> {
        let unit_amount = either(self.unit_amount, self.unit_amount_decimal, "unit_amount", path)?;
        let scheme = match shape {
            Shape::PerUnit { .. } if self.tiers.is_some() => {
                return Err(needs_tiered("tiers", path));
            }
            Shape::PerUnit { transform } => match unit_amount {
                Some(unit_amount) => Scheme::PerUnit { unit_amount, transform },
                None => return Err(no_amount(path)),
            },
            Shape::Tiered { .. } if unit_amount.is_some() => {
                let name = self.unit_amount_name();
                return Err(Error::invalid(format!(
                    "`{name}` cannot be used with `billing_scheme=tiered`; set the amounts of \
                     `tiers` instead."
                ))
                .param(param(path, name)));
            }
            Shape::Tiered { mode } => match self.tiers {
                Some(tiers) => Scheme::Tiered { mode, tiers: checked_tiers(tiers, path)? },
                None => return Err(Error::missing(param(path, "tiers"))),
            },
        };
        scheme.validate().map_err(|error| amounts_fault(error, self, path))?;
        Ok(scheme)
    }

    /// The tier at `index`, counted from 0.
    pub(super) fn tier(&self, index: usize) -> Option<&TierInput> {
        self.tiers.and_then(|tiers| tiers.get(index))
    }

    /// The parameter that says the unit amount.
    pub(super) const fn unit_amount_name(&self) -> &'static str {
        if self.unit_amount_decimal.is_some() { "unit_amount_decimal" } else { "unit_amount" }
    }
}

/// An amount that may be said as an integer or as a decimal, never as both.
fn either(
    whole: Option<i64>,
    decimal: Option<Decimal>,
    name: &str,
    path: Path<'_>,
) -> Result<Option<Decimal>> {
    match (whole, decimal) {
        (Some(_), Some(_)) => Err(exclusive(name, &format!("{name}_decimal"), path)),
        (Some(whole), None) => Ok(Some(Decimal::from_int(whole))),
        (None, decimal) => Ok(decimal),
    }
}

fn checked_tiers(tiers: &[TierInput], path: Path<'_>) -> Result<Vec<Tier>> {
    let at = path.child("tiers");
    let mut checked = Vec::with_capacity(tiers.len());
    for (index, tier) in tiers.iter().enumerate() {
        let index = index.to_string();
        let at = at.child(&index);
        checked.push(Tier {
            up_to: match tier.up_to {
                OrWord::Word(Infinity::Inf) => None,
                OrWord::Value(up_to) => Some(up_to),
            },
            unit_amount: either(tier.unit_amount, tier.unit_amount_decimal, "unit_amount", at)?,
            flat_amount: either(tier.flat_amount, tier.flat_amount_decimal, "flat_amount", at)?,
        });
    }
    Ok(checked)
}
