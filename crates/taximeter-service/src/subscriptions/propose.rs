//! A subscription that is asked for, held against every rule before anything is kept.

use taximeter_kernel::calendar::{Mixed, compatible};
use taximeter_kernel::id::{Id, Subscription as SubscriptionKind};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::UsageType;

use super::input::{ITEMS_MAX, ItemInput};
use super::{
    BillingModeInput, BillingModeType, CancellationDetails, CollectionMethod, Item,
    ProrationDiscounts, Status, Subscription, thresholds,
};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Result};
use crate::params::Text;
use crate::prices::{self, Price, Recurring};
use crate::version::CLOVER;
use crate::{meters, products, tax_rates};

const QUANTITY_MAX: i64 = 999_999_999_999;

/// Where the discounts of an item were sent, and which.
type AskedDiscounts = (String, Vec<DiscountInput>);

/// A subscription as it would be made, checked but not kept. `path` is where its items came from.
///
/// # Errors
/// A 400 when what is asked for is against the rules.
pub(crate) async fn propose(
    ctx: &mut Ctx,
    customer: &Customer,
    inputs: Vec<ItemInput>,
    billing_mode: Option<BillingModeInput>,
    currency: Option<Currency>,
    path: &str,
) -> Result<Subscription> {
    if inputs.is_empty() {
        return Err(Error::missing(path));
    }
    if inputs.len() > ITEMS_MAX {
        return Err(too_many_items().param(path));
    }
    let (billing_mode, proration_discounts) = checked_mode(ctx, billing_mode)?;
    let id = ctx.new_id();
    let (mut items, asked) = checked_items(ctx, &id, inputs, path).await?;
    let currency = agreed_currency(ctx, customer, &items, currency, path).await?;
    check_recurrences(&items, billing_mode, path)?;
    for (item, (path, inputs)) in items.iter_mut().zip(asked) {
        let holder = Holder::SubscriptionItem(&item.id);
        let made = discounts::apply(ctx, holder, customer, currency, inputs, &path).await?;
        item.terms.discounts = made.iter().map(|made| made.id.as_str().to_owned()).collect();
    }
    Ok(Subscription {
        seq: 0,
        id,
        livemode: ctx.scope().mode.is_live(),
        customer: customer.id.clone(),
        status: Status::Active,
        currency,
        collection_method: CollectionMethod::ChargeAutomatically,
        days_until_due: None,
        billing_mode,
        proration_discounts,
        billing_mode_updated_at: None,
        billing_cycle_anchor: ctx.now,
        start_date: ctx.now,
        test_clock: customer.test_clock.clone(),
        trial_start: None,
        trial_end: None,
        cancel_at: None,
        cancel_at_period_end: false,
        terms: super::Terms::default(),
        canceled_at: None,
        ended_at: None,
        cancellation: CancellationDetails::default(),
        description: None,
        latest_invoice: None,
        metadata: std::collections::BTreeMap::new(),
        created: ctx.now,
        tax_rates: Vec::new(),
        items,
        pending_items: None,
    })
}

/// The refusal of more items than a subscription can have.
pub(super) fn too_many_items() -> Error {
    Error::invalid(format!("A subscription can have at most {ITEMS_MAX} items."))
}

/// Which rules a subscription is billed by: the flexible ones, unless told otherwise or asked by an
/// older client.
///
/// # Errors
/// A 400 when what is said does not go together.
pub(crate) fn checked_mode(
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

async fn checked_items(
    ctx: &mut Ctx,
    subscription: &Id<SubscriptionKind>,
    inputs: Vec<ItemInput>,
    path: &str,
) -> Result<(Vec<Item>, Vec<AskedDiscounts>)> {
    let mut items: Vec<Item> = Vec::with_capacity(inputs.len());
    let mut asked = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.into_iter().enumerate() {
        let at = format!("{path}[{index}]");
        let ItemInput {
            billing_thresholds,
            discounts,
            metadata,
            plan,
            price,
            price_data,
            quantity,
            tax_rates,
        } = input;
        let price = price_of(ctx, price.as_ref(), plan.as_ref(), price_data, &at).await?;
        let recurring = recurring_of(ctx, &price, &at).await?;
        if items.iter().any(|item| item.price.id == price.id) {
            return Err(Error::invalid(format!(
                "Cannot create a Subscription with multiple Subscription Items with the same \
                 Price: {}",
                price.id
            ))
            .param("plan"));
        }
        let rates = tax_rates.or_none().unwrap_or_default();
        let tax_rates = tax_rates::named(ctx, &rates, &format!("{at}[tax_rates]")).await?;
        let terms = super::ItemTerms {
            tax_rates: tax_rates.iter().map(|rate| rate.id.as_str().to_owned()).collect(),
            ..super::ItemTerms::default()
        };
        asked.push((format!("{at}[discounts]"), discounts.or_none().unwrap_or_default()));
        // The anchor is now, so this is the first period.
        let current_period =
            recurring.recurrence.period_at(ctx.now, ctx.now).map_err(Error::internal)?;
        let mut item = Item {
            id: ctx.new_id(),
            subscription: subscription.clone(),
            quantity: checked_quantity(&price, quantity, &format!("{at}[quantity]"))?,
            price,
            metadata: metadata.0,
            current_period,
            created: ctx.now,
            tax_rates,
            terms,
        };
        let path = within(&at, "billing_thresholds");
        thresholds::set_of_item(&mut item, &billing_thresholds, &path)?;
        items.push(item);
    }
    Ok((items, asked))
}

/// The path of a parameter: `items[0][price]` at an item, `price` where the item is the request.
pub(super) fn within(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}[{name}]") }
}

