//! What an invoice and its lines say beyond what is asked for by column. Instants are in seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::choice;
use crate::customers::CustomField;

choice! {
    /// Why an invoice was given up.
    pub enum UncollectibleReason {
        /// Every try to collect it failed.
        MaxPaymentAttempts = "max_payment_attempts",
        /// Its subscription was canceled.
        SubscriptionCanceled = "subscription_canceled",
        /// Collection of its subscription is paused.
        SubscriptionPaused = "subscription_paused",
        /// Somebody asked for it.
        UserForgiven = "user_forgiven",
    }
}

/// What a discount takes off, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscountAmount {
    /// How much.
    pub amount: i64,
    /// By which discount.
    pub discount: String,
}

/// What a rate takes, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxAmount {
    /// How much.
    pub amount: i64,
    /// Whether it is within the price.
    pub inclusive: bool,
    /// By which rate.
    pub tax_rate: String,
    /// Of how much.
    pub taxable_amount: i64,
    /// Why so much.
    pub taxability_reason: String,
}

/// Why an invoice was made before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdReason {
    /// The amount that was reached, in minor units.
    pub amount_gte: Option<i64>,
    /// The items whose usage was reached: lines and units.
    pub item_reasons: Vec<(Vec<String>, i64)>,
}

/// Why a draft could not be finalized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalizationError {
    /// The stable name.
    pub code: Option<String>,
    /// The sentence.
    pub message: String,
}

/// What an invoice says beyond its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Whether it is the preview of a customer who does not exist.
    #[serde(skip)]
    pub of_nobody: bool,
    /// How often it was tried to collect it.
    pub attempt_count: i64,
    /// When it is tried next.
    pub next_payment_attempt: Option<i64>,
    /// When it was given up.
    pub marked_uncollectible_at: Option<i64>,
    /// Why.
    pub uncollectible_reason: Option<UncollectibleReason>,
    /// Whether it was told that it is overdue.
    pub overdue_told: bool,
    /// Whether it was told that it will be due.
    pub will_be_due_told: bool,
    /// What pays it, if not the subscription's or the customer's default.
    pub default_payment_method: Option<String>,
    /// What its lines are taxed by that have no rates of their own.
    pub default_tax_rates: Vec<String>,
    /// What is taken off it.
    pub discounts: Vec<String>,
    /// Fields at its head.
    pub custom_fields: Option<Vec<CustomField>>,
    /// What it says at its foot.
    pub footer: Option<String>,
    /// The date that it bears, if another than when it was finalized.
    pub effective_at: Option<i64>,
    /// With what kinds of payment method it can be paid.
    pub payment_method_types: Option<Vec<String>>,
    /// What is printed on the customer's statement of account.
    pub statement_descriptor: Option<String>,
    /// How it shows taxes.
    pub amount_tax_display: Option<String>,
    /// What paper it is for.
    pub page_size: Option<String>,
    /// What each discount takes off in all.
    pub total_discount_amounts: Vec<DiscountAmount>,
    /// What each rate takes in all.
    pub total_taxes: Vec<TaxAmount>,
    /// Tax that is within its lines, in minor units.
    pub inclusive_tax: i64,
    /// What it comes to without tax, in minor units, once that was added up.
    pub total_excluding_tax: Option<i64>,
    /// Credited before it was paid, in minor units.
    pub pre_payment_credit_notes: i64,
    /// Credited after it was paid, in minor units.
    pub post_payment_credit_notes: i64,
    /// Paid otherwise than through us, in minor units.
    pub paid_off_stripe: i64,
    /// Why it could not be finalized.
    pub last_finalization_error: Option<FinalizationError>,
    /// The invoice that it revises.
    pub from_invoice: Option<String>,
    /// The latest revision of it.
    pub latest_revision: Option<String>,
    /// Up to which place in the order of arrival its usage was counted, once finalized.
    pub usage_position: Option<u64>,
    /// When the change took place that it bills.
    pub proration_date: Option<i64>,
    /// Why it was made before its time.
    pub threshold_reason: Option<ThresholdReason>,
}

/// What a line credits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credited {
    /// The invoice,
    pub invoice: String,
    /// and its lines.
    pub lines: Vec<String>,
}

/// What a line says beyond its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineDetails {
    /// What it costs before discounts of its own, in minor units, where it has such.
    pub gross: Option<i64>,
    /// Whether discounts of the whole invoice take off it.
    pub discountable: bool,
    /// Discounts of its own.
    pub discounts: Vec<String>,
    /// What each discount takes off it.
    pub discount_amounts: Vec<DiscountAmount>,
    /// What of that was settled when it was prorated, and stays so.
    pub itemized: Vec<DiscountAmount>,
    /// What it is taxed by; nothing for the invoice's rates.
    pub tax_rates: Vec<String>,
    /// What each rate takes.
    pub taxes: Vec<TaxAmount>,
    /// Metadata of its own, where it does not show its subscription's.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whether it is of a part of a period, because of a change.
    pub proration: bool,
    /// What it credits.
    pub credited: Option<Credited>,
    /// Whether its quantity is counted anew until the invoice is finalized.
    pub metered: bool,
}

impl Default for LineDetails {
    fn default() -> Self {
        Self {
            gross: None,
            discountable: true,
            discounts: Vec::new(),
            discount_amounts: Vec::new(),
            itemized: Vec::new(),
            tax_rates: Vec::new(),
            taxes: Vec::new(),
            metadata: None,
            proration: false,
            credited: None,
            metered: false,
        }
    }
}
