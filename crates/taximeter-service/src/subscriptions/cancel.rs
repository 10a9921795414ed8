//! How a subscription is ended by being asked to.

use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Kind as _, Subscription as SubscriptionKind,
};

use super::advance::catch_up;
use super::ending::end_now;
use super::input::{Cancel, CancellationDetailsInput};
use super::prorate::Change;
use super::{CancellationDetails, Status, Subscription, hold, pending_update, sql};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Error, Result};
use crate::params::Clear;

pub(super) fn apply_details(input: CancellationDetailsInput, details: &mut CancellationDetails) {
    input.comment.apply(&mut details.comment);
    match input.feedback {
        Clear::Keep => {}
        Clear::Unset => details.feedback = None,
        Clear::Set(feedback) => details.feedback = Some(feedback),
    }
}

/// Ends a subscription now: with `invoice_now` what was used and what is pending is billed, with
/// `prorate` unused time is given back. Without both, what is pending of prorations is forgotten.
///
/// # Errors
/// A 404 when there is none that has not ended, a 400 when an amount does not fit.
pub async fn cancel(ctx: &mut Ctx, id: &str, input: Cancel) -> Result<Subscription> {
    let Cancel { cancellation_details, invoice_now, prorate } = input;
    let (invoice_now, prorate) = (invoice_now == Some(true), prorate == Some(true));
    let mut customer = hold(ctx, id).await?;
    let before = caught_up(ctx, id, &mut customer, invoice_now).await?;
    let Some(before) = before.filter(|sub| !sub.has_ended()) else {
        return Err(Error::no_such_path(SubscriptionKind::NOUN, id));
    };
    let before = pending_update::give_up(ctx, before, &mut customer).await?;
    if prorate && !matches!(before.status, Status::Trialing | Status::Paused) {
        let change = Change { at: ctx.now, billed: true };
        for item in &before.items {
            change.give_back(ctx, &before, item).await?;
        }
    }
    if !invoice_now && !prorate {
        crate::invoice_items::forget_prorations(ctx, &before.customer, &before.id).await?;
    }
    let mut details = before.cancellation.clone();
    if let Some(input) = cancellation_details {
        apply_details(input, &mut details);
    }
    Box::pin(end_now(ctx, before, details, invoice_now.then_some(customer))).await
}

/// Ends every subscription of a customer, without billing what is left. The caller holds the
/// customer.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn cancel_all_of_customer(ctx: &mut Ctx, customer: &Id<CustomerKind>) -> Result<()> {
    for listed in super::of_customer(ctx, customer.as_str()).await? {
        // Read again once it is held: another request may have ended it meanwhile.
        if let Some(before) = locked_unless_ended(ctx, listed.id.as_str()).await? {
            let before = pending_update::give_up_alone(ctx, before).await?;
            let details = before.cancellation.clone();
            Box::pin(end_now(ctx, before, details, None)).await?;
        }
    }
    Ok(())
}

/// Does what time has brought a subscription that is held, and gives it as it is then. Where that is
/// refused for good, such as a renewal that amounts to more than can be billed, it is left undone if
/// nothing is to be billed: so whatever it comes to, a subscription can be ended.
async fn caught_up(
    ctx: &mut Ctx,
    id: &str,
    customer: &mut Customer,
    invoice_now: bool,
) -> Result<Option<Subscription>> {
    let was = customer.clone();
    let undo = ctx.tx.savepoint().await?;
    match Box::pin(catch_up(ctx, id, customer)).await {
        Ok(found) => {
            ctx.tx.release(undo).await?;
            Ok(found)
        }
        Err(error) if error.is_outcome() && !invoice_now => {
            ctx.tx.rollback_to(undo).await?;
            *customer = was;
            super::find(ctx, id).await
        }
        Err(error) => Err(error),
    }
}

/// Holds a subscription and reads it, unless it is over.
async fn locked_unless_ended(ctx: &mut Ctx, id: &str) -> Result<Option<Subscription>> {
    sql::lock(ctx, id).await?;
    let found = super::find(ctx, id).await?;
    Ok(found.filter(|subscription| !subscription.has_ended()))
}
