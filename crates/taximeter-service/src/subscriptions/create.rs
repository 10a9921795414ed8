//! How a subscription begins.

use taximeter_kernel::calendar::{Mixed, compatible};
use taximeter_kernel::id::{Customer as CustomerKind, Kind as _};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::Period;

use super::input::{Create, ITEMS_MAX, ItemInput, PaymentBehavior};
use super::{
    BillingModeInput, BillingModeType, CancellationDetails, CollectionMethod, Item,
    ProrationDiscounts, SUBSCRIPTIONS_PER_CUSTOMER_MAX, Status, Subscription, sql,
};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::invoices::{self, BillingReason, Draft, Invoice, preview};
use crate::params::Text;
use crate::prices::{self, Price};
use crate::version::CLOVER;
use crate::{meters, outbox, products};

const QUANTITY_MAX: i64 = 999_999_999_999;
const DAYS_UNTIL_DUE_MAX: i64 = 36_500;

/// Makes a subscription and, where the rules say there is one, its first invoice.
///
/// # Errors
/// A 400 when what is asked for is against the rules, a 404 when there is no such customer.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Subscription> {
    // Stripe's one exception: here an unknown customer is a 404.
    let customer = customers::locked(ctx, &input.customer, "customer")
        .await
        .map_err(Error::not_found)?;
    if input.payment_behavior == Some(PaymentBehavior::PendingIfIncomplete) {
        return Err(Error::invalid(
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating a \
             subscription.",
        )
        .param("payment_behavior"));
    }
    let Create { items, billing_mode, currency, .. } = input;
    let mut subscription =
        propose(ctx, &customer, items, billing_mode, currency.as_deref(), "items").await?;
    subscription.collection_method =
        input.collection_method.unwrap_or(CollectionMethod::ChargeAutomatically);
    subscription.days_until_due =
        checked_days(subscription.collection_method, input.days_until_due)?;
    subscription.description = input.description.map(Into::into);
    subscription.metadata = input.metadata.0;
    let behavior = input.payment_behavior.unwrap_or(PaymentBehavior::AllowIncomplete);
    begin(ctx, subscription, customer, behavior).await
}

/// `days_until_due` belongs to sent invoices, and only to them.
pub(super) fn checked_days(method: CollectionMethod, days: Option<i64>) -> Result<Option<i64>> {
    match (method, days) {
        (CollectionMethod::SendInvoice, None) => Err(Error::invalid(
            "If invoice collection method is 'send_invoice', you must specify 'days_until_due'.",
        )
        .param("days_until_due")),
        (CollectionMethod::ChargeAutomatically, Some(_)) => Err(Error::invalid(
            "You can only specify 'days_until_due' if invoice collection method is 'send_invoice'.",
        )
        .param("days_until_due")),
        (CollectionMethod::SendInvoice, Some(days)) if !(0..=DAYS_UNTIL_DUE_MAX).contains(&days) => {
            Err(Error::invalid(format!(
                "Invalid days_until_due: must be between 0 and {DAYS_UNTIL_DUE_MAX}."
            ))
            .param("days_until_due"))
        }
        (_, days) => Ok(days),
    }
}

/// A subscription as it would be made, checked but not kept. `path` is where its items came from.
///
/// # Errors
/// A 400 when what is asked for is against the rules.
pub async fn propose(
    ctx: &mut Ctx,
    customer: &Customer,
    inputs: Vec<ItemInput>,
    billing_mode: Option<BillingModeInput>,
    currency: Option<&str>,
    path: &str,
) -> Result<Subscription> {
    if inputs.is_empty() {
        return Err(Error::missing(path));
    }
    if inputs.len() > ITEMS_MAX {
        return Err(Error::invalid(format!(
            "A subscription can have at most {ITEMS_MAX} items."
        ))
        .param(path));
    }
    let (billing_mode, proration_discounts) = checked_mode(ctx, billing_mode)?;
    let mut subscription = Subscription {
        seq: 0,
        id: ctx.new_id(),
        livemode: ctx.scope().mode.is_live(),
        customer: customer.id.clone(),
        status: Status::Active,
        // Replaced below, once the prices are known.
        currency: match currency {
            Some(code) => preview::parse_currency(code, "currency")?,
            None => customer.currency.map_or_else(|| preview::parse_currency("usd", "currency"), Ok)?,
        },
        collection_method: CollectionMethod::ChargeAutomatically,
        days_until_due: None,
        billing_mode,
        proration_discounts,
        billing_mode_updated_at: None,
        billing_cycle_anchor: ctx.now,
        start_date: ctx.now,
        canceled_at: None,
        ended_at: None,
        cancellation: CancellationDetails::default(),
        description: None,
        latest_invoice: None,
        metadata: std::collections::BTreeMap::new(),
        created: ctx.now,
        items: Vec::with_capacity(inputs.len()),
    };
    for (index, input) in inputs.into_iter().enumerate() {
        let at = format!("{path}[{index}]");
        let item = checked_item(ctx, &subscription, input, &at).await?;
        subscription.items.push(item);
    }
    subscription.currency = agreed_currency(customer, &subscription.items, currency, path)?;
    check_recurrences(&subscription, path)?;
    Ok(subscription)
}

