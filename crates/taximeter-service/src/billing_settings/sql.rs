//! The statements of billing settings.

use taximeter_db::{Cells, DbError, Row};

use super::BillingSettings;
use crate::ctx::Ctx;
use crate::error::Result;
use crate::stored;

impl Row for BillingSettings {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        stored::read(cells, "settings")
    }
}

pub(super) async fn find(ctx: &mut Ctx) -> Result<Option<BillingSettings>> {
    let sql = "SELECT settings FROM billing_settings WHERE account = $1 AND livemode = $2";
    let args = ctx.key_args();
    Ok(ctx.tx.optional(sql, args).await?)
}

pub(super) async fn save(ctx: &mut Ctx, settings: &BillingSettings) -> Result<()> {
    let args = ctx.args([stored::write(settings)?]);
    let sql = "INSERT INTO billing_settings (account, livemode, settings) VALUES ($1, $2, $3) \
               ON CONFLICT (account, livemode) DO UPDATE SET settings = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
