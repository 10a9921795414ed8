//! Drawing up invoices: usage and quantities become lines, lines become a bill.

use sha2::{Digest as _, Sha256};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::describe::{self, LineContext, describe};
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Invoice as InvoiceKind, Subscription as SubscriptionKind,
    SubscriptionItem,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::{Scheme, UsageType};
use taximeter_kernel::rate::{Part, RatedLine, billable_quantity, rate};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{Series, UsageQuery};

use super::details::{Details, LineDetails};
use super::finalize::due_date;
use super::{BillingReason, CustomerSnapshot, Invoice, Line, Status, too_large};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Error, Result};
use crate::meters;
use crate::prices::Price;
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

/// What is asked for to know what a customer used of what a metered price is for: as of a place in the
/// order of arrival, if one is given. Nothing for a price that no meter counts.
///
/// # Errors
/// A 500 when the meter cannot be read.
pub(super) async fn query_of(
    ctx: &mut Ctx,
    customer: &Id<CustomerKind>,
    price: &Price,
    as_of: Option<u64>,
) -> Result<Option<UsageQuery>> {
    let Some(meter) = price.meter() else { return Ok(None) };
    let meter = meters::retrieve(ctx, meter.as_str()).await?;
    let aggregation = meter.aggregation();
    let series = Series { scope: ctx.scope().clone(), meter: meter.id, customer: customer.clone() };
    Ok(Some(UsageQuery { as_of, ..UsageQuery::of(series, aggregation) }))
}

/// What a customer used of what a metered price is for, in a period, as [`query_of`] asks for it.
///
/// # Errors
/// A 500 when the usage cannot be read.
pub(super) async fn usage_of(
    ctx: &mut Ctx,
    customer: &Id<CustomerKind>,
    price: &Price,
    period: Period,
    as_of: Option<u64>,
) -> Result<Option<Decimal>> {
    let Some(query) = query_of(ctx, customer, price, as_of).await? else { return Ok(None) };
    if period.end <= period.start {
        return Ok(Some(Decimal::ZERO));
    }
    let usage = ctx.usage().usage_in(&query, period).map_err(Error::internal)?;
    Ok(Some(billable_quantity(usage.quantity)))
}

/// The lines that an item puts on an invoice for `period`: of its quantity when licensed, of the
/// usage in it when metered.
///
/// # Errors
/// A 400 when an amount does not fit, a 500 when the usage cannot be read.
pub async fn lines_of_item(
    ctx: &mut Ctx,
    sub: &Subscription,
    item: &Item,
    period: Period,
) -> Result<Vec<Line>> {
    let used = usage_of(ctx, &sub.customer, &item.price, period, None).await?;
    let quantity = used.unwrap_or_else(|| Decimal::from(item.quantity.unwrap_or(1)));
    Writer::of_item(ctx, sub, item).await?.rated(ctx, quantity, period)
}

/// What an item costs for a whole period, by its quantity: in minor units. Nothing for a metered one,
/// which is not paid for in advance.
///
/// # Errors
/// A 400 when the amount does not fit.
pub fn whole_amount(sub: &Subscription, item: &Item) -> Result<Option<i64>> {
    if item.price.usage_type() == UsageType::Metered {
        return Ok(None);
    }
    let scheme = scheme_of(&item.price, sub.currency)?;
    let quantity = Decimal::from(item.quantity.unwrap_or(1));
    let rated = rate(scheme, quantity).map_err(|error| too_large().because(error))?;
    let amount = taximeter_kernel::rate::total_minor(&rated);
    amount.map(Some).map_err(|error| too_large().because(error))
}

fn scheme_of(price: &Price, currency: Currency) -> Result<&Scheme> {
    price.scheme_in(currency).ok_or_else(|| {
        let code = currency.code();
        Error::internal(format!("price {} has no amount in {code}", price.id))
    })
}

/// The line of a metered item on the invoice with which a subscription in classic mode begins:
/// nothing was used yet, and nothing is billed, be it tiered with a flat amount.
async fn line_of_no_usage_yet(ctx: &mut Ctx, sub: &Subscription, item: &Item) -> Result<Line> {
    let writer = Writer::of_item(ctx, sub, item).await?;
    let line = writer.line(ctx, writer.nothing(Decimal::ZERO), item.current_period);
    Ok(Line { details: LineDetails { metered: false, ..line.details }, ..line })
}

