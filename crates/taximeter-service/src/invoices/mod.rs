//! Invoices: bills, drawn up from subscriptions, settled and numbered when finalized.

mod build;
mod issue;
pub mod preview;
mod sql;
mod wire;

use std::collections::BTreeMap;

pub use build::{Draft, first_lines, lines_of_item};
use issue::due_date;
pub use issue::issue;
pub(crate) use issue::no_payment_source;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taximeter_db::Arg;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Invoice as InvoiceKind, InvoiceLine, Kind as _, Price, Product,
    Subscription as SubscriptionKind, SubscriptionItem,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::{Period, Timestamp};

use crate::choice;
use crate::ctx::Ctx;
use crate::customers::{self, Address, Customer, Shipping};
use crate::error::{Error, Kind, Result};
use crate::page::List as Page;
use crate::params::{Choice, Range, Text};
use crate::search::{self, Field, FieldKind, FieldValue, Search, Searchable};
use crate::subscriptions::{self, CollectionMethod};

/// How many lines an invoice shows with itself; the rest are read from its `lines`.
pub const LINES_SHOWN: usize = 10;

choice! {
    /// Where an invoice is in its life.
    pub enum Status {
        /// Still being drawn up.
        Draft = "draft",
        /// To be paid.
        Open = "open",
        /// Paid.
        Paid = "paid",
        /// Given up.
        Uncollectible = "uncollectible",
        /// Taken back.
        Void = "void",
    }
}

choice! {
    /// Why an invoice was drawn up.
    pub enum BillingReason {
        /// A subscription began.
        SubscriptionCreate = "subscription_create",
        /// A period ended.
        SubscriptionCycle = "subscription_cycle",
        /// A subscription changed or was canceled.
        SubscriptionUpdate = "subscription_update",
        /// It is a preview.
        Upcoming = "upcoming",
    }
}

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

/// The customer as it was when the invoice was finalized; as it is, on a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerSnapshot {
    /// Billing address.
    pub address: Option<Address>,
    /// Where the invoice is sent.
    pub email: Option<String>,
    /// Full name or business name.
    pub name: Option<String>,
    /// Telephone number.
    pub phone: Option<String>,
    /// Where goods go.
    pub shipping: Option<Shipping>,
    /// How the customer is taxed.
    pub tax_exempt: String,
}

impl CustomerSnapshot {
    fn of(customer: &Customer) -> Self {
        Self {
            address: customer.address.clone(),
            email: customer.email.clone(),
            name: customer.name.clone(),
            phone: customer.phone.clone(),
            shipping: customer.shipping.clone(),
            tax_exempt: customer.tax_exempt.as_str().to_owned(),
        }
    }
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its id.
    pub id: Id<InvoiceLine>,
    /// What it costs, in minor units.
    pub amount: i64,
    /// How much it is for: raw units for packages too, 0 for a flat amount.
    pub quantity: Decimal,
    /// What it says.
    pub description: String,
    /// The time it is for.
    pub period: Period,
    /// The price it was rated by.
    pub price: Id<Price>,
    /// What was sold.
    pub product: Id<Product>,
    /// Minor units for each unit or package; nothing for a flat amount.
    pub unit_amount: Option<Decimal>,
    /// The subscription it is for; nothing in the preview of a new one.
    pub subscription: Option<Id<SubscriptionKind>>,
    /// The item of the subscription it is for.
    pub subscription_item: Id<SubscriptionItem>,
}

