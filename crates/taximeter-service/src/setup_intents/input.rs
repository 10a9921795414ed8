//! What a request may say about a setup intent.

use super::{CancellationReason, Usage};
use crate::params::{Clear, Metadata, MetadataChange, Range, Text};
use crate::payment_intents::AutomaticInput;
use crate::payment_methods::Type;

crate::params! {
    /// What a new setup intent is made of.
    pub struct Create {
        /// What types of payment methods can be set up.
        pub allowed_payment_method_types: Option<Vec<Type>>,
        /// Whether the server chooses the types of payment methods.
        pub automatic_payment_methods: Option<AutomaticInput>,
        /// Whether it is confirmed at once.
        pub confirm: Option<bool>,
        /// Whose the payment method becomes.
        pub customer: Option<Text<255>>,
        /// A note of the operator's.
        pub description: Option<Text<1000>>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// What is set up.
        pub payment_method: Option<Text<255>>,
        /// As `allowed_payment_method_types`, in the versions before it.
        pub payment_method_types: Option<Vec<Type>>,
        /// Where its owner comes back to.
        pub return_url: Option<Text<2048>>,
        /// What it is set up for.
        pub usage: Option<Usage>,
    }
}

crate::params! {
    /// What of a setup intent changes.
    pub struct Update {
        /// What types of payment methods can be set up.
        pub allowed_payment_method_types: Option<Vec<Type>>,
        /// Whose the payment method becomes.
        pub customer: Option<Text<255>>,
        /// A note of the operator's.
        pub description: Clear<Text<1000>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// What is set up.
        pub payment_method: Option<Text<255>>,
        /// As `allowed_payment_method_types`, in the versions before it.
        pub payment_method_types: Option<Vec<Type>>,
    }
}

crate::params! {
    /// How a setup intent is read.
    pub struct Retrieve {
        /// The intent's own secret.
        pub client_secret: Option<Text<255>>,
    }
}

crate::params! {
    /// How a setup intent is confirmed.
    pub struct Confirm {
        /// What types of payment methods can be set up.
        pub allowed_payment_method_types: Option<Vec<Type>>,
        /// What is set up.
        pub payment_method: Option<Text<255>>,
        /// Where its owner comes back to.
        pub return_url: Option<Text<2048>>,
    }
}

crate::params! {
    /// How a setup intent is given up.
    pub struct Cancel {
        /// Why.
        pub cancellation_reason: Option<CancellationReason>,
    }
}

crate::params! {
    /// A list of setup intents.
    pub struct List with page {
        /// Only those made in this span.
        pub created: Range,
        /// Only those of this customer.
        pub customer: Option<Text<255>>,
        /// Only those of this payment method.
        pub payment_method: Option<Text<255>>,
    }
}
