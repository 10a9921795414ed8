//! Changes that wait until they are paid: `payment_behavior=pending_if_incomplete`.
//!
//! Such a change is made, to know what it comes to, and undone again, but for its invoice, which is
//! finalized and tried. What the subscription becomes once that is paid, by whatever way, is parked on
//! it. That expires before a period or a trial ends, and whatever else changes the same things gives it
//! up, so that it fits the subscription whenever it is paid.

mod parked;
mod supported;

pub use parked::PendingUpdate;
pub(super) use supported::{refuse, refuse_item};
use taximeter_db::Savepoint;
use taximeter_kernel::id::{Id, InvoiceItem as InvoiceItemKind};
use taximeter_kernel::time::Timestamp;

use super::additions::{self, AddInvoiceItem};
use super::advance::note_debits;
use super::input::PaymentBehavior;
use super::update::Pay;
use super::{Subscription, retrieve, sql, standing};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::Result;
use crate::invoices::{self, Invoice, Line};
use crate::{invoice_items, outbox};

/// A change that may have to be undone: the point to go back to, and what was pending then.
pub(super) struct Tried {
    undo: Savepoint,
    pending: Vec<Id<InvoiceItemKind>>,
}

/// What the invoice of a change is drawn up from.
pub(super) struct Billed {
    /// Its lines, besides what is pending.
    pub(super) lines: Vec<Line>,
    /// As of when the change is reckoned.
    pub(super) at: Timestamp,
    /// What is pending and stays so.
    pub(super) left: Vec<Id<InvoiceItemKind>>,
}

/// A change of a subscription that was made, and not billed yet.
pub(super) struct Made {
    /// The subscription after it.
    pub(super) after: Subscription,
    /// What is sold once with it.
    pub(super) additions: Vec<AddInvoiceItem>,
    /// What its invoice is drawn up from.
    pub(super) billed: Billed,
    /// Whether it has an invoice at once.
    pub(super) invoiced: bool,
    /// Whether the trial that it gives is its prices'.
    pub(super) trial_from_plan: bool,
    /// How it is undone, if it waits until that is paid.
    pub(super) tried: Option<Tried>,
}

impl Pay {
    /// Begins a change, which waits for its payment if that is how it is paid. While invoices are held
    /// back there is nothing to wait for: the change is made, and its invoice held back like any other.
    pub(super) async fn begin(&self, ctx: &mut Ctx, sub: &Subscription) -> Result<Option<Tried>> {
        if self.behavior != PaymentBehavior::PendingIfIncomplete
            || sub.terms.pause_collection.is_some()
        {
            return Ok(None);
        }
        let pending = pending_now(ctx, sub).await?;
        Ok(Some(Tried { undo: ctx.tx.savepoint().await?, pending }))
    }

    /// Keeps a change that was made and bills it, or lets it wait for its payment.
    pub(super) async fn finish(
        &self,
        ctx: &mut Ctx,
        customer: &mut Customer,
        before: &Subscription,
        mut made: Made,
    ) -> Result<Subscription> {
        match made.tried.take() {
            Some(tried) if made.invoiced => {
                Box::pin(self.wait(ctx, customer, before, (made, tried))).await?;
            }
            tried => {
                if let Some(Tried { undo, .. }) = tried {
                    ctx.tx.release(undo).await?;
                }
                let additions = std::mem::take(&mut made.additions);
                additions::add(ctx, customer, &made.after, additions).await?;
                super::save(ctx, before, &made.after).await?;
                if made.invoiced {
                    let Made { after, billed, .. } = made;
                    Box::pin(self.bill(ctx, customer, after, billed)).await?;
                }
            }
        }
        let after = retrieve(ctx, before.id.as_str()).await?;
        super::put_down(ctx, &after).await?;
        Ok(after)
    }

    /// Undoes a change, parks what it would have made of the subscription, and tries its invoice.
    async fn wait(
        &self,
        ctx: &mut Ctx,
        customer: &mut Customer,
        before: &Subscription,
        (made, tried): (Made, Tried),
    ) -> Result<()> {
        let mut after = made.after;
        let mut items = pending_of(ctx, before).await?;
        items.retain(|item| !tried.pending.contains(&item.id));
        ctx.tx.rollback_to(tried.undo).await?;
        for item in items.iter().rev() {
            invoice_items::put_back(ctx, item).await?;
        }
        additions::add(ctx, customer, &after, made.additions).await?;
        let drawn_up = Self::draw_up(ctx, customer, &after, made.billed).await?;
        let Some(mut invoice) = drawn_up else {
            write_items(ctx, before, &after).await?;
            return super::save(ctx, before, &after).await;
        };
        note_debits(&mut after, &invoice);
        let mut waits = before.clone();
        waits.latest_invoice = Some(invoice.id.clone());
        let from_plan = made.trial_from_plan;
        let update = PendingUpdate::park(before, &after, &invoice, from_plan, ctx.now);
        waits.terms.pending_update = Some(update);
        super::save(ctx, before, &waits).await?;
        invoices::finalize_held(ctx, &mut invoice, customer).await?;
        if invoice.status == invoices::Status::Open {
            invoices::collect(ctx, &mut invoice, customer, None, self.off_session).await?;
        } else {
            standing::invoice_paid(ctx, &invoice).await?;
        }
        show(ctx, before.id.as_str()).await
    }
}

