//! Subscriptions: a customer's standing order for prices.

mod additions;
mod advance;
mod cancel;
mod change;
mod create;
mod ending;
mod first;
mod input;
pub mod items;
mod migrate;
mod pause;
mod pending;
mod pending_update;
mod periods;
mod propose;
mod proposed;
mod prorate;
mod resume;
mod scheduled;
mod sql;
mod standing;
mod terms;
mod thresholds;
mod timing;
mod types;
mod update;
mod wire;

use std::collections::BTreeMap;

pub use additions::{AddInvoiceItem, EndInput, EndType, SpanInput, StartInput, StartType};
pub use advance::{advance, put_down};
pub(crate) use advance::{go_on, unbilled_from};
pub use cancel::{cancel, cancel_all_of_customer};
pub use create::create;
pub(crate) use create::{begin, checked_days, refuse_too_many};
pub use input::{
    AnchorChange, BillingModeInput, Cancel, Create, FlexibleInput, InvoiceSettingsInput, ItemInput,
    ItemUpdate, List, Now, PaymentBehavior, PeriodEnd, ProrationBehavior, Update,
};
pub use migrate::{Migrate, delete_discount, migrate};
pub use pause::{Invoicing, Pause, pause};
pub use pending_update::PendingUpdate;
pub(crate) use periods::in_advance;
pub(crate) use propose::{checked_mode, propose};
pub(crate) use proposed::{first_charge, propose_preview};
pub use resume::{Resume, resume};
pub(crate) use scheduled::{
    Scheduled, change, go_on_for_good, no_such, pass_ahead, set_thresholds, thresholds_of,
};
use serde_json::Value;
pub(crate) use standing::{default_payment_method, paid_with, set_up_with};
pub use standing::{invoice_not_paid, invoice_paid, invoice_void};
use taximeter_db::Arg;
use taximeter_kernel::id::{Id, Kind as _, Subscription as SubscriptionKind};
use taximeter_kernel::time::Period;
pub use terms::{
    AnchorConfig, Debit, InvoiceSettings, ItemTerms, ItemThresholds, MissingPaymentMethod,
    PauseBehavior, PauseCollection, Paused, PausedReason, PaymentSettings, PendingInterval,
    Resuming, SaveDefaultPaymentMethod, Terms, Thresholds, Told, TrialAnchor, TrialSettings,
};
pub use thresholds::{BilledEarly, ItemThresholdsInput, ThresholdsInput};
pub(crate) use thresholds::{fixed_minor, usage_lines};
pub use types::{
    BillingModeType, CancellationDetails, CollectionMethod, Feedback, Item, ProrationDiscounts,
    Status, Subscription,
};
pub use update::update;

use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::invoices::{self, Invoice};
use crate::outbox;
use crate::page::List as Page;
use crate::params::Choice;
use crate::search::{self, Search};
use crate::test_clocks;

/// The most subscriptions of one customer that are not canceled (Stripe's bound).
pub const SUBSCRIPTIONS_PER_CUSTOMER_MAX: i64 = 500;

/// The period after the one an item is in, counted from the subscription's anchor.
///
/// # Errors
/// A 500 when the price does not recur, which no item's price does.
pub fn next_period(subscription: &Subscription, item: &Item) -> Result<Period> {
    let recurring = item.price.recurring.as_ref();
    let recurring = recurring.ok_or_else(|| Error::internal("an item's price does not recur"))?;
    recurring
        .recurrence
        .period_at(subscription.billing_cycle_anchor, item.current_period.end)
        .map_err(Error::internal)
}

/// Reads a subscription, if there is one.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Subscription>> {
    let Some(mut subscription) = sql::find(ctx, id).await? else { return Ok(None) };
    sql::load_items(ctx, &mut subscription).await?;
    Ok(Some(subscription))
}

/// Holds a subscription that is to change, and its customer before it. Time is the customer's, and what
/// it has brought is done.
///
/// # Errors
/// A 404 when there is no such subscription.
pub(crate) async fn held(ctx: &mut Ctx, id: &str) -> Result<(Subscription, Customer)> {
    let mut customer = hold(ctx, id).await?;
    match Box::pin(advance::catch_up(ctx, id, &mut customer)).await? {
        Some(subscription) => Ok((subscription, customer)),
        None => Err(ctx.no_such_path(SubscriptionKind::NOUN, id).await?),
    }
}

/// Holds a subscription and gives its customer, who is held before it, so that no two wait for each
/// other. Time is the customer's, and what it has brought is still to be done.
async fn hold(ctx: &mut Ctx, id: &str) -> Result<Customer> {
    let Some(seen) = sql::find(ctx, id).await? else {
        return Err(ctx.no_such_path(SubscriptionKind::NOUN, id).await?);
    };
    let customer = customers::locked_any(ctx, seen.customer.as_str()).await?;
    test_clocks::follow(ctx, &customer).await?;
    sql::lock(ctx, id).await?;
    Ok(customer)
}

