//! What time brings an invoice: the end of its draft, its collection, the day it was due.

use taximeter_kernel::time::{HOUR_S, Timestamp};

use super::collect::{self, is_due};
use super::details::FinalizationError;
use super::{Invoice, Status, finalize, locked_with_customer, sql};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Kind, Result};
use crate::subscriptions::CollectionMethod;
use crate::{jobs, outbox, subscriptions};

/// Does whatever time has brought an invoice.
///
/// # Errors
/// A 500 when the database cannot be used.
pub async fn advance(ctx: &mut Ctx, id: &str) -> Result<()> {
    let held = locked_with_customer(ctx, id).await?;
    let taken = jobs::take(ctx, jobs::Kind::Invoice, id).await?;
    // It may have been deleted meanwhile.
    let Some((mut invoice, mut customer)) = held.filter(|_| taken) else { return Ok(()) };
    let draft_is_over = invoice.automatically_finalizes_at.is_some_and(|at| at <= ctx.now);
    match invoice.status {
        Status::Draft if invoice.auto_advance && draft_is_over => {
            finalize_by_time(ctx, &mut invoice, &mut customer).await?;
        }
        Status::Open if is_due(invoice.details.next_payment_attempt, ctx.now) => {
            collect::collect(ctx, &mut invoice, &mut customer, None, true).await?;
        }
        _ => {}
    }
    if invoice.status == Status::Open {
        tell_if_due_soon(ctx, &mut invoice).await?;
        tell_if_overdue(ctx, &mut invoice, &mut customer).await?;
    }
    finalize::put_down(ctx, &invoice).await
}

/// Finalizes a draft whose time is over, and collects it or sends it. One that cannot be finalized
/// says why, and is tried again in an hour.
async fn finalize_by_time(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
) -> Result<()> {
    let (draft, before) = (invoice.clone(), customer.clone());
    let undo = ctx.tx.savepoint().await?;
    match finalize::finalize(ctx, invoice, customer).await {
        Ok(()) => ctx.tx.release(undo).await?,
        Err(error) if error.kind == Kind::InvalidRequest => {
            ctx.tx.rollback_to(undo).await?;
            (*invoice, *customer) = (draft, before);
            let code = error.code.map(str::to_owned);
            invoice.details.last_finalization_error =
                Some(FinalizationError { code, message: error.message });
            invoice.automatically_finalizes_at = Some(Timestamp(ctx.now.0.saturating_add(HOUR_S)));
            sql::update(ctx, invoice).await?;
            return outbox::push(ctx, "invoice.finalization_failed", &invoice.wire()).await;
        }
        Err(error) => return Err(error),
    }
    after_finalizing(ctx, invoice, customer).await
}

/// Collects an invoice that was just finalized, or sends it.
pub(crate) async fn after_finalizing(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
) -> Result<()> {
    match (invoice.status, invoice.collection_method) {
        (Status::Open, CollectionMethod::ChargeAutomatically) if invoice.auto_advance => {
            collect::collect(ctx, invoice, customer, None, true).await?;
        }
        (Status::Open | Status::Paid, CollectionMethod::SendInvoice) => {
            outbox::push(ctx, "invoice.sent", &invoice.wire()).await?;
        }
        _ => {}
    }
    if invoice.status == Status::Paid {
        subscriptions::invoice_paid(ctx, invoice).await?;
    }
    Ok(())
}

async fn tell_if_due_soon(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    let announced = finalize::announced_at(ctx, invoice).await?;
    if announced.is_none_or(|at| at > ctx.now) {
        return Ok(());
    }
    invoice.details.will_be_due_told = true;
    sql::update(ctx, invoice).await?;
    outbox::push(ctx, "invoice.will_be_due", &invoice.wire()).await
}

async fn tell_if_overdue(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
) -> Result<()> {
    let sent = invoice.collection_method == CollectionMethod::SendInvoice;
    let overdue = invoice.due_date.is_some_and(|due| due <= ctx.now);
    if !sent || !overdue || invoice.details.overdue_told {
        return Ok(());
    }
    invoice.details.overdue_told = true;
    sql::update(ctx, invoice).await?;
    outbox::push(ctx, "invoice.overdue", &invoice.wire()).await?;
    collect::set_delinquent(ctx, customer, true).await?;
    subscriptions::invoice_not_paid(ctx, invoice, false).await
}
