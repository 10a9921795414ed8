//! From what a request says a price charges to what it does charge, or why it cannot.

use std::collections::BTreeMap;

use taximeter_kernel::calendar::{Recurrence, RecurrenceError};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::{Scheme, Tier, TierMode, TransformQuantity, UsageType};

use super::fault::{amounts_fault, exclusive, param};
use super::input::{
    Create, CurrencyOptionInput, DefaultPriceData, Infinity, PriceData, RecurringInput, TierInput,
    TransformQuantityInput,
};
use super::{BillingScheme, CurrencyOption, Recurring, TaxBehavior};
use crate::error::{Error, Result};
use crate::params::{Keyed, OrWord, Path};

/// The longest trial of a subscription, in days (Stripe's).
pub(super) const TRIAL_DAYS_MAX: i64 = 730;

/// What a price charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(super) currency: Currency,
    pub(super) scheme: Scheme,
    pub(super) recurring: Option<Recurring>,
    pub(super) currency_options: BTreeMap<Currency, CurrencyOption>,
    pub(super) tax_behavior: TaxBehavior,
}

/// What a request says a price charges.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) billing_scheme: BillingScheme,
    pub(super) currency: Currency,
    pub(super) currency_options: Option<Keyed<CurrencyOptionInput>>,
    pub(super) recurring: Option<RecurringInput>,
    pub(super) tax_behavior: Option<TaxBehavior>,
    pub(super) tiers: Option<Vec<TierInput>>,
    pub(super) tiers_mode: Option<TierMode>,
    pub(super) transform_quantity: Option<TransformQuantityInput>,
    pub(super) unit_amount: Option<i64>,
    pub(super) unit_amount_decimal: Option<Decimal>,
}

impl Create {
    /// What the price is to charge, taken out of the rest.
    pub(super) fn take_asked(&mut self) -> Asked {
        Asked {
            billing_scheme: self.billing_scheme.unwrap_or(BillingScheme::PerUnit),
            currency: self.currency,
            currency_options: self.currency_options.take(),
            recurring: self.recurring.take(),
            tax_behavior: self.tax_behavior,
            tiers: self.tiers.take(),
            tiers_mode: self.tiers_mode,
            transform_quantity: self.transform_quantity.take(),
            unit_amount: self.unit_amount,
            unit_amount_decimal: self.unit_amount_decimal,
        }
    }
}

impl From<DefaultPriceData> for Asked {
    fn from(data: DefaultPriceData) -> Self {
        Self {
            billing_scheme: BillingScheme::PerUnit,
            currency: data.currency,
            currency_options: data.currency_options,
            recurring: data.recurring.map(Into::into),
            tax_behavior: data.tax_behavior,
            tiers: None,
            tiers_mode: None,
            transform_quantity: None,
            unit_amount: data.unit_amount,
            unit_amount_decimal: data.unit_amount_decimal,
        }
    }
}

impl From<PriceData> for Asked {
    fn from(data: PriceData) -> Self {
        Self {
            billing_scheme: BillingScheme::PerUnit,
            currency: data.currency,
            currency_options: None,
            recurring: data.recurring.map(Into::into),
            tax_behavior: data.tax_behavior,
            tiers: None,
            tiers_mode: None,
            transform_quantity: None,
            unit_amount: data.unit_amount,
            unit_amount_decimal: data.unit_amount_decimal,
        }
    }
}

impl Asked {
    /// Holds the parameters at `path` against every rule of a price.
    pub(super) fn check(self, path: Path<'_>) -> Result<Terms> {
        let shape = self.shape(path)?;
        let amounts = Amounts {
            unit_amount: self.unit_amount,
            unit_amount_decimal: self.unit_amount_decimal,
            tiers: self.tiers.as_deref(),
        };
        let scheme = amounts.scheme(shape, path)?;
        let recurring = self
            .recurring
            .map(|recurring| checked_recurring(recurring, path.child("recurring")))
            .transpose()?;
        let mut currency_options = BTreeMap::new();
        if let Some(options) = self.currency_options {
            merge_options(&mut currency_options, options, (self.currency, shape), path)?;
        }
        Ok(Terms {
            currency: self.currency,
            scheme,
            recurring,
            currency_options,
            tax_behavior: self.tax_behavior.unwrap_or(TaxBehavior::Unspecified),
        })
    }

    fn shape(&self, path: Path<'_>) -> Result<Shape> {
        match self.billing_scheme {
            BillingScheme::PerUnit if self.tiers_mode.is_some() => {
                Err(needs_tiered("tiers_mode", path))
            }
            BillingScheme::PerUnit => {
                let transform = self.transform_quantity.as_ref();
                Ok(Shape::PerUnit { transform: transform.map(TransformQuantityInput::checked) })
            }
            BillingScheme::Tiered if self.recurring.is_none() => Err(Error::invalid(
                "Prices with `type=one_time` are not supported with tiered billing.",
            )
            .param("interval")),
            BillingScheme::Tiered if self.transform_quantity.is_some() => {
                Err(Error::invalid("`transform_quantity` cannot be combined with `tiers`.")
                    .param(param(path, "transform_quantity")))
            }
            BillingScheme::Tiered => match self.tiers_mode {
                Some(mode) => Ok(Shape::Tiered { mode }),
                None => Err(Error::missing(param(path, "tiers_mode"))),
            },
        }
    }
}

