//! Prices: what a product costs, in which currency, and how often.

mod amounts;
mod check;
mod create;
mod exact;
mod fault;
mod input;
mod list;
mod sql;
mod stored;
mod update;
mod wire;

use std::collections::BTreeMap;

pub(crate) use create::add;
pub(crate) use create::create_one_off;
pub use create::{create, create_inline};
pub use exact::Exact;
pub use input::{
    Create, CurrencyOptionInput, DefaultPriceData, InlineRecurring, List, ListRecurring, LookupKey,
    PriceData, ProductData, RecurringInput, TierInput, TransformQuantityInput, Update,
};
pub use list::{list, search};
use taximeter_kernel::calendar::{Interval, Recurrence};
use taximeter_kernel::id::{
    Id, Kind as _, Meter as MeterKind, Price as PriceKind, Product as ProductKind,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::{RoundQuantity, Scheme, TierMode, UsageType};
use taximeter_kernel::time::Timestamp;
pub use update::update;

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::params::{Decode, Node, Path, Schema, Text};
use check::Terms;

crate::choice! { for Interval { Day = "day", Month = "month", Week = "week", Year = "year" } }
crate::choice! { for UsageType { Licensed = "licensed", Metered = "metered" } }
crate::choice! { for TierMode { Graduated = "graduated", Volume = "volume" } }
crate::choice! { for RoundQuantity { Down = "down", Up = "up" } }

crate::choice! {
    /// How a quantity becomes an amount.
    pub enum BillingScheme {
        /// The same for each unit or package.
        PerUnit = "per_unit",
        /// Depending on how many.
        Tiered = "tiered",
    }
}

crate::choice! {
    /// Whether a price recurs.
    pub enum PriceType {
        /// It does not.
        OneTime = "one_time",
        /// It does.
        Recurring = "recurring",
    }
}

crate::choice! {
    /// Whether amounts include tax.
    pub enum TaxBehavior {
        /// Tax is added to them.
        Exclusive = "exclusive",
        /// Tax is in them.
        Inclusive = "inclusive",
        /// Not said yet.
        Unspecified = "unspecified",
    }
}

impl Decode for Currency {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let code: Text = Text::decode(node, path)?;
        currency(&code, path)
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

/// The currency of a code in any case.
fn currency(code: &str, path: Path<'_>) -> Result<Currency> {
    Currency::parse(code).map_err(|_| {
        let shown: String = code.chars().take(10).collect();
        Error::invalid(format!(
            "Invalid currency: {shown}. It must be the three-letter ISO 4217 code of a supported \
             currency, such as usd."
        ))
        .param(path.to_string())
    })
}

/// How often a price recurs, and what it is the price of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurring {
    /// How often.
    pub recurrence: Recurrence,
    /// Where the quantity comes from.
    pub usage_type: UsageType,
    /// The meter that counts it; there is one when `usage_type` is metered, and only then.
    pub meter: Option<Id<MeterKind>>,
    /// Days of trial for subscriptions that ask for the price's own trial.
    pub trial_period_days: Option<i64>,
}

/// The price in another currency than its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyOption {
    /// What it costs, in minor units of that currency.
    pub scheme: Scheme,
    /// Whether that includes tax.
    pub tax_behavior: TaxBehavior,
}

/// What a product costs, in which currency, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    seq: i64,
    /// Its id.
    pub id: Id<PriceKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// What it is the price of.
    pub product: Id<ProductKind>,
    /// Whether it can be bought.
    pub active: bool,
    /// Whether it was described inline, for one use.
    pub inline: bool,
    /// Its own currency.
    pub currency: Currency,
    /// What it costs, in minor units of `currency`.
    pub scheme: Scheme,
    /// How it recurs, if it does.
    pub recurring: Option<Recurring>,
    /// What it costs in currencies other than its own.
    pub currency_options: BTreeMap<Currency, CurrencyOption>,
    /// A name by which a program finds it.
    pub lookup_key: Option<String>,
    /// The operator's own name for it.
    pub nickname: Option<String>,
    /// Whether its amounts include tax.
    pub tax_behavior: TaxBehavior,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

impl Price {
    fn new(ctx: &Ctx, product: Id<ProductKind>, terms: Terms) -> Self {
        Self {
            seq: 0,
            id: ctx.new_id(),
            livemode: ctx.scope().mode.is_live(),
            product,
            active: true,
            inline: false,
            currency: terms.currency,
            scheme: terms.scheme,
            recurring: terms.recurring,
            currency_options: terms.currency_options,
            lookup_key: None,
            nickname: None,
            tax_behavior: terms.tax_behavior,
            metadata: BTreeMap::new(),
            created: ctx.now,
        }
    }

    /// What it costs in a currency, in minor units of that currency, if it has a price in it.
    #[must_use]
    pub fn scheme_in(&self, currency: Currency) -> Option<&Scheme> {
        if currency == self.currency {
            return Some(&self.scheme);
        }
        self.currency_options.get(&currency).map(|option| &option.scheme)
    }

    /// The meter that counts its quantity, if one does.
    #[must_use]
    pub fn meter(&self) -> Option<&Id<MeterKind>> {
        self.recurring.as_ref().and_then(|recurring| recurring.meter.as_ref())
    }

    /// Where its quantity comes from: the customer's order, if it does not recur.
    #[must_use]
    pub fn usage_type(&self) -> UsageType {
        self.recurring.as_ref().map_or(UsageType::Licensed, |recurring| recurring.usage_type)
    }

    /// Whether it recurs.
    #[must_use]
    pub const fn price_type(&self) -> PriceType {
        if self.recurring.is_some() { PriceType::Recurring } else { PriceType::OneTime }
    }
}

/// Reads a price whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Price> {
    match sql::find(ctx, id).await? {
        Some(price) => Ok(price),
        None => Err(ctx.no_such_path(PriceKind::NOUN, id).await?),
    }
}

/// Reads a price whose id came as a parameter.
///
/// # Errors
/// A 400 when there is none.
pub async fn named(ctx: &mut Ctx, id: &str, param: &str) -> Result<Price> {
    match sql::find(ctx, id).await? {
        Some(price) => Ok(price),
        None => Err(ctx.no_such(PriceKind::NOUN, id, param).await?),
    }
}

#[cfg(test)]
mod tests;
