//! What may wait for its payment: only what is paid for with it.

use super::super::input::{ItemUpdate, PaymentBehavior, Update};
use super::super::{CollectionMethod, Subscription};
use crate::error::{Error, Result};
use crate::params::MetadataChange;

fn not_supported(name: &str, path: String) -> Error {
    Error::invalid(format!(
        "When `payment_behavior` is set to `pending_if_incomplete`, you can only pass supported \
         params. `{name}` is not supported. See \
         https://stripe.com/docs/billing/subscriptions/pending-updates-reference#supported-attributes \
         for more details."
    ))
    .param(path)
}

fn refuse_first(sent: &[(bool, &str)], at: &str) -> Result<()> {
    match sent.iter().find(|(sent, _)| *sent) {
        Some((_, name)) => Err(not_supported(name, super::super::propose::within(at, name))),
        None => Ok(()),
    }
}

/// Only an invoice that is charged can be paid with the change.
fn refuse_sent(sub: &Subscription) -> Result<()> {
    match sub.collection_method {
        CollectionMethod::ChargeAutomatically => Ok(()),
        CollectionMethod::SendInvoice => Err(Error::invalid(
            "You can only set `payment_behavior` to `pending_if_incomplete` on a subscription whose \
             collection method is `charge_automatically`.",
        )
        .param("payment_behavior")),
    }
}

/// Refuses what of a change cannot wait for its payment, if the change is to.
///
/// # Errors
/// A 400 that names the parameter.
pub(in super::super) fn refuse(sub: &Subscription, input: &Update) -> Result<()> {
    if input.payment_behavior != Some(PaymentBehavior::PendingIfIncomplete) {
        return Ok(());
    }
    refuse_sent(sub)?;
    let sent = [
        (!input.billing_thresholds.is_keep(), "billing_thresholds"),
        (!input.cancel_at.is_keep(), "cancel_at"),
        (input.cancellation_details.is_some(), "cancellation_details"),
        (input.collection_method.is_some(), "collection_method"),
        (input.days_until_due.is_some(), "days_until_due"),
        (!input.default_payment_method.is_keep(), "default_payment_method"),
        (!input.default_tax_rates.is_keep(), "default_tax_rates"),
        (!input.description.is_keep(), "description"),
        (!input.discounts.is_keep(), "discounts"),
        (input.invoice_settings.is_some(), "invoice_settings"),
        (input.off_session.is_some(), "off_session"),
        (!input.pause_collection.is_keep(), "pause_collection"),
        (input.payment_settings.is_some(), "payment_settings"),
        (!input.pending_invoice_item_interval.is_keep(), "pending_invoice_item_interval"),
        (input.trial_settings.is_some(), "trial_settings"),
    ];
    refuse_first(&sent, "")?;
    for (place, item) in input.items.iter().flatten().enumerate() {
        refuse_within(item, &format!("items[{place}]"))?;
    }
    Ok(())
}

fn refuse_within(item: &ItemUpdate, at: &str) -> Result<()> {
    let sent = [
        (!item.billing_thresholds.is_keep(), "billing_thresholds"),
        (item.clear_usage.is_some(), "clear_usage"),
        (!item.discounts.is_keep(), "discounts"),
        (item.metadata != MetadataChange::Keep, "metadata"),
        (item.price_data.is_some(), "price_data"),
        (!item.tax_rates.is_keep(), "tax_rates"),
    ];
    refuse_first(&sent, at)
}

/// As [`refuse`], of a change of one item.
///
/// # Errors
/// A 400 that names the parameter.
pub(in super::super) fn refuse_item(
    sub: &Subscription,
    item: &ItemUpdate,
    off_session: Option<bool>,
) -> Result<()> {
    refuse_sent(sub)?;
    if item.deleted == Some(true) {
        return Err(Error::invalid(
            "An item that is deleted cannot wait for a payment: `payment_behavior` cannot be \
             `pending_if_incomplete`.",
        )
        .param("payment_behavior"));
    }
    refuse_first(&[(off_session.is_some(), "off_session")], "")?;
    refuse_within(item, "")
}
