//! Making invoice items: what they come to, in which currency, and where they go.

use std::collections::BTreeMap;

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Invoice as InvoiceKind, InvoiceItem as InvoiceItemKind,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Period;

use super::amount::look_up;
use super::change::apply_discounts;
use super::{
    Create, InvoiceItem, NewItem, PENDING_MAX, PeriodInput, check_invoice_currency, insert_as, sql,
};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::invoices::{self, Held};
use crate::params::Text;
use crate::subscriptions;
use crate::tax_rates;
use crate::test_clocks;

/// Makes an invoice item.
///
/// # Errors
/// A 400 when a rule of invoice items is broken, or something that is named does not exist.
pub async fn create(ctx: &mut Ctx, mut input: Create) -> Result<InvoiceItem> {
    let Some(invoice) = input.invoice.take() else { return make(ctx, input, None).await };
    let held = invoices::named_draft(ctx, &invoice).await?;
    refuse_more_on(ctx, &held.invoice.id, 1, "invoice").await?;
    let item = make(ctx, input, Some(&held)).await?;
    held.items_changed(ctx).await?;
    Ok(item)
}

/// Makes an invoice item: on a draft that is held and has room for it, or a pending one.
pub(crate) async fn make(ctx: &mut Ctx, input: Create, held: Option<&Held>) -> Result<InvoiceItem> {
    let mut said = input.said;
    let asked = said.take_asked();
    let quantity = asked.quantity()?.unwrap_or(Decimal::ONE);
    let source = asked.source(&ctx.caller.version)?.ok_or_else(|| {
        Error::invalid(
            "You must specify one of `amount`, `pricing`, `price_data` or `unit_amount_decimal`.",
        )
        .code("parameter_missing")
        .param("amount")
    })?;
    let customer = input.customer.ok_or_else(|| Error::missing("customer"))?;
    if let Some(held) = held {
        refuse_other(held, &customer)?;
    }
    let before = customers::locked(ctx, &customer, "customer").await?;
    test_clocks::follow(ctx, &before).await?;
    if held.is_none() {
        refuse_more_pending(ctx, &before.id, "customer").await?;
    }
    let subscription = subscription_of(ctx, &before, input.subscription).await?;
    let brought = look_up(ctx, source).await?;
    let currency = input
        .currency
        .or_else(|| held.map(|held| held.invoice.currency))
        .or_else(|| subscription.as_ref().map(|subscription| subscription.currency))
        .or_else(|| brought.currency())
        .or(before.currency)
        .ok_or_else(|| Error::missing("currency"))?;
    check_currency(subscription.as_ref(), currency)?;
    if let Some(held) = held {
        check_invoice_currency(&held.invoice, currency)?;
    }
    let mut customer = before.clone();
    customers::bind_currency(ctx, &mut customer, currency).await?;
    let description = said.description.as_deref();
    let priced = brought.priced(ctx, quantity, currency, description).await?;
    let id: Id<InvoiceItemKind> = ctx.new_id();
    let tax_rates = match said.tax_rates.or_none() {
        Some(rates) => Some(tax_rates::named(ctx, &rates, "tax_rates").await?),
        None => None,
    };
    let discounts = said.discounts.or_none().unwrap_or_default();
    let applied = apply_discounts(ctx, &id, &customer, currency, &[], discounts).await?;
    let now = Period { start: ctx.now, end: ctx.now };
    let mut metadata = BTreeMap::new();
    said.metadata.apply(&mut metadata)?;
    let new = NewItem {
        customer: customer.id.clone(),
        currency,
        amount: priced.amount,
        quantity: priced.quantity,
        unit_amount: priced.unit_amount,
        price: Some(priced.price),
        product: Some(priced.product),
        description: said.description.map(Into::into).or(priced.name),
        discountable: said.discountable.unwrap_or(priced.amount >= 0),
        discounts: applied,
        tax_rates: tax_rates.filter(|rates| !rates.is_empty()),
        period: said.period.map(PeriodInput::period).transpose()?.unwrap_or(now),
        subscription: subscription.map(|subscription| subscription.id),
        subscription_item: None,
        invoice: held.map(|held| held.invoice.id.clone()),
        proration: None,
        net_amount: None,
        metadata,
    };
    customers::save(ctx, &before, &customer).await?;
    insert_as(ctx, id, new).await
}

fn refuse_other(held: &Held, customer: &str) -> Result<()> {
    if held.invoice.customer.as_str() == customer {
        return Ok(());
    }
    let invoice = &held.invoice.id;
    let message = format!("The invoice `{invoice}` does not belong to the customer `{customer}`.");
    Err(Error::invalid(message).param("invoice"))
}

/// Refuses another pending item of a customer that has as many as can be. `param` is what asks for it.
pub(super) async fn refuse_more_pending(
    ctx: &mut Ctx,
    customer: &Id<CustomerKind>,
    param: &str,
) -> Result<()> {
    if sql::count_pending(ctx, customer).await? < PENDING_MAX {
        return Ok(());
    }
    let message = format!("A customer can have at most {PENDING_MAX} pending invoice items.");
    Err(Error::invalid(message).param(param))
}

/// Refuses so many more items on an invoice if these are more than can be. `param` is what asks for
/// them.
pub(crate) async fn refuse_more_on(
    ctx: &mut Ctx,
    invoice: &Id<InvoiceKind>,
    more: usize,
    param: &str,
) -> Result<()> {
    let more = i64::try_from(more).unwrap_or(i64::MAX);
    if sql::count_on(ctx, invoice).await?.saturating_add(more) <= PENDING_MAX {
        return Ok(());
    }
    let message = format!("An invoice can have at most {PENDING_MAX} invoice items.");
    Err(Error::invalid(message).param(param))
}

/// The subscription of a customer that a request names.
pub(crate) async fn subscription_of(
    ctx: &mut Ctx,
    customer: &Customer,
    id: Option<Text<255>>,
) -> Result<Option<subscriptions::Subscription>> {
    let Some(id) = id else { return Ok(None) };
    let subscription = subscriptions::named(ctx, &id).await?;
    let refuse = |message: String| Err(Error::invalid(message).param("subscription"));
    if subscription.customer != customer.id {
        return refuse(format!(
            "The subscription `{}` does not belong to the customer `{}`.",
            subscription.id, customer.id
        ));
    }
    if subscription.has_ended() {
        return refuse(format!(
            "The subscription `{}` has ended: nothing more is invoiced with it.",
            subscription.id
        ));
    }
    Ok(Some(subscription))
}

/// What is for a subscription is in its currency.
pub(crate) fn check_currency(
    subscription: Option<&subscriptions::Subscription>,
    currency: Currency,
) -> Result<()> {
    match subscription {
        Some(subscription) if subscription.currency != currency => Err(Error::invalid(format!(
            "The currency of the invoice item (`{}`) must be that of the subscription (`{}`).",
            currency.code(),
            subscription.currency.code()
        ))
        .param("currency")),
        _ => Ok(()),
    }
}
