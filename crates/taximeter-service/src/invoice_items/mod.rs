//! Invoice items: what goes on a bill besides a subscription's own lines. One is pending until an
//! invoice sweeps it.

mod added;
mod amount;
mod input;
mod sql;
mod wire;

use std::collections::BTreeMap;

pub(crate) use added::{Addition, add, check_addition};
use amount::{look_up, of_price};
pub use input::{Create, Delete, List, PeriodInput, PriceDataInput, PricingInput, Update};
use serde_json::{Value, json};
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
use crate::customers::{self, Customer};
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Result};
use crate::invoices::{self, Held, Invoice};
use crate::outbox;
use crate::page::{List as Page, Slice};
use crate::params::{Clear, Text};
use crate::prices;
use crate::subscriptions;
use crate::tax_rates::{self, TaxRate};
use crate::test_clocks;

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

/// Makes an invoice item.
///
/// # Errors
/// A 400 when a rule of invoice items is broken, or something that is named does not exist.
pub async fn create(ctx: &mut Ctx, mut input: Create) -> Result<InvoiceItem> {
    let held = match input.invoice.take() {
        Some(invoice) => Some(invoices::named_draft(ctx, &invoice).await?),
        None => None,
    };
    let item = make(ctx, input, held.as_ref()).await?;
    if let Some(held) = &held {
        invoices::lines_changed(ctx, &held.invoice.id).await?;
    }
    Ok(item)
}

/// Makes an invoice item: on a draft that is held, or a pending one.
pub(crate) async fn make(
    ctx: &mut Ctx,
    mut input: Create,
    held: Option<&Held>,
) -> Result<InvoiceItem> {
    let asked = input.take_asked();
    let quantity = asked.quantity()?.unwrap_or(Decimal::ONE);
    let source = asked.source(&ctx.caller.version)?.ok_or_else(|| {
        Error::invalid(
            "You must specify one of `amount`, `pricing`, `price_data` or `unit_amount_decimal`.",
        )
        .code("parameter_missing")
        .param("amount")
    })?;
    let customer = input.customer.take().ok_or_else(|| Error::missing("customer"))?;
    if let Some(held) = held {
        refuse_other(held, &customer)?;
    }
    let before = customers::locked(ctx, &customer, "customer").await?;
    test_clocks::follow(ctx, &before).await?;
    refuse_too_many(ctx, &before.id, held).await?;
    let subscription = subscription_of(ctx, &before, input.subscription.take()).await?;
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
    let description = input.description.as_deref();
    let priced = brought.priced(ctx, quantity, currency, description).await?;
    let id: Id<InvoiceItemKind> = ctx.new_id();
    let tax_rates = match input.tax_rates {
        Some(rates) => Some(tax_rates::named(ctx, &rates, "tax_rates").await?),
        None => None,
    };
    let discounts = input.discounts.or_none().unwrap_or_default();
    let applied = apply_discounts(ctx, &id, &customer, currency, &[], discounts).await?;
    let now = Period { start: ctx.now, end: ctx.now };
    let mut metadata = BTreeMap::new();
    input.metadata.apply(&mut metadata)?;
    let new = NewItem {
        customer: customer.id.clone(),
        currency,
        amount: priced.amount,
        quantity: priced.quantity,
        unit_amount: priced.unit_amount,
        price: Some(priced.price),
        product: Some(priced.product),
        description: input.description.map(Into::into).or(priced.name),
        discountable: input.discountable.unwrap_or(priced.amount >= 0),
        discounts: applied,
        tax_rates: tax_rates.filter(|rates| !rates.is_empty()),
        period: input.period.map(PeriodInput::period).transpose()?.unwrap_or(now),
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

async fn refuse_too_many(
    ctx: &mut Ctx,
    customer: &Id<CustomerKind>,
    held: Option<&Held>,
) -> Result<()> {
    let (there, message, param) = match held {
        Some(held) => (
            i64::try_from(of_invoice(ctx, &held.invoice.id).await?.len()).unwrap_or(i64::MAX),
            format!("An invoice can have at most {PENDING_MAX} invoice items."),
            "invoice",
        ),
        None => (
            sql::count_pending(ctx, customer).await?,
            format!("A customer can have at most {PENDING_MAX} pending invoice items."),
            "customer",
        ),
    };
    if there < PENDING_MAX { Ok(()) } else { Err(Error::invalid(message).param(param)) }
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
    refuse_too_many(ctx, &item.customer, None).await?;
    sql::release(ctx, &item.id).await
}

/// Reads and holds the item behind a line of a draft that is held.
pub(crate) async fn held(ctx: &mut Ctx, id: &str) -> Result<InvoiceItem> {
    sql::lock(ctx, id).await?;
    let item = sql::find(ctx, id).await?;
    item.ok_or_else(|| Error::internal(format!("no invoice item is called {id}")))
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

async fn apply_discounts(
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

/// Holds an item whose id is in the path, and before it the draft that it is on.
async fn editable(ctx: &mut Ctx, id: &str) -> Result<InvoiceItem> {
    let seen = retrieve(ctx, id).await?;
    if let Some(invoice) = &seen.invoice {
        invoices::named_draft(ctx, invoice.as_str()).await?;
    }
    sql::lock(ctx, id).await?;
    let item = retrieve(ctx, id).await?;
    if item.invoice != seen.invoice {
        let message = format!("The invoice item `{id}` is on another invoice by now.");
        return Err(Error::new(crate::error::Kind::Conflict, message).code("lock_timeout"));
    }
    Ok(item)
}

/// Changes an invoice item that is pending, or on a draft.
///
/// # Errors
/// A 404 when there is none, a 400 when its invoice is no draft or a rule of invoice items is broken.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<InvoiceItem> {
    let item = editable(ctx, id).await?;
    let item = change(ctx, item, input).await?;
    if let Some(invoice) = &item.invoice {
        invoices::lines_changed(ctx, invoice).await?;
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
    source: Option<input::Source>,
) -> Result<()> {
    if quantity.is_none() && source.is_none() {
        return Ok(());
    }
    if item.proration.is_some() {
        return Err(Error::invalid("The amount of a proration cannot be changed."));
    }
    let new_quantity = quantity.unwrap_or(match source {
        Some(input::Source::Amount(_)) => Decimal::ONE,
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
    let item = editable(ctx, id).await?;
    discard(ctx, &item).await?;
    if let Some(invoice) = &item.invoice {
        invoices::lines_changed(ctx, invoice).await?;
    }
    Ok(json!({ "id": item.id.as_str(), "object": "invoiceitem", "deleted": true }))
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
