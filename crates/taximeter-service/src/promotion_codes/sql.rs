//! The statements of promotion codes, and how a row becomes one.

use std::collections::BTreeMap;

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Customer, Id, PromotionCode as PromotionCodeKind};
use taximeter_kernel::time::Timestamp;

use super::{PromotionCode, Restrictions, code_taken};
use crate::coupons;
use crate::ctx::Ctx;
use crate::error::Result;
use crate::page::ListSql;
use crate::{list_sql, stored};

/// A promotion code without its coupon, which is read on its own.
pub(super) struct Bare {
    id: Id<PromotionCodeKind>,
    livemode: bool,
    code: String,
    coupon: i64,
    enabled: bool,
    customer: Option<Id<Customer>>,
    expires_at: Option<Timestamp>,
    max_redemptions: Option<i64>,
    times_redeemed: i64,
    restrictions: Restrictions,
    metadata: BTreeMap<String, String>,
    created: Timestamp,
}

impl Row for Bare {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let customer: String = cells.get("customer")?;
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            code: cells.get("code")?,
            coupon: cells.get("coupon")?,
            enabled: cells.get("active")?,
            customer: if customer.is_empty() { None } else { Some(cells.get("customer")?) },
            expires_at: cells.get("expires_at")?,
            max_redemptions: cells.get("max_redemptions")?,
            times_redeemed: cells.get("times_redeemed")?,
            restrictions: stored::read(cells, "restrictions")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

/// Reads the coupon of a promotion code.
pub(super) async fn complete(ctx: &mut Ctx, bare: Bare) -> Result<PromotionCode> {
    let mut code = PromotionCode {
        id: bare.id,
        livemode: bare.livemode,
        code: bare.code,
        coupon: coupons::of_row(ctx, bare.coupon).await?,
        enabled: bare.enabled,
        active: false,
        customer: bare.customer,
        expires_at: bare.expires_at,
        max_redemptions: bare.max_redemptions,
        times_redeemed: bare.times_redeemed,
        restrictions: bare.restrictions,
        metadata: bare.metadata,
        created: bare.created,
    };
    code.active = code.enabled && code.is_redeemable(ctx.now);
    Ok(code)
}

pub(super) const SEQ: &str =
    "SELECT seq FROM promotion_codes WHERE account = $1 AND livemode = $2 AND id = $3";

/// `$6` is the time by which a code is active or not.
pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM promotion_codes AS p WHERE account = $1 AND livemode = $2",
    " AND ($7 IS NULL OR $7 = (active AND (expires_at IS NULL OR $6 < expires_at)",
    " AND (max_redemptions IS NULL OR times_redeemed < max_redemptions)",
    " AND EXISTS (SELECT 1 FROM coupons AS c WHERE c.seq = p.coupon AND NOT c.deleted",
    " AND (c.redeem_by IS NULL OR $6 <= c.redeem_by)",
    " AND (c.max_redemptions IS NULL OR c.times_redeemed < c.max_redemptions))))",
    " AND ($8 IS NULL OR folded = $8)",
    " AND ($9 IS NULL OR EXISTS (SELECT 1 FROM coupons AS c WHERE c.seq = p.coupon AND c.id = $9",
    " AND NOT c.deleted))",
    " AND ($10 IS NULL OR created >= $10) AND ($11 IS NULL OR created <= $11)",
    " AND ($12 IS NULL OR customer = $12)",
);

const FIND: &str = "SELECT * FROM promotion_codes WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<PromotionCode>> {
    let args = ctx.args([Arg::from(id)]);
    let found: Option<Bare> = ctx.tx.optional(FIND, args).await?;
    match found {
        Some(bare) => complete(ctx, bare).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn find_locked(ctx: &mut Ctx, id: &str) -> Result<Option<PromotionCode>> {
    let args = ctx.args([Arg::from(id)]);
    let found: Option<Bare> = ctx.tx.optional_for_update(FIND, args).await?;
    match found {
        Some(bare) => complete(ctx, bare).await.map(Some),
        None => Ok(None),
    }
}

/// The promotion codes of a word, in any case, that the operator lets be redeemed: one for everyone,
/// or one for each of some customers.
pub(super) async fn enabled_of_code(ctx: &mut Ctx, code: &str) -> Result<Vec<PromotionCode>> {
    let args = ctx.args([Arg::from(code.to_ascii_uppercase())]);
    let sql = "SELECT * FROM promotion_codes WHERE account = $1 AND livemode = $2 \
               AND folded = $3 AND active ORDER BY seq LIMIT 10000";
    let found: Vec<Bare> = ctx.tx.rows(sql, args).await?;
    let mut codes = Vec::with_capacity(found.len());
    for bare in found {
        codes.push(complete(ctx, bare).await?);
    }
    Ok(codes)
}

/// Whether a customer has paid anything.
pub(super) async fn has_paid(ctx: &mut Ctx, customer: &Id<Customer>) -> Result<bool> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT id FROM invoices WHERE account = $1 AND livemode = $2 AND customer = $3 \
               AND status = 'paid' AND total > 0 ORDER BY seq LIMIT 1";
    let found: Option<String> = ctx.tx.optional(sql, args).await?;
    Ok(found.is_some())
}

pub(super) async fn insert(ctx: &mut Ctx, code: &PromotionCode) -> Result<()> {
    let customer = code.customer.as_ref().map_or("", Id::as_str);
    let args = ctx.args([
        Arg::from(&code.id),
        Arg::from(&code.code),
        Arg::from(code.code.to_ascii_uppercase()),
        Arg::from(code.coupon.seq),
        Arg::from(code.enabled),
        Arg::from(customer),
        Arg::from(code.expires_at),
        Arg::from(code.max_redemptions),
        Arg::from(code.times_redeemed),
        stored::write(&code.restrictions)?,
        stored::write(&code.metadata)?,
        Arg::from(code.created),
    ]);
    let sql = "INSERT INTO promotion_codes (account, livemode, id, code, folded, coupon, active, \
               customer, expires_at, max_redemptions, times_redeemed, restrictions, metadata, \
               created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    match ctx.tx.execute(sql, args).await {
        Ok(_) => Ok(()),
        // Another request took the code between the look and the insert.
        Err(error) if error.is_unique() => Err(code_taken(&code.code)),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn update(ctx: &mut Ctx, code: &PromotionCode) -> Result<()> {
    let args = ctx.args([
        Arg::from(&code.id),
        Arg::from(code.enabled),
        Arg::from(code.times_redeemed),
        stored::write(&code.restrictions)?,
        stored::write(&code.metadata)?,
    ]);
    let sql = "UPDATE promotion_codes SET active = $4, times_redeemed = $5, restrictions = $6, \
               metadata = $7 WHERE account = $1 AND livemode = $2 AND id = $3";
    match ctx.tx.execute(sql, args).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_unique() => Err(code_taken(&code.code)),
        Err(error) => Err(error.into()),
    }
}
