//! A broken rule of a price, as the client is told: what is wrong, and which parameter says it.

use taximeter_kernel::money::AMOUNT_MINOR_MAX;
use taximeter_kernel::price::{AmountFault, SchemeError, TIERS_MAX, UNIT_AMOUNT_DECIMALS_MAX};

use super::check::Amounts;
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

/// The error of amounts at `path` that break a rule of the kernel.
pub(super) fn amounts_fault(error: SchemeError, amounts: &Amounts<'_>, path: Path<'_>) -> Error {
    let tiers = path.child("tiers");
    let refuse = |index: usize, name: &str, message: &str| {
        let index = index.to_string();
        Error::invalid(message).param(param(tiers.child(&index), name))
    };
    match error {
        SchemeError::UnitAmount(fault) => {
            amount_fault(fault, path.child(amounts.unit_amount_name()))
        }
        SchemeError::DivideByBelowOne => {
            below_one(path.child("transform_quantity").child("divide_by"))
        }
        SchemeError::NoTiers => Error::missing(tiers.to_string()),
        SchemeError::TooManyTiers => {
            Error::invalid(format!("Invalid array: at most {TIERS_MAX} elements are accepted"))
                .param(tiers.to_string())
        }
        SchemeError::UpToBelowOne { index } => {
            let index = index.to_string();
            below_one(tiers.child(&index).child("up_to"))
        }
        SchemeError::UpToNotIncreasing { index } => {
            refuse(index, "up_to", "The `up_to` of a tier must be greater than that of the tier before it.")
        }
        SchemeError::UnboundedBeforeLast { index } => {
            refuse(index, "up_to", "Only the last tier may have `up_to=inf`.")
        }
        SchemeError::LastTierBounded { index } => {
            refuse(index, "up_to", "The last tier must have `up_to=inf`.")
        }
        SchemeError::TierWithoutAmount { index } => Error::invalid(
            "A tier requires at least one of `unit_amount`, `unit_amount_decimal`, `flat_amount`, or `flat_amount_decimal`.",
        )
        .param(param(tiers, &index.to_string())),
        SchemeError::TierUnitAmount { index, fault } => {
            let name = tier_amount_name(amounts, index, TierAmount::Unit);
            let index = index.to_string();
            amount_fault(fault, tiers.child(&index).child(name))
        }
        SchemeError::TierFlatAmount { index, fault } => {
            let name = tier_amount_name(amounts, index, TierAmount::Flat);
            let index = index.to_string();
            amount_fault(fault, tiers.child(&index).child(name))
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum TierAmount {
    Unit,
    Flat,
}

/// The parameter that says this amount of a tier: the integer or the decimal.
fn tier_amount_name(amounts: &Amounts<'_>, index: usize, which: TierAmount) -> &'static str {
    let tier = amounts.tiers.and_then(|tiers| tiers.get(index));
    match which {
        TierAmount::Unit if tier.is_some_and(|t| t.unit_amount_decimal.is_some()) => {
            "unit_amount_decimal"
        }
        TierAmount::Unit => "unit_amount",
        TierAmount::Flat if tier.is_some_and(|t| t.flat_amount_decimal.is_some()) => {
            "flat_amount_decimal"
        }
        TierAmount::Flat => "flat_amount",
    }
}

fn amount_fault(fault: AmountFault, at: Path<'_>) -> Error {
    let param = at.to_string();
    match fault {
        AmountFault::Negative if param.contains("_decimal") => {
            Error::invalid("Invalid non-negative decimal").param(param)
        }
        AmountFault::Negative => Error::invalid("Invalid non-negative integer")
            .code("parameter_invalid_integer")
            .param(param),
        AmountFault::TooManyDecimals => Error::invalid(format!(
            "Invalid decimal: must have at most {UNIT_AMOUNT_DECIMALS_MAX} decimal places"
        ))
        .param(param),
        AmountFault::TooLarge => Error::invalid(format!(
            "Amount must be no more than {AMOUNT_MINOR_MAX} in the currency's smallest unit."
        ))
        .code("amount_too_large")
        .param(param),
        AmountFault::NotWhole => Error::invalid(
            "Invalid decimal: must be a whole number of the currency's smallest unit",
        )
        .param(param),
    }
}
