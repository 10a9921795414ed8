//! Previews: the invoice a customer would get next, as things stand.

use taximeter_kernel::id::{Customer as CustomerKind, Kind as _};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::Period;

use super::wire::preview_id;
use super::{BillingReason, Draft, Invoice, Line, first_lines, lines_of_item, totals};
use crate::billing_settings;
use crate::choice;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Kind, Result};
use crate::page::List;
use crate::params::Text;
use crate::subscriptions::{self, BillingModeInput, CollectionMethod, ItemInput, Subscription};
use crate::version::BASIL;

/// Where the items of a subscription that does not exist yet are sent.
const NEW_ITEMS: &str = "subscription_details[items]";

choice! {
    /// Which invoice to preview.
    pub enum PreviewMode {
        /// The next one, as it will be.
        Next = "next",
        /// One like every next one: only what recurs. For a subscription that exists this is the
        /// next one, since nothing else goes on it yet.
        Recurring = "recurring",
    }
}

crate::params! {
    /// A subscription that does not exist yet.
    #[derive(Default)]
    pub struct SubscriptionDetails {
        /// How it would be billed.
        pub billing_mode: Option<BillingModeInput>,
        /// Its items.
        pub items: Option<Vec<ItemInput>>,
    }
}

crate::params! {
    /// Which invoice to preview.
    pub struct Create {
        /// The currency of the invoice: for a subscription that does not exist yet, what it is
        /// billed in if its prices have several; else it must be the subscription's.
        pub currency: Option<Currency>,
        /// Whose next invoice.
        pub customer: Option<Text<255>>,
        /// The next one or a typical one.
        pub preview_mode: Option<PreviewMode>,
        /// The subscription whose next invoice.
        pub subscription: Option<Text<255>>,
        /// A subscription that does not exist yet.
        pub subscription_details: Option<SubscriptionDetails>,
    }
}

crate::params! {
    /// Which invoice to preview, in the words of clients before 2025-03-31.
    pub struct Upcoming {
        /// Whose next invoice.
        pub customer: Option<Text<255>>,
        /// The subscription whose next invoice.
        pub subscription: Option<Text<255>>,
    }
}

crate::params! {
    /// The lines of a preview.
    pub struct UpcomingLines with page {
        /// Whose next invoice.
        pub customer: Option<Text<255>>,
        /// The subscription whose next invoice.
        pub subscription: Option<Text<255>>,
    }
}

/// Draws up the next invoice without keeping it.
///
/// # Errors
/// A 400 when what is asked for is against the rules, a 404 when there is no next invoice.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Invoice> {
    // What is tried out is undone: discounts that would be redeemed, prices made for the preview.
    let undo = ctx.tx.savepoint().await?;
    let invoice = draw_up(ctx, input).await?;
    ctx.tx.rollback_to(undo).await?;
    Ok(invoice)
}

async fn draw_up(ctx: &mut Ctx, input: Create) -> Result<Invoice> {
    let Create { currency, customer, preview_mode, subscription, subscription_details } = input;
    let details = subscription_details.unwrap_or_default();
    let invoice = match (subscription, customer, details.items) {
        (Some(id), customer, items) => {
            refuse_changes(items.is_some(), details.billing_mode.is_some())?;
            let subscription = subscriptions::named(ctx, &id).await?;
            refuse_other_customer(&subscription, customer.as_deref())?;
            let customer = customers::retrieve_any(ctx, subscription.customer.as_str()).await?;
            next_of_subscription(ctx, &customer, &subscription).await?
        }
        (None, Some(id), Some(items)) => {
            let customer = customers::named(ctx, &id, "customer").await?;
            let new = subscriptions::propose(
                ctx,
                &customer,
                items,
                details.billing_mode,
                currency,
                NEW_ITEMS,
            )
            .await?;
            let mode = preview_mode.unwrap_or(PreviewMode::Next);
            return of_new(ctx, &customer, &new, mode).await;
        }
        (None, Some(id), None) => {
            refuse_changes(false, details.billing_mode.is_some())?;
            let customer = customers::named(ctx, &id, "customer").await?;
            next_of_customer(ctx, &customer).await?
        }
        (None, None, _) => {
            return Err(Error::invalid(
                "You must provide one of the following parameters: customer, subscription.",
            )
            .code("parameter_missing"));
        }
    };
    match currency {
        Some(asked) if asked != invoice.currency => Err(Error::invalid(format!(
            "The subscription is billed in `{}`. This doesn't match the expected currency: `{}`.",
            invoice.currency.code(),
            asked.code()
        ))
        .param("currency")),
        _ => Ok(invoice),
    }
}

fn refuse_other_customer(subscription: &Subscription, customer: Option<&str>) -> Result<()> {
    match customer {
        Some(id) if id != subscription.customer.as_str() => {
            let message =
                format!("The subscription {} is not one of customer {id}.", subscription.id);
            Err(Error::invalid(message).param("subscription"))
        }
        _ => Ok(()),
    }
}

