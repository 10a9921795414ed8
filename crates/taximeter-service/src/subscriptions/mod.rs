//! Subscriptions: a customer's standing order for prices.

mod create;
mod input;
pub mod items;
mod propose;
mod sql;
mod update;
mod wire;

use std::collections::BTreeMap;

pub use create::create;
pub use input::{BillingModeInput, Cancel, Create, ItemInput, List, Update};
pub use propose::propose;
use serde_json::Value;
use taximeter_db::Arg;
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Invoice as InvoiceKind, Kind as _,
    Subscription as SubscriptionKind, SubscriptionItem,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::{Period, Timestamp};
pub use update::{cancel, cancel_all_of_customer, update};

use crate::choice;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::params::Choice;
use crate::prices::Price;
use crate::search::{self, Field, FieldKind, FieldValue, Search, Searchable};

/// The most subscriptions of one customer that are not canceled (Stripe's bound).
pub const SUBSCRIPTIONS_PER_CUSTOMER_MAX: i64 = 500;

choice! {
    /// Where a subscription is in its life.
    pub enum Status {
        /// Billed as it should be.
        Active = "active",
        /// Over.
        Canceled = "canceled",
        /// Its first invoice is not paid yet.
        Incomplete = "incomplete",
        /// Its first invoice was not paid in time.
        IncompleteExpired = "incomplete_expired",
        /// Its latest invoice is not paid.
        PastDue = "past_due",
        /// Not billed for now.
        Paused = "paused",
        /// In its free time.
        Trialing = "trialing",
        /// Given up collecting, not over.
        Unpaid = "unpaid",
    }
}

choice! {
    /// How invoices are collected.
    pub enum CollectionMethod {
        /// From the customer's payment method.
        ChargeAutomatically = "charge_automatically",
        /// By sending them.
        SendInvoice = "send_invoice",
    }
}

choice! {
    /// Which rules a subscription is billed by.
    pub enum BillingModeType {
        /// Those before 2025.
        Classic = "classic",
        /// Those since.
        Flexible = "flexible",
    }
}

choice! {
    /// How prorations show discounts in flexible mode.
    pub enum ProrationDiscounts {
        /// As part of the amount.
        Included = "included",
        /// Apart from it.
        Itemized = "itemized",
    }
}

choice! {
    /// What a customer gave as the reason for leaving.
    pub enum Feedback {
        /// Customer service was less than expected.
        CustomerService = "customer_service",
        /// Quality was less than expected.
        LowQuality = "low_quality",
        /// Some features are missing.
        MissingFeatures = "missing_features",
        /// Another reason.
        Other = "other",
        /// Another service is used instead.
        SwitchedService = "switched_service",
        /// Hard to use.
        TooComplex = "too_complex",
        /// Too dear.
        TooExpensive = "too_expensive",
        /// Not used enough.
        Unused = "unused",
    }
}

/// One price of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: Id<SubscriptionItem>,
    /// The subscription it belongs to.
    pub subscription: Id<SubscriptionKind>,
    /// What it costs.
    pub price: Price,
    /// How many, for a licensed price; usage decides for a metered one.
    pub quantity: Option<i64>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// The time it is billed for now.
    pub current_period: Period,
    /// When it was added.
    pub created: Timestamp,
}

/// Why and how a subscription ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CancellationDetails {
    /// What the customer wrote.
    pub comment: Option<String>,
    /// What the customer chose.
    pub feedback: Option<Feedback>,
    /// What made it end.
    pub reason: Option<String>,
}

/// A customer's standing order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    seq: i64,
    /// Its id.
    pub id: Id<SubscriptionKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Who is billed.
    pub customer: Id<CustomerKind>,
    /// Where it is in its life.
    pub status: Status,
    /// What it is billed in.
    pub currency: Currency,
    /// How its invoices are collected.
    pub collection_method: CollectionMethod,
    /// How long after it is sent an invoice is due, in days.
    pub days_until_due: Option<i64>,
    /// Which rules it is billed by.
    pub billing_mode: BillingModeType,
    /// How prorations show discounts, in flexible mode.
    pub proration_discounts: Option<ProrationDiscounts>,
    /// When it changed to its billing mode.
    pub billing_mode_updated_at: Option<Timestamp>,
    /// What its periods are counted from.
    pub billing_cycle_anchor: Timestamp,
    /// When it began.
    pub start_date: Timestamp,
    /// When it was asked to end.
    pub canceled_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub cancellation: CancellationDetails,
    /// What the customer sees it called.
    pub description: Option<String>,
    /// The invoice it got last.
    pub latest_invoice: Option<Id<InvoiceKind>>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
    /// Its items, oldest first.
    pub items: Vec<Item>,
}

impl Subscription {
    /// The next instant at which one of its items begins a new period.
    #[must_use]
    pub fn next_boundary(&self) -> Option<Timestamp> {
        self.items.iter().map(|item| item.current_period.end).min()
    }

    /// Whether it is over.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.status, Status::Canceled | Status::IncompleteExpired)
    }
}

impl Searchable for Subscription {
    const FIELDS: &'static [Field] = &[
        Field { name: "canceled_at", kind: FieldKind::Numeric },
        Field { name: "created", kind: FieldKind::Numeric },
        Field { name: "metadata", kind: FieldKind::Map },
        Field { name: "status", kind: FieldKind::Token },
    ];

    fn seq(&self) -> i64 {
        self.seq
    }

    fn field(&self, name: &str) -> FieldValue<'_> {
        match name {
            "canceled_at" => {
                self.canceled_at.map_or(FieldValue::Null, |at| FieldValue::Number(at.0))
            }
            "created" => FieldValue::Number(self.created.0),
            "metadata" => FieldValue::Map(&self.metadata),
            "status" => FieldValue::Text(self.status.as_str()),
            _ => FieldValue::Null,
        }
    }
}

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

/// Reads a subscription whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Subscription> {
    find(ctx, id).await?.ok_or_else(|| Error::no_such_path(SubscriptionKind::NOUN, id))
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
