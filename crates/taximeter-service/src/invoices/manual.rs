//! Invoices by hand: made, changed and deleted.

use serde_json::{Value, json};
use taximeter_kernel::time::{DAY_S, Timestamp};

use super::drafts::{self, Held, not_editable};
use super::finalize::{due_date, keep_draft};
use super::input::{Create, Delete, PaymentSettingsInput, PendingItems, RenderingInput, Update};
use super::totals::only_here;
use super::{Invoice, Status, finalize, items, parsed, sql, totals};
use crate::billing_settings;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Result};
use crate::params::{Choice as _, Clear};
use crate::subscriptions::CollectionMethod;
use crate::{invoice_items, outbox, payment_methods, tax_rates, test_clocks};

/// How far ahead an invoice can be told to be finalized: five years, leap days among them.
const FINALIZES_AHEAD_S_MAX: i64 = 5 * 366 * DAY_S;
const DAYS_UNTIL_DUE_MAX: i64 = 36_500;
/// Before this version an invoice took along what was pending, unless told otherwise.
const EXCLUDES_PENDING: &str = "2022-08-01";

/// Makes a draft.
///
/// # Errors
/// A 400 when a rule of invoices is broken, or something that is named does not exist.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Invoice> {
    let customer = input.customer.clone().ok_or_else(|| Error::missing("customer"))?;
    let before = customers::locked(ctx, &customer, "customer").await?;
    test_clocks::follow(ctx, &before).await?;
    let named = input.subscription.clone();
    let subscription = invoice_items::subscription_of(ctx, &before, named).await?;
    let named = input
        .currency
        .or_else(|| subscription.as_ref().map(|subscription| subscription.currency))
        .or(before.currency);
    let currency = match named {
        Some(currency) => currency,
        None => billing_settings::retrieve(ctx).await?.default_currency,
    };
    invoice_items::check_currency(subscription.as_ref(), currency)?;
    let mut customer = before.clone();
    customers::bind_currency(ctx, &mut customer, currency).await?;
    let mut invoice = Invoice::blank(ctx.new_id(), &customer, currency, ctx.now);
    if let Some(subscription) = subscription {
        invoice.subscription_metadata = subscription.metadata;
        invoice.subscription = Some(subscription.id);
    }
    inherit(&mut invoice, &customer);
    let default = if ctx.caller.version.is_before(EXCLUDES_PENDING) {
        PendingItems::Include
    } else {
        PendingItems::Exclude
    };
    let pending = input.pending_invoice_items_behavior.unwrap_or(default);
    if pending == PendingItems::Include {
        items::sweep_own(ctx, &mut invoice).await?;
        // Promotion codes are held against what it comes to.
        totals::add_up(ctx, &mut invoice).await?;
    }
    set(ctx, &mut invoice, &customer, input.said).await?;
    customers::save(ctx, &before, &customer).await?;
    keep_draft(ctx, &mut invoice).await?;
    Ok(invoice)
}

/// What a new invoice has of its customer.
fn inherit(invoice: &mut Invoice, customer: &Customer) {
    let settings = &customer.invoice_settings;
    let details = &mut invoice.details;
    details.custom_fields.clone_from(&settings.custom_fields);
    details.footer.clone_from(&settings.footer);
    let options = settings.rendering_options.as_ref();
    details.amount_tax_display = options.and_then(|options| options.amount_tax_display.clone());
    let discount = customer.discount.as_ref();
    details.discounts = discount.map(|own| own.id.as_str().to_owned()).into_iter().collect();
}

/// Changes an invoice: a draft in all it says, another one in how it is paid and in its metadata.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it can no longer be changed so.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Invoice> {
    let mut held = drafts::held_path(ctx, id).await?;
    if held.invoice.status == Status::Draft {
        let customer = held.customer.clone();
        set(ctx, &mut held.invoice, &customer, input).await?;
        return held.keep(ctx).await;
    }
    if let Some(param) = input.first_fixed() {
        return Err(not_editable().param(param));
    }
    let Held { mut invoice, customer, before } = held;
    if let Some(auto_advance) = input.auto_advance {
        if invoice.status != Status::Open {
            return Err(not_editable().param("auto_advance"));
        }
        let automatic = invoice.collection_method == CollectionMethod::ChargeAutomatically;
        if auto_advance != invoice.auto_advance {
            invoice.auto_advance = auto_advance;
            invoice.details.next_payment_attempt = (auto_advance && automatic).then_some(ctx.now.0);
        }
    }
    set_payment(ctx, &mut invoice, &customer, &input).await?;
    set_payment_settings(&mut invoice, input.payment_settings);
    input.metadata.apply(&mut invoice.metadata)?;
    sql::update(ctx, &invoice).await?;
    finalize::put_down(ctx, &invoice).await?;
    outbox::push_update(ctx, "invoice.updated", &before, &invoice.wire()).await?;
    Ok(invoice)
}

