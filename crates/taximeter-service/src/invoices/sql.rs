//! The statements of invoices and their lines.

use taximeter_db::{Arg, Cells, DbError, Row, Tx};
use taximeter_kernel::id::{Customer, Id, Invoice as InvoiceKind, Mode, Scope, Subscription};
use taximeter_kernel::time::Period;

use super::{Invoice, Line, Status};
use crate::ctx::{Ctx, word};
use crate::error::{Error, Result};
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::stored;

pub(super) const SEQ: &str =
    "SELECT seq FROM invoices WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM invoices WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR collection_method = $6)",
    " AND ($7 IS NULL OR created >= $7) AND ($8 IS NULL OR created <= $8)",
    " AND ($9 IS NULL OR customer = $9)",
    " AND ($10 IS NULL OR due_date >= $10) AND ($11 IS NULL OR due_date <= $11)",
    " AND ($12 IS NULL OR status = $12)",
    " AND ($13 IS NULL OR subscription = $13)",
);

pub(super) const ALL: ListSql =
    list_sql!("SELECT * FROM invoices WHERE account = $1 AND livemode = $2");

impl Row for Invoice {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            customer: cells.get("customer")?,
            subscription: cells.get("subscription")?,
            status: word(cells, "status")?,
            billing_reason: word(cells, "billing_reason")?,
            collection_method: word(cells, "collection_method")?,
            currency: cells.get("currency")?,
            number: cells.get("number")?,
            description: cells.get("description")?,
            subtotal: cells.get("subtotal")?,
            total: cells.get("total")?,
            amount_due: cells.get("amount_due")?,
            amount_paid: cells.get("amount_paid")?,
            starting_balance: cells.get("starting_balance")?,
            ending_balance: cells.get("ending_balance")?,
            auto_advance: cells.get("auto_advance")?,
            attempted: cells.get("attempted")?,
            period: Period { start: cells.get("period_start")?, end: cells.get("period_end")? },
            due_date: cells.get("due_date")?,
            days_until_due: cells.get("days_until_due")?,
            finalized_at: cells.get("finalized_at")?,
            paid_at: cells.get("paid_at")?,
            voided_at: cells.get("voided_at")?,
            automatically_finalizes_at: cells.get("automatically_finalizes_at")?,
            customer_snapshot: stored::read(cells, "customer_snapshot")?,
            subscription_metadata: stored::read(cells, "subscription_metadata")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
            test_clock: cells.get("test_clock")?,
            details: stored::read(cells, "details")?,
            tax_rates: Vec::new(),
            lines: Vec::new(),
        })
    }
}

impl Row for Line {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            amount: cells.get("amount")?,
            quantity: cells.get("quantity")?,
            description: cells.get("description")?,
            period: Period { start: cells.get("period_start")?, end: cells.get("period_end")? },
            price: cells.get("price")?,
            product: cells.get("product")?,
            unit_amount: cells.get("unit_amount")?,
            subscription: cells.get("subscription")?,
            subscription_item: cells.get("subscription_item")?,
            invoice_item: cells.get("invoice_item")?,
            details: stored::read(cells, "details")?,
        })
    }
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Invoice>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM invoices WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Whose an invoice is, for an operator who knows its id only.
pub(super) async fn scopes(tx: &mut Tx, id: &str) -> Result<Vec<Scope>> {
    const SCOPES_MAX: i64 = 7;
    let sql = "SELECT account, livemode FROM invoices WHERE id = $1 ORDER BY seq LIMIT $2";
    let rows: Vec<Owner> = tx.rows(sql, vec![Arg::from(id), Arg::from(SCOPES_MAX)]).await?;
    Ok(rows.into_iter().map(|owner| owner.0).collect())
}

struct Owner(Scope);

impl Row for Owner {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let mode = Mode::from_live(cells.get("livemode")?);
        Ok(Self(Scope { account: cells.get("account")?, mode }))
    }
}

/// Reads the lines of an invoice: two for each of the 100 tiers of 20 items, and pending items.
pub(super) async fn lines(ctx: &mut Ctx, invoice: &Id<InvoiceKind>) -> Result<Vec<Line>> {
    let args = ctx.args([Arg::from(invoice)]);
    let sql = "SELECT * FROM invoice_lines WHERE account = $1 AND livemode = $2 AND invoice = $3 \
               ORDER BY position LIMIT 5000";
    Ok(ctx.tx.rows(sql, args).await?)
}

pub(super) async fn count_drafts(ctx: &mut Ctx, customer: &Id<Customer>) -> Result<i64> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT COUNT(*) AS n FROM invoices WHERE account = $1 AND livemode = $2 \
               AND customer = $3 AND status = 'draft'";
    Ok(ctx.tx.one(sql, args).await?)
}

