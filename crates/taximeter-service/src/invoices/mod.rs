//! Invoices: bills, drawn up from subscriptions, settled and numbered when finalized.

mod advance;
mod build;
mod collect;
mod credit;
mod details;
mod drafts;
mod end;
mod explain;
mod finalize;
mod input;
mod items;
mod lines;
mod manual;
pub mod preview;
mod preview_input;
mod preview_scheduled;
mod sql;
mod totals;
mod types;
pub mod verify;
mod wire;

pub use advance::advance;
pub(crate) use advance::after_finalizing;
pub use build::{Draft, first_lines, line_of_trial, lines_of_item, whole_amount};
pub use collect::{Collected, can_be_charged, collect};
pub(crate) use collect::{no_payment_source, payment_failed, payment_succeeded};
pub(crate) use credit::{credited, uncredited};
pub use details::{
    Credited, Details, DiscountAmount, FinalizationError, LineDetails, TaxAmount, ThresholdReason,
    UncollectibleReason,
};
pub(crate) use drafts::{Held, named_draft};
pub use end::{Finalize, Pay, Plain, mark_uncollectible, pay, send, void};
pub(crate) use end::{give_up, void_held};
pub use explain::explanation;
pub use finalize::{finalize as finalize_held, keep_draft};
pub use input::{AddLines, Create, Delete, LineUpdate, RemoveLines, Update, UpdateLines};
pub(crate) use items::sweep_pending;
pub use lines::{add_lines, remove_lines, update_line, update_lines};
pub use manual::{create, delete, update};
use serde_json::Value;
use taximeter_db::Arg;
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Invoice as InvoiceKind, Kind as _,
    Subscription as SubscriptionKind,
};
pub(crate) use totals::parsed;
pub use types::{BillingReason, CustomerSnapshot, Invoice, Line, Status};
pub(crate) use wire::taxes;

use crate::billing_settings;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Kind, Result};
use crate::page::List as Page;
use crate::params::{Choice, Range, Text};
use crate::search::{self, Search};
use crate::subscriptions::{self, CollectionMethod};

/// How many lines an invoice shows with itself; the rest are read from its `lines`.
pub const LINES_SHOWN: usize = 10;

crate::params! {
    /// A list of invoices.
    pub struct List with page {
        /// Only invoices collected this way.
        pub collection_method: Option<CollectionMethod>,
        /// Only invoices made in this span.
        pub created: Range,
        /// Only invoices of this customer.
        pub customer: Option<Text<255>>,
        /// Only invoices due in this span.
        pub due_date: Range,
        /// Only invoices in this status.
        pub status: Option<Status>,
        /// Only invoices of this subscription.
        pub subscription: Option<Text<255>>,
    }
}

crate::params! {
    /// The lines of an invoice.
    pub struct Lines with page {}
}

/// Reads an invoice whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Invoice> {
    let Some(mut invoice) = sql::find(ctx, id).await? else {
        return Err(ctx.no_such_path(InvoiceKind::NOUN, id).await?);
    };
    complete(ctx, &mut invoice).await?;
    Ok(invoice)
}

/// Reads an invoice, if there is one.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Invoice>> {
    let Some(mut invoice) = sql::find(ctx, id).await? else { return Ok(None) };
    complete(ctx, &mut invoice).await?;
    Ok(Some(invoice))
}

/// Finalizes an invoice whose id is in the path.
///
/// # Errors
/// As [`end::finalize`].
pub async fn finalize(ctx: &mut Ctx, id: &str, input: Finalize) -> Result<Invoice> {
    end::finalize(ctx, id, input).await
}

/// Holds an invoice and, before it, its customer, and reads both as they are stored.
pub(crate) async fn locked_with_customer(
    ctx: &mut Ctx,
    id: &str,
) -> Result<Option<(Invoice, Customer)>> {
    let Some(seen) = sql::find(ctx, id).await? else { return Ok(None) };
    let customer = customers::locked_any(ctx, seen.customer.as_str()).await?;
    sql::lock(ctx, id).await?;
    let Some(mut invoice) = sql::find(ctx, id).await? else { return Ok(None) };
    invoice.lines = sql::lines(ctx, &invoice.id).await?;
    if invoice.status == Status::Draft {
        invoice.starting_balance = customer.balance;
        invoice.customer_snapshot = CustomerSnapshot::of(&customer);
        if let Some(subscription) = &invoice.subscription {
            invoice.subscription_metadata = subscriptions::metadata_of(ctx, subscription).await?;
        }
    } else {
        totals::read_rates(ctx, &mut invoice).await?;
    }
    Ok(Some((invoice, customer)))
}

/// Lets the open invoices of a subscription lie that is over, but for one. What is still a draft was used
/// or begun before, and goes on (Stripe stops "automatic collection of all finalized invoices").
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn let_lie(
    ctx: &mut Ctx,
    subscription: &Id<SubscriptionKind>,
    kept: Option<&Id<InvoiceKind>>,
) -> Result<()> {
    const OPEN_MAX: i64 = 1_000;
    for mut invoice in sql::of_subscription(ctx, subscription, OPEN_MAX).await? {
        if invoice.status != Status::Open || !invoice.auto_advance || Some(&invoice.id) == kept {
            continue;
        }
        invoice.auto_advance = false;
        invoice.details.next_payment_attempt = None;
        sql::update(ctx, &invoice).await?;
        finalize::put_down(ctx, &invoice).await?;
    }
    Ok(())
}

/// Lets a draft that is kept go on by itself, once it was a draft for its time.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn go_on_by_itself(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    let grace = billing_settings::retrieve(ctx).await?.draft_grace_s;
    invoice.set_going(ctx.now, grace);
    sql::update(ctx, invoice).await?;
    finalize::put_down(ctx, invoice).await
}