fn checked_mode(
    ctx: &Ctx,
    input: Option<BillingModeInput>,
) -> Result<(BillingModeType, Option<ProrationDiscounts>)> {
    let Some(input) = input else {
        return Ok(if ctx.caller.version.is_before(CLOVER) {
            (BillingModeType::Classic, None)
        } else {
            (BillingModeType::Flexible, Some(ProrationDiscounts::Included))
        });
    };
    let discounts = input.flexible.and_then(|flexible| flexible.proration_discounts);
    match input.r#type {
        BillingModeType::Flexible => {
            Ok((BillingModeType::Flexible, Some(discounts.unwrap_or(ProrationDiscounts::Included))))
        }
        BillingModeType::Classic if discounts.is_some() => Err(Error::invalid(
            "You can only specify `billing_mode[flexible]` when `billing_mode[type]` is `flexible`.",
        )
        .param("billing_mode[flexible]")),
        BillingModeType::Classic => Ok((BillingModeType::Classic, None)),
    }
}

async fn checked_item(
    ctx: &mut Ctx,
    subscription: &Subscription,
    input: ItemInput,
    at: &str,
) -> Result<Item> {
    let quantity = input.quantity;
    let price = price_of(ctx, &input.price, &input.plan, input.price_data, at).await?;
    let Some(recurring) = price.recurring.clone() else {
        return Err(Error::invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices with \
             `type=recurring`.",
        )
        .param(format!("{at}[price]")));
    };
    if subscription.items.iter().any(|item| item.price.id == price.id) {
        return Err(Error::invalid(format!(
            "Cannot create a Subscription with multiple Subscription Items with the same Price: {}",
            price.id
        ))
        .param("plan"));
    }
    if let Some(meter) = &recurring.meter {
        let meter = meters::retrieve(ctx, meter.as_str()).await?;
        if meter.status == meters::Status::Inactive {
            return Err(Error::invalid(format!(
                "The price specified is backed by the meter {}, which is inactive.",
                meter.id
            ))
            .param(format!("{at}[price]")));
        }
    }
    let quantity = checked_quantity(&price, quantity, at)?;
    let current_period = recurring
        .recurrence
        .period_at(subscription.billing_cycle_anchor, ctx.now)
        .map_err(Error::internal)?;
    Ok(Item {
        seq: 0,
        id: ctx.new_id(),
        subscription: subscription.id.clone(),
        price,
        quantity,
        metadata: input.metadata.0,
        current_period,
        created: ctx.now,
    })
}

async fn price_of(
    ctx: &mut Ctx,
    price: &Option<Text<255>>,
    plan: &Option<Text<255>>,
    data: Option<prices::PriceData>,
    at: &str,
) -> Result<Price> {
    let (id, param) = match (price, plan, data) {
        (None, None, Some(data)) => {
            return prices::create_inline(ctx, data, &format!("{at}[price_data]")).await;
        }
        (Some(id), None, None) => (id, format!("{at}[price]")),
        (None, Some(id), None) => (id, format!("{at}[plan]")),
        (None, None, None) => return Err(Error::missing(format!("{at}[price]"))),
        _ => {
            return Err(Error::invalid(
                "You may only specify one of these parameters: price, price_data, plan.",
            )
            .code("parameters_exclusive")
            .param(format!("{at}[price]")));
        }
    };
    let price = prices::named(ctx, id, &param).await?;
    if !price.active {
        return Err(Error::invalid(
            "The price specified is inactive. This field only accepts active prices.",
        )
        .param(param));
    }
    let product = products::retrieve_any(ctx, price.product.as_str()).await?;
    if !product.active {
        return Err(Error::invalid(format!(
            "The product {} of the price specified is inactive.",
            product.id
        ))
        .code("product_inactive")
        .param(param));
    }
    Ok(price)
}

/// One, unless told otherwise; usage decides for a metered price.
pub(super) fn checked_quantity(price: &Price, quantity: Option<i64>, at: &str) -> Result<Option<i64>> {
    let param = format!("{at}[quantity]");
    match (price.usage_type(), quantity) {
        (UsageType::Metered, None) => Ok(None),
        (UsageType::Metered, Some(_)) => Err(Error::invalid(format!(
            "Quantity should not be specified where usage_type is metered. Remove quantity from \
             `{at}`."
        ))
        .param(param)),
        (UsageType::Licensed, quantity) => {
            let quantity = quantity.unwrap_or(1);
            if (0..=QUANTITY_MAX).contains(&quantity) {
                return Ok(Some(quantity));
            }
            Err(Error::invalid(format!(
                "Invalid quantity: must be between 0 and {QUANTITY_MAX}."
            ))
            .param(param))
        }
    }
}

