//! Drawing up invoices: usage and quantities become lines, lines become a bill.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::describe::{LineContext, describe};
use taximeter_kernel::id::{Id, Invoice as InvoiceKind};
use taximeter_kernel::invoice::settle;
use taximeter_kernel::price::{Scheme, UsageType};
use taximeter_kernel::rate::{Part, RatedLine, billable_quantity, rate};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{Series, UsageQuery};

use super::issue::due_date;
use super::{BillingReason, CustomerSnapshot, Invoice, Line, Status, too_large};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Error, Result};
use crate::meters;
use crate::products::{self, Product};
use crate::subscriptions::{BillingModeType, Item, Subscription};

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

/// The lines with which a subscription begins, newest item first: licensed items for their first
/// period, and in classic mode a line of nothing for each metered one.
///
/// # Errors
/// A 400 when an amount does not fit.
pub async fn first_lines(ctx: &mut Ctx, sub: &Subscription) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for item in sub.items.iter().rev() {
        match (item.price.usage_type(), sub.billing_mode) {
            (UsageType::Licensed, _) => {
                lines.extend(lines_of_item(ctx, sub, item, item.current_period).await?);
            }
            (UsageType::Metered, BillingModeType::Classic) => {
                lines.push(line_of_no_usage_yet(ctx, sub, item).await?);
            }
            (UsageType::Metered, BillingModeType::Flexible) => {}
        }
    }
    Ok(lines)
}

/// The quantity that an item is billed for: its own when licensed, the usage of `period` when
/// metered.
async fn quantity_of(
    ctx: &mut Ctx,
    sub: &Subscription,
    item: &Item,
    period: Period,
) -> Result<Decimal> {
    let Some(meter) = item.price.meter() else {
        return Ok(Decimal::from(item.quantity.unwrap_or(1)));
    };
    let meter = meters::retrieve(ctx, meter.as_str()).await?;
    let series = Series {
        scope: ctx.scope().clone(),
        meter: meter.id.clone(),
        customer: sub.customer.clone(),
    };
    let query = UsageQuery::of(series, meter.aggregation());
    let usage = ctx.usage().usage_in(&query, period).map_err(Error::internal)?;
    Ok(billable_quantity(usage.quantity))
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
    let quantity = quantity_of(ctx, sub, item, period).await?;
    let writer = Writer::of(ctx, sub, item).await?;
    let rated = rate(writer.scheme, quantity).map_err(|error| too_large().because(error))?;
    Ok(rated.into_iter().map(|part| writer.line(ctx, part, period)).collect())
}

/// The line of a metered item on the invoice with which a subscription in classic mode begins:
/// nothing was used yet, and nothing is billed, be it tiered with a flat amount.
async fn line_of_no_usage_yet(ctx: &mut Ctx, sub: &Subscription, item: &Item) -> Result<Line> {
    let writer = Writer::of(ctx, sub, item).await?;
    let unit_amount = match writer.scheme {
        Scheme::PerUnit { unit_amount, .. } => Some(*unit_amount),
        Scheme::Tiered { .. } => None,
    };
    let nothing =
        RatedLine { quantity: Decimal::ZERO, amount_minor: 0, unit_amount, part: Part::Whole };
    Ok(writer.line(ctx, nothing, item.current_period))
}

/// Writes the lines of one item.
struct Writer<'a> {
    sub: &'a Subscription,
    item: &'a Item,
    scheme: &'a Scheme,
    product: Product,
}

impl<'a> Writer<'a> {
    async fn of(ctx: &mut Ctx, sub: &'a Subscription, item: &'a Item) -> Result<Self> {
        let scheme = item.price.scheme_in(sub.currency).ok_or_else(|| {
            let code = sub.currency.code();
            Error::internal(format!("price {} has no amount in {code}", item.price.id))
        })?;
        let product = products::retrieve_any(ctx, item.price.product.as_str()).await?;
        Ok(Self { sub, item, scheme, product })
    }

    fn line(&self, ctx: &Ctx, part: RatedLine, period: Period) -> Line {
        let price = &self.item.price;
        let what = LineContext {
            product_name: &self.product.name,
            unit_label: self.product.unit_label.as_deref(),
            currency: self.sub.currency,
            scheme: self.scheme,
            recurrence: price.recurring.as_ref().map(|recurring| recurring.recurrence),
            usage_type: price.usage_type(),
        };
        Line {
            id: ctx.new_id(),
            amount: part.amount_minor,
            quantity: part.quantity,
            description: describe(&part, &what),
            period,
            price: price.id.clone(),
            product: price.product.clone(),
            unit_amount: part.unit_amount,
            subscription: Some(self.sub.id.clone()),
            subscription_item: self.item.id.clone(),
        }
    }
}

impl Draft<'_> {
    /// The invoice as a draft under `id`. Nothing moves it on by itself yet, and it does not say so.
    ///
    /// # Errors
    /// A 400 when it amounts to more than finalizing could settle.
    pub fn invoice(self, id: Id<InvoiceKind>) -> Result<Invoice> {
        let Self { customer, subscription, billing_reason, period, created, lines } = self;
        let subtotal = lines
            .iter()
            .try_fold(0_i64, |sum, line| sum.checked_add(line.amount))
            .ok_or_else(too_large)?;
        settle(subtotal, customer.balance, subscription.currency)
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
            amount_due: subtotal.max(0),
            amount_paid: 0,
            starting_balance: customer.balance,
            ending_balance: None,
            auto_advance: false,
            attempted: false,
            period,
            due_date: due_date(subscription.days_until_due, created)?,
            days_until_due: subscription.days_until_due,
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            automatically_finalizes_at: None,
            customer_snapshot: CustomerSnapshot::of(customer),
            subscription_metadata: subscription.metadata.clone(),
            metadata: std::collections::BTreeMap::new(),
            created,
            lines,
        })
    }
}
