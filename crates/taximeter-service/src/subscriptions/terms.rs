//! What is agreed about a subscription beyond what is asked for by column.

use serde::{Deserialize, Serialize};
use taximeter_kernel::id::{Id, InvoiceLine, Kind as _};
use taximeter_kernel::time::Timestamp;

use super::pending_update::PendingUpdate;
use super::thresholds::BilledEarly;
use crate::choice;
use crate::customers::CustomField;

choice! {
    /// What becomes of invoices while collection is paused.
    pub enum PauseBehavior {
        /// They stay drafts.
        KeepAsDraft = "keep_as_draft",
        /// They are given up at once.
        MarkUncollectible = "mark_uncollectible",
        /// They are taken back at once.
        Void = "void",
    }
}

choice! {
    /// What becomes of a trial that ends when there is nothing to pay with.
    pub enum MissingPaymentMethod {
        /// The subscription ends.
        Cancel = "cancel",
        /// An invoice is made, and is not paid.
        CreateInvoice = "create_invoice",
        /// The subscription is paused.
        Pause = "pause",
    }
}

choice! {
    /// Whether the end of a trial begins the periods anew.
    pub enum TrialAnchor {
        /// It does.
        Now = "now",
        /// They go on as they were counted.
        Unchanged = "unchanged",
    }
}

choice! {
    /// Whether what pays an invoice is kept for the next one.
    pub enum SaveDefaultPaymentMethod {
        /// It is not.
        Off = "off",
        /// It is, on the subscription.
        OnSubscription = "on_subscription",
    }
}

choice! {
    /// Why a subscription is paused.
    pub enum PausedReason {
        /// Somebody asked for it.
        PauseRequested = "pause_requested",
        /// Its trial ended and there was nothing to pay with.
        TrialEndWithoutPaymentMethod = "trial_end_without_payment_method",
    }
}

/// On which day and at what time periods begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorConfig {
    /// From 1 to 31; the last day of a month that is shorter.
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

/// When an invoice is due before its time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    /// From so many minor units on.
    pub amount_gte: Option<i64>,
    /// Whether the periods begin anew with it.
    pub reset_billing_cycle_anchor: Option<bool>,
}

/// When an invoice is due before its time for the usage of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemThresholds {
    /// From so many units on.
    pub usage_gte: i64,
}

/// What its invoices show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InvoiceSettings {
    /// Fields at their head.
    pub custom_fields: Option<Vec<CustomField>>,
    /// What they say.
    pub description: Option<String>,
    /// What they say at their foot.
    pub footer: Option<String>,
}

/// How its invoices are paid.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PaymentSettings {
    /// With what kinds of payment method.
    pub payment_method_types: Option<Vec<String>>,
    /// Whether what pays is kept.
    pub save_default_payment_method: Option<SaveDefaultPaymentMethod>,
}

/// How invoices are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseCollection {
    /// What becomes of them.
    pub behavior: PauseBehavior,
    /// Until when, in seconds.
    pub resumes_at: Option<i64>,
}

/// That a subscription is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Why.
    pub reason: PausedReason,
    /// Since when, in seconds.
    pub transitioned_at: i64,
}

/// That a paused subscription is resumed once an invoice is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resuming {
    /// Which.
    pub invoice: String,
    /// Until when it can be paid, in seconds.
    pub until: i64,
    /// What had been charged for the time of each item, by its id: so it is again if the invoice is
    /// taken back.
    #[serde(default)]
    pub debits: Vec<(String, Vec<Debit>)>,
}

/// How often pending items are billed by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingInterval {
    /// The unit.
    pub interval: String,
    /// How many of it.
    pub interval_count: i64,
}

/// What becomes of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrialSettings {
    /// When there is nothing to pay with.
    pub missing_payment_method: MissingPaymentMethod,
    /// Whether its end begins the periods anew.
    pub billing_cycle_anchor: Option<TrialAnchor>,
}

impl Default for TrialSettings {
    fn default() -> Self {
        Self {
            missing_payment_method: MissingPaymentMethod::CreateInvoice,
            billing_cycle_anchor: None,
        }
    }
}

