//! The statements of prices, and how a row becomes one.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::calendar::{Interval, Recurrence};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Kind as _, Product as ProductKind};
use taximeter_kernel::price::{Scheme, TierMode};

use super::stored::{StoredOptions, StoredScheme};
use super::{BillingScheme, Exact, Price, Recurring};
use crate::ctx::{Ctx, malformed, optional_word, word};
use crate::error::{Error, Kind, Result};
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::search::{Field, FieldKind, FieldValue, Searchable};
use crate::{list_sql, stored};

impl Row for Price {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let scheme = read_scheme(cells)?;
        let options: StoredOptions = stored::read(cells, "currency_options")?;
        let currency_options = options
            .read(&scheme)
            .ok_or_else(|| malformed("currency_options", "schemes by currency", "another"))?;
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            product: cells.get("product")?,
            active: cells.get("active")?,
            inline: cells.get("inline")?,
            currency: cells.get("currency")?,
            scheme,
            recurring: read_recurring(cells)?,
            currency_options,
            lookup_key: cells.get("lookup_key")?,
            nickname: cells.get("nickname")?,
            tax_behavior: word(cells, "tax_behavior")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

fn read_scheme(cells: &Cells<'_>) -> Result<Scheme, DbError> {
    let unit_amount: Option<Decimal> = cells.get("unit_amount")?;
    let scheme = StoredScheme {
        unit_amount: unit_amount.map(Exact),
        transform: stored::read_optional(cells, "transform_quantity")?,
        tiers_mode: optional_word(cells, "tiers_mode")?,
        tiers: stored::read_optional(cells, "tiers")?,
    };
    let scheme = scheme
        .read()
        .ok_or_else(|| malformed("tiers", "scheme that keeps every rule", "another"))?;
    let kind: BillingScheme = word(cells, "billing_scheme")?;
    if kind != BillingScheme::from(&scheme) {
        return Err(malformed("billing_scheme", "billing scheme of its amounts", kind.as_str()));
    }
    Ok(scheme)
}

fn read_recurring(cells: &Cells<'_>) -> Result<Option<Recurring>, DbError> {
    let Some(interval) = optional_word::<Interval>(cells, "interval")? else { return Ok(None) };
    let count: u32 = cells.get("interval_count")?;
    let recurrence = Recurrence::new(interval, count)
        .map_err(|_| malformed("interval_count", "count of intervals", &count.to_string()))?;
    Ok(Some(Recurring {
        recurrence,
        usage_type: word(cells, "usage_type")?,
        meter: cells.get("meter")?,
        trial_period_days: cells.get("trial_period_days")?,
    }))
}

impl Searchable for Price {
    const FIELDS: &'static [Field] = &[
        Field { name: "active", kind: FieldKind::Token },
        Field { name: "currency", kind: FieldKind::Token },
        Field { name: "lookup_key", kind: FieldKind::Token },
        Field { name: "metadata", kind: FieldKind::Map },
        Field { name: "product", kind: FieldKind::Token },
        Field { name: "type", kind: FieldKind::Token },
    ];

    fn seq(&self) -> i64 {
        self.seq
    }

    fn field(&self, name: &str) -> FieldValue<'_> {
        match name {
            "active" => FieldValue::Bool(self.active),
            "currency" => FieldValue::Text(self.currency.code()),
            "lookup_key" => self.lookup_key.as_deref().into(),
            "metadata" => FieldValue::Map(&self.metadata),
            "product" => FieldValue::Text(self.product.as_str()),
            "type" => FieldValue::Text(self.price_type().as_str()),
            _ => FieldValue::Null,
        }
    }
}

pub(super) const SEQ: &str =
    "SELECT seq FROM prices WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM prices WHERE account = $1 AND livemode = $2 AND NOT inline AND active = $6",
    " AND ($7 IS NULL OR created >= $7) AND ($8 IS NULL OR created <= $8)",
    " AND ($9 IS NULL OR currency = $9)",
    " AND ($10 IS NULL OR product = $10)",
    " AND ($11 IS NULL OR interval = $11)",
    " AND ($12 IS NULL OR meter = $12)",
    " AND ($13 IS NULL OR usage_type = $13)",
    " AND ($14 IS NULL OR type = $14)",
    " AND ($15 IS NULL OR lookup_key IN ($15, $16, $17, $18, $19, $20, $21, $22, $23, $24))",
);

pub(super) const ALL: ListSql =
    list_sql!("SELECT * FROM prices WHERE account = $1 AND livemode = $2 AND NOT inline");

const FIND: &str = "SELECT * FROM prices WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Price>> {
    if let Some(known) = ctx.known().prices.get(id) {
        return Ok(Some(known.clone()));
    }
    let args = ctx.args([Arg::from(id)]);
    let found: Option<Price> = ctx.tx.optional(FIND, args).await?;
    if let Some(found) = &found {
        ctx.known().prices.insert(id.to_owned(), found.clone());
    }
    Ok(found)
}

