//! Invoice payments: what of an invoice each payment covers.

mod sql;

use serde_json::{Value, json};
use taximeter_db::Arg;
use taximeter_kernel::id::{
    Id, Invoice, InvoicePayment as InvoicePaymentKind, Kind as _,
    PaymentIntent as PaymentIntentKind,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::outbox;
use crate::page::List as Page;
use crate::params::{Choice, Range, Text};
use crate::payment_intents::PaymentIntent;
use crate::wire::seconds;

crate::choice! {
    /// How far a payment of an invoice is.
    pub enum Status {
        /// Nothing came in.
        Open = "open",
        /// It came in.
        Paid = "paid",
        /// It was given up.
        Canceled = "canceled",
    }
}

crate::choice! {
    /// What pays.
    pub enum PaymentType {
        /// A payment intent.
        PaymentIntent = "payment_intent",
    }
}

crate::params! {
    /// By what an invoice is paid.
    pub struct PaymentFilter {
        /// The payment intent.
        pub payment_intent: Option<Text<255>>,
        /// What pays.
        pub r#type: PaymentType,
    }
}

crate::params! {
    /// A list of payments of invoices.
    pub struct List with page {
        /// Only payments made in this span.
        pub created: Range,
        /// Only payments of this invoice.
        pub invoice: Option<Text<255>>,
        /// Only what is paid by this.
        pub payment: Option<PaymentFilter>,
        /// Only payments in this status.
        pub status: Option<Status>,
    }
}

/// What of an invoice one payment covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoicePayment {
    /// Its id.
    pub id: Id<InvoicePaymentKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// What it pays.
    pub invoice: Id<Invoice>,
    /// By what.
    pub payment_intent: Id<PaymentIntentKind>,
    /// What lets the one who pays confirm the payment intent: the invoice's `confirmation_secret`.
    pub client_secret: String,
    /// How far it is.
    pub status: Status,
    /// How much is to come in, in minor units.
    pub amount_requested: i64,
    /// How much came in.
    pub amount_paid: Option<i64>,
    /// Of what.
    pub currency: Currency,
    /// Whether it follows what remains to be paid of the invoice.
    pub is_default: bool,
    /// When it came in.
    pub paid_at: Option<Timestamp>,
    /// When it was given up.
    pub canceled_at: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

impl InvoicePayment {
    /// The object `invoice_payment`.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "invoice_payment",
            "amount_paid": self.amount_paid,
            "amount_requested": self.amount_requested,
            "created": self.created.0,
            "currency": self.currency.code(),
            "invoice": self.invoice.as_str(),
            "is_default": self.is_default,
            "livemode": self.livemode,
            "payment": {
                "payment_intent": self.payment_intent.as_str(),
                "type": PaymentType::PaymentIntent.as_str(),
            },
            "status": self.status.as_str(),
            "status_transitions": {
                "canceled_at": seconds(self.canceled_at),
                "paid_at": seconds(self.paid_at),
            },
        })
    }
}

/// Notes that a payment intent is to pay an invoice.
pub(crate) async fn open(
    ctx: &mut Ctx,
    invoice: &Id<Invoice>,
    intent: &PaymentIntent,
) -> Result<InvoicePayment> {
    let payment = InvoicePayment {
        id: ctx.new_id(),
        livemode: intent.livemode,
        invoice: invoice.clone(),
        payment_intent: intent.id.clone(),
        client_secret: intent.client_secret.clone(),
        status: Status::Open,
        amount_requested: intent.amount,
        amount_paid: None,
        currency: intent.currency,
        is_default: true,
        paid_at: None,
        canceled_at: None,
        created: ctx.now,
    };
    sql::insert(ctx, &payment).await?;
    Ok(payment)
}

/// Brings the open payment of an intent in line with the intent's amount.
pub(crate) async fn follow(ctx: &mut Ctx, intent: &PaymentIntent) -> Result<()> {
    for mut payment in sql::lock_open(ctx, &intent.id).await? {
        payment.amount_requested = intent.amount;
        sql::update(ctx, &payment).await?;
    }
    Ok(())
}

/// Notes that what an intent was to pay came in.
pub(crate) async fn paid(ctx: &mut Ctx, intent: &PaymentIntent) -> Result<()> {
    for mut payment in sql::lock_open(ctx, &intent.id).await? {
        payment.status = Status::Paid;
        payment.amount_paid = Some(intent.amount_received);
        payment.paid_at = Some(ctx.now);
        sql::update(ctx, &payment).await?;
        outbox::push(ctx, "invoice_payment.paid", &payment.wire()).await?;
    }
    Ok(())
}

/// Notes that what an intent was to pay will not come in.
pub(crate) async fn canceled(ctx: &mut Ctx, intent: &Id<PaymentIntentKind>) -> Result<()> {
    for mut payment in sql::lock_open(ctx, intent).await? {
        payment.status = Status::Canceled;
        payment.canceled_at = Some(ctx.now);
        sql::update(ctx, &payment).await?;
    }
    Ok(())
}

/// The payments of an invoice, oldest first.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn of_invoice(ctx: &mut Ctx, invoice: &Id<Invoice>) -> Result<Vec<InvoicePayment>> {
    sql::of_invoice(ctx, invoice).await
}

/// Reads an invoice payment whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<InvoicePayment> {
    match sql::find(ctx, id).await? {
        Some(payment) => Ok(payment),
        None => Err(ctx.no_such_path(InvoicePaymentKind::NOUN, id).await?),
    }
}

/// Lists payments of invoices, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let intent = match &input.payment {
        None => None,
        Some(PaymentFilter { payment_intent: Some(id), r#type: PaymentType::PaymentIntent }) => {
            Some(id.to_string())
        }
        Some(PaymentFilter { payment_intent: None, .. }) => {
            return Err(Error::missing("payment[payment_intent]"));
        }
    };
    let filters = [
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.invoice.as_deref()),
        Arg::Text(intent),
        Arg::from(input.status.map(Choice::as_str)),
    ];
    let page = input.page()?;
    let slice = ctx.page(&page, InvoicePaymentKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    let data = slice.rows.iter().map(InvoicePayment::wire).collect();
    let url = match input.invoice.as_deref() {
        None => "/v1/invoice_payments".to_owned(),
        Some(invoice) => format!("/v1/invoice_payments?invoice={invoice}"),
    };
    Ok(Page { url, has_more: slice.has_more, data })
}
