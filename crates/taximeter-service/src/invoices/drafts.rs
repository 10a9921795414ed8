//! Drafts that are changed by hand: held, changed, added up anew and kept.

use serde_json::Value;
use taximeter_kernel::id::{Invoice as InvoiceKind, Kind as _};

use super::{Invoice, Line, Status, build, finalize, items, locked_with_customer, sql, totals};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Error, Result};
use crate::invoice_items::{self, InvoiceItem};
use crate::{outbox, test_clocks};

/// An invoice that is held with its customer, and how it looked.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) invoice: Invoice,
    pub(crate) customer: Customer,
    pub(super) before: Value,
}

pub(super) fn not_editable() -> Error {
    Error::invalid("This invoice is no longer editable.").code("invoice_not_editable")
}

/// Holds an invoice, if there is one, as it is now; time is its customer's from then on.
pub(super) async fn held(ctx: &mut Ctx, id: &str) -> Result<Option<Held>> {
    let Some((mut invoice, customer)) = locked_with_customer(ctx, id).await? else {
        return Ok(None);
    };
    test_clocks::follow(ctx, &customer).await?;
    if invoice.status == Status::Draft {
        build::recount(ctx, &mut invoice, None).await?;
        totals::add_up(ctx, &mut invoice).await?;
    }
    let before = invoice.wire();
    Ok(Some(Held { invoice, customer, before }))
}

/// As [`held`], of an invoice whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub(super) async fn held_path(ctx: &mut Ctx, id: &str) -> Result<Held> {
    match held(ctx, id).await? {
        Some(held) => Ok(held),
        None => Err(ctx.no_such_path(InvoiceKind::NOUN, id).await?),
    }
}

/// As [`held_path`], of a draft.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when it is no draft.
pub(super) async fn draft_path(ctx: &mut Ctx, id: &str) -> Result<Held> {
    let held = held_path(ctx, id).await?;
    if held.invoice.status == Status::Draft { Ok(held) } else { Err(not_editable()) }
}

/// Holds the draft that a request names, to put something on it.
///
/// # Errors
/// A 400 when there is no such invoice, or it is no draft.
pub(crate) async fn named_draft(ctx: &mut Ctx, id: &str) -> Result<Held> {
    let Some(held) = held(ctx, id).await? else {
        return Err(ctx.no_such(InvoiceKind::NOUN, id, "invoice").await?);
    };
    if held.invoice.status == Status::Draft {
        Ok(held)
    } else {
        Err(not_editable().param("invoice"))
    }
}

impl Held {
    /// Adds the draft up anew, keeps it and tells of the change.
    ///
    /// # Errors
    /// A 400 when the invoice amounts to more than can be billed.
    pub(super) async fn keep(mut self, ctx: &mut Ctx) -> Result<Invoice> {
        totals::add_up(ctx, &mut self.invoice).await?;
        sql::update(ctx, &self.invoice).await?;
        sql::replace_lines(ctx, &self.invoice).await?;
        finalize::put_down(ctx, &self.invoice).await?;
        outbox::push_update(ctx, "invoice.updated", &self.before, &self.invoice.wire()).await?;
        Ok(self.invoice)
    }

    /// Brings the draft in line with the items on it, which were put on, changed or taken off, and
    /// keeps it.
    ///
    /// # Errors
    /// A 400 when the invoice amounts to more than can be billed.
    pub(crate) async fn items_changed(mut self, ctx: &mut Ctx) -> Result<Invoice> {
        self.follow_items(ctx).await?;
        self.keep(ctx).await
    }

    /// Brings the lines in line with the invoice items: what was put on comes first, the last of it
    /// before the others; a line keeps its id and its place.
    async fn follow_items(&mut self, ctx: &mut Ctx) -> Result<()> {
        let items = invoice_items::of_invoice(ctx, &self.invoice.id).await?;
        let old = std::mem::take(&mut self.invoice.lines);
        let is_of = |line: &Line, item: &InvoiceItem| {
            line.invoice_item.as_deref() == Some(item.id.as_str())
        };
        let mut lines: Vec<Line> = Vec::with_capacity(old.len());
        for item in &items {
            if !old.iter().any(|line| is_of(line, item)) {
                lines.push(items::line_of(ctx, item));
            }
        }
        for line in old {
            if line.invoice_item.is_none() {
                lines.push(line);
                continue;
            }
            if let Some(item) = items.iter().find(|item| is_of(&line, item)) {
                lines.push(Line { id: line.id, ..items::line_of(ctx, item) });
            }
        }
        self.invoice.lines = lines;
        Ok(())
    }
}
