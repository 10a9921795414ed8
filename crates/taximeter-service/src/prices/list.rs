//! Listing and searching prices.

use serde_json::Value;
use taximeter_db::Arg;
use taximeter_kernel::calendar::Interval;
use taximeter_kernel::id::{Kind as _, Price as PriceKind};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::UsageType;

use super::{List, Price, PriceType, sql};
use crate::ctx::Ctx;
use crate::error::Result;
use crate::page::List as Page;
use crate::params::Choice as _;
use crate::search::{self, Search};
use crate::{meters, products};

/// Lists prices that were not described inline, newest first: those that can be bought, unless
/// told otherwise.
///
/// # Errors
/// A 400 when a cursor, the product or the meter names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    if let Some(product) = &input.product {
        products::named(ctx, product.as_str(), "product").await?;
    }
    let meter = input.recurring.as_ref().and_then(|recurring| recurring.meter.as_ref());
    if let Some(meter) = meter {
        meters::named(ctx, meter.as_str(), "recurring[meter]").await?;
    }
    let slice =
        ctx.page(&input.page()?, PriceKind::NOUN, (sql::SEQ, sql::LIST), filters(&input)).await?;
    Ok(Page {
        url: "/v1/prices".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Price::wire).collect(),
    })
}

/// `$6` to `$24` of [`sql::LIST`].
fn filters(input: &List) -> [Arg; 19] {
    let word = |word: Option<&'static str>| Arg::from(word);
    let recurring = input.recurring.as_ref();
    let keys = input.lookup_keys.as_ref().map_or(&[][..], |keys| keys.0.as_slice());
    let key = |at: usize| Arg::from(keys.get(at).map(|key| &**key));
    [
        Arg::from(input.active.unwrap_or(true)),
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        word(input.currency.map(Currency::code)),
        Arg::from(input.product.as_ref()),
        word(recurring.and_then(|r| r.interval).map(Interval::as_str)),
        Arg::from(recurring.and_then(|r| r.meter.as_ref())),
        word(recurring.and_then(|r| r.usage_type).map(UsageType::as_str)),
        word(input.r#type.map(PriceType::as_str)),
        key(0),
        key(1),
        key(2),
        key(3),
        key(4),
        key(5),
        key(6),
        key(7),
        key(8),
        key(9),
    ]
}

/// Searches prices that were not described inline.
///
/// # Errors
/// A 400 when the query is malformed.
pub async fn search(ctx: &mut Ctx, input: Search) -> Result<Value> {
    let found = search::run::<Price>(ctx, &input, sql::ALL).await?;
    Ok(found.wire("/v1/prices/search", Price::wire))
}
