//! Charges: what came of each attempt to move money.

mod sql;
mod wire;

use std::collections::BTreeMap;

use taximeter_db::Arg;
use taximeter_kernel::id::{
    Charge as ChargeKind, Customer, Id, Kind as _, PaymentIntent as PaymentIntentKind,
    PaymentMethod as PaymentMethodKind,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;
pub use wire::{Details, Failure};

use crate::ctx::Ctx;
use crate::error::Result;
use crate::outbox;
use crate::page::List as Page;
use crate::params::{Range, Text};
use crate::payment_intents::{CaptureMethod, PaymentIntent};
use crate::payment_methods::PaymentMethod;
use crate::payments::Decline;

crate::choice! {
    /// What came of a charge.
    pub enum Status {
        /// The money did not move.
        Failed = "failed",
        /// It is on its way.
        Pending = "pending",
        /// It moved, or is held.
        Succeeded = "succeeded",
    }
}

crate::params! {
    /// A list of charges.
    pub struct List with page {
        /// Only charges made in this span.
        pub created: Range,
        /// Only charges of this customer.
        pub customer: Option<Text<255>>,
        /// Only charges of this payment intent.
        pub payment_intent: Option<Text<255>>,
    }
}

/// What came of one attempt to move money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Its id.
    pub id: Id<ChargeKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// What came of it.
    pub status: Status,
    /// How much was asked for, in minor units.
    pub amount: i64,
    /// How much was taken.
    pub amount_captured: i64,
    /// How much of that was given back.
    pub amount_refunded: i64,
    /// Whether it was taken, rather than held.
    pub captured: bool,
    /// Of what.
    pub currency: Currency,
    /// Who paid.
    pub customer: Option<Id<Customer>>,
    /// What it was an attempt at.
    pub payment_intent: Id<PaymentIntentKind>,
    /// Which attempt at it.
    pub attempt: i64,
    /// What with.
    pub payment_method: Id<PaymentMethodKind>,
    /// What nobody searches by.
    pub details: Details,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

impl Charge {
    /// How much can still be given back.
    #[must_use]
    pub const fn refundable(&self) -> i64 {
        self.amount_captured.saturating_sub(self.amount_refunded)
    }
}

/// Writes what came of an attempt at a payment intent, and the event that tells of it. The attempt
/// charges once: a second row for it is refused by the database.
///
/// # Errors
/// A 500 when the attempt has a charge already.
pub(crate) async fn record(
    ctx: &mut Ctx,
    intent: &PaymentIntent,
    method: &PaymentMethod,
    declined: Option<Decline>,
) -> Result<Charge> {
    let captured = declined.is_none() && intent.capture_method != CaptureMethod::Manual;
    let charge = Charge {
        id: ctx.new_id(),
        livemode: intent.livemode,
        status: if declined.is_none() { Status::Succeeded } else { Status::Failed },
        amount: intent.amount,
        amount_captured: if captured { intent.amount } else { 0 },
        amount_refunded: 0,
        captured,
        currency: intent.currency,
        customer: intent.customer.clone(),
        payment_intent: intent.id.clone(),
        attempt: intent.attempts,
        payment_method: method.id.clone(),
        details: Details::of(intent, method, declined),
        metadata: intent.metadata.clone(),
        created: ctx.now,
    };
    sql::insert(ctx, &charge).await?;
    let kind = if declined.is_none() { "charge.succeeded" } else { "charge.failed" };
    outbox::push(ctx, kind, &charge.wire()).await?;
    Ok(charge)
}

/// Takes what is held.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn capture(ctx: &mut Ctx, id: &Id<ChargeKind>, amount: i64) -> Result<Charge> {
    let mut charge = locked(ctx, id.as_str(), "charge").await?;
    let before = charge.wire();
    charge.captured = true;
    charge.amount_captured = amount;
    sql::update(ctx, &charge).await?;
    outbox::push_update(ctx, "charge.captured", &before, &charge.wire()).await?;
    Ok(charge)
}

/// Lets go of what is held: it is as if it were given back.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn release(ctx: &mut Ctx, id: &Id<ChargeKind>) -> Result<()> {
    let mut charge = locked(ctx, id.as_str(), "charge").await?;
    charge.amount_refunded = charge.amount;
    give_back(ctx, &charge).await
}

/// Writes how much of a charge was given back, and the event that tells of it.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn give_back(ctx: &mut Ctx, charge: &Charge) -> Result<()> {
    let Some(before) = sql::find(ctx, charge.id.as_str()).await? else { return Ok(()) };
    sql::update(ctx, charge).await?;
    outbox::push_update(ctx, "charge.refunded", &before.wire(), &charge.wire()).await
}

/// Reads a charge whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Charge> {
    match sql::find(ctx, id).await? {
        Some(charge) => Ok(charge),
        None => Err(ctx.no_such_path(ChargeKind::NOUN, id).await?),
    }
}

/// Reads a charge whose id came as a parameter, held until the transaction ends.
///
/// # Errors
/// A 400 when there is none.
pub async fn locked(ctx: &mut Ctx, id: &str, param: &str) -> Result<Charge> {
    match sql::lock(ctx, id).await? {
        Some(charge) => Ok(charge),
        None => Err(ctx.no_such(ChargeKind::NOUN, id, param).await?),
    }
}

/// Lists charges, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.customer.as_deref()),
        Arg::from(input.payment_intent.as_deref()),
    ];
    let page = input.page()?;
    let slice = ctx.page(&page, ChargeKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    let data = slice.rows.iter().map(Charge::wire).collect();
    Ok(Page { url: "/v1/charges".to_owned(), has_more: slice.has_more, data })
}
