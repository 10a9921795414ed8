//! What a request may say about a subscription.

use taximeter_kernel::money::Currency;

use super::{BillingModeType, CollectionMethod, Feedback, ProrationDiscounts};
use crate::choice;
use crate::params::{Clear, Metadata, MetadataChange, Range, Text};
use crate::prices::PriceData;

/// The most items of one subscription (Stripe's bound).
pub(super) const ITEMS_MAX: usize = 20;

choice! {
    /// What happens when the first invoice cannot be paid.
    #[expect(clippy::enum_variant_names, reason = "they are Stripe's words")]
    pub enum PaymentBehavior {
        /// The subscription is made all the same.
        AllowIncomplete = "allow_incomplete",
        /// The invoice is left open for the customer to pay.
        DefaultIncomplete = "default_incomplete",
        /// Nothing is made.
        ErrorIfIncomplete = "error_if_incomplete",
        /// Only for changes: they wait until they are paid.
        PendingIfIncomplete = "pending_if_incomplete",
    }
}

choice! {
    /// How a change in the middle of a period is billed.
    pub enum ProrationBehavior {
        /// At once.
        AlwaysInvoice = "always_invoice",
        /// With the next invoice.
        CreateProrations = "create_prorations",
        /// Not at all.
        None = "none",
    }
}

choice! {
    /// Which subscriptions to list.
    pub enum StatusFilter {
        /// As [`super::Status`].
        Active = "active",
        /// All of them.
        All = "all",
        /// As [`super::Status`].
        Canceled = "canceled",
        /// Those that are over.
        Ended = "ended",
        /// As [`super::Status`].
        Incomplete = "incomplete",
        /// As [`super::Status`].
        IncompleteExpired = "incomplete_expired",
        /// As [`super::Status`].
        PastDue = "past_due",
        /// As [`super::Status`].
        Paused = "paused",
        /// As [`super::Status`].
        Trialing = "trialing",
        /// As [`super::Status`].
        Unpaid = "unpaid",
    }
}

crate::params! {
    /// An item of a new subscription.
    pub struct ItemInput {
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// The price, by its old name.
        pub plan: Option<Text<255>>,
        /// The price.
        pub price: Option<Text<255>>,
        /// A price made for this subscription.
        pub price_data: Option<PriceData>,
        /// How many, for a licensed price.
        pub quantity: Option<i64>,
    }
}

crate::params! {
    /// Settings of flexible billing.
    pub struct FlexibleInput {
        /// How prorations show discounts.
        pub proration_discounts: Option<ProrationDiscounts>,
    }
}

crate::params! {
    /// Which rules a subscription is billed by.
    pub struct BillingModeInput {
        /// Settings of flexible billing.
        pub flexible: Option<FlexibleInput>,
        /// The rules.
        pub r#type: BillingModeType,
    }
}

crate::params! {
    /// What a new subscription is made of.
    pub struct Create {
        /// Which rules it is billed by.
        pub billing_mode: Option<BillingModeInput>,
        /// How its invoices are collected.
        pub collection_method: Option<CollectionMethod>,
        /// What it is billed in, if its prices have several currencies.
        pub currency: Option<Currency>,
        /// Who is billed.
        pub customer: Text<255>,
        /// How long after it is sent an invoice is due, in days.
        pub days_until_due: Option<i64>,
        /// What the customer sees it called.
        pub description: Option<Text<500>>,
        /// Its items.
        pub items: Vec<ItemInput>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// What happens when the first invoice cannot be paid.
        pub payment_behavior: Option<PaymentBehavior>,
    }
}

crate::params! {
    /// What of an item changes along with its subscription.
    pub struct ItemUpdate {
        /// Which item.
        pub id: Text<255>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// How many. Needs `proration_behavior=none`.
        pub quantity: Option<i64>,
    }
}

crate::params! {
    /// What the customer said on leaving.
    pub struct CancellationDetailsInput {
        /// In the customer's own words.
        pub comment: Clear<Text>,
        /// As a choice.
        pub feedback: Clear<Feedback>,
    }
}

crate::params! {
    /// What of a subscription changes.
    pub struct Update {
        /// What the customer said on leaving.
        pub cancellation_details: Option<CancellationDetailsInput>,
        /// How its invoices are collected.
        pub collection_method: Option<CollectionMethod>,
        /// How long after it is sent an invoice is due, in days.
        pub days_until_due: Option<i64>,
        /// What the customer sees it called.
        pub description: Clear<Text<500>>,
        /// Changes of its items.
        pub items: Option<Vec<ItemUpdate>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// How a change of quantity is billed: for now, not at all.
        pub proration_behavior: Option<ProrationBehavior>,
    }
}

crate::params! {
    /// How a subscription ends.
    pub struct Cancel {
        /// What the customer said on leaving.
        pub cancellation_details: Option<CancellationDetailsInput>,
        /// Whether usage that was not billed yet is billed now.
        pub invoice_now: Option<bool>,
        /// Whether unused time is credited: not yet.
        pub prorate: Option<bool>,
    }
}

crate::params! {
    /// A list of subscriptions.
    pub struct List with page {
        /// Only subscriptions collected this way.
        pub collection_method: Option<CollectionMethod>,
        /// Only subscriptions made in this span.
        pub created: Range,
        /// Only subscriptions whose first period to end ends in this span.
        pub current_period_end: Range,
        /// Only subscriptions whose last period to begin began in this span.
        pub current_period_start: Range,
        /// Only subscriptions of this customer.
        pub customer: Option<Text<255>>,
        /// Only subscriptions with this price, by its old name.
        pub plan: Option<Text<255>>,
        /// Only subscriptions with this price.
        pub price: Option<Text<255>>,
        /// Only subscriptions in this status; all that are not canceled, if left out.
        pub status: Option<StatusFilter>,
    }
}
