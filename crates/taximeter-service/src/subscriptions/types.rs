//! What a subscription is.

use std::collections::BTreeMap;

use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Invoice as InvoiceKind, Subscription as SubscriptionKind,
    SubscriptionItem, TestClock,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::{Period, Timestamp};

use super::terms::{ItemTerms, Terms};
use crate::choice;
use crate::params::Choice;
use crate::prices::Price;
use crate::search::{Field, FieldKind, FieldValue, Searchable};
use crate::tax_rates::TaxRate;

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
    /// The rates that its lines are taxed by.
    pub tax_rates: Vec<TaxRate>,
    /// What is agreed beyond that.
    pub terms: ItemTerms,
}

impl Item {
    /// Takes the item to a period whose usage is all still to be billed. `end` is when the subscription
    /// ends within it, if it does.
    pub(super) fn enter(&mut self, period: Period, end: Option<Timestamp>) {
        self.current_period = period;
        self.terms.usage_from = None;
        self.terms.billed_early = None;
        self.terms.paid_until = end.map(|end| end.0);
    }

    /// The part of its period that is paid for.
    pub(super) fn paid_period(&self) -> Period {
        let Period { start, end } = self.current_period;
        let end = self.terms.paid_until.map_or(end, |until| end.min(Timestamp(until)));
        Period { start, end: end.max(start) }
    }
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
    pub(super) seq: i64,
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
    /// The test clock that its time is told by.
    pub test_clock: Option<Id<TestClock>>,
    /// When its trial began: the latest in flexible mode, the first in classic mode.
    pub trial_start: Option<Timestamp>,
    /// When its trial ends or ended.
    pub trial_end: Option<Timestamp>,
    /// When it will end.
    pub cancel_at: Option<Timestamp>,
    /// Whether that is the end of the period.
    pub cancel_at_period_end: bool,
    /// What is agreed beyond that.
    pub terms: Terms,
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
    /// The rates that it and its items are taxed by.
    pub tax_rates: Vec<TaxRate>,
    /// Its items, oldest first.
    pub items: Vec<Item>,
    /// Its items as a pending update makes them, where it changes them.
    pub pending_items: Option<Vec<Item>>,
}

impl Subscription {
    /// The next instant at which one of its items begins a new period.
    #[must_use]
    pub fn next_boundary(&self) -> Option<Timestamp> {
        self.items.iter().map(|item| item.current_period.end).min()
    }

    /// The instant within a period at which it ends, if it does: what is after that is not paid for.
    /// An end that goes with a period cuts none.
    #[must_use]
    pub fn ends_within(&self, period: Period) -> Option<Timestamp> {
        let end = self.cancel_at.filter(|_| !self.cancel_at_period_end);
        end.filter(|end| period.start < *end && *end < period.end)
    }

    /// Takes an end that goes with the period to where that ends by now.
    pub(super) fn end_with_period(&mut self) {
        if self.cancel_at_period_end {
            self.cancel_at = self.next_boundary();
        }
    }

    /// Whether it is over.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.status, Status::Canceled | Status::IncompleteExpired)
    }

    /// Whether it is billed period by period.
    #[must_use]
    pub const fn renews(&self) -> bool {
        match self.status {
            Status::Active | Status::PastDue | Status::Trialing | Status::Unpaid => true,
            Status::Canceled | Status::Incomplete | Status::IncompleteExpired | Status::Paused => {
                false
            }
        }
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
