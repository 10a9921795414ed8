//! A broken rule of a price, as the client is told: what is wrong, and which parameter says it.

use taximeter_kernel::money::AMOUNT_MINOR_MAX;
use taximeter_kernel::price::{AmountFault, SchemeError, TIERS_MAX, UNIT_AMOUNT_DECIMALS_MAX};

use super::amounts::Amounts;
use crate::error::Error;
use crate::params::Path;

/// The full name of a member of what stands at `path`.
pub(super) fn param(path: Path<'_>, name: &str) -> String {
    path.child(name).to_string()
}

/// `You may only specify one of these parameters: product, product_data.`
pub(super) fn exclusive(one: &str, other: &str, path: Path<'_>) -> Error {
    Error::invalid(format!("You may only specify one of these parameters: {one}, {other}."))
        .code("parameters_exclusive")
        .param(param(path, one))
}

pub(super) fn below_one(at: Path<'_>) -> Error {
    Error::invalid("This value must be greater than or equal to 1.")
        .code("parameter_invalid_integer")
        .param(at.to_string())
}

/// The error of a parameter that only tiered prices have.
pub(super) fn needs_tiered(name: &str, path: Path<'_>) -> Error {
    Error::invalid(format!("`{name}` can only be used with `billing_scheme=tiered`."))
        .param(param(path, name))
}

/// The error of a price without an amount.
pub(super) fn no_amount(path: Path<'_>) -> Error {
    let error = Error::invalid(
        "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.",
    );
    // Stripe names no parameter where the price itself lacks an amount.
    match path.to_string() {
        place if place.is_empty() => error,
        place => error.param(place),
    }
}

/// The error of amounts at `path` that break a rule of the kernel.
pub(super) fn amounts_fault(error: SchemeError, amounts: &Amounts<'_>, path: Path<'_>) -> Error {
    let tiers = path.child("tiers");
    match error {
        SchemeError::UnitAmount(fault) => amount_fault(fault, path, amounts.unit_amount_name()),
        SchemeError::DivideByBelowOne => {
            below_one(path.child("transform_quantity").child("divide_by"))
        }
        SchemeError::NoTiers => Error::missing(tiers.to_string()),
        SchemeError::TooManyTiers => {
            Error::invalid(format!("Invalid array: at most {TIERS_MAX} elements are accepted"))
                .param(tiers.to_string())
        }
        SchemeError::UpToBelowOne { index } => {
            below_one(tiers.child(&index.to_string()).child("up_to"))
        }
        SchemeError::UpToNotIncreasing { index } => up_to_fault(
            tiers,
            index,
            "The `up_to` of a tier must be greater than that of the tier before it.",
        ),
        SchemeError::UnboundedBeforeLast { index } => {
            up_to_fault(tiers, index, "Only the last tier may have `up_to=inf`.")
        }
        SchemeError::LastTierBounded { index } => {
            up_to_fault(tiers, index, "The last tier must have `up_to=inf`.")
        }
        SchemeError::TierWithoutAmount { index } => Error::invalid(
            "A tier requires at least one of `unit_amount`, `unit_amount_decimal`, `flat_amount`, \
             or `flat_amount_decimal`.",
        )
        .param(param(tiers, &index.to_string())),
        SchemeError::TierUnitAmount { index, fault } => {
            let name = match amounts.tier(index) {
                Some(tier) if tier.unit_amount_decimal.is_some() => "unit_amount_decimal",
                Some(_) | None => "unit_amount",
            };
            amount_fault(fault, tiers.child(&index.to_string()), name)
        }
        SchemeError::TierFlatAmount { index, fault } => {
            let name = match amounts.tier(index) {
                Some(tier) if tier.flat_amount_decimal.is_some() => "flat_amount_decimal",
                Some(_) | None => "flat_amount",
            };
            amount_fault(fault, tiers.child(&index.to_string()), name)
        }
    }
}

fn up_to_fault(tiers: Path<'_>, index: usize, message: &str) -> Error {
    let index = index.to_string();
    Error::invalid(message).param(param(tiers.child(&index), "up_to"))
}

/// The error of the amount called `name` at `path`.
fn amount_fault(fault: AmountFault, path: Path<'_>, name: &str) -> Error {
    let error = match fault {
        AmountFault::Negative if name.ends_with("_decimal") => {
            Error::invalid("Invalid non-negative decimal")
        }
        AmountFault::Negative => {
            Error::invalid("Invalid non-negative integer").code("parameter_invalid_integer")
        }
        AmountFault::TooManyDecimals => Error::invalid(format!(
            "Invalid decimal: must have at most {UNIT_AMOUNT_DECIMALS_MAX} decimal places"
        )),
        AmountFault::TooLarge => Error::invalid(format!(
            "Amount must be no more than {AMOUNT_MINOR_MAX} in the currency's smallest unit."
        ))
        .code("amount_too_large"),
        AmountFault::NotWhole => Error::invalid(
            "Invalid decimal: must be a whole number of the currency's smallest unit",
        ),
    };
    error.param(param(path, name))
}