/// The line of an item that is free for a while: of nothing, in the words of its billing mode.
///
/// # Errors
/// A 500 when the product cannot be read.
pub async fn line_of_trial(
    ctx: &mut Ctx,
    sub: &Subscription,
    item: &Item,
    period: Period,
) -> Result<Line> {
    let writer = Writer::of_item(ctx, sub, item).await?;
    let quantity = match item.price.usage_type() {
        UsageType::Licensed => Decimal::from(item.quantity.unwrap_or(1)),
        UsageType::Metered => Decimal::ZERO,
    };
    let what = writer.context();
    let description = match sub.billing_mode {
        BillingModeType::Flexible => describe::describe_trial_flexible(quantity, &what),
        BillingModeType::Classic => describe::describe_trial_classic(quantity, &what),
    };
    let line = writer.line(ctx, writer.nothing(quantity), period);
    let details = LineDetails { metered: false, ..line.details };
    Ok(Line { description: Some(description), unit_amount: None, details, ..line })
}

/// Writes the lines of one price.
pub(super) struct Writer<'a> {
    currency: Currency,
    subscription: Option<Id<SubscriptionKind>>,
    item: Option<Id<SubscriptionItem>>,
    price: &'a Price,
    scheme: &'a Scheme,
    product: Product,
    /// Discounts and tax rates of the item's own.
    discounts: Vec<String>,
    tax_rates: Vec<String>,
}

impl<'a> Writer<'a> {
    async fn of_item(ctx: &mut Ctx, sub: &Subscription, item: &'a Item) -> Result<Self> {
        let writer = Self::of_price(ctx, &item.price, sub.currency).await?;
        Ok(Self {
            subscription: Some(sub.id.clone()),
            item: Some(item.id.clone()),
            discounts: item.terms.discounts.clone(),
            tax_rates: item.terms.tax_rates.clone(),
            ..writer
        })
    }

    /// A writer of lines that are of no subscription.
    pub(super) async fn of_price(
        ctx: &mut Ctx,
        price: &'a Price,
        currency: Currency,
    ) -> Result<Self> {
        let scheme = scheme_of(price, currency)?;
        let product = products::retrieve_any(ctx, price.product.as_str()).await?;
        let (discounts, tax_rates) = (Vec::new(), Vec::new());
        let (subscription, item) = (None, None);
        Ok(Self { currency, subscription, item, price, scheme, product, discounts, tax_rates })
    }

    /// The same for the item of a subscription that a line names.
    fn of_line(self, line: &Line) -> Self {
        let (subscription, item) = (line.subscription.clone(), line.subscription_item.clone());
        Self { subscription, item, ..self }
    }

    /// The lines of a quantity.
    pub(super) fn rated(&self, ctx: &Ctx, quantity: Decimal, period: Period) -> Result<Vec<Line>> {
        let rated = rate(self.scheme, quantity).map_err(|error| too_large().because(error))?;
        Ok(rated.into_iter().map(|part| self.line(ctx, part, period)).collect())
    }

    fn nothing(&self, quantity: Decimal) -> RatedLine {
        let unit_amount = match self.scheme {
            Scheme::PerUnit { unit_amount, .. } => Some(*unit_amount),
            Scheme::Tiered { .. } => None,
        };
        RatedLine { quantity, amount_minor: 0, unit_amount, part: Part::Whole }
    }

    fn context(&self) -> LineContext<'_> {
        LineContext {
            product_name: &self.product.name,
            unit_label: self.product.unit_label.as_deref(),
            currency: self.currency,
            scheme: self.scheme,
            recurrence: self.price.recurring.as_ref().map(|recurring| recurring.recurrence),
            usage_type: self.price.usage_type(),
        }
    }

    fn line(&self, ctx: &Ctx, part: RatedLine, period: Period) -> Line {
        let metered = self.price.usage_type() == UsageType::Metered;
        Line {
            id: ctx.new_id(),
            amount: part.amount_minor,
            quantity: part.quantity,
            description: Some(describe(&part, &self.context())),
            period,
            price: Some(self.price.id.clone()),
            product: Some(self.price.product.clone()),
            unit_amount: part.unit_amount,
            subscription: self.subscription.clone(),
            subscription_item: self.item.clone(),
            invoice_item: None,
            details: LineDetails {
                metered,
                discounts: self.discounts.clone(),
                tax_rates: self.tax_rates.clone(),
                ..LineDetails::default()
            },
        }
    }
}

