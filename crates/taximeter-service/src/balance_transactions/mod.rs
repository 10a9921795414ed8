//! The ledger of customers' balances: each change of a balance is a row, and no row is ever deleted.

mod sql;
mod wire;

use std::collections::BTreeMap;

use taximeter_db::Arg;
use taximeter_kernel::id::{
    CreditNote, Customer as CustomerKind, CustomerBalanceTransaction, Id, Invoice as InvoiceKind,
    Kind as _,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;

use crate::ctx::Ctx;
use crate::customers::{self, Customer, checked_balance};
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::params::{Clear, Metadata, MetadataChange, Range, Text};
use crate::test_clocks;

crate::choice! {
    /// Why a balance changed.
    pub enum BalanceChange {
        /// The operator said so.
        Adjustment = "adjustment",
        /// An invoice was settled with it.
        AppliedToInvoice = "applied_to_invoice",
        /// A credit note was put on it.
        CreditNote = "credit_note",
        /// It was given when the customer was made.
        Initial = "initial",
        /// More was paid than was due.
        InvoiceOverpaid = "invoice_overpaid",
        /// An invoice is for more than can be charged.
        InvoiceTooLarge = "invoice_too_large",
        /// An invoice is for less than can be charged.
        InvoiceTooSmall = "invoice_too_small",
        /// It was there before there were rows.
        Migration = "migration",
        /// An invoice that was settled with it was voided.
        UnappliedFromInvoice = "unapplied_from_invoice",
    }
}

crate::params! {
    /// A change of a balance.
    pub struct Create {
        /// What is added, in minor units: below 0 is credit.
        pub amount: i64,
        /// The currency of that.
        pub currency: Currency,
        /// A note of the operator's.
        pub description: Option<Text<350>>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
    }
}

crate::params! {
    /// What of a row changes: never how much it is.
    pub struct Update {
        /// A note of the operator's.
        pub description: Clear<Text<350>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
    }
}

crate::params! {
    /// The rows of a customer.
    pub struct List with page {
        /// Only those made in this span.
        pub created: Range,
        /// Only those of this invoice.
        pub invoice: Option<Text<255>>,
    }
}

/// One change of a customer's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceTransaction {
    /// Its id.
    pub id: Id<CustomerBalanceTransaction>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Whose balance.
    pub customer: Id<CustomerKind>,
    /// What was added, in minor units: below 0 is credit.
    pub amount: i64,
    /// The balance after it.
    pub ending_balance: i64,
    /// The currency. A customer that has none yet will have it be that of its first bill.
    pub currency: Option<Currency>,
    /// Why.
    pub kind: BalanceChange,
    /// The invoice that it is about.
    pub invoice: Option<Id<InvoiceKind>>,
    /// The credit note that it is about.
    pub credit_note: Option<Id<CreditNote>>,
    /// A note of the operator's.
    pub description: Option<String>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When.
    pub created: Timestamp,
}

/// Adds `amount` to a customer's balance and writes the row of it. The caller holds the customer and
/// saves it. An amount of 0 changes nothing and writes nothing.
///
/// # Errors
/// A 400 when the balance would be out of bounds.
#[expect(clippy::too_many_arguments, reason = "what a row says, each of a type of its own")]
pub async fn record(
    ctx: &mut Ctx,
    customer: &mut Customer,
    amount: i64,
    kind: BalanceChange,
    invoice: Option<&Id<InvoiceKind>>,
    credit_note: Option<&Id<CreditNote>>,
    description: Option<String>,
) -> Result<Option<BalanceTransaction>> {
    if amount == 0 {
        return Ok(None);
    }
    let mut row = BalanceTransaction::new(ctx, customer, amount, kind);
    row.invoice = invoice.cloned();
    row.credit_note = credit_note.cloned();
    row.description = description;
    write(ctx, customer, row).await.map(Some)
}

impl BalanceTransaction {
    fn new(ctx: &Ctx, customer: &Customer, amount: i64, kind: BalanceChange) -> Self {
        Self {
            id: ctx.new_id(),
            livemode: customer.livemode,
            customer: customer.id.clone(),
            amount,
            ending_balance: customer.balance.saturating_add(amount),
            currency: customer.currency,
            kind,
            invoice: None,
            credit_note: None,
            description: None,
            metadata: BTreeMap::new(),
            created: ctx.now,
        }
    }
}

async fn write(
    ctx: &mut Ctx,
    customer: &mut Customer,
    row: BalanceTransaction,
) -> Result<BalanceTransaction> {
    customer.balance = checked_balance(row.ending_balance)?;
    sql::insert(ctx, &row).await?;
    Ok(row)
}

/// Changes a customer's balance by the operator's will.
///
/// # Errors
/// A 404 when there is no such customer, a 400 when it is billed in another currency or the balance
/// would be out of bounds.
pub async fn create(ctx: &mut Ctx, customer: &str, input: Create) -> Result<BalanceTransaction> {
    if input.amount == 0 {
        return Err(Error::invalid("Invalid amount: must not be 0.").param("amount"));
    }
    let before = customers::retrieve_locked(ctx, customer).await?;
    test_clocks::follow(ctx, &before).await?;
    let mut customer = before.clone();
    customers::bind_currency(ctx, &mut customer, input.currency).await?;
    let kind = BalanceChange::Adjustment;
    let mut row = BalanceTransaction::new(ctx, &customer, input.amount, kind);
    row.description = input.description.map(Into::into);
    row.metadata = input.metadata.0;
    let row = write(ctx, &mut customer, row).await?;
    customers::save(ctx, &before, &customer).await?;
    Ok(row)
}

/// Reads a row of a customer.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, customer: &str, id: &str) -> Result<BalanceTransaction> {
    customers::retrieve_any(ctx, customer).await?;
    match sql::find(ctx, id).await? {
        Some(row) if row.customer.as_str() == customer => Ok(row),
        _ => Err(ctx.no_such_path(CustomerBalanceTransaction::NOUN, id).await?),
    }
}

/// Reads a row that something names.
///
/// # Errors
/// A 404 when there is none.
pub(crate) async fn retrieve_any(ctx: &mut Ctx, id: &str) -> Result<BalanceTransaction> {
    match sql::find(ctx, id).await? {
        Some(row) => Ok(row),
        None => Err(ctx.no_such_path(CustomerBalanceTransaction::NOUN, id).await?),
    }
}

/// Changes what a row says, never how much it is.
///
/// # Errors
/// A 404 when there is none.
pub async fn update(
    ctx: &mut Ctx,
    customer: &str,
    id: &str,
    input: Update,
) -> Result<BalanceTransaction> {
    sql::lock(ctx, id).await?;
    let mut row = retrieve(ctx, customer, id).await?;
    input.description.apply(&mut row.description);
    input.metadata.apply(&mut row.metadata)?;
    sql::update(ctx, &row).await?;
    Ok(row)
}

/// Lists the rows of a customer, newest first.
///
/// # Errors
/// A 404 when there is no such customer, a 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, customer: &str, input: List) -> Result<Page> {
    customers::retrieve_any(ctx, customer).await?;
    let filters = [
        Arg::from(customer),
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.invoice.as_deref()),
    ];
    let page = input.page()?;
    let noun = CustomerBalanceTransaction::NOUN;
    let slice = ctx.page(&page, noun, (sql::SEQ, sql::LIST), filters).await?;
    Ok(Page {
        url: format!("/v1/customers/{customer}/balance_transactions"),
        has_more: slice.has_more,
        data: slice.rows.iter().map(BalanceTransaction::wire).collect(),
    })
}
