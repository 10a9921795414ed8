//! Typed, prefixed ids and the one registry of their kinds.
//!
//! `Id<Customer>` and `Id<Price>` are different types, so one cannot be passed for the other. The
//! text is what a client sees: a prefix that names the kind, an underscore, letters and digits.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// The longest id accepted from a client, in bytes (Stripe's documented bound).
pub const ID_BYTES_MAX: usize = 255;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A kind of object that has ids.
pub trait Kind: 'static {
    /// What stands before the underscore: `cus` in `cus_NffrFeUfNV2Hib`.
    const PREFIX: &'static str;
    /// The name of the object in messages: "No such customer: 'cus_x'".
    const NOUN: &'static str;
    /// How many random letters and digits a generated id has.
    const RANDOM_CHARS: usize;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $prefix:literal $noun:literal $chars:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
            const NOUN: &'static str = $noun;
            const RANDOM_CHARS: usize = $chars;
        }
    )*};
}

kinds! {
    /// One tenant of the installation.
    Account "acct" "account" 16;
    /// A key with which a program authenticates. The id names the key; it is not the secret.
    ApiKey "key" "API key" 24;
    /// One movement of money from a payment method.
    Charge "ch" "charge" 24;
    /// What can be taken off. Its id is of the caller's choosing or random, without the prefix.
    Coupon "coupon" "coupon" 8;
    /// Who is billed.
    Customer "cus" "customer" 14;
    /// One change of a customer's balance.
    CustomerBalanceTransaction "cbtxn" "customer balance transaction" 24;
    /// What is taken back of a bill.
    CreditNote "cn" "credit note" 24;
    /// One line of what is taken back.
    CreditNoteLine "cnli" "credit_note_line_item" 24;
    /// A coupon as it was applied.
    Discount "di" "discount" 24;
    /// A record of something that happened, kept for delivery.
    Event "evt" "event" 24;
    /// A bill.
    Invoice "in" "invoice" 24;
    /// What goes on a bill besides a subscription's own lines.
    InvoiceItem "ii" "invoiceitem" 24;
    /// One line of a bill.
    InvoiceLine "il" "line_item" 24;
    /// What of a bill one payment covers.
    InvoicePayment "inpay" "invoice_payment" 24;
    /// What turns events into a quantity.
    Meter "mtr" "billing meter" 24;
    /// An order to cancel an event, as v2 names it.
    MeterEventAdjustment "mtr_event_adj" "meter event adjustment" 24;
    /// Usage of a past span that comes in at once.
    MeterEventBackfill "mevtbf" "meter event backfill" 24;
    /// An event that was accepted and could not be counted.
    MeterEventError "mevterr" "meter event error" 24;
    /// What was told of events that could not be counted.
    MeterErrorReport "mtrerr" "meter error report" 24;
    /// A stay of 15 minutes on the stream of events.
    MeterEventSession "mes" "meter event session" 24;
    /// A record of usage, by its place in the order of arrival.
    MeterEvent "mevt" "meter event" 14;
    /// The intent to collect an amount, over as many attempts as it takes.
    PaymentIntent "pi" "payment_intent" 24;
    /// What a customer pays with.
    PaymentMethod "pm" "PaymentMethod" 24;
    /// What a quantity costs.
    Price "price" "price" 24;
    /// What is sold.
    Product "prod" "product" 14;
    /// Money that was given back.
    Refund "re" "refund" 24;
    /// A word by which customers redeem a coupon.
    PromotionCode "promo" "promotion code" 24;
    /// One answered call, as the `Request-Id` header names it.
    Request "req" "request" 14;
    /// The intent to make a payment method ready for payments to come.
    SetupIntent "seti" "setupintent" 24;
    /// A customer's standing order for prices.
    Subscription "sub" "subscription" 24;
    /// One price within a subscription.
    SubscriptionItem "si" "subscription_item" 14;
    /// What a subscription will be, phase by phase.
    SubscriptionSchedule "sub_sched" "subscription_schedule" 24;
    /// So many per cent of tax.
    TaxRate "txr" "tax rate" 24;
    /// Time that can be moved.
    TestClock "clock" "test clock" 24;
    /// The total of a meter for a customer over a span of time.
    MeterEventSummary "mtrusg" "meter event summary" 24;
    /// A record of who corrected usage.
    UsageAuditEntry "uaud" "usage audit entry" 24;
    /// An event on its way to an endpoint, by its place in the order of writing.
    WebhookDelivery "whd" "webhook delivery" 24;
    /// Where events are sent.
    WebhookEndpoint "we" "webhook endpoint" 24;
}

/// The id of one object of kind `K`.
///
/// Holds whatever text the client or the database gave; [`Id::parse`] bounds it. Whether the object
/// exists is the database's to say.
pub struct Id<K> {
    text: Box<str>,
    kind: PhantomData<fn() -> K>,
}

/// A text that cannot be an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: ids are 1 to {ID_BYTES_MAX} letters, digits, `_`, `-`, `.`")]
pub struct InvalidId;

impl<K: Kind> Id<K> {
    /// Takes a text as an id. Prefixes are not checked, since products and others may have ids of
    /// the caller's choosing.
    ///
    /// # Errors
    /// [`InvalidId`] when the text is empty, longer than [`ID_BYTES_MAX`] or holds other characters
    /// than ASCII letters, digits, `_`, `-` and `.`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if text.is_empty() || text.len() > ID_BYTES_MAX || !text.bytes().all(plain) {
            return Err(InvalidId);
        }
        Ok(Self { text: text.into(), kind: PhantomData })
    }

    /// Makes a new id of the kind's length out of `entropy`, 32 uniformly random bytes.
    ///
    /// Each character takes one byte modulo 62, so the first eight of the 62 are slightly likelier;
    /// the shortest id (14 characters) still carries more than 82 bits.
    #[must_use]
    pub fn generate(entropy: [u8; 32]) -> Self {
        let length = K::PREFIX.len().saturating_add(1).saturating_add(K::RANDOM_CHARS);
        let mut text = String::with_capacity(length);
        text.push_str(K::PREFIX);
        text.push('_');
        for byte in entropy.iter().take(K::RANDOM_CHARS) {
            text.push(char::from(BASE62[usize::from(byte.wrapping_rem(62))]));
        }
        Self { text: text.into(), kind: PhantomData }
    }

    /// The id as clients see it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether data is real or for trying out. The two never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Trying out.
    Test,
    /// Real customers, real money.
    Live,
}

impl Mode {
    /// The wire's `livemode`.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live)
    }

    /// The mode that a stored `livemode` stands for.
    #[must_use]
    pub const fn from_live(livemode: bool) -> Self {
        if livemode { Self::Live } else { Self::Test }
    }

    /// `test` or `live`, as keys and messages spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

/// Whose data: part of every key in every store, so that no request reads another tenant's row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The tenant.
    pub account: Id<Account>,
    /// The dataset within the tenant.
    pub mode: Mode,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_id_has_the_prefix_and_length_of_its_kind() {
        let id = Id::<Customer>::generate([7; 32]);
        assert_eq!(id.as_str(), "cus_77777777777777");
        assert_eq!(Id::<Price>::generate([61; 32]).as_str(), "price_zzzzzzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn a_text_that_could_not_be_an_id_is_refused() {
        for text in ["", "cus x", "cus/x", "cus_é", &"a".repeat(256)] {
            assert_eq!(Id::<Customer>::parse(text), Err(InvalidId), "{text}");
        }
        assert!(Id::<Product>::parse("my-own_product.v2").is_ok());
    }
}