/// How often the price of an item recurs, and what counts it: a meter that still takes events.
pub(super) async fn recurring_of(ctx: &mut Ctx, price: &Price, at: &str) -> Result<Recurring> {
    let Some(recurring) = price.recurring.clone() else {
        return Err(Error::invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices with \
             `type=recurring`.",
        )
        .param(within(at, "price")));
    };
    if let Some(meter) = &recurring.meter {
        let meter = meters::retrieve(ctx, meter.as_str()).await?;
        if meter.status == meters::Status::Inactive && !ctx.has_agreed_to(price.id.as_str()) {
            return Err(Error::invalid(format!(
                "The price specified is backed by the meter {}, which is inactive.",
                meter.id
            ))
            .param(within(at, "price")));
        }
    }
    Ok(recurring)
}

/// The price that a request names or brings, if it can be subscribed to. `at` is where it was sent.
pub(super) async fn price_of(
    ctx: &mut Ctx,
    price: Option<&Text<255>>,
    plan: Option<&Text<255>>,
    data: Option<prices::PriceData>,
    at: &str,
) -> Result<Price> {
    let (id, param) = match (price, plan, data) {
        (None, None, Some(data)) => {
            return prices::create_inline(ctx, data, &within(at, "price_data")).await;
        }
        (Some(id), None, None) => (id, within(at, "price")),
        (None, Some(id), None) => (id, within(at, "plan")),
        (None, None, None) => return Err(Error::missing(within(at, "price"))),
        _ => {
            return Err(Error::invalid(
                "You may only specify one of these parameters: price, price_data, plan.",
            )
            .code("parameters_exclusive")
            .param(within(at, "price")));
        }
    };
    let price = prices::named(ctx, id, &param).await?;
    if ctx.has_agreed_to(price.id.as_str()) {
        return Ok(price);
    }
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

/// One, unless told otherwise; usage decides for a metered price. `param` is where it came from.
pub(super) fn checked_quantity(
    price: &Price,
    quantity: Option<i64>,
    param: &str,
) -> Result<Option<i64>> {
    match (price.usage_type(), quantity) {
        (UsageType::Metered, None) => Ok(None),
        (UsageType::Metered, Some(_)) => Err(Error::invalid(format!(
            "Quantity should not be specified where usage_type is metered. Remove \
             `{param}`."
        ))
        .param(param)),
        (UsageType::Licensed, None) => Ok(Some(1)),
        (UsageType::Licensed, Some(quantity)) if (0..=QUANTITY_MAX).contains(&quantity) => {
            Ok(Some(quantity))
        }
        (UsageType::Licensed, Some(_)) => {
            let message = format!("Invalid quantity: must be between 0 and {QUANTITY_MAX}.");
            Err(Error::invalid(message).param(param))
        }
    }
}

/// The one currency that all prices, the customer and the request agree on.
async fn agreed_currency(
    ctx: &mut Ctx,
    customer: &Customer,
    items: &[Item],
    asked: Option<Currency>,
    path: &str,
) -> Result<Currency> {
    let locked = customers::bound_currency(ctx, customer).await?;
    // Prices with several currencies go along with the customer's, unless told otherwise.
    let in_locked = locked.filter(|c| items.iter().all(|i| i.price.scheme_in(*c).is_some()));
    let first = items.first().map(|item| item.price.currency);
    let currency = asked.or(in_locked).or(first).ok_or_else(|| Error::missing(path))?;
    for (index, item) in items.iter().enumerate() {
        if item.price.scheme_in(currency).is_none() {
            let (own, other) = (item.price.currency, currency);
            let error = match asked {
                Some(_) => only_supports(own, other),
                None => other_items_use(own, other),
            };
            return Err(error.param(format!("{path}[{index}][price]")));
        }
    }
    match locked {
        Some(locked) if locked != currency => Err(Error::invalid(format!(
            "You cannot combine currencies on a single customer. This customer has an active \
             subscription, subscription schedule, discount, quote, or invoice item with currency \
             {}.",
            locked.code()
        ))),
        _ => Ok(currency),
    }
}

/// The refusal of a price without an amount in the currency that is billed.
pub(super) fn only_supports(own: Currency, expected: Currency) -> Error {
    Error::invalid(format!(
        "The price specified only supports `{}`. This doesn't match the expected currency: `{}`.",
        own.code(),
        expected.code()
    ))
}

fn other_items_use(own: Currency, other: Currency) -> Error {
    Error::invalid(format!(
        "This `price` has `currency={}`, but other items use `currency={}`. All items must have \
         pricing in the same currency. Alternatively, all prices can be created with support for \
         additional currencies.",
        own.code(),
        other.code()
    ))
}

/// Whether the intervals of all items go together, by the rules of the billing mode.
pub(super) fn check_recurrences(items: &[Item], mode: BillingModeType, path: &str) -> Result<()> {
    let recurring = items.iter().filter_map(|item| item.price.recurring.as_ref());
    let recurrences: Vec<_> = recurring.map(|recurring| recurring.recurrence).collect();
    let (mixed, rule) = match mode {
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
