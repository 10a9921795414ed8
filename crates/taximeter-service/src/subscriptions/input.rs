//! What a request may say about a subscription.

use taximeter_kernel::money::Currency;

use super::additions::AddInvoiceItem;
use super::pending::PendingIntervalInput;
use super::thresholds::{ItemThresholdsInput, ThresholdsInput};
use super::{
    BillingModeType, CollectionMethod, Feedback, MissingPaymentMethod, PauseBehavior,
    ProrationDiscounts, SaveDefaultPaymentMethod, TrialAnchor,
};
use crate::choice;
use crate::customers::CustomFieldInput;
use crate::discounts::DiscountInput;
use crate::params::{Clear, Metadata, MetadataChange, OrWord, Range, Text};
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
        /// When its usage is billed before its time.
        pub billing_thresholds: Clear<ItemThresholdsInput>,
        /// What is taken off its lines.
        pub discounts: Clear<Vec<DiscountInput>>,
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
        /// What its lines are taxed by, instead of the subscription's rates.
        pub tax_rates: Clear<Vec<Text<255>>>,
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

choice! {
    /// The word for this instant.
    pub enum Now {
        /// At once.
        Now = "now",
    }
}

choice! {
    /// An end that follows from the items' periods, as they are when it is asked for.
    pub enum PeriodEnd {
        /// The first one.
        Min = "min_period_end",
        /// The last one.
        Max = "max_period_end",
    }
}

crate::params! {
    /// On which day and at what time periods begin.
    pub struct AnchorConfigInput {
        /// From 1 to 31.
        pub day_of_month: i64,
        /// From 0 to 23.
        pub hour: Option<i64>,
        /// From 0 to 59.
        pub minute: Option<i64>,
        /// From 1 to 12.
        pub month: Option<i64>,
        /// From 0 to 59.
        pub second: Option<i64>,
    }
}

crate::params! {
    /// What becomes of a trial when it ends.
    pub struct TrialEndBehavior {
        /// Whether its end begins the periods anew.
        pub billing_cycle_anchor: Option<TrialAnchor>,
        /// When there is nothing to pay with.
        pub missing_payment_method: MissingPaymentMethod,
    }
}

crate::params! {
    /// What becomes of a trial.
    pub struct TrialSettingsInput {
        /// When it ends.
        pub end_behavior: TrialEndBehavior,
    }
}

crate::params! {
    /// What its invoices show.
    pub struct InvoiceSettingsInput {
        /// Fields at their head.
        pub custom_fields: Clear<Vec<CustomFieldInput>>,
        /// What they say.
        pub description: Clear<Text<1500>>,
        /// What they say at their foot.
        pub footer: Clear<Text>,
    }
}

crate::params! {
    /// How its invoices are paid.
    pub struct PaymentSettingsInput {
        /// With what kinds of payment method.
        pub payment_method_types: Clear<Vec<Text<64>>>,
        /// Whether what pays is kept.
        pub save_default_payment_method: Option<SaveDefaultPaymentMethod>,
    }
}

crate::params! {
    /// What a new subscription is made of.
    pub struct Create {
        /// What is sold once with it.
        pub add_invoice_items: Option<Vec<AddInvoiceItem>>,
        /// When it began, if before now.
        pub backdate_start_date: Option<i64>,
        /// What its periods are counted from: at most one interval ahead.
        pub billing_cycle_anchor: Option<i64>,
        /// The same as a day and a time.
        pub billing_cycle_anchor_config: Option<AnchorConfigInput>,
        /// Which rules it is billed by.
        pub billing_mode: Option<BillingModeInput>,
        /// When it is billed before its time.
        pub billing_thresholds: Clear<ThresholdsInput>,
        /// When it ends.
        pub cancel_at: Option<OrWord<PeriodEnd, i64>>,
        /// Whether it ends with its first period.
        pub cancel_at_period_end: Option<bool>,
        /// How its invoices are collected.
        pub collection_method: Option<CollectionMethod>,
        /// What it is billed in, if its prices have several currencies.
        pub currency: Option<Currency>,
        /// Who is billed.
        pub customer: Text<255>,
        /// How long after it is sent an invoice is due, in days.
        pub days_until_due: Option<i64>,
        /// What pays its invoices, if not the customer's default.
        pub default_payment_method: Option<Text<255>>,
        /// What its invoices are taxed by.
        pub default_tax_rates: Clear<Vec<Text<255>>>,
        /// What the customer sees it called.
        pub description: Option<Text<500>>,
        /// What is taken off its invoices.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// What its invoices show.
        pub invoice_settings: Option<InvoiceSettingsInput>,
        /// Its items.
        pub items: Vec<ItemInput>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// Whether the customer is not there to be asked when the first invoice is paid.
        pub off_session: Option<bool>,
        /// What happens when the first invoice cannot be paid.
        pub payment_behavior: Option<PaymentBehavior>,
        /// How its invoices are paid.
        pub payment_settings: Option<PaymentSettingsInput>,
        /// How often pending items are billed by themselves.
        pub pending_invoice_item_interval: Clear<PendingIntervalInput>,
        /// Whether a first period that is not a whole one is charged for in proportion.
        pub proration_behavior: Option<ProrationBehavior>,
        /// When its trial ends.
        pub trial_end: Option<OrWord<Now, i64>>,
        /// Whether it has the trial of its prices.
        pub trial_from_plan: Option<bool>,
        /// How many days its trial lasts.
        pub trial_period_days: Option<i64>,
        /// What becomes of its trial.
        pub trial_settings: Option<TrialSettingsInput>,
    }
}