/// Counts the usage of a draft's metered lines anew: what came in since the draft was drawn up is on
/// it, too. Lines keep their ids; where more tiers are reached, those of the new lines follow from
/// the invoice's, so that they are the same at every look.
///
/// # Errors
/// A 400 when an amount does not fit, a 500 when the usage cannot be read.
pub(super) async fn recount(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    as_of: Option<u64>,
) -> Result<()> {
    let old = std::mem::take(&mut invoice.lines);
    let mut rest = old.into_iter().peekable();
    let mut lines = Vec::with_capacity(rest.len());
    while let Some(first) = rest.next() {
        let (true, Some(price)) = (first.details.metered, first.price.clone()) else {
            lines.push(first);
            continue;
        };
        let mut group = vec![first];
        while let Some(next) = rest.next_if(|next| next.is_tier_with(&group[0])) {
            group.push(next);
        }
        let price = crate::prices::retrieve(ctx, price.as_str()).await?;
        let period = group[0].period;
        let used = usage_of(ctx, &invoice.customer, &price, period, as_of).await?;
        let writer = Writer::of_price(ctx, &price, invoice.currency).await?.of_line(&group[0]);
        let counted = writer.rated(ctx, used.unwrap_or(Decimal::ZERO), period)?;
        let terms = group[0].details.clone();
        let mut ids = group.into_iter().map(|line| line.id);
        for (place, mut line) in counted.into_iter().enumerate() {
            let derived = || derived_id(&invoice.id, line.subscription_item.as_ref(), place);
            line.id = ids.next().unwrap_or_else(derived);
            line.details = LineDetails { discount_amounts: Vec::new(), ..terms.clone() };
            line.details.gross = None;
            lines.push(line);
        }
    }
    invoice.lines = lines;
    Ok(())
}

fn derived_id(
    invoice: &Id<InvoiceKind>,
    item: Option<&Id<SubscriptionItem>>,
    place: usize,
) -> Id<taximeter_kernel::id::InvoiceLine> {
    let item = item.map_or("", Id::as_str);
    Id::generate(Sha256::digest(format!("{invoice} {item} {place}")).into())
}

impl Draft<'_> {
    /// The invoice as a draft under `id`, before discounts and taxes. Nothing moves it on by itself.
    ///
    /// # Errors
    /// A 400 when its due date is beyond every calendar.
    pub fn invoice(self, id: Id<InvoiceKind>) -> Result<Invoice> {
        let Self { customer, subscription, billing_reason, period, created, lines } = self;
        let terms = &subscription.terms;
        let settings = &terms.invoice_settings;
        let details = Details {
            default_tax_rates: terms.default_tax_rates.clone(),
            discounts: match &customer.discount {
                Some(discount) if terms.inherits_discount() => {
                    vec![discount.id.as_str().to_owned()]
                }
                _ => terms.discounts.clone(),
            },
            custom_fields: settings
                .custom_fields
                .clone()
                .or_else(|| customer.invoice_settings.custom_fields.clone()),
            footer: settings.footer.clone().or_else(|| customer.invoice_settings.footer.clone()),
            payment_method_types: terms.payment_settings.payment_method_types.clone(),
            ..Details::default()
        };
        Ok(Invoice {
            subscription: Some(subscription.id.clone()),
            billing_reason,
            collection_method: subscription.collection_method,
            currency: subscription.currency,
            description: settings.description.clone(),
            period,
            due_date: due_date(subscription.days_until_due, created)?,
            days_until_due: subscription.days_until_due,
            subscription_metadata: subscription.metadata.clone(),
            details,
            lines,
            ..Invoice::blank(id, customer, subscription.currency, created)
        })
    }
}

impl Invoice {
    /// A draft without lines, of no subscription.
    pub(super) fn blank(
        id: Id<InvoiceKind>,
        customer: &Customer,
        currency: Currency,
        created: Timestamp,
    ) -> Self {
        Self {
            seq: 0,
            id,
            livemode: customer.livemode,
            customer: customer.id.clone(),
            subscription: None,
            status: Status::Draft,
            billing_reason: BillingReason::Manual,
            collection_method: crate::subscriptions::CollectionMethod::ChargeAutomatically,
            currency,
            number: None,
            description: None,
            subtotal: 0,
            total: 0,
            amount_due: 0,
            amount_paid: 0,
            starting_balance: customer.balance,
            ending_balance: None,
            auto_advance: false,
            attempted: false,
            period: Period { start: created, end: created },
            due_date: None,
            days_until_due: None,
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            automatically_finalizes_at: None,
            customer_snapshot: CustomerSnapshot::of(customer),
            subscription_metadata: std::collections::BTreeMap::new(),
            metadata: std::collections::BTreeMap::new(),
            created,
            test_clock: customer.test_clock.clone(),
            details: Details::default(),
            tax_rates: Vec::new(),
            lines: Vec::new(),
        }
    }
}
