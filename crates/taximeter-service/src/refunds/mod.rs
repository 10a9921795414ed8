//! Refunds: money that is given back.

mod sql;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use taximeter_db::Arg;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{
    Charge as ChargeKind, Customer, Id, Kind as _, PaymentIntent as PaymentIntentKind,
    PaymentMethod, Refund as RefundKind,
};
use taximeter_kernel::money::{Currency, format_amount};
use taximeter_kernel::time::Timestamp;

use crate::charges::{self, Charge};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::params::{Choice, Metadata, MetadataChange, Range, Text};
use crate::payments::Provider;
use crate::{customers, outbox, payment_intents, test_clocks};

crate::choice! {
    /// What came of a refund.
    pub enum Status {
        /// It is on its way.
        Pending = "pending",
        /// It went back.
        Succeeded = "succeeded",
    }
}

crate::choice! {
    /// Why money is given back.
    pub enum Reason {
        /// It was paid twice.
        Duplicate = "duplicate",
        /// It was not theirs who paid.
        Fraudulent = "fraudulent",
        /// They want it.
        RequestedByCustomer = "requested_by_customer",
    }
}

crate::params! {
    /// What a new refund is made of.
    pub struct Create {
        /// How much; all that is left unless told.
        pub amount: Option<i64>,
        /// Of which charge.
        pub charge: Option<Text<255>>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// Of which payment intent.
        pub payment_intent: Option<Text<255>>,
        /// Why.
        pub reason: Option<Reason>,
    }
}

crate::params! {
    /// What of a refund changes.
    pub struct Update {
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
    }
}

crate::params! {
    /// A list of refunds.
    pub struct List with page {
        /// Only refunds of this charge.
        pub charge: Option<Text<255>>,
        /// Only refunds made in this span.
        pub created: Range,
        /// Only refunds of this payment intent.
        pub payment_intent: Option<Text<255>>,
    }
}

/// Money that is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Its id.
    pub id: Id<RefundKind>,
    /// What came of it.
    pub status: Status,
    /// How much, in minor units.
    pub amount: i64,
    /// Of what.
    pub currency: Currency,
    /// Of which charge.
    pub charge: Id<ChargeKind>,
    /// Of which payment intent.
    pub payment_intent: Id<PaymentIntentKind>,
    /// To whom: whose the charge is.
    pub customer: Option<Id<Customer>>,
    /// To what: what the charge was paid with.
    pub payment_method: Id<PaymentMethod>,
    /// Why.
    pub reason: Option<Reason>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

impl Refund {
    /// The object `refund`.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": null,
            "charge": self.charge.as_str(),
            "created": self.created.0,
            "currency": self.currency.code(),
            "customer": self.customer.as_ref().map(Id::as_str),
            "customer_account": null,
            "destination_details": { "card": { "type": "refund" }, "type": "card" },
            "metadata": self.metadata,
            "payment_intent": self.payment_intent.as_str(),
            "payment_method": self.payment_method.as_str(),
            "reason": self.reason.map(Choice::as_str),
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status.as_str(),
            "transfer_reversal": null,
        })
    }
}

/// Gives the money of a charge back, or a part of it.
///
/// # Errors
/// A 400 when there is no such charge, or less is left of it.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Refund> {
    let charge = match (input.charge.as_deref(), input.payment_intent.as_deref()) {
        (Some(charge), None) => charges::locked(ctx, charge, "charge").await?,
        (None, Some(intent)) => charge_of(ctx, intent).await?,
        (None, None) => {
            return Err(Error::invalid(
                "One of the following params should be provided for this request: payment_intent \
                 or charge.",
            )
            .code("parameter_missing"));
        }
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "You may only specify one of these parameters: charge, payment_intent.",
            )
            .code("parameters_exclusive")
            .param("charge"));
        }
    };
    give_back(ctx, charge, input.amount, (input.reason, input.metadata.0)).await
}

