//! What a payment intent is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use taximeter_kernel::id::{
    Charge, Customer, Id, Invoice, PaymentIntent as PaymentIntentKind, PaymentMethod,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;

use super::input::AllowRedirects;
use crate::customers::Address;
use crate::payment_methods::Type;
use crate::payments::Decline;

crate::choice! {
    /// How far a payment intent is.
    pub enum Status {
        /// Nobody said what it is paid with, or that was declined.
        RequiresPaymentMethod = "requires_payment_method",
        /// It is known what it is paid with.
        RequiresConfirmation = "requires_confirmation",
        /// The one who pays must do something.
        RequiresAction = "requires_action",
        /// A provider was asked and has not answered.
        Processing = "processing",
        /// The money is held, and is still to be taken.
        RequiresCapture = "requires_capture",
        /// It was given up.
        Canceled = "canceled",
        /// It is paid.
        Succeeded = "succeeded",
    }
}

crate::choice! {
    /// When the money is taken.
    pub enum CaptureMethod {
        /// At once.
        Automatic = "automatic",
        /// At once, as far as the one who asks can tell.
        AutomaticAsync = "automatic_async",
        /// When it is captured; until then it is held.
        Manual = "manual",
    }
}

crate::choice! {
    /// Whether the payment method is kept for payments to come.
    pub enum FutureUsage {
        /// While its owner is away.
        OffSession = "off_session",
        /// While its owner is there.
        OnSession = "on_session",
    }
}

/// The intent to collect an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentIntent {
    pub(super) seq: i64,
    /// Its id.
    pub id: Id<PaymentIntentKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// How far it is.
    pub status: Status,
    /// How much, in minor units.
    pub amount: i64,
    /// How much is held, to be captured.
    pub amount_capturable: i64,
    /// How much came in.
    pub amount_received: i64,
    /// Of what.
    pub currency: Currency,
    /// Who pays.
    pub customer: Option<Id<Customer>>,
    /// What with.
    pub payment_method: Option<Id<PaymentMethod>>,
    /// The charge of the last attempt that came to one.
    pub latest_charge: Option<Id<Charge>>,
    /// The invoice it collects for.
    pub invoice: Option<Id<Invoice>>,
    /// When the money is taken.
    pub capture_method: CaptureMethod,
    /// What lets somebody without a secret key read it.
    pub client_secret: String,
    /// How often a provider was asked.
    pub attempts: i64,
    /// When it was given up.
    pub canceled_at: Option<Timestamp>,
    /// What nobody searches by.
    pub details: Details,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

/// What of a payment intent is kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The types of payment methods that can pay, where they were named.
    pub allowed_types: Option<Vec<Type>>,
    /// Set unless the types of payment methods were named.
    pub automatic_payment_methods: Option<AutomaticPaymentMethods>,
    /// Why it was given up.
    pub cancellation_reason: Option<String>,
    /// A note of the operator's.
    pub description: Option<String>,
    /// How the last attempt failed.
    pub last_error: Option<LastError>,
    /// Where a receipt is sent.
    pub receipt_email: Option<String>,
    /// Where the one who pays comes back to.
    pub return_url: Option<String>,
    /// Whether the payment method is kept.
    pub setup_future_usage: Option<FutureUsage>,
    /// Where goods go.
    pub shipping: Option<Shipping>,
    /// What the statement of the one who pays says.
    pub statement_descriptor: Option<String>,
    /// What it says after that.
    pub statement_descriptor_suffix: Option<String>,
}

/// Where goods go, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipping {
    /// The address.
    pub address: Address,
    /// Who carries them.
    #[serde(default)]
    pub carrier: Option<String>,
    /// Who receives them.
    pub name: String,
    /// Whom to call.
    pub phone: Option<String>,
    /// What the carrier calls them.
    #[serde(default)]
    pub tracking_number: Option<String>,
}

/// That the server chooses the types of payment methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutomaticPaymentMethods {
    /// Whether they may send the one who pays elsewhere.
    pub allow_redirects: AllowRedirects,
    /// Whether it does.
    pub enabled: bool,
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// Why.
    pub decline: Decline,
    /// The charge that failed, if it came to one.
    pub charge: Option<String>,
    /// What it was to be paid with, as it was.
    pub payment_method: Value,
}

impl LastError {
    /// The members `last_payment_error` and `last_setup_error`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let mut members = self.decline.members(self.payment_method.clone());
        if let Some(charge) = &self.charge {
            members.insert("charge".to_owned(), charge.as_str().into());
        }
        Value::Object(members)
    }
}
