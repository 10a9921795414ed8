//! Previews: the invoice a customer would get next, as things stand.

use taximeter_kernel::id::{Customer as CustomerKind, Kind as _, Subscription as SubscriptionKind};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::Period;

use super::build::{line_of_no_usage_yet, lines_of_item};
use super::wire::preview_id;
use super::{BillingReason, Draft, Invoice, Line};
use crate::choice;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Kind, Result};
use crate::page::List;
use crate::params::Text;
use crate::subscriptions::{self, BillingModeInput, BillingModeType, ItemInput, Status, Subscription};
use crate::version::BASIL;

choice! {
    /// Which invoice to preview.
    pub enum PreviewMode {
        /// The next one, as it will be.
        Next = "next",
        /// One like every next one: only what recurs. There is nothing else yet, so the two agree.
        Recurring = "recurring",
    }
}

crate::params! {
    /// A subscription that does not exist yet, or how one would change.
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
        /// The currency of the subscription that does not exist yet.
        pub currency: Option<Text<3>>,
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
    if let Some(id) = &input.subscription {
        let subscription = named(ctx, id).await?;
        if let Some(customer) = &input.customer
            && subscription.customer.as_str() != &**customer
        {
            let message = format!("The subscription {} is not one of customer {}.", &**id, &**customer);
            return Err(Error::invalid(message).param("subscription"));
        }
        return of_existing(ctx, subscription, input.subscription_details).await;
    }
    let Some(customer) = &input.customer else {
        return Err(Error::invalid(
            "You must provide one of the following parameters: customer, subscription.",
        )
        .code("parameter_missing"));
    };
    let customer = customers::named(ctx, customer, "customer").await?;
    match input.subscription_details {
        Some(details) if details.items.is_some() => {
            of_new(ctx, customer, details, input.currency).await
        }
        _ => next_of_customer(ctx, customer).await,
    }
}

async fn named(ctx: &mut Ctx, id: &str) -> Result<Subscription> {
    subscriptions::find(ctx, id)
        .await?
        .ok_or_else(|| Error::no_such(SubscriptionKind::NOUN, id, "subscription"))
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
    create(ctx, input).await
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

async fn of_existing(
    ctx: &mut Ctx,
    subscription: Subscription,
    details: Option<SubscriptionDetails>,
) -> Result<Invoice> {
    if let Some(details) = details {
        let param = if details.items.is_some() { "items" } else { "billing_mode" };
        if details.items.is_some() || details.billing_mode.is_some() {
            let full = format!("subscription_details[{param}]");
            return Err(Error::invalid(format!(
                "Received unknown parameter: {full}. Changes of an existing subscription cannot be \
                 previewed yet; leave out `subscription` to preview a new one."
            ))
            .code("parameter_unknown")
            .param(full));
        }
    }
    let customer = customers::retrieve_any(ctx, subscription.customer.as_str()).await?;
    if !has_next(&subscription) {
        return Err(none_upcoming(&customer));
    }
    let boundary = subscription.next_boundary().ok_or_else(|| none_upcoming(&customer))?;
    let mut lines = Vec::new();
    // Newest item first, as invoices have them.
    for item in subscription.items.iter().rev() {
        if item.current_period.end != boundary {
            continue;
        }
        let period = match item.price.usage_type() {
            UsageType::Metered => item.current_period,
            UsageType::Licensed => subscriptions::next_period(&subscription, item)?,
        };
        lines.extend(lines_of_item(ctx, &subscription, item, period).await?);
    }
    let start = subscription.items.iter().map(|item| item.current_period.start).max();
    let period = Period { start: start.unwrap_or(boundary), end: boundary };
    preview(ctx, &customer, &subscription, period, lines)
}

/// Whether a subscription goes on being billed.
fn has_next(subscription: &Subscription) -> bool {
    match subscription.status {
        Status::Active | Status::PastDue | Status::Trialing | Status::Unpaid => true,
        Status::Canceled | Status::Incomplete | Status::IncompleteExpired | Status::Paused => false,
    }
}

/// The next invoice among all of a customer's subscriptions.
async fn next_of_customer(ctx: &mut Ctx, customer: Customer) -> Result<Invoice> {
    let subscriptions = subscriptions::of_customer(ctx, customer.id.as_str()).await?;
    let next = subscriptions
        .into_iter()
        .filter(has_next)
        .min_by_key(|subscription| (subscription.next_boundary(), subscription.id.clone()));
    match next {
        Some(subscription) => of_existing(ctx, subscription, None).await,
        None => Err(none_upcoming(&customer)),
    }
}

fn none_upcoming(customer: &Customer) -> Error {
    let message = format!("No upcoming invoices for {}: {}", CustomerKind::NOUN, customer.id);
    Error::new(Kind::NotFound, message).code("invoice_upcoming_none")
}

/// The invoice with which a subscription that does not exist yet would begin.
async fn of_new(
    ctx: &mut Ctx,
    customer: Customer,
    details: SubscriptionDetails,
    currency: Option<Text<3>>,
) -> Result<Invoice> {
    let subscription = subscriptions::propose(
        ctx,
        &customer,
        details.items.unwrap_or_default(),
        details.billing_mode,
        currency.as_deref(),
        "subscription_details[items]",
    )
    .await?;
    let lines = first_lines(ctx, &subscription).await?;
    let period = Period { start: ctx.now, end: ctx.now };
    preview(ctx, &customer, &subscription, period, lines)
}

/// The lines with which a subscription begins: licensed items for their first period, and in
/// classic mode a line of nothing for each metered one.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(crate) async fn first_lines(ctx: &mut Ctx, subscription: &Subscription) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for item in subscription.items.iter().rev() {
        let period = item.current_period;
        match (item.price.usage_type(), subscription.billing_mode) {
            (UsageType::Licensed, _) => {
                lines.extend(lines_of_item(ctx, subscription, item, period).await?);
            }
            (UsageType::Metered, BillingModeType::Classic) => {
                lines.extend(line_of_no_usage_yet(ctx, subscription, item, period).await?);
            }
            (UsageType::Metered, BillingModeType::Flexible) => {}
        }
    }
    Ok(lines)
}

fn preview(
    ctx: &Ctx,
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
    draft.invoice(preview_id("upcoming_in_", ctx.entropy()))
}

/// What a preview's currency may be called, checked where the subscription is proposed.
pub(crate) fn parse_currency(code: &str, param: &str) -> Result<Currency> {
    Currency::parse(code).map_err(|_| {
        Error::invalid(format!("Invalid currency: {}.", code.to_lowercase())).param(param)
    })
}