/// What was announced, so that it is announced once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The end of the trial that was announced, in seconds.
    pub trial_will_end: Option<i64>,
    /// The renewal that was announced, in seconds.
    pub upcoming: Option<i64>,
}

/// What is agreed about a subscription. Instants are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// On which day and at what time its periods begin.
    pub anchor_config: Option<AnchorConfig>,
    /// When it is billed before its time.
    pub billing_thresholds: Option<Thresholds>,
    /// What pays its invoices, if not the customer's default.
    pub default_payment_method: Option<String>,
    /// What its invoices are taxed by.
    pub default_tax_rates: Vec<String>,
    /// What is taken off its invoices.
    pub discounts: Vec<String>,
    /// What its invoices show.
    pub invoice_settings: InvoiceSettings,
    /// How its invoices are paid.
    pub payment_settings: PaymentSettings,
    /// How its invoices are held back.
    pub pause_collection: Option<PauseCollection>,
    /// That it is paused.
    pub paused: Option<Paused>,
    /// The setup intent for something to pay with, where it began without.
    pub pending_setup_intent: Option<String>,
    /// What it becomes once an invoice is paid.
    pub pending_update: Option<PendingUpdate>,
    /// That it is resumed once an invoice is paid.
    pub resuming: Option<Resuming>,
    /// How often pending items are billed by themselves.
    pub pending_interval: Option<PendingInterval>,
    /// From when that is counted.
    pub pending_from: Option<i64>,
    /// When they are billed next.
    pub next_pending_invoice: Option<i64>,
    /// Whether what is taken off all of the customer's invoices is not taken off its own.
    pub own_discounts_only: bool,
    /// The schedule that changes it.
    pub schedule: Option<String>,
    /// What becomes of its trial.
    pub trial_settings: TrialSettings,
    /// What was announced.
    pub told: Told,
}

impl Terms {
    /// Whether what is taken off all of the customer's invoices is taken off its own: where it has
    /// nothing of its own, and that is not by choice.
    #[must_use]
    pub const fn inherits_discount(&self) -> bool {
        self.discounts.is_empty() && !self.own_discounts_only
    }
}

/// What was charged for an item's time, so that what of it is not used can be given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debit {
    /// The invoice and its line; nothing while it waits to be invoiced.
    pub line: Option<(String, String)>,
    /// The invoice item, if it was one.
    pub invoice_item: Option<String>,
    /// How much, in minor units, after discounts.
    pub amount: i64,
    /// What discounts had taken off it: which, and how much.
    #[serde(default)]
    pub discounts: Vec<(String, i64)>,
    /// For the time from here,
    pub start: i64,
    /// to here.
    pub end: i64,
    /// What of it is given back: by which invoice items, each from when on.
    #[serde(default)]
    pub given: Vec<(String, i64)>,
}

impl Debit {
    /// A line of a period, on an invoice.
    #[must_use]
    pub fn of_line(
        invoice: &str,
        line: &Id<InvoiceLine>,
        amount: i64,
        (start, end): (Timestamp, Timestamp),
    ) -> Self {
        debug_assert!(line.as_str().starts_with(InvoiceLine::PREFIX), "{line}");
        Self {
            line: Some((invoice.to_owned(), line.as_str().to_owned())),
            invoice_item: None,
            amount,
            discounts: Vec::new(),
            start: start.0,
            end: end.0,
            given: Vec::new(),
        }
    }
}

/// What is agreed about an item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemTerms {
    /// When it is billed before its time.
    pub billing_thresholds: Option<ItemThresholds>,
    /// What is taken off its lines.
    pub discounts: Vec<String>,
    /// What its lines are taxed by, instead of the subscription's rates.
    pub tax_rates: Vec<String>,
    /// What of its period was billed before its time.
    pub billed_early: Option<BilledEarly>,
    /// What was charged for the period it is in.
    pub debits: Vec<Debit>,
    /// Until when its period is paid for, where the subscription ends before it.
    pub paid_until: Option<i64>,
    /// From when its usage is still to be billed, if that is not the start of its period.
    pub usage_from: Option<i64>,
}
