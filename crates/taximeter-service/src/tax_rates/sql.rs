//! The statements of tax rates, and how a row becomes one.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::tax::Behavior;

use super::TaxRate;
use crate::ctx::Ctx;
use crate::error::Result;
use crate::page::ListSql;
use crate::{list_sql, stored};

impl Row for TaxRate {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let inclusive: bool = cells.get("inclusive")?;
        let percentage: Decimal = cells.get("percentage")?;
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            active: cells.get("active")?,
            behavior: if inclusive { Behavior::Inclusive } else { Behavior::Exclusive },
            percentage,
            details: stored::read(cells, "details")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) const SEQ: &str =
    "SELECT seq FROM tax_rates WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM tax_rates WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR active = $6)",
    " AND ($7 IS NULL OR created >= $7) AND ($8 IS NULL OR created <= $8)",
    " AND ($9 IS NULL OR inclusive = $9)",
);

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<TaxRate>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM tax_rates WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT id FROM tax_rates WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.hold(sql, args).await?)
}

pub(super) async fn insert(ctx: &mut Ctx, rate: &TaxRate) -> Result<()> {
    let args = ctx.args([
        Arg::from(&rate.id),
        Arg::from(rate.active),
        Arg::from(rate.behavior == Behavior::Inclusive),
        Arg::from(rate.percentage),
        stored::write(&rate.details)?,
        stored::write(&rate.metadata)?,
        Arg::from(rate.created),
    ]);
    let sql = "INSERT INTO tax_rates (account, livemode, id, active, inclusive, percentage, details, \
               metadata, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, rate: &TaxRate) -> Result<()> {
    let args = ctx.args([
        Arg::from(&rate.id),
        Arg::from(rate.active),
        stored::write(&rate.details)?,
        stored::write(&rate.metadata)?,
    ]);
    let sql = "UPDATE tax_rates SET active = $4, details = $5, metadata = $6 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
