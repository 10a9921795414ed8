//! The lines of drafts, changed by hand.
//!
//! Behind a line that is no subscription's own is an invoice item, and what is said of the line is
//! said of the item.

use serde_json::Value;
use taximeter_kernel::id::{InvoiceLine, Kind as _};

use super::drafts::{self, Held};
use super::input::{AddLines, LineAdd, LineUpdate, Removal, RemoveLines, UpdateLines};
use super::totals::only_here;
use super::{Invoice, Line};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::discounts::{self, Holder};
use crate::error::{Error, Result};
use crate::invoice_items;
use crate::params::{Clear, MetadataChange};
use crate::tax_rates;

/// Puts lines on a draft: of pending items, or of new ones.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is no draft or a line cannot be.
pub async fn add_lines(ctx: &mut Ctx, id: &str, input: AddLines) -> Result<Invoice> {
    let mut held = drafts::draft_path(ctx, id).await?;
    input.invoice_metadata.apply(&mut held.invoice.metadata)?;
    invoice_items::refuse_more_on(ctx, &held.invoice.id, input.lines.len(), "lines").await?;
    for (place, line) in input.lines.into_iter().enumerate() {
        let added = add(ctx, &held, line).await;
        added.map_err(|error| error.within(&format!("lines[{place}]")))?;
    }
    held.items_changed(ctx).await
}

async fn add(ctx: &mut Ctx, held: &Held, line: LineAdd) -> Result<()> {
    let said = line.said.into();
    match line.invoice_item {
        Some(id) => {
            let item = invoice_items::assign(ctx, &id, &held.invoice).await?;
            invoice_items::change(ctx, item, said).await?;
        }
        None => {
            let (customer, currency) = (&held.invoice.customer, held.invoice.currency);
            let input = invoice_items::Create::of(customer, Some(currency), said);
            invoice_items::make(ctx, input, Some(held)).await?;
        }
    }
    Ok(())
}

/// Changes lines of a draft.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is no draft, it has no such line or the line
/// cannot be changed so.
pub async fn update_lines(ctx: &mut Ctx, id: &str, input: UpdateLines) -> Result<Invoice> {
    let mut held = drafts::draft_path(ctx, id).await?;
    input.invoice_metadata.apply(&mut held.invoice.metadata)?;
    for (place, line) in input.lines.into_iter().enumerate() {
        let changed = change(ctx, &mut held, &line.id, line.said.into()).await;
        changed.map_err(|error| error.within(&format!("lines[{place}]")))?;
    }
    held.items_changed(ctx).await
}

/// Changes a line of a draft, both of whose ids are in the path.
///
/// # Errors
/// A 404 when there is no such invoice or line, a 400 when the invoice is no draft or the line cannot
/// be changed so.
pub async fn update_line(ctx: &mut Ctx, id: &str, line: &str, input: LineUpdate) -> Result<Value> {
    let mut held = drafts::draft_path(ctx, id).await?;
    if !held.invoice.lines.iter().any(|own| own.id.as_str() == line) {
        return Err(Error::no_such_path(InvoiceLine::NOUN, line));
    }
    change(ctx, &mut held, line, input.into()).await?;
    let invoice = held.items_changed(ctx).await?;
    let changed = invoice.lines.iter().find(|own| own.id.as_str() == line);
    let changed = changed.ok_or_else(|| Error::internal(format!("{line} is gone")))?;
    Ok(invoice.line_wire(changed))
}

fn line_at(invoice: &Invoice, id: &str) -> Result<usize> {
    let place = invoice.lines.iter().position(|line| line.id.as_str() == id);
    place.ok_or_else(|| Error::no_such(InvoiceLine::NOUN, id, "id"))
}

async fn change(
    ctx: &mut Ctx,
    held: &mut Held,
    id: &str,
    update: invoice_items::Update,
) -> Result<()> {
    let at = line_at(&held.invoice, id)?;
    let customer = held.customer.clone();
    match held.invoice.lines[at].invoice_item.clone() {
        Some(item) => {
            let item = invoice_items::held(ctx, &item).await?;
            invoice_items::change(ctx, item, update).await?;
            Ok(())
        }
        None => change_own(ctx, &mut held.invoice, &customer, at, update).await,
    }
}

