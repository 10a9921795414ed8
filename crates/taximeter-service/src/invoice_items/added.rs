//! Invoice items that come with a subscription: sold once, along with what recurs.

use std::collections::BTreeMap;

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, InvoiceItem as InvoiceItemKind, Price as PriceKind};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Period;

use super::amount::of_price;
use super::make::refuse_more_pending;
use super::{InvoiceItem, NewItem, PriceDataInput, insert_as};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Result};
use crate::params::Text;
use crate::prices::{self, Price, PriceType};
use crate::subscriptions::Subscription;
use crate::tax_rates;

/// What is sold once along with a subscription.
#[derive(Debug)]
pub(crate) struct Addition {
    /// Its price,
    pub(crate) price: Option<Text<255>>,
    /// or what that is made of.
    pub(crate) price_data: Option<PriceDataInput>,
    /// How many: one, if left out.
    pub(crate) quantity: Option<i64>,
    /// Whether discounts are taken off it: they are, if left out.
    pub(crate) discountable: Option<bool>,
    /// What is taken off it alone.
    pub(crate) discounts: Vec<DiscountInput>,
    /// What it alone is taxed by.
    pub(crate) tax_rates: Vec<Text<255>>,
    /// The operator's own keys and values.
    pub(crate) metadata: BTreeMap<String, String>,
    /// The time it is for.
    pub(crate) period: Period,
}

/// Makes what is sold once along with a subscription a pending item of it. `at` is where it was sent.
///
/// # Errors
/// A 400 when its price recurs, or does not go with the subscription.
pub(crate) async fn add(
    ctx: &mut Ctx,
    customer: &Customer,
    sub: &Subscription,
    addition: Addition,
    at: &str,
) -> Result<InvoiceItem> {
    let within = |name: &str| format!("{at}[{name}]");
    refuse_more_pending(ctx, &customer.id, at).await?;
    let quantity = checked_quantity(addition.quantity, at)?;
    let (price, param) = one_time_price(ctx, addition.price, addition.price_data, at).await?;
    let priced = of_price(ctx, &price, Decimal::from(quantity), sub.currency, &param).await?;
    let id: Id<InvoiceItemKind> = ctx.new_id();
    let rates = tax_rates::named(ctx, &addition.tax_rates, &within("tax_rates")).await?;
    let (holder, path) = (Holder::InvoiceItem(&id), within("discounts"));
    let made =
        discounts::apply(ctx, holder, customer, sub.currency, addition.discounts, &path).await?;
    let new = NewItem {
        customer: customer.id.clone(),
        currency: sub.currency,
        amount: priced.amount,
        quantity: priced.quantity,
        unit_amount: priced.unit_amount,
        price: Some(priced.price),
        product: Some(priced.product),
        description: priced.name,
        discountable: addition.discountable.unwrap_or(true),
        discounts: made.into_iter().map(|discount| discount.id).collect(),
        tax_rates: (!rates.is_empty()).then_some(rates),
        period: addition.period,
        subscription: Some(sub.id.clone()),
        subscription_item: None,
        invoice: None,
        proration: None,
        net_amount: None,
        metadata: addition.metadata,
    };
    insert_as(ctx, id, new).await
}

/// Holds what will be sold once with a subscription against the rules: gives its price, made if it is
/// not there yet, and how many.
///
/// # Errors
/// A 400 when its price recurs, or has no amount in the currency.
pub(crate) async fn check_addition(
    ctx: &mut Ctx,
    currency: Currency,
    (price, data, quantity): (Option<Text<255>>, Option<PriceDataInput>, Option<i64>),
    at: &str,
) -> Result<(Id<PriceKind>, i64)> {
    let quantity = checked_quantity(quantity, at)?;
    let (price, param) = one_time_price(ctx, price, data, at).await?;
    let priced = of_price(ctx, &price, Decimal::from(quantity), currency, &param).await?;
    Ok((priced.price, quantity))
}

fn checked_quantity(quantity: Option<i64>, at: &str) -> Result<i64> {
    let quantity = quantity.unwrap_or(1);
    if quantity < 0 {
        let message = "Invalid quantity: must not be negative.";
        return Err(Error::invalid(message).param(format!("{at}[quantity]")));
    }
    Ok(quantity)
}

/// The price that a request names or brings, and the parameter that did.
async fn one_time_price(
    ctx: &mut Ctx,
    price: Option<Text<255>>,
    data: Option<PriceDataInput>,
    at: &str,
) -> Result<(Price, String)> {
    let param = format!("{at}[price]");
    let id = match (price, data) {
        (None, Some(data)) => {
            let path = format!("{at}[price_data]");
            return Ok((prices::create_inline(ctx, data.into(), &path).await?, path));
        }
        (Some(id), None) => id,
        (None, None) => return Err(Error::missing(param)),
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "You may only specify one of these parameters: price, price_data.",
            )
            .code("parameters_exclusive")
            .param(param));
        }
    };
    let price = prices::named(ctx, &id, &param).await?;
    let refuse = |message: &str| Err(Error::invalid(message).param(&*param));
    if price.price_type() == PriceType::Recurring {
        return refuse(
            "The price specified is set to `type=recurring` but this field only accepts prices \
             with `type=one_time`.",
        );
    }
    if !price.active && !ctx.has_agreed_to(price.id.as_str()) {
        return refuse("The price specified is inactive. This field only accepts active prices.");
    }
    Ok((price, param))
}
