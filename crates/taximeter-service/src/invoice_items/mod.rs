//! Invoice items: what goes on a bill besides a subscription's own lines. One is pending until an
//! invoice sweeps it.

mod added;
mod amount;
mod change;
mod input;
mod make;
mod sql;
mod wire;

use std::collections::BTreeMap;

pub(crate) use added::{Addition, add, check_addition};
pub(crate) use change::change;
pub use change::{delete, update};
pub use input::{Create, Delete, List, PeriodInput, PriceDataInput, PricingInput, Update};
pub use make::create;
pub(crate) use make::{check_currency, make, refuse_more_on, subscription_of};
use taximeter_db::Arg;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{
    Customer as CustomerKind, Discount as DiscountKind, Id, Invoice as InvoiceKind,
    InvoiceItem as InvoiceItemKind, Kind as _, Price as PriceKind, Product as ProductKind,
    Subscription as SubscriptionKind, SubscriptionItem, TestClock,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::{Period, Timestamp};
pub use wire::{Credited, ProrationDetails};

use crate::ctx::Ctx;
use crate::discounts::{self, Holder};
use crate::error::{Error, Result};
use crate::invoices::Invoice;
use crate::outbox;
use crate::page::{List as Page, Slice};
use crate::tax_rates::TaxRate;

/// The most items that can be pending for a customer (Stripe's bound of one invoice).
pub const PENDING_MAX: i64 = 250;

/// What goes on a bill besides a subscription's own lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceItem {
    /// Its id.
    pub id: Id<InvoiceItemKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Who is billed.
    pub customer: Id<CustomerKind>,
    /// What its amounts are in.
    pub currency: Currency,
    /// What it comes to, in minor units.
    pub amount: i64,
    /// How many.
    pub quantity: Decimal,
    /// Minor units for each; nothing for a proration, or where they differ.
    pub unit_amount: Option<Decimal>,
    /// What it is the price of, and which.
    pub price: Option<Id<PriceKind>>,
    /// What is sold.
    pub product: Option<Id<ProductKind>>,
    /// What customers see it called.
    pub description: Option<String>,
    /// Whether discounts are taken off it.
    pub discountable: bool,
    /// What is taken off it alone.
    pub discounts: Vec<Id<DiscountKind>>,
    /// The tax rates of it alone; nothing where the invoice's apply.
    pub tax_rates: Option<Vec<TaxRate>>,
    /// The span that it is for.
    pub period: Period,
    /// The subscription with whose invoice it goes.
    pub subscription: Option<Id<SubscriptionKind>>,
    /// The item that it is the proration of.
    pub subscription_item: Option<Id<SubscriptionItem>>,
    /// The invoice that it is on.
    pub invoice: Option<Id<InvoiceKind>>,
    /// What it is a proration of, if it is one.
    pub proration: Option<ProrationDetails>,
    /// What is left of it after the discounts that it was prorated with.
    pub net_amount: Option<i64>,
    /// The test clock of its customer.
    pub test_clock: Option<Id<TestClock>>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

/// An invoice item that is made by other verbs, such as a proration.
#[derive(Debug, Clone)]
pub struct NewItem {
    /// Who is billed.
    pub customer: Id<CustomerKind>,
    /// What its amounts are in.
    pub currency: Currency,
    /// What it comes to, in minor units.
    pub amount: i64,
    /// How many.
    pub quantity: Decimal,
    /// Minor units for each, where it is not a proration.
    pub unit_amount: Option<Decimal>,
    /// Its price.
    pub price: Option<Id<PriceKind>>,
    /// What is sold.
    pub product: Option<Id<ProductKind>>,
    /// What customers see it called.
    pub description: Option<String>,
    /// Whether discounts are taken off it.
    pub discountable: bool,
    /// What is taken off it alone.
    pub discounts: Vec<Id<DiscountKind>>,
    /// The tax rates of it alone.
    pub tax_rates: Option<Vec<TaxRate>>,
    /// The span that it is for.
    pub period: Period,
    /// The subscription with whose invoice it goes.
    pub subscription: Option<Id<SubscriptionKind>>,
    /// The item that it is the proration of.
    pub subscription_item: Option<Id<SubscriptionItem>>,
    /// The invoice that it is on; nothing leaves it pending.
    pub invoice: Option<Id<InvoiceKind>>,
    /// What it is a proration of, if it is one.
    pub proration: Option<ProrationDetails>,
    /// What is left of it after the discounts that it was prorated with.
    pub net_amount: Option<i64>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
}

/// Reads an invoice item, if there is one.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<InvoiceItem>> {
    sql::find(ctx, id).await
}

