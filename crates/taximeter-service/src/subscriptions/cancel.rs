//! How a subscription is ended by being asked to.

use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Kind as _, Subscription as SubscriptionKind,
};

use super::advance::catch_up;
use super::ending::end_now;
use super::input::{Cancel, CancellationDetailsInput};
use super::prorate::Change;
use super::{CancellationDetails, Status, Subscription, pending_update, retrieve, sql};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::params::Clear;
use crate::test_clocks;

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
    let mut customer = locked_customer_of(ctx, id).await?;
    test_clocks::follow(ctx, &customer).await?;
    sql::lock(ctx, id).await?;
    Box::pin(catch_up(ctx, id, &mut customer)).await?;
    let Some(before) = locked_unless_ended(ctx, id).await? else {
        return Err(ctx.no_such_path(SubscriptionKind::NOUN, id).await?);
    };
    let before = pending_update::give_up(ctx, before, &mut customer).await?;
    let (invoice_now, prorate) = (invoice_now == Some(true), prorate == Some(true));
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

fn is_gone(id: &str) -> Error {
    Error::no_such_path(SubscriptionKind::NOUN, id)
}

/// The customer of a subscription, held. Whoever holds both holds the customer first, so that no
/// two wait for each other.
async fn locked_customer_of(ctx: &mut Ctx, id: &str) -> Result<Customer> {
    let subscription = retrieve(ctx, id).await?;
    if subscription.has_ended() {
        return Err(is_gone(id));
    }
    let customer = customers::locked(ctx, subscription.customer.as_str(), "customer").await;
    // Deleted meanwhile, which ended the subscription.
    customer.map_err(|error| match error.code {
        Some("resource_missing") => is_gone(id),
        _ => error,
    })
}

/// Holds a subscription and reads it, unless it is over.
async fn locked_unless_ended(ctx: &mut Ctx, id: &str) -> Result<Option<Subscription>> {
    sql::lock(ctx, id).await?;
    let found = super::find(ctx, id).await?;
    Ok(found.filter(|subscription| !subscription.has_ended()))
}
