//! The statements of credit notes, and how a row becomes one.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Id, Invoice as InvoiceKind};

use super::{CreditNote, Details};
use crate::ctx::{Ctx, word};
use crate::error::{Error, Result};
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::tax_rates::{self, TaxRate};
use crate::{list_sql, stored};

/// The most credit notes of one invoice that are read: each takes back at least a minor unit.
const OF_INVOICE_MAX: i64 = 10_000;

impl Row for CreditNote {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            invoice: cells.get("invoice")?,
            customer: cells.get("customer")?,
            number: cells.get("number")?,
            status: word(cells, "status")?,
            currency: cells.get("currency")?,
            pre_payment: cells.get("pre_payment")?,
            post_payment: cells.get("post_payment")?,
            details: stored::read(cells, "details")?,
            tax_rates: Vec::new(),
            metadata: stored::read(cells, "metadata")?,
            voided_at: cells.get("voided_at")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) const SEQ: &str =
    "SELECT seq FROM credit_notes WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM credit_notes WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR created >= $6) AND ($7 IS NULL OR created <= $7)",
    " AND ($8 IS NULL OR customer = $8)",
    " AND ($9 IS NULL OR invoice = $9)",
);

/// Reads the tax rates that the lines name.
pub(super) async fn tax_rates_of(ctx: &mut Ctx, details: &Details) -> Result<Vec<TaxRate>> {
    let mut ids = Vec::new();
    for tax in details.taxes() {
        let id = Id::parse(&tax.tax_rate).map_err(Error::internal)?;
        ids.push(id);
    }
    tax_rates::of(ctx, &ids).await
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<CreditNote>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM credit_notes WHERE account = $1 AND livemode = $2 AND id = $3";
    let mut found: Option<CreditNote> = ctx.tx.optional(sql, args).await?;
    if let Some(note) = &mut found {
        note.tax_rates = tax_rates_of(ctx, &note.details).await?;
    }
    Ok(found)
}

/// The credit notes of an invoice, oldest first, without the rates of their taxes.
pub(super) async fn of_invoice(
    ctx: &mut Ctx,
    invoice: &Id<InvoiceKind>,
) -> Result<Vec<CreditNote>> {
    let args = ctx.args([Arg::from(invoice), Arg::from(OF_INVOICE_MAX)]);
    let sql = "SELECT * FROM credit_notes WHERE account = $1 AND livemode = $2 AND invoice = $3 \
               ORDER BY seq LIMIT $4";
    Ok(ctx.tx.rows(sql, args).await?)
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.hold(SEQ, args).await?)
}

pub(super) async fn insert(ctx: &mut Ctx, note: &CreditNote) -> Result<()> {
    let args = ctx.args([
        Arg::from(&note.id),
        Arg::from(&note.invoice),
        Arg::from(&note.customer),
        Arg::from(&note.number),
        Arg::from(note.status.as_str()),
        Arg::from(note.currency),
        Arg::from(note.details.total_minor()),
        Arg::from(note.pre_payment),
        Arg::from(note.post_payment),
        stored::write(&note.details)?,
        stored::write(&note.metadata)?,
        Arg::from(note.created),
    ]);
    let sql = "INSERT INTO credit_notes (account, livemode, id, invoice, customer, number, status, \
               currency, total, pre_payment, post_payment, details, metadata, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, note: &CreditNote) -> Result<()> {
    let args = ctx.args([
        Arg::from(&note.id),
        Arg::from(note.status.as_str()),
        stored::write(&note.details)?,
        stored::write(&note.metadata)?,
        Arg::from(note.voided_at),
    ]);
    let sql = "UPDATE credit_notes SET status = $4, details = $5, metadata = $6, voided_at = $7 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
