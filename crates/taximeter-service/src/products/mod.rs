//! Products: what is sold.

mod input;
mod sql;
mod types;
mod wire;

use std::collections::BTreeMap;

pub use input::{
    Create, Delete, List, MarketingFeature, PackageDimensionsInput, TaxDetailsInput,
    UNIT_LABEL_CHARS_MAX, Update,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taximeter_db::Arg;
use taximeter_kernel::id::{Id, Kind as _, Price as PriceKind, Product as ProductKind};
use taximeter_kernel::time::Timestamp;
pub use types::{AtMost, ChosenId, Dimension, StatementDescriptor, TaxCode, Url};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::outbox;
use crate::page::List as Page;
use crate::params::{Choice as _, Path};
use crate::prices::{self, Exact, Price};
use crate::search::{self, Search};

crate::choice! {
    /// What kind of thing is sold.
    pub enum ProductType {
        /// A physical good.
        Good = "good",
        /// A service.
        Service = "service",
    }
}

/// The size and weight of what is shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageDimensions {
    /// Inches.
    pub height: Exact,
    /// Inches.
    pub length: Exact,
    /// Ounces.
    pub weight: Exact,
    /// Inches.
    pub width: Exact,
}

/// What is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    seq: i64,
    /// Its id.
    pub id: Id<ProductKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// The name customers see.
    pub name: String,
    /// Whether it can be bought.
    pub active: bool,
    /// What kind of thing it is.
    pub kind: ProductType,
    /// The description customers see.
    pub description: Option<String>,
    /// Addresses of pictures.
    pub images: Vec<String>,
    /// What it offers, as pricing tables list it.
    pub marketing_features: Vec<String>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// Size and weight.
    pub package_dimensions: Option<PackageDimensions>,
    /// Whether it is shipped.
    pub shippable: Option<bool>,
    /// What a card statement shows.
    pub statement_descriptor: Option<String>,
    /// The tax code: `txcd_` and eight digits.
    pub tax_code: Option<String>,
    /// The id of the tax location where the performance takes place.
    pub performance_location: Option<String>,
    /// What one unit is called on invoices.
    pub unit_label: Option<String>,
    /// A public page about it.
    pub url: Option<String>,
    /// The price it has unless another is chosen.
    pub default_price: Option<Id<PriceKind>>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// Makes a product, and its default price if the request describes one.
///
/// # Errors
/// A 400 when another product has the id, or a rule of products or prices is broken.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Product> {
    create_at(ctx, input, Path::ROOT).await
}

/// Makes a product out of parameters that stand at `path`.
///
/// # Errors
/// Those of [`create`].
pub(crate) async fn create_at(ctx: &mut Ctx, mut input: Create, path: Path<'_>) -> Result<Product> {
    let default_price = input.default_price_data.take().map(prices::DefaultPriceData::check);
    let default_price = default_price.transpose()?;
    let mut product = input.product(ctx, path)?;
    let price = default_price.map(|default| default.price(ctx, &product.id));
    product.default_price = price.as_ref().map(|price| price.id.clone());
    if sql::find(ctx, product.id.as_str()).await?.is_some() {
        return Err(already_exists(path));
    }
    sql::insert(ctx, &product, path).await?;
    outbox::push(ctx, "product.created", &product.wire()).await?;
    if let Some(price) = price {
        prices::add(ctx, &price).await?;
    }
    Ok(product)
}

fn already_exists(path: Path<'_>) -> Error {
    Error::invalid("Product already exists.")
        .code("resource_already_exists")
        .param(path.child("id").to_string())
}

/// Reads a product whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Product> {
    match sql::find(ctx, id).await? {
        Some(product) => Ok(product),
        None => Err(ctx.no_such_path(ProductKind::NOUN, id).await?),
    }
}

/// Reads a product whatever has become of it: a deleted product leaves nothing to read.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve_any(ctx: &mut Ctx, id: &str) -> Result<Product> {
    retrieve(ctx, id).await
}

