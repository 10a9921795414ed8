//! Drawing up invoices: usage and quantities become lines, lines become a bill.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::describe::{LineContext, describe};
use taximeter_kernel::id::Id;
use taximeter_kernel::invoice::{number, settle};
use taximeter_kernel::price::UsageType;
use taximeter_kernel::rate::{Part, RatedLine, billable_quantity, rate};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::Series;

use super::{BillingReason, CustomerSnapshot, Invoice, Line, Status, sql, too_large};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Kind, Result};
use crate::params::Choice as _;
use crate::subscriptions::{CollectionMethod, Item, Subscription};
use crate::{meters, outbox, products};

/// How long a draft waits before it is finalized, in seconds.
pub(super) const DRAFT_S: i64 = 3_600;

/// What an invoice is drawn up from.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// Who is billed.
    pub customer: &'a Customer,
    /// The subscription it is for.
    pub subscription: &'a Subscription,
    /// Why.
    pub billing_reason: BillingReason,
    /// The span of which pending items could go on it.
    pub period: Period,
    /// When.
    pub created: Timestamp,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// The quantity that an item is billed for: its own when licensed, the usage of `period` when
/// metered.
///
/// # Errors
/// A 500 when the usage cannot be read.
async fn quantity_of(ctx: &mut Ctx, item: &Item, sub: &Subscription, period: Period) -> Result<Decimal> {
    let Some(meter) = item.price.meter() else {
        return Ok(Decimal::from(item.quantity.unwrap_or(1)));
    };
    let meter = meters::retrieve(ctx, meter.as_str()).await?;
    let series = Series {
        scope: ctx.scope().clone(),
        meter: meter.id.clone(),
        customer: sub.customer.clone(),
    };
    let total = ctx
        .usage()
        .total(&series, meter.event_time_window, period)
        .map_err(Error::internal)?;
    Ok(billable_quantity(total.value(meter.formula)))
}

/// The lines that an item puts on an invoice for `period`.
///
/// # Errors
/// A 400 when an amount does not fit, a 500 when the usage cannot be read.
pub async fn lines_of_item(
    ctx: &mut Ctx,
    sub: &Subscription,
    item: &Item,
    period: Period,
) -> Result<Vec<Line>> {
    let quantity = quantity_of(ctx, item, sub, period).await?;
    let scheme = item.price.scheme_in(sub.currency).ok_or_else(|| {
        Error::internal(format!("price {} has no amount in {:?}", item.price.id, sub.currency))
    })?;
    let rated = rate(scheme, quantity).map_err(|error| too_large().because(error))?;
    lines(ctx, sub, item, period, rated).await
}

/// The line of a metered item on the invoice with which a subscription in classic mode begins:
/// nothing was used yet, and nothing is billed.
///
/// # Errors
/// A 500 when the product cannot be read.
pub(super) async fn line_of_no_usage_yet(
    ctx: &mut Ctx,
    sub: &Subscription,
    item: &Item,
    period: Period,
) -> Result<Vec<Line>> {
    let nothing = RatedLine {
        quantity: Decimal::ZERO,
        amount_minor: 0,
        unit_amount: None,
        part: Part::Whole,
    };
    lines(ctx, sub, item, period, vec![nothing]).await
}

async fn lines(
    ctx: &mut Ctx,
    sub: &Subscription,
    item: &Item,
    period: Period,
    rated: Vec<RatedLine>,
) -> Result<Vec<Line>> {
    let product = products::retrieve_any(ctx, item.price.product.as_str()).await?;
    let scheme = item.price.scheme_in(sub.currency).unwrap_or(&item.price.scheme);
    let recurring = item.price.recurring.as_ref();
    let context = LineContext {
        product_name: &product.name,
        unit_label: product.unit_label.as_deref(),
        currency: sub.currency,
        scheme,
        recurrence: recurring.map(|r| r.recurrence),
        usage_type: recurring.map_or(UsageType::Licensed, |r| r.usage_type),
    };
    let mut lines = Vec::with_capacity(rated.len());
    for part in rated {
        lines.push(Line {
            id: ctx.new_id(),
            amount: part.amount_minor,
            quantity: part.quantity,
            description: describe(&part, &context),
            period,
            price: item.price.id.clone(),
            product: item.price.product.clone(),
            unit_amount: part.unit_amount,
            subscription: sub.id.clone(),
            subscription_item: item.id.clone(),
            metadata: sub.metadata.clone(),
        });
    }
    Ok(lines)
}

