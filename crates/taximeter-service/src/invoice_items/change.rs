//! Changing and deleting invoice items, with the draft that they are on.

use serde_json::{Value, json};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Discount as DiscountKind, Id, InvoiceItem as InvoiceItemKind};
use taximeter_kernel::money::Currency;

use super::amount::{look_up, of_price};
use super::input::Source;
use super::{Delete, InvoiceItem, Update, discard, retrieve, sql};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Kind, Result};
use crate::invoices::{self, Held};
use crate::params::Clear;
use crate::prices;
use crate::tax_rates;
use crate::test_clocks;

/// Holds an item whose id is in the path, and before it the draft that it is on.
async fn editable(ctx: &mut Ctx, id: &str) -> Result<(InvoiceItem, Option<Held>)> {
    let seen = retrieve(ctx, id).await?;
    let held = match &seen.invoice {
        Some(invoice) => Some(invoices::named_draft(ctx, invoice.as_str()).await?),
        None => None,
    };
    sql::lock(ctx, id).await?;
    let item = retrieve(ctx, id).await?;
    if item.invoice != seen.invoice {
        let message = format!("The invoice item `{id}` is on another invoice by now.");
        return Err(Error::new(Kind::Conflict, message).code("lock_timeout"));
    }
    Ok((item, held))
}

/// Changes an invoice item that is pending, or on a draft.
///
/// # Errors
/// A 404 when there is none, a 400 when its invoice is no draft or a rule of invoice items is broken.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<InvoiceItem> {
    let (item, held) = editable(ctx, id).await?;
    let item = change(ctx, item, input).await?;
    if let Some(held) = held {
        held.items_changed(ctx).await?;
    }
    Ok(item)
}

/// Changes an item that is held, and not the invoice that it is on.
pub(crate) async fn change(
    ctx: &mut Ctx,
    before: InvoiceItem,
    mut input: Update,
) -> Result<InvoiceItem> {
    let mut item = before.clone();
    let asked = input.take_asked();
    let quantity = asked.quantity()?;
    let source = asked.source(&ctx.caller.version)?;
    if let Some(description) = input.description {
        item.description = Some(description.into());
    }
    reprice(ctx, &mut item, quantity, source).await?;
    if let Some(period) = input.period {
        item.period = period.period()?;
    }
    if let Some(discountable) = input.discountable {
        if discountable && item.proration.is_some() {
            let message = "`discountable` cannot be set to true for prorations.";
            return Err(Error::invalid(message).param("discountable"));
        }
        item.discountable = discountable;
    }
    match input.tax_rates {
        Clear::Keep => {}
        Clear::Unset => item.tax_rates = None,
        Clear::Set(rates) => {
            let rates = tax_rates::named(ctx, &rates, "tax_rates").await?;
            item.tax_rates = Some(rates).filter(|rates| !rates.is_empty());
        }
    }
    if !input.discounts.is_keep() {
        let customer = customers::named(ctx, item.customer.as_str(), "customer").await?;
        test_clocks::follow(ctx, &customer).await?;
        let inputs = input.discounts.or_none().unwrap_or_default();
        let (held, currency) = (&before.discounts, item.currency);
        item.discounts = apply_discounts(ctx, &item.id, &customer, currency, held, inputs).await?;
    }
    input.metadata.apply(&mut item.metadata)?;
    if item != before {
        sql::update(ctx, &item).await?;
    }
    Ok(item)
}

/// Changes what an item comes to, if the request says so.
async fn reprice(
    ctx: &mut Ctx,
    item: &mut InvoiceItem,
    quantity: Option<Decimal>,
    source: Option<Source>,
) -> Result<()> {
    if quantity.is_none() && source.is_none() {
        return Ok(());
    }
    if item.proration.is_some() {
        return Err(Error::invalid("The amount of a proration cannot be changed."));
    }
    let new_quantity = quantity.unwrap_or(match source {
        Some(Source::Amount(_)) => Decimal::ONE,
        _ => item.quantity,
    });
    let priced = match (source, &item.price) {
        (Some(source), _) => {
            let brought = look_up(ctx, source).await?;
            let described = item.description.clone();
            brought.priced(ctx, new_quantity, item.currency, described.as_deref()).await?
        }
        (None, Some(price)) => {
            let price = prices::retrieve(ctx, price.as_str()).await?;
            of_price(ctx, &price, new_quantity, item.currency, "quantity").await?
        }
        (None, None) => return Err(Error::internal("an invoice item has no price")),
    };
    item.amount = priced.amount;
    item.quantity = priced.quantity;
    item.unit_amount = priced.unit_amount;
    item.price = Some(priced.price);
    item.product = Some(priced.product);
    Ok(())
}

/// Deletes an invoice item that is pending, or on a draft.
///
/// # Errors
/// A 404 when there is none, a 400 when its invoice is no draft.
pub async fn delete(ctx: &mut Ctx, id: &str, _: Delete) -> Result<Value> {
    let (item, held) = editable(ctx, id).await?;
    discard(ctx, &item).await?;
    if let Some(held) = held {
        held.items_changed(ctx).await?;
    }
    Ok(json!({ "id": item.id.as_str(), "object": "invoiceitem", "deleted": true }))
}

/// Makes the discounts of an item; those in `held` that are not asked for again end.
pub(super) async fn apply_discounts(
    ctx: &mut Ctx,
    id: &Id<InvoiceItemKind>,
    customer: &Customer,
    currency: Currency,
    held: &[Id<DiscountKind>],
    inputs: Vec<DiscountInput>,
) -> Result<Vec<Id<DiscountKind>>> {
    let holder = Holder::InvoiceItem(id);
    let discounts =
        discounts::replace(ctx, holder, customer, currency, held, inputs, "discounts").await?;
    Ok(discounts.into_iter().map(|discount| discount.id).collect())
}