/// The charge that paid an intent.
async fn charge_of(ctx: &mut Ctx, intent: &str) -> Result<Charge> {
    let intent = payment_intents::locked(ctx, intent, "payment_intent").await?;
    let paid = match &intent.latest_charge {
        Some(charge) => Some(charges::locked(ctx, charge.as_str(), "charge").await?),
        None => None,
    };
    paid.filter(|charge| charge.status == charges::Status::Succeeded).ok_or_else(|| {
        Error::invalid(format!(
            "This PaymentIntent ({}) does not have a successful charge to refund.",
            intent.id
        ))
        .param("payment_intent")
    })
}

/// Gives `amount` of a charge back, or all that is left of it.
///
/// # Errors
/// A 400 when less is left.
pub(crate) async fn give_back(
    ctx: &mut Ctx,
    mut charge: Charge,
    amount: Option<i64>,
    (reason, metadata): (Option<Reason>, BTreeMap<String, String>),
) -> Result<Refund> {
    let amount = checked_amount(&charge, amount)?;
    if let Some(customer) = &charge.customer {
        let customer = customers::retrieve_any(ctx, customer.as_str()).await?;
        test_clocks::follow(ctx, &customer).await?;
    }
    let refund = Refund {
        id: ctx.new_id(),
        status: Provider::of(ctx.scope().mode).refund()?,
        amount,
        currency: charge.currency,
        charge: charge.id.clone(),
        payment_intent: charge.payment_intent.clone(),
        customer: charge.customer.clone(),
        payment_method: charge.payment_method.clone(),
        reason,
        metadata,
        created: ctx.now,
    };
    charge.amount_refunded = charge.amount_refunded.checked_add(amount).ok_or_else(|| {
        Error::internal(format!("more was given back of {} than can be counted", charge.id))
    })?;
    sql::insert(ctx, &refund).await?;
    outbox::push(ctx, "refund.created", &refund.wire()).await?;
    charges::give_back(ctx, &charge).await?;
    Ok(refund)
}

/// How much is given back: what is asked for, where so much is left.
fn checked_amount(charge: &Charge, amount: Option<i64>) -> Result<i64> {
    if charge.status != charges::Status::Succeeded || !charge.captured {
        return Err(Error::invalid(format!(
            "Charge {} has not been captured, so there is nothing to refund.",
            charge.id
        ))
        .code("charge_not_refundable"));
    }
    let left = charge.refundable();
    if left <= 0 {
        return Err(Error::invalid(format!("Charge {} has already been refunded.", charge.id))
            .code("charge_already_refunded"));
    }
    let amount = amount.unwrap_or(left);
    if amount < 1 {
        return Err(Error::invalid("This value must be greater than or equal to 1.")
            .code("parameter_invalid_integer")
            .param("amount"));
    }
    if amount > left {
        let shown = |minor: i64| format_amount(Decimal::from(minor), charge.currency);
        let what = if charge.amount_refunded == 0 { "charge amount" } else { "unrefunded amount" };
        let on = if charge.amount_refunded == 0 { "" } else { "on charge " };
        return Err(Error::invalid(format!(
            "Refund amount ({}) is greater than {what} {on}({})",
            shown(amount),
            shown(left)
        ))
        .param("amount"));
    }
    Ok(amount)
}

/// Reads a refund whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Refund> {
    match sql::find(ctx, id).await? {
        Some(refund) => Ok(refund),
        None => Err(ctx.no_such_path(RefundKind::NOUN, id).await?),
    }
}

/// Changes a refund's metadata.
///
/// # Errors
/// A 404 when there is none.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Refund> {
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    let mut refund = before.clone();
    input.metadata.apply(&mut refund.metadata)?;
    sql::update(ctx, &refund).await?;
    outbox::push_update(ctx, "refund.updated", &before.wire(), &refund.wire()).await?;
    Ok(refund)
}

/// Lists refunds, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::from(input.charge.as_deref()),
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.payment_intent.as_deref()),
    ];
    let page = input.page()?;
    let slice = ctx.page(&page, RefundKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    let data = slice.rows.iter().map(Refund::wire).collect();
    Ok(Page { url: "/v1/refunds".to_owned(), has_more: slice.has_more, data })
}
