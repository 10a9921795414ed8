//! How a price's amounts are kept: one per-unit amount as a decimal, the rest as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::{RoundQuantity, Scheme, Tier, TierMode, TransformQuantity};

use super::amounts::Shape;
use super::{CurrencyOption, Exact, TaxBehavior};
use crate::params::Choice as _;

/// A tier in a JSON column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTier {
    up_to: Option<i64>,
    unit_amount: Option<Exact>,
    flat_amount: Option<Exact>,
}

/// Packages in a JSON column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTransform {
    divide_by: i64,
    round: String,
}

/// Another currency in a JSON column. How tiers apply and what makes a package, it has from the
/// price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredOption {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit_amount: Option<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tiers: Option<Vec<StoredTier>>,
    tax_behavior: String,
}

/// Other currencies by their code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct StoredOptions(BTreeMap<String, StoredOption>);

impl From<&Tier> for StoredTier {
    fn from(tier: &Tier) -> Self {
        Self {
            up_to: tier.up_to,
            unit_amount: tier.unit_amount.map(Exact),
            flat_amount: tier.flat_amount.map(Exact),
        }
    }
}

impl From<StoredTier> for Tier {
    fn from(tier: StoredTier) -> Self {
        Self {
            up_to: tier.up_to,
            unit_amount: tier.unit_amount.map(|amount| amount.0),
            flat_amount: tier.flat_amount.map(|amount| amount.0),
        }
    }
}

impl From<TransformQuantity> for StoredTransform {
    fn from(transform: TransformQuantity) -> Self {
        Self { divide_by: transform.divide_by, round: transform.round.as_str().to_owned() }
    }
}

impl StoredTransform {
    /// The packages, if the words are ours.
    pub(super) fn read(self) -> Option<TransformQuantity> {
        let round = RoundQuantity::from_word(&self.round)?;
        Some(TransformQuantity { divide_by: self.divide_by, round })
    }
}

/// The columns of a [`Scheme`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredScheme {
    pub(super) unit_amount: Option<Exact>,
    pub(super) transform: Option<StoredTransform>,
    pub(super) tiers_mode: Option<TierMode>,
    pub(super) tiers: Option<Vec<StoredTier>>,
}

impl From<&Scheme> for StoredScheme {
    fn from(scheme: &Scheme) -> Self {
        match scheme {
            Scheme::PerUnit { unit_amount, transform } => Self {
                unit_amount: Some(Exact(*unit_amount)),
                transform: transform.map(Into::into),
                tiers_mode: None,
                tiers: None,
            },
            Scheme::Tiered { mode, tiers } => Self {
                unit_amount: None,
                transform: None,
                tiers_mode: Some(*mode),
                tiers: Some(tiers.iter().map(Into::into).collect()),
            },
        }
    }
}

impl StoredScheme {
    /// The scheme, if the columns are one that keeps every rule.
    pub(super) fn read(self) -> Option<Scheme> {
        let shape = match (self.tiers_mode, self.transform) {
            (Some(mode), None) => Shape::Tiered { mode },
            (Some(_), Some(_)) => return None,
            (None, None) => Shape::PerUnit { transform: None },
            (None, Some(transform)) => Shape::PerUnit { transform: Some(transform.read()?) },
        };
        scheme(shape, self.unit_amount, self.tiers)
    }
}

fn scheme(
    shape: Shape,
    unit_amount: Option<Exact>,
    tiers: Option<Vec<StoredTier>>,
) -> Option<Scheme> {
    let scheme = match (shape, unit_amount, tiers) {
        (Shape::PerUnit { transform }, Some(amount), None) => {
            Scheme::PerUnit { unit_amount: amount.0, transform }
        }
        (Shape::Tiered { mode }, None, Some(tiers)) => {
            Scheme::Tiered { mode, tiers: tiers.into_iter().map(Into::into).collect() }
        }
        (Shape::PerUnit { .. } | Shape::Tiered { .. }, _, _) => return None,
    };
    // Checked when written, and again here: nothing is billed by a scheme that breaks a rule.
    scheme.validate().ok()?;
    Some(scheme)
}

impl From<&BTreeMap<Currency, CurrencyOption>> for StoredOptions {
    fn from(options: &BTreeMap<Currency, CurrencyOption>) -> Self {
        let stored = options.iter().map(|(currency, option)| {
            let scheme = StoredScheme::from(&option.scheme);
            let option = StoredOption {
                unit_amount: scheme.unit_amount,
                tiers: scheme.tiers,
                tax_behavior: option.tax_behavior.as_str().to_owned(),
            };
            (currency.code().to_owned(), option)
        });
        Self(stored.collect())
    }
}

impl StoredOptions {
    /// The options of a price whose own scheme is `base`, if the column holds such.
    pub(super) fn read(self, base: &Scheme) -> Option<BTreeMap<Currency, CurrencyOption>> {
        let mut options = BTreeMap::new();
        for (code, option) in self.0 {
            let scheme = scheme(Shape::from(base), option.unit_amount, option.tiers)?;
            let tax_behavior = TaxBehavior::from_word(&option.tax_behavior)?;
            options.insert(Currency::parse(&code).ok()?, CurrencyOption { scheme, tax_behavior });
        }
        Some(options)
    }
}