/// The one currency that all prices, the customer and the request agree on.
fn agreed_currency(
    customer: &Customer,
    items: &[Item],
    asked: Option<&str>,
    path: &str,
) -> Result<Currency> {
    let asked = asked.map(|code| preview::parse_currency(code, "currency")).transpose()?;
    let first = items.first().map(|item| item.price.currency);
    let currency = asked.or(first).ok_or_else(|| Error::missing(path))?;
    for (index, item) in items.iter().enumerate() {
        if item.price.scheme_in(currency).is_some() {
            continue;
        }
        let (own, wanted) = (item.price.currency.code(), currency.code());
        let message = if asked.is_some() {
            format!(
                "The price specified only supports `{own}`. This doesn't match the expected \
                 currency: `{wanted}`."
            )
        } else {
            format!(
                "This `price` has `currency={own}`, but other items use `currency={wanted}`. All \
                 items must have pricing in the same currency. Alternatively, all prices can be \
                 created with support for additional currencies."
            )
        };
        return Err(Error::invalid(message).param(format!("{path}[{index}][price]")));
    }
    match customer.currency {
        Some(locked) if locked != currency => Err(Error::invalid(format!(
            "You cannot combine currencies on a single customer. This customer has an active \
             subscription, subscription schedule, discount, quote, or invoice item with currency \
             {}.",
            locked.code()
        ))),
        _ => Ok(currency),
    }
}

fn check_recurrences(subscription: &Subscription, path: &str) -> Result<()> {
    let recurring = subscription.items.iter().filter_map(|item| item.price.recurring.as_ref());
    let recurrences: Vec<_> = recurring.map(|recurring| recurring.recurrence).collect();
    let (mixed, rule) = match subscription.billing_mode {
        BillingModeType::Classic => (
            Mixed::Same,
            "All prices on a subscription must have the same `recurring.interval` and \
             `recurring.interval_count`. If you meant to update an existing subscription item \
             instead of creating a new one, make sure to include the subscription item ID in your \
             request.",
        ),
        BillingModeType::Flexible => (
            Mixed::Multiples,
            "The intervals of all prices on a subscription must be multiples of the shortest one.",
        ),
    };
    if compatible(&recurrences, mixed) {
        return Ok(());
    }
    Err(Error::invalid(rule).param(path))
}

/// Keeps the subscription and draws up its first invoice.
async fn begin(
    ctx: &mut Ctx,
    mut subscription: Subscription,
    mut customer: Customer,
    behavior: PaymentBehavior,
) -> Result<Subscription> {
    let live = sql::count_of_customer(ctx, &customer.id).await?;
    if usize::try_from(live).is_ok_and(|live| live >= SUBSCRIPTIONS_PER_CUSTOMER_MAX) {
        return Err(Error::invalid(format!(
            "{} {} already has the maximum {SUBSCRIPTIONS_PER_CUSTOMER_MAX} current subscriptions.",
            CustomerKind::NOUN,
            customer.id
        ))
        .code("customer_max_subscriptions")
        .param("customer"));
    }
    if customer.currency.is_none() {
        let before = customer.clone();
        customer.currency = Some(subscription.currency);
        customers::save(ctx, &before, &customer).await?;
    }
    let invoice = first_invoice(ctx, &subscription, &customer).await?;
    if let Some(invoice) = &invoice {
        subscription.status = first_status(&subscription, invoice, behavior)?;
        subscription.latest_invoice = Some(invoice.id.clone());
    }
    sql::insert(ctx, &subscription).await?;
    outbox::push(ctx, "customer.subscription.created", &subscription.wire()).await?;
    if let Some(invoice) = invoice {
        match subscription.collection_method {
            CollectionMethod::SendInvoice => invoices::write_draft(ctx, invoice).await?,
            CollectionMethod::ChargeAutomatically => {
                invoices::write_finalized(ctx, invoice, &mut customer).await?
            }
        };
    }
    Ok(subscription)
}

/// The invoice with which a subscription begins. In flexible mode there is none when nothing is
/// billed in advance.
async fn first_invoice(
    ctx: &mut Ctx,
    subscription: &Subscription,
    customer: &Customer,
) -> Result<Option<Invoice>> {
    let lines = preview::first_lines(ctx, subscription).await?;
    if lines.is_empty() {
        return Ok(None);
    }
    let draft = Draft {
        customer,
        subscription,
        billing_reason: BillingReason::SubscriptionCreate,
        period: Period { start: ctx.now, end: ctx.now },
        created: ctx.now,
        lines,
    };
    draft.invoice(ctx.new_id()).map(Some)
}

/// Active when nothing is to be paid now; else as the caller wants it, since there is nothing to
/// pay with.
fn first_status(
    subscription: &Subscription,
    invoice: &Invoice,
    behavior: PaymentBehavior,
) -> Result<Status> {
    let sent = subscription.collection_method == CollectionMethod::SendInvoice;
    if sent || invoice.is_settled_by_balance() {
        return Ok(Status::Active);
    }
    match behavior {
        PaymentBehavior::DefaultIncomplete => Ok(Status::Incomplete),
        PaymentBehavior::AllowIncomplete
        | PaymentBehavior::ErrorIfIncomplete
        | PaymentBehavior::PendingIfIncomplete => Err(invoices::no_payment_source()),
    }
}