pub(super) async fn find_locked(ctx: &mut Ctx, id: &str) -> Result<Option<Price>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional_for_update(FIND, args).await?)
}

pub(super) async fn find_locked_by_lookup_key(ctx: &mut Ctx, key: &str) -> Result<Option<Price>> {
    let args = ctx.args([Arg::from(key)]);
    let sql = "SELECT * FROM prices WHERE account = $1 AND livemode = $2 AND lookup_key = $3";
    Ok(ctx.tx.optional_for_update(sql, args).await?)
}

/// A subscription that has not ended, has the price, and is billed in another currency than the
/// price's own.
pub(super) async fn find_subscription_in_another_currency(
    ctx: &mut Ctx,
    price: &Price,
) -> Result<Option<String>> {
    let args = ctx.args([Arg::from(&price.id), Arg::from(price.currency.code())]);
    let sql = "SELECT subscriptions.id FROM subscription_items JOIN subscriptions \
               ON subscriptions.account = subscription_items.account \
               AND subscriptions.livemode = subscription_items.livemode \
               AND subscriptions.id = subscription_items.subscription \
               WHERE subscription_items.account = $1 AND subscription_items.livemode = $2 \
               AND subscription_items.price = $3 AND subscriptions.currency <> $4 \
               AND subscriptions.ended_at IS NULL ORDER BY subscriptions.seq LIMIT 1";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// The columns that can change, in the order of both statements below.
fn changing(price: &Price) -> Result<[Arg; 6]> {
    Ok([
        Arg::from(price.active),
        stored::write(&StoredOptions::from(&price.currency_options))?,
        Arg::Text(price.lookup_key.clone()),
        Arg::Text(price.nickname.clone()),
        Arg::from(price.tax_behavior.as_str()),
        stored::write(&price.metadata)?,
    ])
}

/// The columns that never change, in the order of the statement below.
fn lasting(price: &Price) -> Result<[Arg; 15]> {
    let scheme = StoredScheme::from(&price.scheme);
    let recurring = price.recurring.as_ref();
    Ok([
        Arg::from(&price.product),
        Arg::from(price.inline),
        Arg::from(price.price_type().as_str()),
        Arg::from(price.currency.code()),
        Arg::from(BillingScheme::from(&price.scheme).as_str()),
        Arg::from(scheme.unit_amount.map(|amount| amount.0)),
        stored::write_optional(scheme.transform.as_ref())?,
        Arg::from(scheme.tiers_mode.map(TierMode::as_str)),
        stored::write_optional(scheme.tiers.as_ref())?,
        Arg::from(recurring.map(|r| r.recurrence.interval().as_str())),
        Arg::from(recurring.map(|r| r.recurrence.count())),
        Arg::from(recurring.map(|r| r.usage_type.as_str())),
        Arg::from(recurring.and_then(|r| r.meter.as_ref())),
        Arg::Int(recurring.and_then(|r| r.trial_period_days)),
        Arg::from(price.created),
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, price: &Price) -> Result<()> {
    let mut args = ctx.args([Arg::from(&price.id)]);
    args.extend(changing(price)?);
    args.extend(lasting(price)?);
    let sql = "INSERT INTO prices (account, livemode, id, active, currency_options, lookup_key, \
               nickname, tax_behavior, metadata, product, inline, type, currency, billing_scheme, \
               unit_amount, transform_quantity, tiers_mode, tiers, interval, interval_count, \
               usage_type, meter, trial_period_days, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
               $17, $18, $19, $20, $21, $22, $23, $24)";
    ctx.tx.execute(sql, args).await.map_err(|error| taken_meanwhile(error, price))?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, price: &Price) -> Result<()> {
    ctx.known().prices.remove(price.id.as_str());
    let mut args = ctx.args([Arg::from(&price.id)]);
    args.extend(changing(price)?);
    let sql = "UPDATE prices SET active = $4, currency_options = $5, lookup_key = $6, \
               nickname = $7, tax_behavior = $8, metadata = $9 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await.map_err(|error| taken_meanwhile(error, price))?;
    Ok(())
}

/// What another request did between the look and the write.
fn taken_meanwhile(error: DbError, price: &Price) -> Error {
    match error {
        // Random ids do not meet, so it is the lookup key. A second try sees its holder.
        error if error.is_unique() => {
            Error::new(Kind::Conflict, "Another request took this lookup key. Please try again.")
                .code("lock_timeout")
                .param("lookup_key")
        }
        DbError::ForeignKey { .. } => {
            Error::no_such(ProductKind::NOUN, price.product.as_str(), "product")
        }
        error => error.into(),
    }
}
