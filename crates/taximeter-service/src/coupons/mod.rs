//! Coupons: what can be taken off, how long, of what, and how often.

mod input;
mod sql;
mod wire;

use std::collections::BTreeMap;

pub(crate) use input::checked_redemptions;
pub use input::{
    AppliesToInput, Create, CurrencyOptionInput, Delete, DurationWord, List, PERCENT_DECIMALS_MAX,
    PRODUCTS_MAX, Update,
};
use serde_json::{Value, json};
use taximeter_db::Arg;
use taximeter_kernel::calendar::{CalendarError, Interval, Recurrence};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::discount::Discount;
use taximeter_kernel::id::{Coupon as CouponKind, Id, Kind as _, Product as ProductKind};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::{outbox, products};

/// What a coupon takes off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Off {
    /// So many per cent, in any currency.
    Percent(Decimal),
    /// So many minor units, in each of its currencies.
    Amounts {
        /// The currency it was made in.
        currency: Currency,
        /// The amounts, that of its own currency among them.
        amounts: BTreeMap<Currency, i64>,
    },
}

/// How long a coupon is in effect once it is redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duration {
    /// For one invoice.
    Once,
    /// For some months.
    Repeating {
        /// How many.
        months: i64,
    },
    /// As long as what it was applied to lasts.
    Forever,
}

impl Duration {
    /// When a discount that begins at `start` ends by itself, if it does: 3 months from 30 November
    /// end on 28 February.
    ///
    /// # Errors
    /// [`CalendarError`] when that is beyond every calendar.
    pub fn end(self, start: Timestamp) -> Result<Option<Timestamp>, CalendarError> {
        match self {
            Self::Once | Self::Forever => Ok(None),
            Self::Repeating { months } => {
                let monthly = Recurrence::new(Interval::Month, 1).map_err(|_| CalendarError)?;
                monthly.boundary(start, months).map(Some)
            }
        }
    }
}

/// What can be taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// Its row, which discounts name it by: an id can be another coupon's later.
    pub(crate) seq: i64,
    /// Its id.
    pub id: Id<CouponKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Whether it was deleted: it cannot be redeemed, and what it was redeemed for stays.
    pub deleted: bool,
    /// What it takes off.
    pub off: Off,
    /// How long.
    pub duration: Duration,
    /// Of which products, when not of all.
    pub products: Option<Vec<Id<ProductKind>>>,
    /// What customers see it called.
    pub name: Option<String>,
    /// How often it can be redeemed.
    pub max_redemptions: Option<i64>,
    /// The last second in which it can be redeemed.
    pub redeem_by: Option<Timestamp>,
    /// How often it was redeemed.
    pub times_redeemed: i64,
    /// Whether it could be redeemed when it was read.
    pub valid: bool,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

impl Coupon {
    /// The same coupon as it is at `now`.
    fn at(mut self, now: Timestamp) -> Self {
        self.valid = self.is_redeemable(now);
        self
    }

    fn is_redeemable(&self, now: Timestamp) -> bool {
        let in_time = self.redeem_by.is_none_or(|by| now <= by);
        let left = self.max_redemptions.is_none_or(|max| self.times_redeemed < max);
        !self.deleted && in_time && left
    }

    /// What it takes off an amount in `currency`; nothing when it has no amount in it.
    #[must_use]
    pub fn taken_off(&self, currency: Currency) -> Option<Discount> {
        match &self.off {
            Off::Percent(percent) => Some(Discount::Percent(*percent)),
            Off::Amounts { amounts, .. } => amounts.get(&currency).copied().map(Discount::Amount),
        }
    }

    /// Whether it takes something off a product.
    #[must_use]
    pub fn covers(&self, product: &Id<ProductKind>) -> bool {
        self.products.as_ref().is_none_or(|products| products.contains(product))
    }
}

/// Makes a coupon.
///
/// # Errors
/// A 400 when a rule of coupons is broken, a product does not exist, or another coupon has the id.
pub async fn create(ctx: &mut Ctx, mut input: Create) -> Result<Coupon> {
    let off = input.off()?;
    let coupon = Coupon {
        seq: 0,
        id: match &input.id {
            Some(id) => chosen_id(id)?,
            None => random_id(ctx)?,
        },
        livemode: ctx.scope().mode.is_live(),
        deleted: false,
        off,
        duration: input.duration()?,
        products: products_of(ctx, input.applies_to.take()).await?,
        redeem_by: input.redeem_by(ctx.now)?,
        name: input.name.map(Into::into),
        max_redemptions: checked_redemptions(input.max_redemptions)?,
        times_redeemed: 0,
        valid: true,
        metadata: input.metadata.0,
        created: ctx.now,
    };
    if sql::find(ctx, coupon.id.as_str()).await?.is_some() {
        return Err(already_exists());
    }
    sql::insert(ctx, &coupon).await?;
    outbox::push(ctx, "coupon.created", &coupon.wire()).await?;
    Ok(coupon)
}

fn already_exists() -> Error {
    Error::invalid("Coupon already exists.").code("resource_already_exists").param("id")
}

fn chosen_id(text: &str) -> Result<Id<CouponKind>> {
    Id::parse(text).map_err(|_| {
        Error::invalid("Invalid id: must be ASCII letters, digits, `_`, `-` or `.`").param("id")
    })
}

