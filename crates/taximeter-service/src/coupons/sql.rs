//! The statements of coupons, and how a row becomes one.

use taximeter_db::{Arg, Cells, DbError, Row};

use super::wire::Terms;
use super::{Coupon, already_exists};
use crate::ctx::{Ctx, malformed};
use crate::error::{Error, Result};
use crate::page::ListSql;
use crate::{list_sql, stored};

impl Row for Coupon {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let terms: Terms = stored::read(cells, "terms")?;
        let unfit = || malformed("terms", "a coupon's terms", "others");
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            deleted: cells.get("deleted")?,
            off: terms.off().ok_or_else(unfit)?,
            duration: terms.duration().ok_or_else(unfit)?,
            products: terms.products().ok_or_else(unfit)?,
            name: cells.get("name")?,
            max_redemptions: cells.get("max_redemptions")?,
            redeem_by: cells.get("redeem_by")?,
            times_redeemed: cells.get("times_redeemed")?,
            valid: false,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) const SEQ: &str =
    "SELECT seq FROM coupons WHERE account = $1 AND livemode = $2 AND id = $3 AND NOT deleted";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM coupons WHERE account = $1 AND livemode = $2 AND NOT deleted",
    " AND ($6 IS NULL OR created >= $6) AND ($7 IS NULL OR created <= $7)",
);

const FIND: &str =
    "SELECT * FROM coupons WHERE account = $1 AND livemode = $2 AND id = $3 AND NOT deleted";

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Coupon>> {
    let args = ctx.args([Arg::from(id)]);
    let found: Option<Coupon> = ctx.tx.optional(FIND, args).await?;
    Ok(found.map(|coupon| coupon.at(ctx.now)))
}

/// The newest coupon that has or had an id.
pub(super) async fn find_any(ctx: &mut Ctx, id: &str) -> Result<Option<Coupon>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM coupons WHERE account = $1 AND livemode = $2 AND id = $3 \
               ORDER BY seq DESC LIMIT 1";
    let found: Option<Coupon> = ctx.tx.optional(sql, args).await?;
    Ok(found.map(|coupon| coupon.at(ctx.now)))
}

pub(super) async fn find_locked(ctx: &mut Ctx, id: &str) -> Result<Option<Coupon>> {
    let args = ctx.args([Arg::from(id)]);
    let found: Option<Coupon> = ctx.tx.optional_for_update(FIND, args).await?;
    Ok(found.map(|coupon| coupon.at(ctx.now)))
}

const OF_ROW: &str = "SELECT * FROM coupons WHERE account = $1 AND livemode = $2 AND seq = $3";

pub(super) async fn of_row(ctx: &mut Ctx, seq: i64) -> Result<Coupon> {
    let args = ctx.args([Arg::from(seq)]);
    let coupon: Coupon = ctx.tx.one(OF_ROW, args).await?;
    Ok(coupon.at(ctx.now))
}

pub(super) async fn of_row_locked(ctx: &mut Ctx, seq: i64) -> Result<Coupon> {
    let args = ctx.args([Arg::from(seq)]);
    let coupon: Option<Coupon> = ctx.tx.optional_for_update(OF_ROW, args).await?;
    let coupon = coupon.ok_or_else(|| Error::internal(format!("no coupon has the row {seq}")))?;
    Ok(coupon.at(ctx.now))
}

pub(super) async fn insert(ctx: &mut Ctx, coupon: &Coupon) -> Result<()> {
    let args = ctx.args([
        Arg::from(&coupon.id),
        Arg::from(coupon.deleted),
        stored::write(&Terms::of(coupon))?,
        Arg::Text(coupon.name.clone()),
        Arg::from(coupon.max_redemptions),
        Arg::from(coupon.redeem_by),
        Arg::from(coupon.times_redeemed),
        stored::write(&coupon.metadata)?,
        Arg::from(coupon.created),
    ]);
    let sql = "INSERT INTO coupons (account, livemode, id, deleted, terms, name, max_redemptions, \
               redeem_by, times_redeemed, metadata, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    match ctx.tx.execute(sql, args).await {
        Ok(_) => Ok(()),
        // Another request took the id between the look and the insert.
        Err(error) if error.is_unique() => Err(already_exists()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn update(ctx: &mut Ctx, coupon: &Coupon) -> Result<()> {
    let args = ctx.args([
        Arg::from(coupon.seq),
        Arg::from(coupon.deleted),
        stored::write(&Terms::of(coupon))?,
        Arg::Text(coupon.name.clone()),
        Arg::from(coupon.times_redeemed),
        stored::write(&coupon.metadata)?,
    ]);
    let sql = "UPDATE coupons SET deleted = $4, terms = $5, name = $6, times_redeemed = $7, \
               metadata = $8 WHERE account = $1 AND livemode = $2 AND seq = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
