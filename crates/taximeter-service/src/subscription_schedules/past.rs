//! Phases that are over: a request may send them again as they were.

use std::collections::BTreeMap;

use taximeter_kernel::time::Timestamp;

use super::Phase;
use super::calendar::{bounds, instant};
use super::input::{AdditionInput, ItemInput, PhaseInput};
use super::phases::changes_of;
use super::settings::checked_invoices;
use super::types::{Named, PhaseAddition, PhaseItem};
use crate::discounts::DiscountInput;
use crate::error::{Error, Result};
use crate::params::{Clear, MetadataChange, OrWord, Text};
use crate::subscriptions::{Now, ThresholdsInput};

/// A phase that is over may be sent again as it was.
///
/// # Errors
/// A 400 when it has something else than it had.
pub(super) fn refuse_changed_past(
    input: &PhaseInput,
    was: &Phase,
    now: Timestamp,
    place: usize,
) -> Result<()> {
    let at = format!("phases[{place}]");
    let Some(name) = changed_past(input, was, now) else { return Ok(()) };
    Err(Error::invalid("You can not update a phase that has already ended.")
        .param(format!("{at}[{name}]")))
}

/// The parameter that has something else of a phase than it was.
fn changed_past(input: &PhaseInput, was: &Phase, now: Timestamp) -> Option<&'static str> {
    let moved = |date: Option<OrWord<Now, i64>>, was: Option<i64>| {
        date.is_some_and(|date| Some(instant(date, now)) != was)
    };
    let items = input.items.len() != was.items.len()
        || input.items.iter().zip(&was.items).any(|(item, was)| item_differs(item, was));
    let sold = input.add_invoice_items.as_ref().is_some_and(|sold| {
        sold.len() != was.additions.len()
            || sold
                .iter()
                .zip(&was.additions)
                .any(|(sold, of_it)| sold_differs(sold, of_it, (was.start, was.end)))
    });
    let invoices = input.invoice_settings.clone().is_some_and(|input| {
        let now = checked_invoices(input, "").ok();
        now.is_none_or(|now| now != was.invoices.clone().unwrap_or_default())
    });
    let description = was.description.as_deref();
    let differ = [
        (items, "items"),
        (input.duration.is_some(), "duration"),
        (input.iterations.is_some(), "iterations"),
        (moved(input.start_date, Some(was.start)), "start_date"),
        (moved(input.end_date, Some(was.end)), "end_date"),
        (moved(input.trial_end, was.trial_end), "trial_end"),
        (input.trial.is_some_and(|trial| trial != was.trial), "trial"),
        (sold, "add_invoice_items"),
        (differs(input.billing_cycle_anchor, was.anchor), "billing_cycle_anchor"),
        (thresholds_differ(&input.billing_thresholds, was), "billing_thresholds"),
        (differs(input.collection_method, was.collection_method), "collection_method"),
        (input.currency.is_some_and(|sent| sent.code() != was.currency), "currency"),
        (
            input.default_payment_method.is_some()
                && input.default_payment_method.as_deref() != was.default_payment_method.as_deref(),
            "default_payment_method",
        ),
        (ids_differ(&input.default_tax_rates, &was.default_tax_rates), "default_tax_rates"),
        (
            match &input.description {
                Clear::Keep => false,
                Clear::Unset => description.is_some(),
                Clear::Set(sent) => Some(&**sent) != description,
            },
            "description",
        ),
        (names_differ(&input.discounts, &was.discounts), "discounts"),
        (invoices, "invoice_settings"),
        (metadata_differs(&input.metadata, &was.metadata), "metadata"),
        (differs(input.proration_behavior, Some(was.proration_behavior)), "proration_behavior"),
    ];
    differ.iter().find(|(differs, _)| *differs).map(|(_, name)| *name)
}

fn differs<T: Copy + PartialEq>(sent: Option<T>, was: Option<T>) -> bool {
    sent.is_some() && sent != was
}

fn item_differs(input: &ItemInput, was: &PhaseItem) -> bool {
    let price = input.price.as_ref().or(input.plan.as_ref());
    let thresholds = match &input.billing_thresholds {
        Clear::Keep => false,
        Clear::Unset => was.thresholds.is_some(),
        Clear::Set(sent) => was.thresholds.is_none_or(|was| was.usage_gte != sent.usage_gte),
    };
    price.is_none_or(|price| **price != *was.price)
        || differs(input.quantity, was.quantity)
        || thresholds
        || names_differ(&input.discounts, &was.discounts)
        || metadata_differs(&input.metadata, &was.metadata)
        || ids_differ(&input.tax_rates, &was.tax_rates)
}

fn sold_differs(input: &AdditionInput, was: &PhaseAddition, phase: (i64, i64)) -> bool {
    let moved = input.period.is_some()
        && bounds(input.period.clone(), phase, "")
            .is_ok_and(|(start, end)| start != was.start || end != was.end);
    input.price.as_deref() != Some(&*was.price)
        || differs(input.quantity, Some(was.quantity))
        || differs(input.discountable, was.discountable)
        || names_differ(&input.discounts, &was.discounts)
        || (!input.metadata.0.is_empty() && input.metadata.0 != was.metadata)
        || ids_differ(&input.tax_rates, &was.tax_rates)
        || moved
}

fn thresholds_differ(input: &Clear<ThresholdsInput>, was: &Phase) -> bool {
    match input {
        Clear::Keep => false,
        Clear::Unset => was.thresholds.is_some(),
        Clear::Set(sent) => was.thresholds.as_ref().is_none_or(|was| {
            let anew = sent.reset_billing_cycle_anchor.unwrap_or(false);
            sent.amount_gte != was.amount_gte || Some(anew) != was.reset_billing_cycle_anchor
        }),
    }
}

fn names_differ(input: &Clear<Vec<DiscountInput>>, was: &[Named]) -> bool {
    match input {
        Clear::Keep => false,
        Clear::Unset => !was.is_empty(),
        Clear::Set(sent) => !sent.iter().map(Named::from).eq(was.iter().cloned()),
    }
}

fn ids_differ(input: &Clear<Vec<Text<255>>>, was: &[String]) -> bool {
    match input {
        Clear::Keep => false,
        Clear::Unset => !was.is_empty(),
        Clear::Set(sent) => !sent.iter().map(|id| &**id).eq(was.iter().map(String::as_str)),
    }
}

fn metadata_differs(input: &MetadataChange, was: &BTreeMap<String, String>) -> bool {
    *input != MetadataChange::Keep && changes_of(input.clone()) != *was
}