/// Deletes a draft that is of no subscription. The items on it go with it.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is no draft or is of a subscription.
pub async fn delete(ctx: &mut Ctx, id: &str, _: Delete) -> Result<Value> {
    let Held { invoice, .. } = drafts::held_path(ctx, id).await?;
    if invoice.status != Status::Draft {
        return Err(Error::invalid(
            "You can only delete draft invoices. This invoice isn't a draft.",
        ));
    }
    if invoice.subscription.is_some() {
        return Err(Error::invalid(
            "You can't delete invoices created by subscriptions. Finalize it and void it instead.",
        ));
    }
    invoice_items::delete_of_invoice(ctx, &invoice.id).await?;
    for own in discounts::of(ctx, &parsed(&invoice.details.discounts)?).await? {
        // One that was taken from something else stays that one's.
        if own.is_of(Holder::Invoice(&invoice.id)) {
            discounts::remove(ctx, &own.id).await?;
        }
    }
    sql::delete(ctx, &invoice.id).await?;
    finalize::take_up(ctx, &invoice).await?;
    outbox::push(ctx, "invoice.deleted", &invoice.wire()).await?;
    Ok(json!({ "id": invoice.id.as_str(), "object": "invoice", "deleted": true }))
}

/// Puts what a request says on a draft.
async fn set(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &Customer,
    mut input: Update,
) -> Result<()> {
    set_collection(invoice, &input, ctx.now)?;
    set_advance(ctx, invoice, &input).await?;
    set_payment(ctx, invoice, customer, &input).await?;
    match input.default_tax_rates.take() {
        Clear::Keep => {}
        Clear::Unset => invoice.details.default_tax_rates = Vec::new(),
        Clear::Set(rates) => {
            let rates = tax_rates::named(ctx, &rates, "default_tax_rates").await?;
            let ids = rates.iter().map(|rate| rate.id.as_str().to_owned());
            invoice.details.default_tax_rates = ids.collect();
        }
    }
    set_discounts(ctx, invoice, customer, input.discounts.take()).await?;
    set_words(invoice, input)
}

/// How the invoice is collected, and by when it must be paid.
fn set_collection(invoice: &mut Invoice, input: &Update, now: Timestamp) -> Result<()> {
    if let Some(method) = input.collection_method {
        invoice.collection_method = method;
    }
    if input.days_until_due.is_some() && input.due_date.is_some() {
        return Err(Error::invalid(
            "You may only specify one of these parameters: days_until_due, due_date.",
        )
        .code("parameters_exclusive")
        .param("days_until_due"));
    }
    if invoice.collection_method == CollectionMethod::ChargeAutomatically {
        let sent = [
            (input.days_until_due.is_some(), "days_until_due"),
            (input.due_date.is_some(), "due_date"),
        ];
        if let Some((_, param)) = sent.into_iter().find(|(sent, _)| *sent) {
            return Err(Error::invalid(format!(
                "You can only specify '{param}' if invoice collection method is 'send_invoice'."
            ))
            .param(param));
        }
        (invoice.days_until_due, invoice.due_date) = (None, None);
        return Ok(());
    }
    if let Some(days) = input.days_until_due {
        if !(0..=DAYS_UNTIL_DUE_MAX).contains(&days) {
            return Err(Error::invalid(format!(
                "Invalid days_until_due: must be between 0 and {DAYS_UNTIL_DUE_MAX}."
            ))
            .param("days_until_due"));
        }
        invoice.days_until_due = Some(days);
        invoice.due_date = due_date(Some(days), now)?;
    }
    if let Some(due) = input.due_date {
        if due <= now {
            return Err(
                Error::invalid("Invalid due_date: must be in the future.").param("due_date")
            );
        }
        (invoice.days_until_due, invoice.due_date) = (None, Some(due));
    }
    if invoice.due_date.is_none() {
        return Err(Error::invalid(
            "If invoice collection method is 'send_invoice', you must specify 'due_date' or \
             'days_until_due'.",
        )
        .param("days_until_due"));
    }
    Ok(())
}

