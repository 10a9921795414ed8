//! What a request may say about a payment method.

use std::fmt;

use super::{AllowRedisplay, BillingDetails, Type};
use crate::customers::AddressInput;
use crate::error::Result;
use crate::params::{Clear, Decode, Metadata, MetadataChange, Node, Path, Schema, Text};

/// A text that no log shows: a card's number, or its code.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub(super) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Decode for Hidden {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        Text::<100>::decode(node, path).map(|text| Self(text.into()))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

crate::params! {
    /// A card, by its number or by a token.
    pub struct CardInput {
        /// The code on its back.
        pub cvc: Option<Hidden>,
        /// The last month in which it can be used.
        pub exp_month: Option<i64>,
        /// The year of that month.
        pub exp_year: Option<i64>,
        /// Its number.
        pub number: Option<Hidden>,
        /// A token that stands for it: `tok_visa`.
        pub token: Option<Text<100>>,
    }
}

crate::params! {
    /// What of a card changes.
    pub struct CardChange {
        /// The last month in which it can be used.
        pub exp_month: Option<i64>,
        /// The year of that month.
        pub exp_year: Option<i64>,
    }
}

crate::params! {
    /// Whose it is.
    pub struct BillingInput {
        /// Their address.
        pub address: Clear<AddressInput>,
        /// Their email.
        pub email: Clear<Text<512>>,
        /// Their name.
        pub name: Clear<Text<256>>,
        /// Their telephone number.
        pub phone: Clear<Text>,
        /// Their tax id.
        pub tax_id: Clear<Text<100>>,
    }
}

crate::params! {
    /// What a new payment method is made of.
    pub struct Create {
        /// Whether it may be shown to its owner again.
        pub allow_redisplay: Option<AllowRedisplay>,
        /// Whose it is.
        pub billing_details: Option<BillingInput>,
        /// The card.
        pub card: Option<CardInput>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// What it is.
        pub r#type: Type,
    }
}

crate::params! {
    /// What of a payment method changes.
    pub struct Update {
        /// Whether it may be shown to its owner again.
        pub allow_redisplay: Option<AllowRedisplay>,
        /// Whose it is.
        pub billing_details: Option<BillingInput>,
        /// The card.
        pub card: Option<CardChange>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
    }
}

crate::params! {
    /// To whom a payment method is attached.
    pub struct Attach {
        /// The customer.
        pub customer: Text<255>,
    }
}

crate::params! {
    /// Detaching takes no parameters.
    pub struct Detach {}
}

crate::params! {
    /// A list of payment methods.
    pub struct List with page {
        /// Only those that may be shown to their owner so.
        pub allow_redisplay: Option<AllowRedisplay>,
        /// Only those of this customer.
        pub customer: Option<Text<255>>,
        /// Only those of this type.
        pub r#type: Option<Type>,
    }
}

crate::params! {
    /// A list of a customer's payment methods.
    pub struct ListOfCustomer with page {
        /// Only those that may be shown to their owner so.
        pub allow_redisplay: Option<AllowRedisplay>,
        /// Only those of this type.
        pub r#type: Option<Type>,
    }
}

impl BillingInput {
    /// Puts the change on what is known of the owner.
    pub(super) fn apply(self, details: &mut BillingDetails) {
        self.address.apply(&mut details.address);
        self.email.apply(&mut details.email);
        self.name.apply(&mut details.name);
        self.phone.apply(&mut details.phone);
        self.tax_id.apply(&mut details.tax_id);
    }
}
