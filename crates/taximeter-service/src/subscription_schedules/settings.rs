//! What phases have in common, and what their invoices show.

use super::DefaultSettings;
use super::input::{InvoicesInput, SettingsInput};
use super::types::PhaseInvoices;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::Result;
use crate::params::{Clear, Text};
use crate::payment_methods;
use crate::subscriptions::{self, CollectionMethod};

/// Puts a change on what phases have that say nothing of it.
///
/// # Errors
/// A 400 when it is against the rules.
pub(super) async fn set_settings(
    ctx: &mut Ctx,
    customer: &Customer,
    settings: &mut DefaultSettings,
    input: SettingsInput,
) -> Result<()> {
    const AT: &str = "default_settings";
    settings.anchor = input.billing_cycle_anchor.unwrap_or(settings.anchor);
    match input.billing_thresholds {
        Clear::Keep => {}
        Clear::Unset => settings.thresholds = None,
        Clear::Set(input) => {
            settings.thresholds = Some(subscriptions::thresholds_of(&input, AT)?);
        }
    }
    settings.collection_method = input.collection_method.or(settings.collection_method);
    let param = "default_settings[default_payment_method]";
    let pays = checked_method(ctx, customer, input.default_payment_method, param).await?;
    settings.default_payment_method = pays.or_else(|| settings.default_payment_method.take());
    input.description.apply(&mut settings.description);
    if let Some(invoices) = input.invoice_settings {
        set_invoices(&mut settings.invoices, invoices, AT)?;
    }
    if settings.collection_method != Some(CollectionMethod::SendInvoice)
        && settings.invoices.days_until_due.is_some()
    {
        let charged = CollectionMethod::ChargeAutomatically;
        let checked = subscriptions::checked_days(charged, settings.invoices.days_until_due);
        checked.map_err(|error| error.within("invoice_settings").within(AT))?;
    }
    Ok(())
}

/// Holds a payment method against the customer.
///
/// # Errors
/// A 400 when there is none, or the customer has it not.
pub(super) async fn checked_method(
    ctx: &mut Ctx,
    customer: &Customer,
    id: Option<Text<255>>,
    param: &str,
) -> Result<Option<String>> {
    let Some(id) = id else { return Ok(None) };
    let method = payment_methods::attached(ctx, &id, &customer.id, param).await?;
    Ok(Some(method.id.as_str().to_owned()))
}

/// What invoices of a phase show, as it was sent. `at` is where.
///
/// # Errors
/// A 400 when there are too many fields.
pub(super) fn checked_invoices(input: InvoicesInput, at: &str) -> Result<PhaseInvoices> {
    let mut invoices = PhaseInvoices::default();
    set_invoices(&mut invoices, input, at)?;
    Ok(invoices)
}

fn set_invoices(invoices: &mut PhaseInvoices, input: InvoicesInput, at: &str) -> Result<()> {
    match input.custom_fields {
        Clear::Keep => {}
        Clear::Unset => invoices.custom_fields = None,
        Clear::Set(fields) => {
            let path = format!("{at}[invoice_settings][custom_fields]");
            invoices.custom_fields = Some(customers::checked_custom_fields(fields, &path)?);
        }
    }
    invoices.days_until_due = input.days_until_due.or(invoices.days_until_due);
    input.description.apply(&mut invoices.description);
    input.footer.apply(&mut invoices.footer);
    Ok(())
}