/// Whether the invoice moves on by itself, and when.
async fn set_advance(ctx: &mut Ctx, invoice: &mut Invoice, input: &Update) -> Result<()> {
    match (input.auto_advance, input.automatically_finalizes_at) {
        (Some(false), Some(_)) => {
            return Err(Error::invalid(
                "You cannot specify 'automatically_finalizes_at' with 'auto_advance' set to false.",
            )
            .param("automatically_finalizes_at"));
        }
        (_, Some(at)) => {
            let ahead = at.0.saturating_sub(ctx.now.0);
            if !(1..=FINALIZES_AHEAD_S_MAX).contains(&ahead) {
                return Err(Error::invalid(
                    "Invalid automatically_finalizes_at: must be in the future, and at most 5 years \
                     ahead.",
                )
                .param("automatically_finalizes_at"));
            }
            invoice.auto_advance = true;
            invoice.automatically_finalizes_at = Some(at);
        }
        (Some(false), None) => {
            invoice.auto_advance = false;
            invoice.automatically_finalizes_at = None;
        }
        (Some(true), None) if !invoice.auto_advance => {
            let grace = billing_settings::retrieve(ctx).await?.draft_grace_s;
            invoice.set_going(ctx.now, grace);
        }
        (Some(true) | None, None) => {}
    }
    let automatic = invoice.collection_method == CollectionMethod::ChargeAutomatically;
    let at = invoice.automatically_finalizes_at.filter(|_| automatic && invoice.auto_advance);
    invoice.details.next_payment_attempt = at.map(|at| at.0);
    Ok(())
}

async fn set_payment(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &Customer,
    input: &Update,
) -> Result<()> {
    let Some(id) = &input.default_payment_method else { return Ok(()) };
    let param = "default_payment_method";
    let method = payment_methods::attached(ctx, id, &customer.id, param).await?;
    invoice.details.default_payment_method = Some(method.id.as_str().to_owned());
    Ok(())
}

fn set_payment_settings(invoice: &mut Invoice, input: Option<PaymentSettingsInput>) {
    let Some(PaymentSettingsInput { payment_method_types }) = input else { return };
    match payment_method_types {
        Clear::Keep => {}
        Clear::Unset => invoice.details.payment_method_types = None,
        Clear::Set(types) => {
            let types = types.into_iter().map(Into::into);
            invoice.details.payment_method_types = Some(types.collect());
        }
    }
}

async fn set_discounts(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &Customer,
    input: Clear<Vec<DiscountInput>>,
) -> Result<()> {
    if input.is_keep() {
        return Ok(());
    }
    let inputs = input.or_none().unwrap_or_default();
    let of_lines = invoice.lines.iter().flat_map(|line| &line.details.discounts);
    let held = only_here(&invoice.details.discounts, of_lines)?;
    let (holder, currency) = (Holder::Invoice(&invoice.id), invoice.currency);
    let path = "discounts";
    let made = discounts::replace(ctx, holder, customer, currency, &held, inputs, path).await?;
    if !invoice.lines.is_empty() {
        discounts::check_minimum(ctx, &made, invoice.subtotal, currency, path).await?;
    }
    let ids = made.into_iter().map(|discount| discount.id.as_str().to_owned());
    invoice.details.discounts = ids.collect();
    Ok(())
}

/// What the invoice says, in words.
fn set_words(invoice: &mut Invoice, input: Update) -> Result<()> {
    let details = &mut invoice.details;
    match input.custom_fields {
        Clear::Keep => {}
        Clear::Unset => details.custom_fields = None,
        Clear::Set(fields) => {
            details.custom_fields =
                Some(customers::checked_custom_fields(fields, "custom_fields")?);
        }
    }
    input.footer.apply(&mut details.footer);
    match input.effective_at {
        Clear::Keep => {}
        Clear::Unset => details.effective_at = None,
        Clear::Set(at) => details.effective_at = Some(at.0),
    }
    if let Some(descriptor) = input.statement_descriptor {
        details.statement_descriptor = Some(descriptor.into());
    }
    if let Some(RenderingInput { amount_tax_display, pdf }) = input.rendering {
        match amount_tax_display {
            Clear::Keep => {}
            Clear::Unset => details.amount_tax_display = None,
            Clear::Set(how) => details.amount_tax_display = Some(how.as_str().to_owned()),
        }
        if let Some(size) = pdf.and_then(|pdf| pdf.page_size) {
            details.page_size = Some(size.as_str().to_owned());
        }
    }
    input.description.apply(&mut invoice.description);
    input.number.apply(&mut invoice.number);
    set_payment_settings(invoice, input.payment_settings);
    input.metadata.apply(&mut invoice.metadata)
}