/// Reads a product whose id came as a parameter.
///
/// # Errors
/// A 400 when there is none.
pub async fn named(ctx: &mut Ctx, id: &str, param: &str) -> Result<Product> {
    match sql::find(ctx, id).await? {
        Some(product) => Ok(product),
        None => Err(ctx.no_such(ProductKind::NOUN, id, param).await?),
    }
}

/// Reads a product that stays as it is until the work is done.
///
/// # Errors
/// A 404 when there is none.
pub(crate) async fn retrieve_locked(ctx: &mut Ctx, id: &str) -> Result<Product> {
    match sql::find_locked(ctx, id).await? {
        Some(product) => Ok(product),
        None => Err(ctx.no_such_path(ProductKind::NOUN, id).await?),
    }
}

/// Changes a product.
///
/// # Errors
/// A 404 when there is none, a 400 when what is asked for is against the rules.
pub async fn update(ctx: &mut Ctx, id: &str, mut input: Update) -> Result<Product> {
    let before = retrieve_locked(ctx, id).await?;
    let mut product = before.clone();
    let default_price = std::mem::take(&mut input.default_price);
    input.apply(&mut product)?;
    default_price.apply(&mut product.default_price);
    if let Some(price) = &product.default_price
        && before.default_price.as_ref() != Some(price)
    {
        let price = prices::named(ctx, price.as_str(), "default_price").await?;
        check_default_price(&product, &price)?;
    }
    if before == product {
        return Ok(product);
    }
    product.updated = ctx.now;
    sql::update(ctx, &product).await?;
    outbox::push_update(ctx, "product.updated", &before.wire(), &product.wire()).await?;
    Ok(product)
}

fn check_default_price(product: &Product, price: &Price) -> Result<()> {
    let refuse = |message: String| Err(Error::invalid(message).param("default_price"));
    if price.product != product.id {
        return refuse(format!(
            "The price `{}` does not belong to product `{}`, so it cannot be its default price.",
            price.id, product.id
        ));
    }
    if !price.active {
        return refuse(format!(
            "The price `{}` is inactive and cannot be the default price of its product.",
            price.id
        ));
    }
    Ok(())
}

/// Deletes a product that has no prices.
///
/// # Errors
/// A 404 when there is none, a 400 when it has prices.
pub async fn delete(ctx: &mut Ctx, id: &str, _: Delete) -> Result<Value> {
    let product = retrieve_locked(ctx, id).await?;
    if sql::has_prices(ctx, &product.id).await? {
        return Err(still_has_prices());
    }
    sql::delete(ctx, &product.id).await?;
    outbox::push(ctx, "product.deleted", &product.wire()).await?;
    Ok(product.deleted_wire())
}

fn still_has_prices() -> Error {
    Error::invalid("This product cannot be deleted because it has one or more user-created prices.")
}

/// Lists products, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing, or stands beside `ids`.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let page = input.page()?;
    if let (Some(_), Some((_, cursor))) = (&input.ids, page.cursor()) {
        return Err(Error::invalid(format!(
            "You may only specify one of these parameters: ids, {cursor}."
        ))
        .code("parameters_exclusive")
        .param("ids"));
    }
    let filters = [
        Arg::Bool(input.active),
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::Text(input.ids.as_deref().map(sql::id_set)),
        Arg::Bool(input.shippable),
        Arg::Text(input.r#type.map(|kind| kind.as_str().to_owned())),
        Arg::Text(input.url.map(Into::into)),
    ];
    let slice = ctx.page(&page, ProductKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    Ok(Page {
        url: "/v1/products".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Product::wire).collect(),
    })
}

/// Searches products.
///
/// # Errors
/// A 400 when the query is malformed.
pub async fn search(ctx: &mut Ctx, input: Search) -> Result<Value> {
    let found = search::run::<Product>(ctx, &input, sql::ALL).await?;
    Ok(found.wire("/v1/products/search", Product::wire))
}

#[cfg(test)]
mod tests;