/// Changes are not ignored: without them the preview would be of something else.
fn refuse_changes(items: bool, billing_mode: bool) -> Result<()> {
    let name = match (items, billing_mode) {
        (true, _) => "items",
        (false, true) => "billing_mode",
        (false, false) => return Ok(()),
    };
    let full = format!("subscription_details[{name}]");
    Err(Error::invalid(format!(
        "Received unknown parameter: {full}. Changes of an existing subscription cannot be previewed \
         yet. To preview a new one, pass `customer` and `subscription_details[items]` without \
         `subscription`."
    ))
    .code("parameter_unknown")
    .param(full))
}

/// `GET /v1/invoices/upcoming`, which versions from 2025-03-31 on no longer have.
///
/// # Errors
/// A 404 for newer clients, else as [`create`].
pub async fn upcoming(ctx: &mut Ctx, input: Upcoming) -> Result<Invoice> {
    if !ctx.caller.version.is_before(BASIL) {
        return Err(Error::new(
            Kind::NotFound,
            "The upcoming invoice endpoint is deprecated. Use POST /v1/invoices/create_preview \
             instead.",
        ));
    }
    let Upcoming { customer, subscription } = input;
    let input = Create {
        currency: None,
        customer,
        preview_mode: None,
        subscription,
        subscription_details: None,
    };
    draw_up(ctx, input).await
}

/// `GET /v1/invoices/upcoming/lines`
///
/// # Errors
/// As [`upcoming`].
pub async fn upcoming_lines(ctx: &mut Ctx, input: UpcomingLines) -> Result<List> {
    let page = input.page()?;
    let UpcomingLines { customer, subscription, .. } = input;
    let invoice = upcoming(ctx, Upcoming { customer, subscription }).await?;
    invoice.page_of_lines(&page)
}

/// The invoice at the end of the period that the subscription is in. It is of that period as it is
/// stored, even when it is over: until renewals are billed, that invoice is still to come.
pub(crate) async fn next_of_subscription(
    ctx: &mut Ctx,
    customer: &Customer,
    subscription: &Subscription,
) -> Result<Invoice> {
    let boundary = subscription.next_boundary().filter(|_| subscription.renews());
    let boundary = boundary.ok_or_else(|| none_upcoming(customer))?;
    let mut lines = Vec::new();
    // Newest item first, as invoices have them.
    for item in subscription.items.iter().rev() {
        if item.current_period.end != boundary {
            continue;
        }
        let period = match item.price.usage_type() {
            UsageType::Metered => item.current_period,
            UsageType::Licensed => subscriptions::next_period(subscription, item)?,
        };
        lines.extend(lines_of_item(ctx, subscription, item, period).await?);
    }
    let start = subscription.items.iter().map(|item| item.current_period.start).max();
    let period = Period { start: start.unwrap_or(boundary), end: boundary };
    preview(ctx, customer, subscription, period, lines).await
}

/// The next invoice among all of a customer's subscriptions; the oldest one's of those that are due
/// together.
async fn next_of_customer(ctx: &mut Ctx, customer: &Customer) -> Result<Invoice> {
    let subscriptions = subscriptions::of_customer(ctx, customer.id.as_str()).await?;
    let next = subscriptions
        .iter()
        .rev()
        .filter(|subscription| subscription.renews())
        .min_by_key(|subscription| subscription.next_boundary());
    match next {
        Some(subscription) => next_of_subscription(ctx, customer, subscription).await,
        None => Err(none_upcoming(customer)),
    }
}

fn none_upcoming(customer: &Customer) -> Error {
    let message = format!("No upcoming invoices for {}: {}", CustomerKind::NOUN, customer.id);
    Error::new(Kind::NotFound, message).code("invoice_upcoming_none")
}

/// The invoice of a subscription that does not exist yet, which it does not name: the first one or
/// one like every next one. Where nothing is billed in advance the two are the same, at the end of a
/// period.
async fn of_new(
    ctx: &mut Ctx,
    customer: &Customer,
    subscription: &Subscription,
    mode: PreviewMode,
) -> Result<Invoice> {
    let first = match mode {
        PreviewMode::Next => first_lines(ctx, subscription).await?,
        PreviewMode::Recurring => Vec::new(),
    };
    let mut invoice = if first.is_empty() {
        next_of_subscription(ctx, customer, subscription).await?
    } else {
        let period = Period { start: ctx.now, end: ctx.now };
        preview(ctx, customer, subscription, period, first).await?
    };
    invoice.subscription = None;
    for line in &mut invoice.lines {
        line.subscription = None;
    }
    Ok(invoice)
}

async fn preview(
    ctx: &mut Ctx,
    customer: &Customer,
    subscription: &Subscription,
    period: Period,
    mut lines: Vec<Line>,
) -> Result<Invoice> {
    for line in &mut lines {
        line.id = preview_id("il_tmp", ctx.entropy());
    }
    let draft = Draft {
        customer,
        subscription,
        billing_reason: BillingReason::Upcoming,
        period,
        created: period.end,
        lines,
    };
    let mut invoice = draft.invoice(preview_id("upcoming_in_", ctx.entropy()))?;
    totals::add_up(ctx, &mut invoice).await?;
    invoice.amount_due = invoice.settlement(customer)?.amount_due;
    invoice.auto_advance = true;
    if invoice.collection_method == CollectionMethod::ChargeAutomatically {
        let grace = billing_settings::retrieve(ctx).await?.draft_grace_s;
        invoice.details.next_payment_attempt = Some(invoice.created.0.saturating_add(grace));
    }
    Ok(invoice)
}
