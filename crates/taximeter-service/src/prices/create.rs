//! Making prices: on their own, with a product, and inline for one use.

use std::collections::BTreeMap;

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Product as ProductKind};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::Scheme;

use super::check::{Asked, Terms};
use super::update::claim_lookup_key;
use super::{Create, DefaultPriceData, Price, PriceData, TaxBehavior, fault, sql};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::params::Path;
use crate::{meters, outbox, products};

/// Makes a price, and its product if the request describes one.
///
/// # Errors
/// A 400 when a rule of prices is broken, the product or meter does not exist, or another price
/// has the lookup key.
pub async fn create(ctx: &mut Ctx, mut input: Create) -> Result<Price> {
    refuse_unclear_product(&input)?;
    let terms = input.take_asked().check(Path::ROOT)?;
    check_meter(ctx, &terms).await?;
    let product = match (input.product, input.product_data) {
        (Some(id), _) => products::named(ctx, id.as_str(), "product").await?,
        (None, Some(data)) => {
            products::create_at(ctx, data.into(), Path::ROOT.child("product_data")).await?
        }
        (None, None) => return Err(no_product()),
    };
    let mut price = Price::new(ctx, product.id, terms);
    price.active = input.active.unwrap_or(true);
    price.nickname = input.nickname.map(Into::into);
    price.metadata = input.metadata.0;
    if let Some(key) = input.lookup_key {
        claim_lookup_key(ctx, &key, input.transfer_lookup_key.unwrap_or(false)).await?;
        price.lookup_key = Some(key.into());
    }
    add(ctx, &price).await?;
    Ok(price)
}

fn refuse_unclear_product(input: &Create) -> Result<()> {
    match (&input.product, &input.product_data) {
        (None, None) => Err(no_product()),
        (Some(_), Some(_)) => Err(fault::exclusive("product", "product_data", Path::ROOT)),
        (Some(_), None) | (None, Some(_)) => Ok(()),
    }
}

fn no_product() -> Error {
    Error::invalid("You must specify either `product` or `product_data` when creating a price.")
}

/// A price counts on a meter that takes events.
async fn check_meter(ctx: &mut Ctx, terms: &Terms) -> Result<()> {
    const PARAM: &str = "recurring[meter]";
    let Some(id) = terms.recurring.as_ref().and_then(|recurring| recurring.meter.as_ref()) else {
        return Ok(());
    };
    let meter = meters::named(ctx, id.as_str(), PARAM).await?;
    match meter.status {
        meters::Status::Active => Ok(()),
        meters::Status::Inactive => Err(Error::invalid(format!(
            "The billing meter `{id}` is inactive and cannot be used by a new price."
        ))
        .param(PARAM)),
    }
}

/// The default price of a product that is being made, held against every rule.
#[derive(Debug)]
pub(crate) struct DefaultPrice {
    terms: Terms,
    metadata: BTreeMap<String, String>,
}

impl DefaultPriceData {
    /// Holds the `default_price_data` of a product against every rule of a price.
    pub(crate) fn check(mut self) -> Result<DefaultPrice> {
        let metadata = std::mem::take(&mut self.metadata.0);
        let terms = Asked::from(self).check(Path::ROOT.child("default_price_data"))?;
        Ok(DefaultPrice { terms, metadata })
    }
}

impl DefaultPrice {
    /// The price itself, still to be added.
    pub(crate) fn price(self, ctx: &Ctx, product: &Id<ProductKind>) -> Price {
        let mut price = Price::new(ctx, product.clone(), self.terms);
        price.metadata = self.metadata;
        price
    }
}

/// Makes a price for one use, out of the `price_data` that stands at `path`. It is not active, so
/// nothing else can use it.
///
/// # Errors
/// A 400 when a rule of prices is broken or the product does not exist.
pub async fn create_inline(ctx: &mut Ctx, input: PriceData, path: &str) -> Result<Price> {
    let at = Path::ROOT.child(path);
    let product = input.product.clone();
    let terms = Asked::from(input).check(at)?;
    let product = products::named(ctx, product.as_str(), &fault::param(at, "product")).await?;
    let mut price = Price::new(ctx, product.id, terms);
    price.active = false;
    price.inline = true;
    add(ctx, &price).await?;
    Ok(price)
}

/// Makes the price of something that is sold once and has only an amount, which may be below 0. It is
/// not active, so nothing else can use it.
///
/// # Errors
/// A 400 when the amount is more than can be billed, or has too many digits after the point.
pub(crate) async fn create_one_off(
    ctx: &mut Ctx,
    product: Id<ProductKind>,
    currency: Currency,
    unit_amount: Decimal,
    param: &str,
) -> Result<Price> {
    let scheme = Scheme::PerUnit { unit_amount, transform: None };
    scheme
        .validate_allowing_negative()
        .map_err(|error| Error::invalid(format!("Invalid amount: {error}.")).param(param))?;
    let terms = Terms {
        currency,
        scheme,
        recurring: None,
        currency_options: BTreeMap::new(),
        tax_behavior: TaxBehavior::Unspecified,
    };
    let mut price = Price::new(ctx, product, terms);
    price.active = false;
    price.inline = true;
    add(ctx, &price).await?;
    Ok(price)
}

/// Writes a new price, and the events that tell of it.
///
/// # Errors
/// A 400 when the product is gone, a 409 when another price took the lookup key meanwhile.
pub(crate) async fn add(ctx: &mut Ctx, price: &Price) -> Result<()> {
    sql::insert(ctx, price).await?;
    outbox::push(ctx, "price.created", &price.wire()).await?;
    if price.recurring.is_some() {
        outbox::push(ctx, "plan.created", &price.plan_wire()).await?;
    }
    Ok(())
}
