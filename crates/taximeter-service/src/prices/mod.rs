//! Prices: what a product costs, in which currency, and how often.

mod check;
mod exact;
mod fault;
mod input;
mod sql;
mod stored;
mod wire;

use std::collections::BTreeMap;

pub use exact::Exact;
pub use input::{
    Create, CurrencyOptionInput, DefaultPriceData, InlineRecurring, List, ListRecurring, LookupKey,
    PriceData, ProductData, RecurringInput, TierInput, TransformQuantityInput, Update,
};
use serde_json::Value;
use taximeter_db::Arg;
use taximeter_kernel::calendar::{Interval, Recurrence};
use taximeter_kernel::id::{
    Id, Kind as _, Meter as MeterKind, Price as PriceKind, Product as ProductKind,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::{RoundQuantity, Scheme, TierMode, UsageType};
use taximeter_kernel::time::Timestamp;

use crate::ctx::Ctx;
use crate::error::{Error, Kind, Result};
use crate::page::List as Page;
use crate::params::{Choice as _, Clear, Decode, Node, Path, Schema, Text};
use crate::search::{self, Search};
use crate::{meters, outbox, products};
use check::{Asked, Terms};

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
            "Invalid currency: {shown}. It must be the three-letter ISO 4217 code of a supported currency, such as usd."
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

/// Takes a lookup key from the price that holds it, or refuses where that is not wanted.
async fn claim_lookup_key(ctx: &mut Ctx, key: &str, transfer: bool) -> Result<()> {
    let Some(holder) = sql::find_locked_by_lookup_key(ctx, key).await? else { return Ok(()) };
    if !transfer {
        return Err(lookup_key_taken(Some(&holder.id)));
    }
    let released = Price { lookup_key: None, ..holder.clone() };
    save(ctx, &holder, &released).await
}

fn lookup_key_taken(by: Option<&Id<PriceKind>>) -> Error {
    let holder = by.map_or(String::new(), |id| format!(" (`{id}`)"));
    Error::invalid(format!("A price{holder} already uses that lookup key.")).param("lookup_key")
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

/// Writes a new price, and the events that tell of it.
///
/// # Errors
/// A 400 when the product is gone or another price took the lookup key meanwhile.
pub(crate) async fn add(ctx: &mut Ctx, price: &Price) -> Result<()> {
    sql::insert(ctx, price).await?;
    outbox::push(ctx, "price.created", &price.wire()).await?;
    if price.recurring.is_some() {
        outbox::push(ctx, "plan.created", &price.plan_wire()).await?;
    }
    Ok(())
}

/// Reads a price whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Price> {
    match sql::find(ctx, id).await? {
        Some(price) => Ok(price),
        None => Err(no_such_path(ctx, id).await?),
    }
}

/// Reads a price whose id came as a parameter.
///
/// # Errors
/// A 400 when there is none.
pub async fn named(ctx: &mut Ctx, id: &str, param: &str) -> Result<Price> {
    match sql::find(ctx, id).await? {
        Some(price) => Ok(price),
        None => Err(no_such(ctx, id, param).await?),
    }
}

/// `No such price`, with Stripe's hint when the other mode has it.
async fn no_such(ctx: &mut Ctx, id: &str, param: &str) -> Result<Error> {
    let error = Error::no_such(PriceKind::NOUN, id, param);
    let elsewhere = sql::is_in_other_mode(ctx, id).await?;
    Ok(error.in_other_mode(elsewhere, ctx.scope().mode))
}

async fn no_such_path(ctx: &mut Ctx, id: &str) -> Result<Error> {
    let mut error = no_such(ctx, id, "id").await?;
    error.kind = Kind::NotFound;
    Ok(error)
}

/// Changes what of a price can change; what it charges never does.
///
/// # Errors
/// A 404 when there is none, a 400 when what is asked for is against the rules.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Price> {
    let before = match sql::find_locked(ctx, id).await? {
        Some(price) => price,
        None => return Err(no_such_path(ctx, id).await?),
    };
    let mut price = before.clone();
    let transfer = input.transfer_lookup_key.unwrap_or(false);
    input.apply(&mut price)?;
    if before.active && !price.active {
        refuse_default_price(ctx, &price).await?;
    }
    if let Some(key) = &price.lookup_key
        && before.lookup_key.as_ref() != Some(key)
    {
        claim_lookup_key(ctx, key, transfer).await?;
    }
    save(ctx, &before, &price).await?;
    Ok(price)
}

impl Update {
    /// Puts the change on a price.
    fn apply(self, price: &mut Price) -> Result<()> {
        if let Some(active) = self.active {
            price.active = active;
        }
        match self.currency_options {
            Clear::Keep => {}
            Clear::Unset => price.currency_options.clear(),
            Clear::Set(changes) => {
                let base = (price.currency, check::Shape::from(&price.scheme));
                check::merge_options(&mut price.currency_options, changes, base, Path::ROOT)?;
            }
        }
        self.lookup_key.apply(&mut price.lookup_key);
        self.nickname.apply(&mut price.nickname);
        price.tax_behavior =
            check::changed_tax_behavior(price.tax_behavior, self.tax_behavior, Path::ROOT)?;
        self.metadata.apply(&mut price.metadata)
    }
}

/// A product's default price stays one that can be bought.
async fn refuse_default_price(ctx: &mut Ctx, price: &Price) -> Result<()> {
    let product = products::retrieve_locked(ctx, price.product.as_str()).await?;
    if product.default_price.as_ref() == Some(&price.id) {
        return Err(Error::invalid(
            "This price cannot be archived because it is the default price of its product.",
        ));
    }
    Ok(())
}

/// Writes a changed price, and the events that tell of it.
async fn save(ctx: &mut Ctx, before: &Price, price: &Price) -> Result<()> {
    if before == price {
        return Ok(());
    }
    sql::update(ctx, price).await?;
    outbox::push_update(ctx, "price.updated", &before.wire(), &price.wire()).await?;
    outbox::push_update(ctx, "plan.updated", &before.plan_wire(), &price.plan_wire()).await
}

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