/// Writes an invoice item that another verb made, and the event that tells of it.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn insert(ctx: &mut Ctx, new: NewItem) -> Result<InvoiceItem> {
    let id = ctx.new_id();
    insert_as(ctx, id, new).await
}

async fn insert_as(ctx: &mut Ctx, id: Id<InvoiceItemKind>, new: NewItem) -> Result<InvoiceItem> {
    let item = InvoiceItem {
        test_clock: sql::clock_of(ctx, &new.customer).await?,
        id,
        livemode: ctx.scope().mode.is_live(),
        customer: new.customer,
        currency: new.currency,
        amount: new.amount,
        quantity: new.quantity,
        unit_amount: new.unit_amount,
        price: new.price,
        product: new.product,
        description: new.description,
        discountable: new.discountable,
        discounts: new.discounts,
        tax_rates: new.tax_rates,
        period: new.period,
        subscription: new.subscription,
        subscription_item: new.subscription_item,
        invoice: new.invoice,
        proration: new.proration,
        net_amount: new.net_amount,
        metadata: new.metadata,
        created: ctx.now,
    };
    sql::insert(ctx, &item).await?;
    outbox::push(ctx, "invoiceitem.created", &item.wire()).await?;
    Ok(item)
}

/// Writes an item again that was undone with the change that made it, and the event that tells of it.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn put_back(ctx: &mut Ctx, item: &InvoiceItem) -> Result<()> {
    sql::insert(ctx, item).await?;
    outbox::push(ctx, "invoiceitem.created", &item.wire()).await
}

/// The pending items that a customer's next invoice sweeps, newest first: with a subscription, those
/// that are for it or for none; without, all.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn pending(
    ctx: &mut Ctx,
    customer: &Id<CustomerKind>,
    subscription: Option<&Id<SubscriptionKind>>,
) -> Result<Vec<InvoiceItem>> {
    sql::pending(ctx, customer, subscription).await
}

/// The items on an invoice, newest first.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn of_invoice(ctx: &mut Ctx, invoice: &Id<InvoiceKind>) -> Result<Vec<InvoiceItem>> {
    sql::of_invoice(ctx, invoice).await
}

/// Puts pending items on an invoice.
///
/// # Errors
/// A 409 when one is on another by now.
pub async fn claim(
    ctx: &mut Ctx,
    ids: &[Id<InvoiceItemKind>],
    invoice: &Id<InvoiceKind>,
) -> Result<()> {
    for id in ids {
        if !sql::claim(ctx, id, invoice).await? {
            let message = format!("The invoice item `{id}` is on another invoice by now.");
            return Err(Error::new(crate::error::Kind::Conflict, message).code("lock_timeout"));
        }
    }
    Ok(())
}

/// Deletes what is pending of prorations of a subscription that ends without being billed.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn forget_prorations(
    ctx: &mut Ctx,
    customer: &Id<CustomerKind>,
    subscription: &Id<SubscriptionKind>,
) -> Result<()> {
    for item in pending(ctx, customer, Some(subscription)).await? {
        if item.proration.is_some() && item.subscription.as_ref() == Some(subscription) {
            discard(ctx, &item).await?;
        }
    }
    Ok(())
}