async fn pending_of(ctx: &mut Ctx, sub: &Subscription) -> Result<Vec<invoice_items::InvoiceItem>> {
    invoice_items::pending(ctx, &sub.customer, Some(&sub.id)).await
}

/// What is pending for a subscription.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(super) async fn pending_now(
    ctx: &mut Ctx,
    sub: &Subscription,
) -> Result<Vec<Id<InvoiceItemKind>>> {
    Ok(pending_of(ctx, sub).await?.into_iter().map(|item| item.id).collect())
}

/// Lets clients see an update that is still pending after its invoice was tried.
async fn show(ctx: &mut Ctx, id: &str) -> Result<()> {
    let seen = retrieve(ctx, id).await?;
    let mut shown = seen.clone();
    if let Some(update) = &mut shown.terms.pending_update {
        update.shown = true;
    }
    super::save(ctx, &seen, &shown).await
}

/// Writes which items there are: those that are new and those that are gone.
async fn write_items(ctx: &mut Ctx, before: &Subscription, after: &Subscription) -> Result<()> {
    let has = |sub: &Subscription, id: &Id<_>| sub.items.iter().any(|item| item.id == *id);
    for item in before.items.iter().filter(|item| !has(after, &item.id)) {
        sql::delete_item(ctx, &item.id).await?;
    }
    for item in after.items.iter().filter(|item| !has(before, &item.id)) {
        sql::insert_item(ctx, item).await?;
    }
    Ok(())
}

/// Whether a subscription's pending update waits for an invoice.
pub(super) fn waits_for(sub: &Subscription, invoice: &Invoice) -> bool {
    let update = sub.terms.pending_update.as_ref();
    update.is_some_and(|update| update.invoice == invoice.id.as_str())
}

/// An invoice was paid: if an update waited for it, it is made. Gives the subscription as it is then.
///
/// # Errors
/// A 500 when the database does not take it.
pub(super) async fn paid(
    ctx: &mut Ctx,
    before: Subscription,
    invoice: &Invoice,
) -> Result<Subscription> {
    if !waits_for(&before, invoice) || invoice.status != invoices::Status::Paid {
        return Ok(before);
    }
    let mut after = before.clone();
    let Some(update) = after.terms.pending_update.take() else { return Ok(before) };
    let shown = update.shown;
    update.apply(&mut after, ctx.now)?;
    write_items(ctx, &before, &after).await?;
    super::save(ctx, &before, &after).await?;
    super::put_down(ctx, &after).await?;
    if shown {
        let kind = "customer.subscription.pending_update_applied";
        outbox::push(ctx, kind, &after.wire()).await?;
    }
    Ok(after)
}

/// Gives up an update that waits for its payment, if there is one, and takes its invoice back: it was
/// not paid in time, or something else changes the subscription. Gives the subscription without it.
///
/// # Errors
/// A 400 when it is not known yet whether the invoice was paid.
pub(super) async fn give_up(
    ctx: &mut Ctx,
    before: Subscription,
    customer: &mut Customer,
) -> Result<Subscription> {
    match before.terms.pending_update.clone() {
        // On the heap: many verbs begin with it.
        Some(update) => Box::pin(take_back(ctx, before, customer, &update.invoice)).await,
        None => Ok(before),
    }
}

async fn take_back(
    ctx: &mut Ctx,
    before: Subscription,
    customer: &mut Customer,
    invoice: &str,
) -> Result<Subscription> {
    let after = forget(ctx, before).await?;
    if let Some((mut invoice, mut held)) = invoices::locked_with_customer(ctx, invoice).await? {
        if matches!(invoice.status, invoices::Status::Open | invoices::Status::Uncollectible) {
            invoices::void_held(ctx, &mut invoice, &mut held).await?;
        }
        *customer = held;
    }
    Ok(after)
}

/// As [`give_up`], where nobody holds the customer yet.
///
/// # Errors
/// As [`give_up`].
pub(super) async fn give_up_alone(ctx: &mut Ctx, before: Subscription) -> Result<Subscription> {
    if before.terms.pending_update.is_none() {
        return Ok(before);
    }
    let mut customer = customers::locked_any(ctx, before.customer.as_str()).await?;
    give_up(ctx, before, &mut customer).await
}

/// Forgets an update whose invoice is taken back.
///
/// # Errors
/// A 500 when the database does not take it.
pub(super) async fn forget(ctx: &mut Ctx, before: Subscription) -> Result<Subscription> {
    let mut after = before.clone();
    after.terms.pending_update = None;
    after.pending_items = None;
    super::save(ctx, &before, &after).await?;
    let kind = "customer.subscription.pending_update_expired";
    outbox::push(ctx, kind, &after.wire()).await?;
    Ok(after)
}