/// The columns that can change, in the order of both statements below.
fn columns(invoice: &Invoice) -> Result<[Arg; 31]> {
    Ok([
        Arg::from(&invoice.customer),
        Arg::from(invoice.subscription.as_ref()),
        Arg::from(invoice.status.as_str()),
        Arg::from(invoice.billing_reason.as_str()),
        Arg::from(invoice.collection_method.as_str()),
        Arg::from(invoice.currency),
        Arg::from(invoice.number.as_deref()),
        Arg::from(invoice.description.as_deref()),
        Arg::from(invoice.subtotal),
        Arg::from(invoice.total),
        Arg::from(invoice.amount_due),
        Arg::from(invoice.amount_paid),
        Arg::from(invoice.starting_balance),
        Arg::from(invoice.ending_balance),
        Arg::from(invoice.auto_advance),
        Arg::from(invoice.attempted),
        Arg::from(invoice.period.start),
        Arg::from(invoice.period.end),
        Arg::from(invoice.due_date),
        Arg::from(invoice.days_until_due),
        Arg::from(invoice.finalized_at),
        Arg::from(invoice.paid_at),
        Arg::from(invoice.voided_at),
        Arg::from(invoice.automatically_finalizes_at),
        stored::write(&invoice.customer_snapshot)?,
        stored::write(&invoice.subscription_metadata)?,
        stored::write(&invoice.metadata)?,
        Arg::from(invoice.created),
        Arg::from(invoice.test_clock.as_ref()),
        stored::write(&invoice.details)?,
        Arg::from(&invoice.id),
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    let args = ctx.args(columns(invoice)?);
    let sql = "INSERT INTO invoices (account, livemode, customer, subscription, status, \
               billing_reason, collection_method, currency, number, description, subtotal, total, \
               amount_due, amount_paid, starting_balance, ending_balance, auto_advance, attempted, \
               period_start, period_end, due_date, days_until_due, finalized_at, paid_at, \
               voided_at, automatically_finalizes_at, customer_snapshot, subscription_metadata, \
               metadata, created, test_clock, details, id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
               $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, \
               $26, $27, $28, $29, $30, $31, $32, $33)";
    ctx.tx.execute(sql, args).await.map_err(|error| number_taken(error, invoice))?;
    insert_lines(ctx, invoice).await
}

/// Writes the row of an invoice that exists, and not its lines.
pub(super) async fn update(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    let args = ctx.args(columns(invoice)?);
    let sql = "UPDATE invoices SET customer = $3, subscription = $4, status = $5, \
               billing_reason = $6, collection_method = $7, currency = $8, number = $9, \
               description = $10, subtotal = $11, total = $12, amount_due = $13, \
               amount_paid = $14, starting_balance = $15, ending_balance = $16, \
               auto_advance = $17, attempted = $18, period_start = $19, period_end = $20, \
               due_date = $21, days_until_due = $22, finalized_at = $23, paid_at = $24, \
               voided_at = $25, automatically_finalizes_at = $26, customer_snapshot = $27, \
               subscription_metadata = $28, metadata = $29, created = $30, test_clock = $31, \
               details = $32 WHERE account = $1 AND livemode = $2 AND id = $33";
    ctx.tx.execute(sql, args).await.map_err(|error| number_taken(error, invoice))?;
    Ok(())
}

/// Writes the lines of a draft anew.
pub(super) async fn replace_lines(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    delete_lines(ctx, &invoice.id).await?;
    insert_lines(ctx, invoice).await
}

async fn delete_lines(ctx: &mut Ctx, invoice: &Id<InvoiceKind>) -> Result<()> {
    let args = ctx.args([Arg::from(invoice)]);
    let sql = "DELETE FROM invoice_lines WHERE account = $1 AND livemode = $2 AND invoice = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// Deletes a draft with its lines.
pub(super) async fn delete(ctx: &mut Ctx, invoice: &Id<InvoiceKind>) -> Result<()> {
    delete_lines(ctx, invoice).await?;
    let args = ctx.args([Arg::from(invoice)]);
    let sql = "DELETE FROM invoices WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT id FROM invoices WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.hold(sql, args).await?)
}

/// The invoices of a subscription, newest first, that were not deleted.
pub(super) async fn of_subscription(
    ctx: &mut Ctx,
    subscription: &Id<Subscription>,
    most: i64,
) -> Result<Vec<Invoice>> {
    let args = ctx.args([Arg::from(subscription), Arg::from(most)]);
    let sql = "SELECT * FROM invoices WHERE account = $1 AND livemode = $2 AND subscription = $3 \
               ORDER BY seq DESC LIMIT $4";
    Ok(ctx.tx.rows(sql, args).await?)
}

async fn insert_lines(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    for (position, line) in (0_i64..).zip(&invoice.lines) {
        insert_line(ctx, invoice, position, line).await?;
    }
    Ok(())
}

async fn insert_line(ctx: &mut Ctx, invoice: &Invoice, position: i64, line: &Line) -> Result<()> {
    let args = ctx.args([
        Arg::from(&invoice.id),
        Arg::from(position),
        Arg::from(&line.id),
        Arg::from(line.amount),
        Arg::from(line.quantity),
        Arg::from(line.description.as_deref()),
        Arg::from(line.period.start),
        Arg::from(line.period.end),
        Arg::from(line.price.as_ref()),
        Arg::from(line.product.as_ref()),
        Arg::from(line.unit_amount),
        Arg::from(line.subscription.as_ref()),
        Arg::from(line.subscription_item.as_ref()),
        Arg::from(line.invoice_item.as_deref()),
        stored::write(&line.details)?,
    ]);
    let sql = "INSERT INTO invoice_lines (account, livemode, invoice, position, id, amount, \
               quantity, description, period_start, period_end, price, product, unit_amount, \
               subscription, subscription_item, invoice_item, details) VALUES ($1, $2, $3, $4, $5, \
               $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// A draft has only the number that somebody gave it. One that is finalized gets the next of its
/// customer's: numbers are the account's, prefixes the customer's, and one who takes over a prefix
/// that another gave up comes upon numbers that are used.
fn number_taken(error: DbError, invoice: &Invoice) -> Error {
    match &invoice.number {
        Some(number)
            if invoice.status == Status::Draft && error.is_unique_on("invoices_number") =>
        {
            Error::invalid(format!("The invoice number {number} is already used.")).param("number")
        }
        Some(number) if error.is_unique_on("invoices_number") => Error::invalid(format!(
            "The invoice number {number} is already used. Set the customer's \
             `next_invoice_sequence` to one that is not."
        )),
        _ => error.into(),
    }
}