/// Changes a line of a subscription's own: what it says beside its amount. The lines of one metered
/// price are one line in many tiers, and change together.
async fn change_own(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &Customer,
    at: usize,
    update: invoice_items::Update,
) -> Result<()> {
    let head = invoice.lines[at].clone();
    let metered = head.details.metered;
    let changes = |line: &Line| line.id == head.id || (metered && line.is_tier_with(&head));
    let sent = [
        (update.amount.is_some(), "amount"),
        (update.price_data.is_some(), "price_data"),
        (update.pricing.is_some(), "pricing"),
        (update.quantity.is_some(), "quantity"),
        (update.quantity_decimal.is_some(), "quantity_decimal"),
        (metered && update.description.is_some(), "description"),
        (metered && update.period.is_some(), "period"),
    ];
    if let Some((_, param)) = sent.into_iter().find(|(sent, _)| *sent) {
        return Err(Error::invalid(format!(
            "The `{param}` of a line that a subscription makes cannot be changed. Add a line \
             instead."
        ))
        .param(param));
    }
    let mut details = head.details.clone();
    let (mut description, mut period) = (head.description.clone(), head.period);
    if let Some(said) = update.description {
        description = Some(said.into());
    }
    if let Some(given) = update.period {
        period = given.period()?;
    }
    if let Some(discountable) = update.discountable {
        details.discountable = discountable;
    }
    match update.tax_rates {
        Clear::Keep => {}
        Clear::Unset => details.tax_rates = Vec::new(),
        Clear::Set(rates) => {
            let rates = tax_rates::named(ctx, &rates, "tax_rates").await?;
            details.tax_rates = rates.iter().map(|rate| rate.id.as_str().to_owned()).collect();
        }
    }
    if !update.discounts.is_keep() {
        let inputs = update.discounts.or_none().unwrap_or_default();
        let others = invoice.lines.iter().filter(|line| !changes(line));
        let elsewhere = others.flat_map(|line| &line.details.discounts);
        let elsewhere = elsewhere.chain(&invoice.details.discounts);
        let held = only_here(&details.discounts, elsewhere)?;
        let (holder, currency) = (Holder::Invoice(&invoice.id), invoice.currency);
        let path = "discounts";
        let made = discounts::replace(ctx, holder, customer, currency, &held, inputs, path).await?;
        let ids = made.into_iter().map(|discount| discount.id.as_str().to_owned());
        details.discounts = ids.collect();
    }
    if !matches!(update.metadata, MetadataChange::Keep) {
        let shown = &invoice.subscription_metadata;
        update.metadata.apply(details.metadata.get_or_insert_with(|| shown.clone()))?;
    }
    for line in &mut invoice.lines {
        if changes(line) {
            let (gross, taxes) = (line.details.gross, line.details.taxes.clone());
            line.details = super::LineDetails { gross, taxes, ..details.clone() };
            if line.id == head.id {
                (line.description, line.period) = (description.clone(), period);
            }
        }
    }
    Ok(())
}

/// Takes lines off a draft. The items behind them are deleted, or pending again.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is no draft, it has no such line or the line is
/// a subscription's own.
pub async fn remove_lines(ctx: &mut Ctx, id: &str, input: RemoveLines) -> Result<Invoice> {
    let mut held = drafts::draft_path(ctx, id).await?;
    input.invoice_metadata.apply(&mut held.invoice.metadata)?;
    for (place, line) in input.lines.into_iter().enumerate() {
        let path = format!("lines[{place}]");
        let at = line_at(&held.invoice, &line.id).map_err(|error| error.within(&path))?;
        let Some(item) = held.invoice.lines[at].invoice_item.clone() else {
            return Err(Error::invalid(format!(
                "The line `{}` is made by the subscription and cannot be removed.",
                &*line.id
            ))
            .param(format!("{path}[id]")));
        };
        let item = invoice_items::held(ctx, &item).await?;
        match line.behavior {
            Removal::Delete => invoice_items::discard(ctx, &item).await?,
            Removal::Unassign => invoice_items::release(ctx, &item).await?,
        }
        held.invoice.lines.remove(at);
    }
    held.items_changed(ctx).await
}