/// Writes a changed subscription and its items, and the event that tells of it.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn save(ctx: &mut Ctx, before: &Subscription, after: &Subscription) -> Result<()> {
    if before == after {
        return Ok(());
    }
    sql::update(ctx, after).await?;
    for item in &after.items {
        let was = before.items.iter().find(|old| old.id == item.id);
        if was != Some(item) {
            sql::update_item(ctx, item).await?;
        }
    }
    let kind = "customer.subscription.updated";
    outbox::push_update(ctx, kind, &before.wire(), &after.wire()).await
}

/// Finalizes the invoice of a change at once and collects it; one that is to be sent goes on by
/// itself after its time as a draft.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(crate) async fn settle_at_once(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
) -> Result<()> {
    if invoice.collection_method == CollectionMethod::SendInvoice {
        return invoices::go_on_by_itself(ctx, invoice).await;
    }
    invoice.auto_advance = true;
    invoices::finalize_held(ctx, invoice, customer).await?;
    invoices::after_finalizing(ctx, invoice, customer).await
}

/// Reads a subscription whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Subscription> {
    match find(ctx, id).await? {
        Some(subscription) => Ok(subscription),
        None => Err(ctx.no_such_path(SubscriptionKind::NOUN, id).await?),
    }
}

/// Reads a subscription whose id came as the parameter `subscription`.
///
/// # Errors
/// A 400 when there is none.
pub async fn named(ctx: &mut Ctx, id: &str) -> Result<Subscription> {
    match find(ctx, id).await? {
        Some(subscription) => Ok(subscription),
        None => Err(ctx.no_such(SubscriptionKind::NOUN, id, "subscription").await?),
    }
}

/// The metadata of a subscription that is known to exist.
///
/// # Errors
/// A 500 when the database cannot be read, or has no such subscription.
pub(crate) async fn metadata_of(
    ctx: &mut Ctx,
    id: &Id<SubscriptionKind>,
) -> Result<BTreeMap<String, String>> {
    let found = sql::find(ctx, id.as_str()).await?;
    found.map(|s| s.metadata).ok_or_else(|| Error::internal(format!("{id} is not there")))
}

/// All subscriptions of a customer that have not ended, newest first.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn of_customer(ctx: &mut Ctx, customer: &str) -> Result<Vec<Subscription>> {
    let mut subscriptions = sql::of_customer(ctx, customer).await?;
    for subscription in &mut subscriptions {
        sql::load_items(ctx, subscription).await?;
    }
    Ok(subscriptions)
}

/// The list that `expand[]=subscriptions` puts into a customer.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn list_of_customer(ctx: &mut Ctx, customer: &str) -> Result<Page> {
    const SHOWN: usize = 10;
    let subscriptions = of_customer(ctx, customer).await?;
    Ok(Page {
        url: format!("/v1/subscriptions?customer={customer}"),
        has_more: subscriptions.len() > SHOWN,
        data: subscriptions.iter().take(SHOWN).map(Subscription::wire).collect(),
    })
}

/// Lists subscriptions, newest first; those that ended only when asked for.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let page = input.page()?;
    let filters = [
        Arg::from(input.collection_method.map(Choice::as_str)),
        Arg::from(input.created.min),
        Arg::from(input.created.max),
        Arg::from(input.customer.as_deref()),
        Arg::from(input.price.as_deref().or(input.plan.as_deref())),
        Arg::from(input.status.map_or("live", |status| status.as_str())),
        Arg::from(input.current_period_start.min),
        Arg::from(input.current_period_start.max),
        Arg::from(input.current_period_end.min),
        Arg::from(input.current_period_end.max),
    ];
    let mut slice: crate::page::Slice<Subscription> =
        ctx.page(&page, SubscriptionKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    for subscription in &mut slice.rows {
        sql::load_items(ctx, subscription).await?;
    }
    Ok(Page {
        url: "/v1/subscriptions".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Subscription::wire).collect(),
    })
}

/// Searches subscriptions.
///
/// # Errors
/// A 400 when the query is malformed.
pub async fn search(ctx: &mut Ctx, input: Search) -> Result<Value> {
    let mut found = search::run::<Subscription>(ctx, &input, sql::ALL).await?;
    for subscription in &mut found.rows {
        sql::load_items(ctx, subscription).await?;
    }
    Ok(found.wire("/v1/subscriptions/search", Subscription::wire))
}
