//! What an invoice item comes to, and the price behind it.

use taximeter_kernel::decimal::{Decimal, Rounding, mul_round};
use taximeter_kernel::id::{Id, Price as PriceKind, Product as ProductKind};
use taximeter_kernel::money::{AMOUNT_MINOR_MAX, Currency};
use taximeter_kernel::price::Scheme;
use taximeter_kernel::rate::rate;

use super::input::Source;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::params::Text;
use crate::prices::{self, Price, PriceType};
use crate::products;

/// What an item without a description of its own is of.
const UNNAMED: &str = "Invoice item";

/// An amount with the price that it is of.
#[derive(Debug)]
pub(super) struct Priced {
    pub(super) amount: i64,
    pub(super) quantity: Decimal,
    pub(super) unit_amount: Option<Decimal>,
    pub(super) price: Id<PriceKind>,
    pub(super) product: Id<ProductKind>,
    /// What it is called, unless it is told: the product, when that is one of the catalog.
    pub(super) name: Option<String>,
}

/// The currency that a source brings with it.
pub(super) enum Brought {
    /// A price of the catalog has one or more.
    Price(Box<Price>, &'static str),
    /// The others have none, or one of their own.
    Source(Source),
}

/// Reads the price of the catalog that a source names.
pub(super) async fn look_up(ctx: &mut Ctx, source: Source) -> Result<Brought> {
    let Source::Price(id, param) = source else { return Ok(Brought::Source(source)) };
    let price = prices::named(ctx, &id, param).await?;
    let refuse = |message: &str| Err(Error::invalid(message).param(param));
    if price.price_type() == PriceType::Recurring {
        return refuse(
            "The price specified is set to `type=recurring` but this field only accepts prices \
             with `type=one_time`.",
        );
    }
    if !price.active {
        return refuse("The price specified is inactive. This field only accepts active prices.");
    }
    Ok(Brought::Price(Box::new(price), param))
}

impl Brought {
    /// The currency, where there is only one.
    pub(super) fn currency(&self) -> Option<Currency> {
        match self {
            Self::Price(price, _) => Some(price.currency),
            Self::Source(Source::Data(data)) => Some(data.currency),
            Self::Source(Source::Amount(_) | Source::Unit(..) | Source::Price(..)) => None,
        }
    }

    /// Makes the amount in a currency, and the price behind it where there is none yet.
    pub(super) async fn priced(
        self,
        ctx: &mut Ctx,
        quantity: Decimal,
        currency: Currency,
        description: Option<&str>,
    ) -> Result<Priced> {
        let (unit, param) = match self {
            Self::Price(price, param) => {
                return of_price(ctx, &price, quantity, currency, param).await;
            }
            Self::Source(Source::Data(data)) => {
                if data.currency != currency {
                    return Err(
                        only_supports(data.currency, currency).param("price_data[currency]")
                    );
                }
                let price = prices::create_inline(ctx, data.into(), "price_data").await?;
                return of_price(ctx, &price, quantity, currency, "price_data").await;
            }
            Self::Source(Source::Amount(amount)) => (Decimal::from(amount), "amount"),
            Self::Source(Source::Unit(unit, param)) => (unit, param),
            Self::Source(Source::Price(..)) => {
                return Err(Error::internal("a price of the catalog was not looked up"));
            }
        };
        let product = one_off_product(ctx, description.unwrap_or(UNNAMED)).await?;
        let price = prices::create_one_off(ctx, product.id, currency, unit, param).await?;
        let mut priced = of_price(ctx, &price, quantity, currency, param).await?;
        priced.name = None;
        Ok(priced)
    }
}

/// The product of what is sold once.
async fn one_off_product(ctx: &mut Ctx, name: &str) -> Result<products::Product> {
    let input = products::Create {
        active: Some(false),
        default_price_data: None,
        description: None,
        id: None,
        images: None,
        marketing_features: None,
        metadata: crate::params::Metadata::default(),
        name: Text(name.to_owned()),
        package_dimensions: None,
        shippable: None,
        statement_descriptor: None,
        tax_code: None,
        tax_details: None,
        r#type: None,
        unit_label: None,
        url: None,
    };
    products::create(ctx, input).await
}

/// What so many of a price come to.
pub(super) async fn of_price(
    ctx: &mut Ctx,
    price: &Price,
    quantity: Decimal,
    currency: Currency,
    param: &str,
) -> Result<Priced> {
    let Some(scheme) = price.scheme_in(currency) else {
        return Err(only_supports(price.currency, currency).param(param));
    };
    let (amount, unit_amount) = amount_of(scheme, quantity, param)?;
    let product = products::retrieve_any(ctx, price.product.as_str()).await?;
    Ok(Priced {
        amount,
        quantity,
        unit_amount,
        price: price.id.clone(),
        product: product.id,
        name: Some(product.name),
    })
}

/// What a quantity comes to, and what each costs where that is one amount. 3 at 3.5 minor units are
/// 10.5, so 11; 3 at -3.5 are -11.
fn amount_of(scheme: &Scheme, quantity: Decimal, param: &str) -> Result<(i64, Option<Decimal>)> {
    let too_large = || {
        Error::invalid(format!(
            "Invalid amount: must be between -{AMOUNT_MINOR_MAX} and {AMOUNT_MINOR_MAX}."
        ))
        .code("amount_too_large")
        .param(param)
    };
    let (amount, unit_amount) = match scheme {
        Scheme::PerUnit { unit_amount, transform: None } => {
            let amount = mul_round(*unit_amount, quantity, Rounding::HalfAwayFromZero);
            (amount.map_err(|error| too_large().because(error))?, Some(*unit_amount))
        }
        Scheme::PerUnit { transform: Some(_), .. } | Scheme::Tiered { .. } => {
            let lines = rate(scheme, quantity).map_err(|error| too_large().because(error))?;
            let sum = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.amount_minor));
            let unit_amount = match lines.as_slice() {
                [only] => only.unit_amount,
                _ => None,
            };
            (sum.ok_or_else(too_large)?, unit_amount)
        }
    };
    if !(-AMOUNT_MINOR_MAX..=AMOUNT_MINOR_MAX).contains(&amount) {
        return Err(too_large());
    }
    Ok((amount, unit_amount))
}

fn only_supports(own: Currency, expected: Currency) -> Error {
    Error::invalid(format!(
        "The price specified only supports `{}`. This doesn't match the expected currency: `{}`.",
        own.code(),
        expected.code()
    ))
}
