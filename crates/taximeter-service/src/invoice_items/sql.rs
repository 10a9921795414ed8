//! The statements of invoice items, and how a row becomes one.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{
    Customer, Discount as DiscountKind, Id, Invoice, InvoiceItem as InvoiceItemKind, Kind,
    Subscription, TaxRate as TaxRateKind, TestClock,
};
use taximeter_kernel::time::Period;

use super::{InvoiceItem, PENDING_MAX};
use crate::ctx::{Ctx, malformed};
use crate::error::Result;
use crate::page::ListSql;
use crate::{list_sql, stored, tax_rates};

/// An item without its tax rates, which are read on their own.
pub(super) struct Bare {
    item: InvoiceItem,
    tax_rates: Option<Vec<Id<TaxRateKind>>>,
}

fn ids<K: Kind>(column: &'static str, texts: &[String]) -> Result<Vec<Id<K>>, DbError> {
    texts.iter().map(|id| Id::parse(id).map_err(|_| malformed(column, "ids", id))).collect()
}

impl Row for Bare {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let discounts: Vec<String> = stored::read(cells, "discounts")?;
        let rates: Option<Vec<String>> = stored::read_optional(cells, "tax_rates")?;
        let item = InvoiceItem {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            customer: cells.get("customer")?,
            currency: cells.get("currency")?,
            amount: cells.get("amount")?,
            quantity: cells.get("quantity")?,
            unit_amount: cells.get("unit_amount")?,
            price: cells.get("price")?,
            product: cells.get("product")?,
            description: cells.get("description")?,
            discountable: cells.get("discountable")?,
            discounts: ids::<DiscountKind>("discounts", &discounts)?,
            tax_rates: None,
            period: Period { start: cells.get("period_start")?, end: cells.get("period_end")? },
            subscription: cells.get("subscription")?,
            subscription_item: cells.get("subscription_item")?,
            invoice: cells.get("invoice")?,
            proration: stored::read_optional(cells, "proration_details")?,
            net_amount: cells.get("net_amount")?,
            test_clock: cells.get("test_clock")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        };
        let tax_rates = rates.map(|rates| ids("tax_rates", &rates)).transpose()?;
        Ok(Self { item, tax_rates })
    }
}

/// Reads the tax rates of an item.
pub(super) async fn complete(ctx: &mut Ctx, bare: Bare) -> Result<InvoiceItem> {
    let mut item = bare.item;
    if let Some(rates) = bare.tax_rates {
        item.tax_rates = Some(tax_rates::of(ctx, &rates).await?);
    }
    Ok(item)
}

async fn complete_all(ctx: &mut Ctx, bare: Vec<Bare>) -> Result<Vec<InvoiceItem>> {
    let mut items = Vec::with_capacity(bare.len());
    for bare in bare {
        items.push(complete(ctx, bare).await?);
    }
    Ok(items)
}

pub(super) const SEQ: &str =
    "SELECT seq FROM invoice_items WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM invoice_items WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR created >= $6) AND ($7 IS NULL OR created <= $7)",
    " AND ($8 IS NULL OR customer = $8)",
    " AND ($9 IS NULL OR invoice = $9)",
    " AND ($10 IS NULL OR $10 = (invoice IS NULL))",
    " AND ($8 IS NOT NULL OR $9 IS NOT NULL OR test_clock IS NULL)",
);

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<InvoiceItem>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM invoice_items WHERE account = $1 AND livemode = $2 AND id = $3";
    let found: Option<Bare> = ctx.tx.optional(sql, args).await?;
    match found {
        Some(bare) => complete(ctx, bare).await.map(Some),
        None => Ok(None),
    }
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.hold(SEQ, args).await?)
}

pub(super) async fn pending(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
    subscription: Option<&Id<Subscription>>,
) -> Result<Vec<InvoiceItem>> {
    let args = ctx.args([
        Arg::from(customer),
        Arg::from(subscription),
        Arg::from(PENDING_MAX.saturating_mul(2)),
    ]);
    let sql = "SELECT * FROM invoice_items \
               WHERE account = $1 AND livemode = $2 AND customer = $3 AND invoice IS NULL \
               AND ($4 IS NULL OR subscription IS NULL OR subscription = $4) \
               ORDER BY seq DESC LIMIT $5";
    let rows = ctx.tx.rows(sql, args).await?;
    complete_all(ctx, rows).await
}