/// Brings the lines of a draft to its totals.
///
/// # Errors
/// A 400 when the invoice amounts to more than can be billed.
pub(crate) async fn add_up(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    totals::add_up(ctx, invoice).await
}

/// The latest invoices of a subscription, newest first, without their lines.
pub(crate) async fn of_subscription(
    ctx: &mut Ctx,
    subscription: &Id<SubscriptionKind>,
    most: i64,
) -> Result<Vec<Invoice>> {
    sql::of_subscription(ctx, subscription, most).await
}

/// Reads what an invoice has beside its row: its lines and, while it is a draft, whatever of its
/// customer and subscription it still follows.
async fn complete(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    invoice.lines = sql::lines(ctx, &invoice.id).await?;
    let sum = invoice.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.amount));
    if sum != Some(invoice.subtotal) {
        let (id, subtotal) = (&invoice.id, invoice.subtotal);
        return Err(Error::internal(format!("lines of {id} come to {sum:?}, not {subtotal}")));
    }
    if invoice.status != Status::Draft {
        return totals::read_rates(ctx, invoice).await;
    }
    let customer = customers::retrieve_any(ctx, invoice.customer.as_str()).await?;
    invoice.customer_snapshot = CustomerSnapshot::of(&customer);
    invoice.starting_balance = customer.balance;
    if let Some(subscription) = &invoice.subscription {
        invoice.subscription_metadata = subscriptions::metadata_of(ctx, subscription).await?;
    }
    let kept = invoice.clone();
    match counted(ctx, invoice).await {
        // It cannot be billed, which finalizing it says; until then it is read as it was drawn up.
        Err(error) if error.kind == Kind::InvalidRequest => {
            *invoice = kept;
            Ok(())
        }
        counted => counted,
    }
}

async fn counted(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    build::recount(ctx, invoice, None).await?;
    totals::add_up(ctx, invoice).await
}

/// What a line charges, after discounts; nothing where it or its invoice is gone, or was taken back.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn charged_by(ctx: &mut Ctx, id: &str, line: &str) -> Result<Option<i64>> {
    let Some(mut invoice) = sql::find(ctx, id).await? else { return Ok(None) };
    match invoice.status {
        Status::Void => return Ok(None),
        // Its discounts and its usage may have changed since it was kept.
        Status::Draft => complete(ctx, &mut invoice).await?,
        Status::Open | Status::Paid | Status::Uncollectible => {
            invoice.lines = sql::lines(ctx, &invoice.id).await?;
        }
    }
    let line = invoice.lines.iter().find(|own| own.id.as_str() == line);
    Ok(line.map(Line::net))
}

impl Line {
    /// Whether it and another line are of one quantity of one price, which is a line for each of its
    /// tiers. An invoice item's is one line, whatever its price has of tiers.
    pub(super) fn is_tier_with(&self, other: &Self) -> bool {
        self.invoice_item.is_none()
            && other.invoice_item.is_none()
            && self.details.metered == other.details.metered
            && self.subscription_item == other.subscription_item
            && self.price == other.price
            && self.period == other.period
    }

    /// What it charges after discounts, in minor units: 1000 with 250 off are 750.
    pub(crate) fn net(&self) -> i64 {
        let off: i64 = self.details.discount_amounts.iter().map(|off| off.amount).sum();
        self.details.gross.unwrap_or(self.amount).saturating_sub(off)
    }
}

/// Whether an invoice was taken back.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn is_void(ctx: &mut Ctx, id: &str) -> Result<bool> {
    Ok(sql::find(ctx, id).await?.is_some_and(|invoice| invoice.status == Status::Void))
}

/// How many drafts a customer has. Each will be settled in its currency.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn count_drafts(ctx: &mut Ctx, customer: &Id<CustomerKind>) -> Result<i64> {
    sql::count_drafts(ctx, customer).await
}

/// Lists invoices, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::from(input.collection_method.map(Choice::as_str)),
        Arg::from(input.created.min),
        Arg::from(input.created.max),
        Arg::from(input.customer.as_deref()),
        Arg::from(input.due_date.min),
        Arg::from(input.due_date.max),
        Arg::from(input.status.map(Choice::as_str)),
        Arg::from(input.subscription.as_deref()),
    ];
    let page = input.page()?;
    let mut slice: crate::page::Slice<Invoice> =
        ctx.page(&page, InvoiceKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    for invoice in &mut slice.rows {
        complete(ctx, invoice).await?;
    }
    Ok(Page {
        url: "/v1/invoices".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Invoice::wire).collect(),
    })
}

/// Searches invoices.
///
/// # Errors
/// A 400 when the query is malformed.
pub async fn search(ctx: &mut Ctx, input: Search) -> Result<Value> {
    let mut found = search::run::<Invoice>(ctx, &input, sql::ALL).await?;
    for invoice in &mut found.rows {
        complete(ctx, invoice).await?;
    }
    Ok(found.wire("/v1/invoices/search", Invoice::wire))
}

/// Lists the lines of an invoice.
///
/// # Errors
/// A 404 when there is no such invoice, a 400 when a cursor names no line.
pub async fn lines(ctx: &mut Ctx, id: &str, input: Lines) -> Result<Page> {
    let invoice = retrieve(ctx, id).await?;
    invoice.page_of_lines(&input.page()?)
}

pub(crate) fn too_large() -> Error {
    Error::new(Kind::InvalidRequest, "The invoice amounts to more than can be billed.")
        .code("amount_too_large")
}