impl Draft<'_> {
    /// The invoice as a draft under `id`, with what would be due if it were finalized now.
    ///
    /// # Errors
    /// A 400 when an amount does not fit.
    pub fn invoice(self, id: Id<taximeter_kernel::id::Invoice>) -> Result<Invoice> {
        let Self { customer, subscription, billing_reason, period, created, lines } = self;
        let subtotal = lines
            .iter()
            .try_fold(0_i64, |sum, line| sum.checked_add(line.amount))
            .ok_or_else(too_large)?;
        let settled = settle(subtotal, customer.balance, subscription.currency)
            .map_err(|error| too_large().because(error))?;
        Ok(Invoice {
            seq: 0,
            id,
            livemode: subscription.livemode,
            customer: customer.id.clone(),
            subscription: Some(subscription.id.clone()),
            status: Status::Draft,
            billing_reason,
            collection_method: subscription.collection_method,
            currency: subscription.currency,
            number: None,
            description: None,
            subtotal,
            total: subtotal,
            amount_due: settled.amount_due,
            amount_paid: 0,
            starting_balance: customer.balance,
            ending_balance: None,
            auto_advance: true,
            attempted: false,
            period,
            due_date: None,
            days_until_due: subscription.days_until_due,
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            automatically_finalizes_at: None,
            customer_snapshot: snapshot(customer),
            subscription_metadata: subscription.metadata.clone(),
            metadata: std::collections::BTreeMap::new(),
            created,
            lines,
        })
    }
}

fn snapshot(customer: &Customer) -> CustomerSnapshot {
    CustomerSnapshot {
        address: customer.address.clone(),
        email: customer.email.clone(),
        name: customer.name.clone(),
        phone: customer.phone.clone(),
        shipping: customer.shipping.clone(),
        tax_exempt: customer.tax_exempt.as_str().to_owned(),
    }
}

impl Invoice {
    /// Whether finalizing it would leave nothing to pay.
    #[must_use]
    pub const fn is_settled_by_balance(&self) -> bool {
        self.amount_due == 0
    }

    /// Numbers the invoice and settles it against the customer's balance. With nothing due it is
    /// paid at once. The caller saves the customer.
    ///
    /// # Errors
    /// A 400 when an amount does not fit.
    pub fn finalize(&mut self, customer: &mut Customer, now: Timestamp) -> Result<()> {
        let settled = settle(self.total, customer.balance, self.currency)
            .map_err(|error| too_large().because(error))?;
        self.number = Some(number(&customer.invoice_prefix, customer.next_invoice_sequence));
        customer.next_invoice_sequence =
            customer.next_invoice_sequence.checked_add(1).ok_or_else(too_large)?;
        customer.balance = settled.ending_balance;
        self.starting_balance = settled.starting_balance;
        self.ending_balance = Some(settled.ending_balance);
        self.amount_due = settled.amount_due;
        self.finalized_at = Some(now);
        self.automatically_finalizes_at = None;
        self.auto_advance = false;
        self.status = Status::Open;
        if settled.amount_due == 0 {
            self.status = Status::Paid;
            self.paid_at = Some(now);
            self.attempted = true;
        }
        if self.collection_method == CollectionMethod::SendInvoice {
            let days = self.days_until_due.unwrap_or(0);
            let due = days.checked_mul(taximeter_kernel::time::DAY_S).and_then(|s| now.0.checked_add(s));
            self.due_date = Some(Timestamp(due.ok_or_else(too_large)?));
        }
        Ok(())
    }
}

/// Writes an invoice that is finalized in the same step, and the events that tell of it.
///
/// # Errors
/// A 400 when an amount does not fit.
pub async fn write_finalized(ctx: &mut Ctx, mut invoice: Invoice, customer: &mut Customer) -> Result<Invoice> {
    let before = customer.clone();
    let drafted = invoice.wire();
    invoice.finalize(customer, ctx.now)?;
    customers::save(ctx, &before, customer).await?;
    sql::insert(ctx, &invoice).await?;
    let wire = invoice.wire();
    outbox::push(ctx, "invoice.created", &drafted).await?;
    outbox::push(ctx, "invoice.finalized", &wire).await?;
    if invoice.status == Status::Paid {
        outbox::push(ctx, "invoice.paid", &wire).await?;
        outbox::push(ctx, "invoice.payment_succeeded", &wire).await?;
    }
    Ok(invoice)
}

/// Writes an invoice that stays a draft for the draft hour.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn write_draft(ctx: &mut Ctx, mut invoice: Invoice) -> Result<Invoice> {
    invoice.automatically_finalizes_at = Some(Timestamp(ctx.now.0.saturating_add(DRAFT_S)));
    sql::insert(ctx, &invoice).await?;
    outbox::push(ctx, "invoice.created", &invoice.wire()).await?;
    Ok(invoice)
}

/// Stripe's refusal of an invoice that nothing can pay.
pub(crate) fn no_payment_source() -> Error {
    Error::new(
        Kind::InvalidRequest,
        "This customer has no attached payment source or default payment method. Please consider \
         adding a default payment method. For more information, visit \
         https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.",
    )
    .code("resource_missing")
}
