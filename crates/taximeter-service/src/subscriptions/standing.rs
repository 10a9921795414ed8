//! How a subscription stands by its invoices: what a payment, a failed one and a taken back invoice
//! make of it.

use taximeter_kernel::id::{
    Id, PaymentMethod as PaymentMethodKind, SetupIntent as SetupIntentKind,
    Subscription as SubscriptionKind,
};

use super::{SaveDefaultPaymentMethod, Status, Subscription, ending, pending_update, resume, sql};
use crate::billing_settings::{self, AfterRetries};
use crate::ctx::Ctx;
use crate::error::Result;
use crate::invoices::{self, Invoice};

/// How many invoices are looked at to tell how a subscription stands.
const LOOKED_AT: i64 = 100;

async fn held(ctx: &mut Ctx, invoice: &Invoice) -> Result<Option<Subscription>> {
    let Some(id) = &invoice.subscription else { return Ok(None) };
    sql::lock(ctx, id.as_str()).await?;
    super::find(ctx, id.as_str()).await
}

/// An invoice was paid, or given up by the operator: who waited for it waits no longer.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn invoice_paid(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    let Some(before) = held(ctx, invoice).await? else { return Ok(()) };
    let is_latest = before.latest_invoice.as_ref() == Some(&invoice.id);
    let paid = invoice.status == invoices::Status::Paid;
    let before = pending_update::paid(ctx, before, invoice).await?;
    if before.status == Status::Paused {
        return resume::invoice_settled(ctx, before, invoice).await;
    }
    let becomes = match before.status {
        // With something sold once, even a trial can have something to be paid at first.
        Status::Incomplete if is_latest && paid => {
            let free = before.trial_end.is_some_and(|end| end > ctx.now);
            Some(if free { Status::Trialing } else { Status::Active })
        }
        Status::PastDue | Status::Unpaid => {
            latest_is_settled(ctx, &before).await?.then_some(Status::Active)
        }
        _ => None,
    };
    let Some(status) = becomes else { return Ok(()) };
    let mut after = before.clone();
    after.status = status;
    super::save(ctx, &before, &after).await?;
    super::put_down(ctx, &after).await
}

/// Whether the latest invoice that was finalized is paid, given up or taken back.
async fn latest_is_settled(ctx: &mut Ctx, sub: &Subscription) -> Result<bool> {
    let latest = invoices::of_subscription(ctx, &sub.id, LOOKED_AT).await?;
    let mut latest = latest.into_iter().filter(|one| !pending_update::waits_for(sub, one));
    let latest = latest.find(|invoice| invoice.status != invoices::Status::Draft);
    Ok(latest.is_none_or(|invoice| invoice.status != invoices::Status::Open))
}

/// An invoice could not be collected, or was not paid by the day it was due. After the last try, the
/// account's settings say what becomes of the subscription.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn invoice_not_paid(ctx: &mut Ctx, invoice: &Invoice, exhausted: bool) -> Result<()> {
    let Some(before) = held(ctx, invoice).await? else { return Ok(()) };
    if pending_update::waits_for(&before, invoice) {
        // Nothing changed yet that would have to be paid.
        return Ok(());
    }
    let mut after = before.clone();
    // A trial goes on: what is not paid is of the time before it.
    if after.status == Status::Active {
        after.status = Status::PastDue;
    }
    if exhausted && after.status == Status::PastDue {
        match billing_settings::retrieve(ctx).await?.after_retries {
            AfterRetries::PastDue => {}
            AfterRetries::Unpaid => after.status = Status::Unpaid,
            AfterRetries::Cancel => {
                super::save(ctx, &before, &after).await?;
                return ending::end_at(ctx, after, ctx.now, "payment_failed").await;
            }
        }
    }
    super::save(ctx, &before, &after).await?;
    super::put_down(ctx, &after).await
}

/// An invoice was taken back. Without its first one a subscription never begins; else it stands as
/// the invoices before it have it.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn invoice_void(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    let Some(mut before) = held(ctx, invoice).await? else { return Ok(()) };
    if pending_update::waits_for(&before, invoice) {
        before = pending_update::forget(ctx, before).await?;
        super::put_down(ctx, &before).await?;
    }
    let is_latest = before.latest_invoice.as_ref() == Some(&invoice.id);
    let mut after = before.clone();
    match before.status {
        Status::Incomplete if is_latest => {
            after.status = Status::IncompleteExpired;
            after.ended_at = Some(ctx.now);
        }
        Status::PastDue | Status::Unpaid => after.status = derived(ctx, &before).await?,
        Status::Paused => return resume::invoice_void(ctx, before, invoice).await,
        _ => return Ok(()),
    }
    super::save(ctx, &before, &after).await?;
    super::put_down(ctx, &after).await
}

/// The status by a walk over the invoices from the newest back.
async fn derived(ctx: &mut Ctx, sub: &Subscription) -> Result<Status> {
    use crate::subscriptions::CollectionMethod;
    let settings = billing_settings::retrieve(ctx).await?;
    for invoice in invoices::of_subscription(ctx, &sub.id, LOOKED_AT).await? {
        if pending_update::waits_for(sub, &invoice) {
            continue;
        }
        let automatic = invoice.collection_method == CollectionMethod::ChargeAutomatically;
        match invoice.status {
            invoices::Status::Paid | invoices::Status::Uncollectible => return Ok(Status::Active),
            invoices::Status::Open if automatic && !invoice.auto_advance => {
                return Ok(match settings.after_retries {
                    AfterRetries::Unpaid => Status::Unpaid,
                    AfterRetries::PastDue | AfterRetries::Cancel => Status::PastDue,
                });
            }
            invoices::Status::Open
                if !automatic && invoice.due_date.is_some_and(|due| due <= ctx.now) =>
            {
                return Ok(Status::PastDue);
            }
            _ => {}
        }
    }
    Ok(Status::Active)
}

/// What pays a subscription's invoices, if it has something of its own.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn default_payment_method(
    ctx: &mut Ctx,
    id: &Id<SubscriptionKind>,
) -> Result<Option<String>> {
    let found = sql::find(ctx, id.as_str()).await?;
    Ok(found.and_then(|subscription| subscription.terms.default_payment_method))
}

/// A customer was asked for something to pay with, and it is there: it pays what the subscription will
/// bill, unless that has something of its own by now.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn set_up_with(
    ctx: &mut Ctx,
    id: &str,
    intent: &Id<SetupIntentKind>,
    method: &Id<PaymentMethodKind>,
) -> Result<()> {
    sql::lock(ctx, id).await?;
    let Some(before) = super::find(ctx, id).await? else { return Ok(()) };
    let mut after = before.clone();
    let asked = after.terms.pending_setup_intent.take_if(|asked| asked == intent.as_str());
    if asked.is_none() || before.has_ended() {
        return Ok(());
    }
    let default = &mut after.terms.default_payment_method;
    *default = default.take().or_else(|| Some(method.as_str().to_owned()));
    super::save(ctx, &before, &after).await
}

/// What paid an invoice pays the next ones, where the subscription is so agreed.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn paid_with(
    ctx: &mut Ctx,
    invoice: &Invoice,
    method: &Id<PaymentMethodKind>,
) -> Result<()> {
    let Some(before) = held(ctx, invoice).await? else { return Ok(()) };
    let saves = before.terms.payment_settings.save_default_payment_method
        == Some(SaveDefaultPaymentMethod::OnSubscription);
    if !saves {
        return Ok(());
    }
    let mut after = before.clone();
    after.terms.default_payment_method = Some(method.as_str().to_owned());
    super::save(ctx, &before, &after).await
}
