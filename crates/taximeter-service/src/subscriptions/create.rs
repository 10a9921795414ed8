//! How a subscription begins.

use taximeter_kernel::time::Period;

use super::input::{Create, PaymentBehavior};
use super::propose::propose;
use super::{CollectionMethod, SUBSCRIPTIONS_PER_CUSTOMER_MAX, Status, Subscription, sql};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::invoices::{self, BillingReason, Draft, Invoice};
use crate::outbox;

const DAYS_UNTIL_DUE_MAX: i64 = 36_500;

/// Makes a subscription and, where the rules say there is one, its first invoice.
///
/// # Errors
/// A 400 when what is asked for is against the rules, a 404 when there is no such customer.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Subscription> {
    let customer = customers::locked(ctx, &input.customer, "customer").await;
    // Stripe's one exception: here an unknown customer is a 404.
    let customer = customer.map_err(|error| match error.code {
        Some("resource_missing") => error.not_found(),
        _ => error,
    })?;
    let behavior = input.payment_behavior.unwrap_or(PaymentBehavior::AllowIncomplete);
    if behavior == PaymentBehavior::PendingIfIncomplete {
        return Err(Error::invalid(
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating a \
             subscription.",
        )
        .param("payment_behavior"));
    }
    let method = input.collection_method.unwrap_or(CollectionMethod::ChargeAutomatically);
    let days_until_due = checked_days(method, input.days_until_due)?;
    let mut subscription =
        propose(ctx, &customer, input.items, input.billing_mode, input.currency, "items").await?;
    subscription.collection_method = method;
    subscription.days_until_due = days_until_due;
    subscription.description = input.description.map(Into::into);
    subscription.metadata = input.metadata.0;
    begin(ctx, subscription, customer, behavior).await
}

/// `days_until_due` belongs to sent invoices, and only to them.
pub(super) fn checked_days(method: CollectionMethod, days: Option<i64>) -> Result<Option<i64>> {
    match (method, days) {
        (CollectionMethod::SendInvoice, None) => Err(Error::invalid(
            "If invoice collection method is 'send_invoice', you must specify 'days_until_due'.",
        )
        .param("days_until_due")),
        (CollectionMethod::ChargeAutomatically, Some(_)) => Err(Error::invalid(
            "You can only specify 'days_until_due' if invoice collection method is 'send_invoice'.",
        )
        .param("days_until_due")),
        (CollectionMethod::SendInvoice, Some(days))
            if !(0..=DAYS_UNTIL_DUE_MAX).contains(&days) =>
        {
            Err(Error::invalid(format!(
                "Invalid days_until_due: must be between 0 and {DAYS_UNTIL_DUE_MAX}."
            ))
            .param("days_until_due"))
        }
        (_, days) => Ok(days),
    }
}

/// Keeps the subscription and draws up its first invoice.
async fn begin(
    ctx: &mut Ctx,
    mut subscription: Subscription,
    before: Customer,
    behavior: PaymentBehavior,
) -> Result<Subscription> {
    refuse_too_many(ctx, &before).await?;
    let mut customer = before.clone();
    customer.currency = Some(subscription.currency);
    let invoice = first_invoice(ctx, &subscription, &customer).await?;
    if let Some(invoice) = &invoice {
        subscription.status = first_status(invoice, &customer, behavior)?;
        subscription.latest_invoice = Some(invoice.id.clone());
    }
    sql::insert(ctx, &subscription).await?;
    outbox::push(ctx, "customer.subscription.created", &subscription.wire()).await?;
    match invoice {
        Some(invoice) => invoices::issue(ctx, invoice, &before, customer).await?,
        None => customers::save(ctx, &before, &customer).await?,
    }
    Ok(subscription)
}

async fn refuse_too_many(ctx: &mut Ctx, customer: &Customer) -> Result<()> {
    let current = sql::count_of_customer(ctx, &customer.id).await?;
    if current < SUBSCRIPTIONS_PER_CUSTOMER_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Customer {} already has the maximum {SUBSCRIPTIONS_PER_CUSTOMER_MAX} current subscriptions.",
        customer.id
    ))
    .code("customer_max_subscriptions")
    .param("customer"))
}

/// The invoice with which a subscription begins. In flexible mode there is none when nothing is
/// billed in advance.
async fn first_invoice(
    ctx: &mut Ctx,
    subscription: &Subscription,
    customer: &Customer,
) -> Result<Option<Invoice>> {
    let lines = invoices::first_lines(ctx, subscription).await?;
    if lines.is_empty() {
        return Ok(None);
    }
    let draft = Draft {
        customer,
        subscription,
        billing_reason: BillingReason::SubscriptionCreate,
        period: Period { start: ctx.now, end: ctx.now },
        created: ctx.now,
        lines,
    };
    draft.invoice(ctx.new_id()).map(Some)
}

/// Active when nothing is to be paid now; else as the caller wants it, since there is nothing to
/// pay with.
fn first_status(
    invoice: &Invoice,
    customer: &Customer,
    behavior: PaymentBehavior,
) -> Result<Status> {
    let sent = invoice.collection_method == CollectionMethod::SendInvoice;
    if sent || invoice.settlement(customer)?.amount_due == 0 {
        return Ok(Status::Active);
    }
    match behavior {
        PaymentBehavior::DefaultIncomplete => Ok(Status::Incomplete),
        PaymentBehavior::AllowIncomplete
        | PaymentBehavior::ErrorIfIncomplete
        | PaymentBehavior::PendingIfIncomplete => Err(invoices::no_payment_source()),
    }
}