/// Deletes the items of a draft that is deleted: they are not pending again.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn delete_of_invoice(ctx: &mut Ctx, invoice: &Id<InvoiceKind>) -> Result<()> {
    for item in of_invoice(ctx, invoice).await? {
        discard(ctx, &item).await?;
    }
    Ok(())
}

/// Whether something is pending for a customer.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn has_pending(ctx: &mut Ctx, customer: &Id<CustomerKind>) -> Result<bool> {
    Ok(sql::count_pending(ctx, customer).await? > 0)
}

fn check_invoice_currency(invoice: &Invoice, currency: Currency) -> Result<()> {
    if invoice.currency == currency {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "The currency of the invoice item (`{}`) must be that of the invoice (`{}`).",
        currency.code(),
        invoice.currency.code()
    ))
    .param("currency"))
}

/// Puts a pending item of the same customer on a draft that is held.
pub(crate) async fn assign(ctx: &mut Ctx, id: &str, invoice: &Invoice) -> Result<InvoiceItem> {
    sql::lock(ctx, id).await?;
    let Some(mut item) = sql::find(ctx, id).await? else {
        return Err(ctx.no_such(InvoiceItemKind::NOUN, id, "invoice_item").await?);
    };
    let refuse = |message: String| Err(Error::invalid(message).param("invoice_item"));
    if item.customer != invoice.customer {
        return refuse(format!(
            "The invoice item `{id}` does not belong to the customer `{}`.",
            invoice.customer
        ));
    }
    if item.invoice.is_some() {
        return refuse(format!("The invoice item `{id}` is on an invoice already."));
    }
    check_invoice_currency(invoice, item.currency)?;
    claim(ctx, std::slice::from_ref(&item.id), &invoice.id).await?;
    item.invoice = Some(invoice.id.clone());
    Ok(item)
}

/// Takes an item off a draft that is held: it is pending again.
pub(crate) async fn release(ctx: &mut Ctx, item: &InvoiceItem) -> Result<()> {
    make::refuse_more_pending(ctx, &item.customer, "customer").await?;
    sql::release(ctx, &item.id).await
}

/// Reads and holds the item behind a line of a draft that is held.
pub(crate) async fn held(ctx: &mut Ctx, id: &str) -> Result<InvoiceItem> {
    sql::lock(ctx, id).await?;
    let item = sql::find(ctx, id).await?;
    item.ok_or_else(|| Error::internal(format!("no invoice item is called {id}")))
}

/// Reads an invoice item whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<InvoiceItem> {
    match sql::find(ctx, id).await? {
        Some(item) => Ok(item),
        None => Err(ctx.no_such_path(InvoiceItemKind::NOUN, id).await?),
    }
}

/// Deletes an item that is held, and not the line that it is on an invoice.
pub(crate) async fn discard(ctx: &mut Ctx, item: &InvoiceItem) -> Result<()> {
    for discount in discounts::of(ctx, &item.discounts).await? {
        // One that was taken from something else stays that one's.
        if discount.is_of(Holder::InvoiceItem(&item.id)) {
            discounts::remove(ctx, &discount.id).await?;
        }
    }
    sql::delete(ctx, &item.id).await?;
    outbox::push(ctx, "invoiceitem.deleted", &item.wire()).await
}

/// Lists invoice items, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.customer.as_deref()),
        Arg::from(input.invoice.as_deref()),
        Arg::Bool(input.pending),
    ];
    let page = input.page()?;
    let noun = InvoiceItemKind::NOUN;
    let slice: Slice<sql::Bare> = ctx.page(&page, noun, (sql::SEQ, sql::LIST), filters).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    for bare in slice.rows {
        data.push(sql::complete(ctx, bare).await?.wire());
    }
    Ok(Page { url: "/v1/invoiceitems".to_owned(), has_more: slice.has_more, data })
}
