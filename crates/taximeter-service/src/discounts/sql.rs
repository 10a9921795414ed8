//! The statements of discounts, and how a row becomes one.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Customer, Discount as DiscountKind, Id, PromotionCode};
use taximeter_kernel::time::Timestamp;

use super::{Discount, HolderKind};
use crate::coupons;
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::params::Choice as _;

/// A discount without its coupon, which is read on its own.
struct Bare {
    id: Id<DiscountKind>,
    coupon: i64,
    promotion_code: Option<Id<PromotionCode>>,
    customer: Id<Customer>,
    kind: HolderKind,
    holder: String,
    start: Timestamp,
    end: Option<Timestamp>,
    spent_at: Option<Timestamp>,
    removed_at: Option<Timestamp>,
}

impl Row for Bare {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            coupon: cells.get("coupon")?,
            promotion_code: cells.get("promotion_code")?,
            customer: cells.get("customer")?,
            kind: word(cells, "kind")?,
            holder: cells.get("holder")?,
            start: cells.get("starts")?,
            end: cells.get("ends")?,
            spent_at: cells.get("spent_at")?,
            removed_at: cells.get("removed_at")?,
        })
    }
}

async fn complete(ctx: &mut Ctx, bare: Option<Bare>) -> Result<Option<Discount>> {
    let Some(bare) = bare else { return Ok(None) };
    Ok(Some(Discount {
        id: bare.id,
        coupon: coupons::of_row(ctx, bare.coupon).await?,
        promotion_code: bare.promotion_code,
        customer: bare.customer,
        kind: bare.kind,
        holder: bare.holder,
        start: bare.start,
        end: bare.end,
        spent_at: bare.spent_at,
        removed_at: bare.removed_at,
    }))
}

const FIND: &str = "SELECT * FROM discounts WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Discount>> {
    let args = ctx.args([Arg::from(id)]);
    let found: Option<Bare> = ctx.tx.optional(FIND, args).await?;
    complete(ctx, found).await
}

pub(super) async fn find_locked(ctx: &mut Ctx, id: &str) -> Result<Option<Discount>> {
    let args = ctx.args([Arg::from(id)]);
    let found: Option<Bare> = ctx.tx.optional_for_update(FIND, args).await?;
    complete(ctx, found).await
}

pub(super) async fn insert(ctx: &mut Ctx, discount: &Discount) -> Result<()> {
    let args = ctx.args([
        Arg::from(&discount.id),
        Arg::from(discount.coupon.seq),
        Arg::from(discount.promotion_code.as_ref()),
        Arg::from(&discount.customer),
        Arg::from(discount.kind.as_str()),
        Arg::from(&discount.holder),
        Arg::from(discount.start),
        Arg::from(discount.end),
    ]);
    let sql = "INSERT INTO discounts (account, livemode, id, coupon, promotion_code, customer, kind, \
               holder, starts, ends) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, discount: &Discount) -> Result<()> {
    let args = ctx.args([
        Arg::from(&discount.id),
        Arg::from(discount.spent_at),
        Arg::from(discount.removed_at),
    ]);
    let sql = "UPDATE discounts SET spent_at = $4, removed_at = $5 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