/// Eight random letters and digits, which customers can be told.
fn random_id(ctx: &Ctx) -> Result<Id<CouponKind>> {
    let whole: Id<CouponKind> = ctx.new_id();
    let random = whole.as_str().trim_start_matches(CouponKind::PREFIX).trim_start_matches('_');
    Id::parse(random).map_err(Error::internal)
}

async fn products_of(
    ctx: &mut Ctx,
    applies_to: Option<AppliesToInput>,
) -> Result<Option<Vec<Id<ProductKind>>>> {
    let Some(named) = applies_to.and_then(|applies_to| applies_to.products) else {
        return Ok(None);
    };
    let mut ids = Vec::with_capacity(named.0.len());
    for (place, id) in named.0.iter().enumerate() {
        let product = products::named(ctx, id, &format!("applies_to[products][{place}]")).await?;
        if !ids.contains(&product.id) {
            ids.push(product.id);
        }
    }
    Ok(Some(ids))
}

/// Reads a coupon whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Coupon> {
    match sql::find(ctx, id).await? {
        Some(coupon) => Ok(coupon),
        None => Err(ctx.no_such_path(CouponKind::NOUN, id).await?),
    }
}

/// Reads a coupon that something names, be it deleted.
///
/// # Errors
/// A 404 when there never was one.
pub(crate) async fn retrieve_any(ctx: &mut Ctx, id: &str) -> Result<Coupon> {
    match sql::find_any(ctx, id).await? {
        Some(coupon) => Ok(coupon),
        None => Err(ctx.no_such_path(CouponKind::NOUN, id).await?),
    }
}

/// Reads a coupon whose id came as a parameter, and holds it until the work is done: it is about to
/// be redeemed.
///
/// # Errors
/// A 400 when there is none.
pub(crate) async fn named_locked(ctx: &mut Ctx, id: &str, param: &str) -> Result<Coupon> {
    match sql::find_locked(ctx, id).await? {
        Some(coupon) => Ok(coupon),
        None => Err(ctx.no_such(CouponKind::NOUN, id, param).await?),
    }
}

/// Reads a coupon by its row, be it deleted.
///
/// # Errors
/// A 500 when there is none.
pub(crate) async fn of_row(ctx: &mut Ctx, seq: i64) -> Result<Coupon> {
    sql::of_row(ctx, seq).await
}

/// As [`of_row`], held until the work is done.
///
/// # Errors
/// A 500 when there is none.
pub(crate) async fn of_row_locked(ctx: &mut Ctx, seq: i64) -> Result<Coupon> {
    sql::of_row_locked(ctx, seq).await
}

/// Counts one redemption of a coupon that is held.
///
/// # Errors
/// A 400 when it cannot be redeemed.
pub(crate) async fn redeem(ctx: &mut Ctx, coupon: &mut Coupon, param: &str) -> Result<()> {
    if !coupon.is_redeemable(ctx.now) {
        let id = &coupon.id;
        return Err(Error::invalid(format!("Coupon expired: {id}"))
            .code("coupon_expired")
            .param(param));
    }
    coupon.times_redeemed = coupon
        .times_redeemed
        .checked_add(1)
        .ok_or_else(|| Error::internal("a coupon was redeemed too often"))?;
    coupon.valid = coupon.is_redeemable(ctx.now);
    sql::update(ctx, coupon).await
}

/// Changes a coupon.
///
/// # Errors
/// A 404 when there is none, a 400 when what is asked for is against the rules.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Coupon> {
    let Some(before) = sql::find_locked(ctx, id).await? else {
        return Err(ctx.no_such_path(CouponKind::NOUN, id).await?);
    };
    let mut coupon = before.clone();
    if let Some(name) = input.name {
        coupon.name = Some(name.into());
    }
    match (&mut coupon.off, input.currency_options) {
        (_, None) => {}
        (Off::Percent(_), Some(_)) => {
            return Err(Error::invalid(
                "`currency_options` is only supported if the coupon is amount-based.",
            )
            .param("currency_options"));
        }
        (Off::Amounts { currency, amounts }, options) => {
            input::options(options, Some(*currency), amounts)?;
        }
    }
    input.metadata.apply(&mut coupon.metadata)?;
    if coupon != before {
        sql::update(ctx, &coupon).await?;
        outbox::push_update(ctx, "coupon.updated", &before.wire(), &coupon.wire()).await?;
    }
    Ok(coupon)
}

/// Deletes a coupon: nobody can redeem it any more, and who has keeps it.
///
/// # Errors
/// A 404 when there is none.
pub async fn delete(ctx: &mut Ctx, id: &str, _: Delete) -> Result<Value> {
    let Some(mut coupon) = sql::find_locked(ctx, id).await? else {
        return Err(ctx.no_such_path(CouponKind::NOUN, id).await?);
    };
    coupon.deleted = true;
    sql::update(ctx, &coupon).await?;
    coupon.valid = false;
    outbox::push(ctx, "coupon.deleted", &coupon.wire()).await?;
    Ok(json!({ "id": coupon.id.as_str(), "object": "coupon", "deleted": true }))
}

/// Lists coupons, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [Arg::Int(input.created.min), Arg::Int(input.created.max)];
    let page = input.page()?;
    let slice = ctx.page(&page, CouponKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    let now = ctx.now;
    let wire = |coupon: Coupon| coupon.at(now).wire();
    Ok(Page {
        url: "/v1/coupons".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.into_iter().map(wire).collect(),
    })
}
