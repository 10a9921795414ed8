//! From what a request says a price charges to what it does charge, or why it cannot.

use std::collections::BTreeMap;

use taximeter_kernel::calendar::{Recurrence, RecurrenceError};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::{Scheme, TierMode, TransformQuantity, UsageType};

use super::amounts::{Amounts, Shape};
use super::fault::{below_one, needs_tiered, param};
use super::input::{
    Create, CurrencyOptionInput, DefaultPriceData, PriceData, RecurringInput, TierInput,
    TransformQuantityInput,
};
use super::{BillingScheme, CurrencyOption, Recurring, TaxBehavior};
use crate::error::{Error, Result};
use crate::params::{Keyed, Path};

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
            currency_options: data.currency_options,
            recurring: data.recurring.map(Into::into),
            tax_behavior: data.tax_behavior,
            ..Self::per_unit(data.currency, data.unit_amount, data.unit_amount_decimal)
        }
    }
}

impl From<PriceData> for Asked {
    fn from(data: PriceData) -> Self {
        Self {
            recurring: data.recurring.map(Into::into),
            tax_behavior: data.tax_behavior,
            ..Self::per_unit(data.currency, data.unit_amount, data.unit_amount_decimal)
        }
    }
}

impl Asked {
    const fn per_unit(
        currency: Currency,
        unit_amount: Option<i64>,
        unit_amount_decimal: Option<Decimal>,
    ) -> Self {
        Self {
            billing_scheme: BillingScheme::PerUnit,
            currency,
            currency_options: None,
            recurring: None,
            tax_behavior: None,
            tiers: None,
            tiers_mode: None,
            transform_quantity: None,
            unit_amount,
            unit_amount_decimal,
        }
    }

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
        let why = match currency {
            currency if currency == own => Some("is the price's own currency"),
            currency if seen.contains(&currency) => Some("comes twice"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(Error::invalid(format!("Invalid currency_options: {code} {why}."))
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
            "The `tax_behavior` of a price cannot be changed once it has been set to `inclusive` \
             or `exclusive`.",
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
                "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by \
                 meters.",
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
        RecurrenceError::CountBelowOne => below_one(path.child("interval_count")),
        RecurrenceError::LongerThanThreeYears => Error::invalid(
            "Invalid interval_count: a price must recur within 3 years (3 years, 36 months, 156 \
             weeks, or 1095 days).",
        )
        .param(param(path, "interval_count")),
    })
}
