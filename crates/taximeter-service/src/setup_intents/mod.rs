//! Setup intents: a payment method is made ready for payments to come.

mod input;
mod sql;
mod verbs;
mod wire;

use std::collections::BTreeMap;

pub use input::{Cancel, Confirm, Create, List, Retrieve, Update};
use taximeter_kernel::id::{
    Customer, Id, PaymentMethod as PaymentMethodKind, SetupIntent as SetupIntentKind,
};
use taximeter_kernel::time::Timestamp;
pub(crate) use verbs::for_subscription;
pub use verbs::{authenticate, cancel, confirm, create, list, read, retrieve, update};
pub use wire::Details;

crate::choice! {
    /// How far a setup intent is.
    pub enum Status {
        /// Nobody said what is set up, or that was declined.
        RequiresPaymentMethod = "requires_payment_method",
        /// It is known what is set up.
        RequiresConfirmation = "requires_confirmation",
        /// The owner must do something.
        RequiresAction = "requires_action",
        /// It was given up.
        Canceled = "canceled",
        /// It is set up.
        Succeeded = "succeeded",
    }
}

crate::choice! {
    /// What a payment method is set up for.
    pub enum Usage {
        /// Payments while its owner is away.
        OffSession = "off_session",
        /// Payments while its owner is there.
        OnSession = "on_session",
    }
}

crate::choice! {
    /// Why a setup intent is given up.
    pub enum CancellationReason {
        /// Nobody came back.
        Abandoned = "abandoned",
        /// There is another.
        Duplicate = "duplicate",
        /// The owner wants it.
        RequestedByCustomer = "requested_by_customer",
    }
}

/// The intent to make a payment method ready for payments to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupIntent {
    /// Its id.
    pub id: Id<SetupIntentKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// How far it is.
    pub status: Status,
    /// Whose the payment method becomes.
    pub customer: Option<Id<Customer>>,
    /// What is set up.
    pub payment_method: Option<Id<PaymentMethodKind>>,
    /// What for.
    pub usage: Usage,
    /// What lets somebody without a secret key read it.
    pub client_secret: String,
    /// What nobody searches by.
    pub details: Details,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}
