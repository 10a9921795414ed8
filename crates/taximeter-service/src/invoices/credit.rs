//! What credit notes do to an invoice.

use super::{Invoice, Status, collect, finalize, sql, too_large};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::Result;
use crate::outbox;

/// Takes what a credit note credits off what is still to be paid, and notes what it gives back of what
/// was paid. An invoice of which nothing is left to be paid is paid. Both are held.
pub(crate) async fn credited(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
    pre_payment_minor: i64,
    post_payment_minor: i64,
) -> Result<()> {
    let before = invoice.wire();
    let details = &mut invoice.details;
    let sum = |a: i64, b: i64| a.checked_add(b).ok_or_else(too_large);
    details.pre_payment_credit_notes = sum(details.pre_payment_credit_notes, pre_payment_minor)?;
    details.post_payment_credit_notes = sum(details.post_payment_credit_notes, post_payment_minor)?;
    let settles = pre_payment_minor > 0 && invoice.amount_remaining() == 0;
    if settles && matches!(invoice.status, Status::Open | Status::Uncollectible) {
        collect::give_up_collecting(ctx, invoice).await?;
        return collect::paid(ctx, invoice, customer, 0).await;
    }
    collect::remaining_changed(ctx, invoice, customer).await?;
    sql::update(ctx, invoice).await?;
    finalize::put_down(ctx, invoice).await?;
    outbox::push_update(ctx, "invoice.updated", &before, &invoice.wire()).await
}

/// Puts what a voided credit note had credited back on what is still to be paid.
pub(crate) async fn uncredited(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &Customer,
    pre_payment_minor: i64,
) -> Result<()> {
    let before = invoice.wire();
    let credited = invoice.details.pre_payment_credit_notes.checked_sub(pre_payment_minor);
    invoice.details.pre_payment_credit_notes = credited.ok_or_else(too_large)?;
    collect::remaining_changed(ctx, invoice, customer).await?;
    sql::update(ctx, invoice).await?;
    outbox::push_update(ctx, "invoice.updated", &before, &invoice.wire()).await
}