/// A bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    seq: i64,
    /// Its id.
    pub id: Id<InvoiceKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Who is billed.
    pub customer: Id<CustomerKind>,
    /// The subscription it is for.
    pub subscription: Option<Id<SubscriptionKind>>,
    /// Where it is in its life.
    pub status: Status,
    /// Why it was drawn up.
    pub billing_reason: BillingReason,
    /// How it is collected.
    pub collection_method: CollectionMethod,
    /// What its amounts are in.
    pub currency: Currency,
    /// Its number, once finalized.
    pub number: Option<String>,
    /// A note to the customer.
    pub description: Option<String>,
    /// The sum of its lines, in minor units.
    pub subtotal: i64,
    /// What it comes to, in minor units.
    pub total: i64,
    /// What is due after the customer's balance, in minor units; before it, on a draft.
    pub amount_due: i64,
    /// What was paid, in minor units.
    pub amount_paid: i64,
    /// The customer's balance before it, in minor units; the balance now, on a draft.
    pub starting_balance: i64,
    /// The customer's balance after it, once finalized, in minor units.
    pub ending_balance: Option<i64>,
    /// Whether it moves on by itself.
    pub auto_advance: bool,
    /// Whether a payment was tried.
    pub attempted: bool,
    /// The span of which pending items could go on it. Not the time its lines are for.
    pub period: Period,
    /// When it must be paid.
    pub due_date: Option<Timestamp>,
    /// How long after it is finalized it must be paid, in days.
    pub days_until_due: Option<i64>,
    /// When it was finalized.
    pub finalized_at: Option<Timestamp>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it was taken back.
    pub voided_at: Option<Timestamp>,
    /// When it is finalized by itself.
    pub automatically_finalizes_at: Option<Timestamp>,
    /// The customer as it was; as it is, on a draft.
    pub customer_snapshot: CustomerSnapshot,
    /// The subscription's metadata as it was; as it is, on a draft.
    pub subscription_metadata: BTreeMap<String, String>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was drawn up.
    pub created: Timestamp,
    /// Its lines: all of them.
    pub lines: Vec<Line>,
}

impl Searchable for Invoice {
    const FIELDS: &'static [Field] = &[
        Field { name: "created", kind: FieldKind::Numeric },
        Field { name: "currency", kind: FieldKind::Token },
        Field { name: "customer", kind: FieldKind::Token },
        Field { name: "last_finalization_error_code", kind: FieldKind::Token },
        Field { name: "last_finalization_error_type", kind: FieldKind::Token },
        Field { name: "metadata", kind: FieldKind::Map },
        Field { name: "number", kind: FieldKind::Token },
        Field { name: "receipt_number", kind: FieldKind::Token },
        Field { name: "status", kind: FieldKind::Token },
        Field { name: "subscription", kind: FieldKind::Token },
        Field { name: "total", kind: FieldKind::Numeric },
    ];

    fn seq(&self) -> i64 {
        self.seq
    }

    fn field(&self, name: &str) -> FieldValue<'_> {
        match name {
            "created" => FieldValue::Number(self.created.0),
            "currency" => FieldValue::Text(self.currency.code()),
            "customer" => FieldValue::Text(self.customer.as_str()),
            "metadata" => FieldValue::Map(&self.metadata),
            "number" => self.number.as_deref().into(),
            "status" => FieldValue::Text(self.status.as_str()),
            "subscription" => self.subscription.as_ref().map(Id::as_str).into(),
            "total" => FieldValue::Number(self.total),
            // Finalizing cannot fail yet and there are no receipts: these are null.
            _ => FieldValue::Null,
        }
    }
}

/// Reads an invoice whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Invoice> {
    let found = sql::find(ctx, id).await?;
    let mut invoice = found.ok_or_else(|| Error::no_such_path(InvoiceKind::NOUN, id))?;
    complete(ctx, &mut invoice).await?;
    Ok(invoice)
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
        return Ok(());
    }
    let customer = customers::retrieve_any(ctx, invoice.customer.as_str()).await?;
    invoice.customer_snapshot = CustomerSnapshot::of(&customer);
    invoice.starting_balance = customer.balance;
    if let Some(subscription) = &invoice.subscription {
        invoice.subscription_metadata = subscriptions::metadata_of(ctx, subscription).await?;
    }
    Ok(())
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