pub(super) async fn of_invoice(ctx: &mut Ctx, invoice: &Id<Invoice>) -> Result<Vec<InvoiceItem>> {
    let args = ctx.args([Arg::from(invoice), Arg::from(PENDING_MAX.saturating_mul(2))]);
    let sql = "SELECT * FROM invoice_items WHERE account = $1 AND livemode = $2 AND invoice = $3 \
               ORDER BY seq DESC LIMIT $4";
    let rows = ctx.tx.rows(sql, args).await?;
    complete_all(ctx, rows).await
}

pub(super) async fn count_pending(ctx: &mut Ctx, customer: &Id<Customer>) -> Result<i64> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT COUNT(*) AS n FROM invoice_items \
               WHERE account = $1 AND livemode = $2 AND customer = $3 AND invoice IS NULL";
    Ok(ctx.tx.one(sql, args).await?)
}

pub(super) async fn count_on(ctx: &mut Ctx, invoice: &Id<Invoice>) -> Result<i64> {
    let args = ctx.args([Arg::from(invoice)]);
    let sql = "SELECT COUNT(*) AS n FROM invoice_items \
               WHERE account = $1 AND livemode = $2 AND invoice = $3";
    Ok(ctx.tx.one(sql, args).await?)
}

/// Puts an item on an invoice, unless it is on one.
pub(super) async fn claim(
    ctx: &mut Ctx,
    id: &Id<InvoiceItemKind>,
    invoice: &Id<Invoice>,
) -> Result<bool> {
    let args = ctx.args([Arg::from(id), Arg::from(invoice)]);
    let sql = "UPDATE invoice_items SET invoice = $4 \
               WHERE account = $1 AND livemode = $2 AND id = $3 AND invoice IS NULL";
    Ok(ctx.tx.execute(sql, args).await? == 1)
}

/// Takes an item off the invoice that it is on.
pub(super) async fn release(ctx: &mut Ctx, id: &Id<InvoiceItemKind>) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "UPDATE invoice_items SET invoice = NULL \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// The test clock of a customer.
pub(super) async fn clock_of(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
) -> Result<Option<Id<TestClock>>> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT test_clock FROM customers \
               WHERE account = $1 AND livemode = $2 AND id = $3 AND test_clock IS NOT NULL";
    Ok(ctx.tx.optional(sql, args).await?)
}

fn texts<'a, K: Kind>(ids: impl Iterator<Item = &'a Id<K>>) -> Result<Arg> {
    stored::write(&ids.map(Id::as_str).collect::<Vec<_>>())
}

/// The columns that can change, in the order of both statements below.
fn columns(item: &InvoiceItem) -> Result<[Arg; 12]> {
    Ok([
        Arg::from(item.amount),
        Arg::from(item.quantity),
        Arg::from(item.unit_amount),
        Arg::from(item.price.as_ref()),
        Arg::from(item.product.as_ref()),
        Arg::Text(item.description.clone()),
        Arg::from(item.discountable),
        texts(item.discounts.iter())?,
        match &item.tax_rates {
            Some(rates) => texts(rates.iter().map(|rate| &rate.id))?,
            None => Arg::Text(None),
        },
        Arg::from(item.period.start),
        Arg::from(item.period.end),
        stored::write(&item.metadata)?,
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, item: &InvoiceItem) -> Result<()> {
    let mut args = ctx.args([Arg::from(&item.id)]);
    args.extend(columns(item)?);
    args.extend([
        Arg::from(&item.customer),
        Arg::from(item.currency),
        Arg::from(item.subscription.as_ref()),
        Arg::from(item.subscription_item.as_ref()),
        Arg::from(item.invoice.as_ref()),
        Arg::from(item.proration.is_some()),
        stored::write_optional(item.proration.as_ref())?,
        Arg::from(item.net_amount),
        Arg::from(item.created),
        Arg::from(item.test_clock.as_ref()),
    ]);
    let sql = "INSERT INTO invoice_items (account, livemode, id, amount, quantity, unit_amount, \
               price, product, description, discountable, discounts, tax_rates, period_start, \
               period_end, metadata, customer, currency, subscription, subscription_item, invoice, \
               proration, proration_details, net_amount, created, test_clock) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
               $18, $19, $20, $21, $22, $23, $24, $25)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, item: &InvoiceItem) -> Result<()> {
    let mut args = ctx.args([Arg::from(&item.id)]);
    args.extend(columns(item)?);
    let sql = "UPDATE invoice_items SET amount = $4, quantity = $5, unit_amount = $6, price = $7, \
               product = $8, description = $9, discountable = $10, discounts = $11, \
               tax_rates = $12, period_start = $13, period_end = $14, metadata = $15 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn delete(ctx: &mut Ctx, id: &Id<InvoiceItemKind>) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "DELETE FROM invoice_items WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
