//! The statements of meter event sessions.

use taximeter_db::{Arg, Cells, DbError, Row, Tx, args};
use taximeter_kernel::id::{ApiKey, Id, Scope};
use taximeter_kernel::time::Timestamp;

use crate::ctx::Ctx;
use crate::error::Result;

const SECRET: &str =
    "SELECT secret FROM meter_event_session_secrets WHERE account = $1 AND livemode = $2";

pub(super) async fn secret(tx: &mut Tx, scope: &Scope) -> Result<Option<Vec<u8>>> {
    Ok(tx.optional(SECRET, args![&scope.account, scope.mode]).await?)
}

/// The secret of the caller's account and mode, made at the first session.
pub(super) async fn secret_or_create(ctx: &mut Ctx) -> Result<Vec<u8>> {
    let scope = ctx.scope().clone();
    if let Some(known) = secret(&mut ctx.tx, &scope).await? {
        return Ok(known);
    }
    let args = ctx.args([Arg::from(&ctx.entropy()[..]), Arg::from(ctx.now)]);
    let sql = "INSERT INTO meter_event_session_secrets (account, livemode, secret, created) \
               VALUES ($1, $2, $3, $4) ON CONFLICT (account, livemode) DO NOTHING";
    ctx.tx.execute(sql, args).await?;
    let args = ctx.key_args();
    Ok(ctx.tx.one(SECRET, args).await?)
}

/// From when on a key of the account is refused, if there is one.
pub(super) struct KeyEnd(pub(super) Option<Timestamp>);

impl Row for KeyEnd {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self(cells.get("expires_at")?))
    }
}

pub(super) async fn key_end(
    tx: &mut Tx,
    scope: &Scope,
    key: &Id<ApiKey>,
) -> Result<Option<KeyEnd>> {
    let sql = "SELECT expires_at FROM api_keys WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(tx.optional(sql, args![&scope.account, scope.mode, key]).await?)
}