impl TransformQuantityInput {
    const fn checked(&self) -> TransformQuantity {
        TransformQuantity { divide_by: self.divide_by, round: self.round }
    }
}

fn needs_tiered(name: &str, path: Path<'_>) -> Error {
    Error::invalid(format!("`{name}` can only be used with `billing_scheme=tiered`."))
        .param(param(path, name))
}

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
    const fn are_absent(&self) -> bool {
        self.unit_amount.is_none() && self.unit_amount_decimal.is_none() && self.tiers.is_none()
    }

    fn scheme(&self, shape: Shape, path: Path<'_>) -> Result<Scheme> {
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
                    "`{name}` cannot be used with `billing_scheme=tiered`; set the amounts of `tiers` instead."
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

    /// The parameter that says the unit amount.
    pub(super) const fn unit_amount_name(&self) -> &'static str {
        if self.unit_amount_decimal.is_some() { "unit_amount_decimal" } else { "unit_amount" }
    }
}

fn no_amount(path: Path<'_>) -> Error {
    let error = Error::invalid(
        "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.",
    );
    // Stripe names no parameter where the price itself lacks an amount.
    match path.to_string() {
        place if place.is_empty() => error,
        place => error.param(place),
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

/// Adds or replaces the amounts of other currencies. What an option does not mention stays.
pub(super) fn merge_options(
    options: &mut BTreeMap<Currency, CurrencyOption>,
    changes: Keyed<CurrencyOptionInput>,
    base: (Currency, Shape),
    path: Path<'_>,
) -> Result<()> {
    let (own, shape) = base;
    let at = path.child("currency_options");
    let mut seen: Vec<Currency> = Vec::new();
    for (code, change) in changes.0 {
        let at = at.child(&code);
        let currency = super::currency(&code, at)?;
        if currency == own || seen.contains(&currency) {
            let why = if currency == own { "is the price's own currency" } else { "comes twice" };
            return Err(Error::invalid(format!(
                "Invalid currency option: {currency} {why}.",
                currency = currency.code()
            ))
            .param(at.to_string()));
        }
        seen.push(currency);
        let held = options.get(&currency);
        let amounts = Amounts::from(&change);
        let scheme = match held {
            Some(held) if amounts.are_absent() => held.scheme.clone(),
            Some(_) | None => amounts.scheme(shape, at)?,
        };
        let tax_behavior = held.map_or(TaxBehavior::Unspecified, |held| held.tax_behavior);
        let tax_behavior = changed_tax_behavior(tax_behavior, change.tax_behavior, at)?;
        options.insert(currency, CurrencyOption { scheme, tax_behavior });
    }
    Ok(())
}

/// Once it is said whether tax is included, it stays: invoices were made on it.
pub(super) fn changed_tax_behavior(
    held: TaxBehavior,
    asked: Option<TaxBehavior>,
    path: Path<'_>,
) -> Result<TaxBehavior> {
    match asked {
        None => Ok(held),
        Some(asked) if held == TaxBehavior::Unspecified || held == asked => Ok(asked),
        Some(_) => Err(Error::invalid(
            "The `tax_behavior` of a price cannot be changed once it has been set to `inclusive` or `exclusive`.",
        )
        .param(param(path, "tax_behavior"))),
    }
}

fn checked_recurring(input: RecurringInput, path: Path<'_>) -> Result<Recurring> {
    let recurrence = recurrence(&input, path)?;
    let usage_type = input.usage_type.unwrap_or(UsageType::Licensed);
    match (usage_type, &input.meter) {
        (UsageType::Metered, None) => {
            return Err(Error::invalid(
                "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters.",
            ));
        }
        (UsageType::Licensed, Some(_)) => {
            return Err(Error::invalid(
                "A price with a meter must have `recurring[usage_type]=metered`.",
            )
            .param(param(path, "meter")));
        }
        (UsageType::Metered, Some(_)) | (UsageType::Licensed, None) => {}
    }
    if input.trial_period_days.is_some_and(|days| !(0..=TRIAL_DAYS_MAX).contains(&days)) {
        return Err(Error::invalid(format!(
            "Invalid trial_period_days: must be between 0 and {TRIAL_DAYS_MAX}."
        ))
        .param(param(path, "trial_period_days")));
    }
    Ok(Recurring {
        recurrence,
        usage_type,
        meter: input.meter,
        trial_period_days: input.trial_period_days,
    })
}

fn recurrence(input: &RecurringInput, path: Path<'_>) -> Result<Recurrence> {
    let count = input.interval_count.unwrap_or(1);
    let made = match u32::try_from(count) {
        Ok(count) => Recurrence::new(input.interval, count),
        Err(_) if count < 1 => Err(RecurrenceError::CountBelowOne),
        Err(_) => Err(RecurrenceError::LongerThanThreeYears),
    };
    made.map_err(|error| match error {
        RecurrenceError::CountBelowOne => super::fault::below_one(path.child("interval_count")),
        RecurrenceError::LongerThanThreeYears => Error::invalid(
            "Invalid interval_count: a price must recur within 3 years (3 years, 36 months, 156 weeks, or 1095 days).",
        )
        .param(param(path, "interval_count")),
    })
}

#[cfg(test)]
mod tests;
