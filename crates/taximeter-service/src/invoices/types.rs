//! What an invoice is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Invoice as InvoiceKind, InvoiceLine, Price, Product,
    Subscription as SubscriptionKind, SubscriptionItem, TestClock,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::{Period, Timestamp};

use super::details::{Details, LineDetails};
use crate::choice;
use crate::customers::{Address, Customer, Shipping};
use crate::params::Choice;
use crate::search::{Field, FieldKind, FieldValue, Searchable};
use crate::subscriptions::CollectionMethod;
use crate::tax_rates::TaxRate;

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
        /// As much was used as was agreed to bill before the period's end.
        SubscriptionThreshold = "subscription_threshold",
        /// A subscription changed or was canceled.
        SubscriptionUpdate = "subscription_update",
        /// Somebody asked for it.
        Manual = "manual",
        /// Pending items are billed by themselves every so often.
        AutomaticPendingInvoiceItemInvoice = "automatic_pending_invoice_item_invoice",
        /// It is a preview.
        Upcoming = "upcoming",
    }
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
    pub(super) fn of(customer: &Customer) -> Self {
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
    pub description: Option<String>,
    /// The time it is for.
    pub period: Period,
    /// The price it was rated by, if it was by one.
    pub price: Option<Id<Price>>,
    /// What was sold.
    pub product: Option<Id<Product>>,
    /// Minor units for each unit or package; nothing for a flat amount.
    pub unit_amount: Option<Decimal>,
    /// The subscription it is for, if it is for one; nothing in the preview of a new one.
    pub subscription: Option<Id<SubscriptionKind>>,
    /// The item of the subscription it is for.
    pub subscription_item: Option<Id<SubscriptionItem>>,
    /// The invoice item that was put on the invoice as this line.
    pub invoice_item: Option<String>,
    /// What it says beyond that.
    pub details: LineDetails,
}

/// A bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    pub(super) seq: i64,
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
    /// The test clock that its time is told by.
    pub test_clock: Option<Id<TestClock>>,
    /// What it says beyond that.
    pub details: Details,
    /// The rates that it and its lines are taxed by.
    pub tax_rates: Vec<TaxRate>,
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