crate::params! {
    /// What of an item changes along with its subscription: with `id` one that it has, without one
    /// that is added.
    #[derive(Default)]
    pub struct ItemUpdate {
        /// When its usage is billed before its time.
        pub billing_thresholds: Clear<ItemThresholdsInput>,
        /// Whether usage of an item that is taken away is forgotten.
        pub clear_usage: Option<bool>,
        /// Whether it is taken away.
        pub deleted: Option<bool>,
        /// What is taken off its lines.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// Which item.
        pub id: Option<Text<255>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// The price, by its old name.
        pub plan: Option<Text<255>>,
        /// The price.
        pub price: Option<Text<255>>,
        /// A price made for this subscription.
        pub price_data: Option<PriceData>,
        /// How many. A new price without it is for one.
        pub quantity: Option<i64>,
        /// What its lines are taxed by, instead of the subscription's rates.
        pub tax_rates: Clear<Vec<Text<255>>>,
    }
}

choice! {
    /// What becomes of the instant that periods are counted from.
    pub enum AnchorChange {
        /// They begin anew.
        Now = "now",
        /// Nothing.
        Unchanged = "unchanged",
    }
}

crate::params! {
    /// The same, as newer versions have it.
    pub struct AnchorChangeInput {
        /// What becomes of it.
        pub r#type: AnchorChange,
    }
}

crate::params! {
    /// How invoices are held back.
    pub struct PauseCollectionInput {
        /// What becomes of them.
        pub behavior: PauseBehavior,
        /// Until when.
        pub resumes_at: Option<i64>,
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
    #[derive(Default)]
    pub struct Update {
        /// What is sold once with it.
        pub add_invoice_items: Option<Vec<AddInvoiceItem>>,
        /// Whether its periods begin anew, now.
        pub billing_cycle_anchor: Option<OrWord<AnchorChange, AnchorChangeInput>>,
        /// When it is billed before its time.
        pub billing_thresholds: Clear<ThresholdsInput>,
        /// When it ends.
        pub cancel_at: Clear<OrWord<PeriodEnd, i64>>,
        /// Whether it ends with the period that it is in.
        pub cancel_at_period_end: Option<bool>,
        /// What the customer said on leaving.
        pub cancellation_details: Option<CancellationDetailsInput>,
        /// How its invoices are collected.
        pub collection_method: Option<CollectionMethod>,
        /// How long after it is sent an invoice is due, in days.
        pub days_until_due: Option<i64>,
        /// What pays its invoices, if not the customer's default.
        pub default_payment_method: Clear<Text<255>>,
        /// What its invoices are taxed by.
        pub default_tax_rates: Clear<Vec<Text<255>>>,
        /// What the customer sees it called.
        pub description: Clear<Text<500>>,
        /// What is taken off its invoices.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// What its invoices show.
        pub invoice_settings: Option<InvoiceSettingsInput>,
        /// Changes of its items.
        pub items: Option<Vec<ItemUpdate>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// Whether the customer is not there to be asked when an invoice is paid.
        pub off_session: Option<bool>,
        /// How its invoices are held back.
        pub pause_collection: Clear<PauseCollectionInput>,
        /// What happens when an invoice that is made at once cannot be paid.
        pub payment_behavior: Option<PaymentBehavior>,
        /// How its invoices are paid.
        pub payment_settings: Option<PaymentSettingsInput>,
        /// How often pending items are billed by themselves.
        pub pending_invoice_item_interval: Clear<PendingIntervalInput>,
        /// How the change is billed.
        pub proration_behavior: Option<ProrationBehavior>,
        /// As of when it is reckoned.
        pub proration_date: Option<i64>,
        /// When its trial ends.
        pub trial_end: Option<OrWord<Now, i64>>,
        /// Whether it gets the trial of its prices.
        pub trial_from_plan: Option<bool>,
        /// What becomes of its trial.
        pub trial_settings: Option<TrialSettingsInput>,
    }
}

crate::params! {
    /// How a subscription ends.
    pub struct Cancel {
        /// What the customer said on leaving.
        pub cancellation_details: Option<CancellationDetailsInput>,
        /// Whether usage that was not billed yet is billed now.
        pub invoice_now: Option<bool>,
        /// Whether unused time is given back.
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
