//! The statements of API keys.

use taximeter_db::{Tx, args};
use taximeter_kernel::id::{Account, ApiKey as ApiKeyKind, Id};
use taximeter_kernel::time::Timestamp;

use super::{ApiKey, KEYS_LISTED_MAX, SecretHash};
use crate::error::Result;
use crate::params::Choice as _;

/// False when the secret is known already.
pub(super) async fn insert_unless_known(
    tx: &mut Tx,
    key: &ApiKey,
    hash: &SecretHash,
) -> Result<bool> {
    let sql = "INSERT INTO api_keys \
               (account, livemode, id, kind, hash, hint, name, permissions, created, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (hash) DO NOTHING";
    let args = args![
        &key.scope.account,
        key.scope.mode,
        &key.id,
        key.kind.as_str(),
        hash.hex(),
        &key.hint,
        key.name.as_deref(),
        key.permissions.to_string(),
        key.created,
        key.expires_at,
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

pub(super) async fn find_for_update(tx: &mut Tx, id: &Id<ApiKeyKind>) -> Result<Option<ApiKey>> {
    let sql = "SELECT account, livemode, id, kind, hint, name, permissions, created, expires_at \
               FROM api_keys WHERE id = $1";
    Ok(tx.optional_for_update(sql, args![id]).await?)
}

pub(super) async fn find_by_hash(tx: &mut Tx, hash: &SecretHash) -> Result<Option<ApiKey>> {
    let sql = "SELECT account, livemode, id, kind, hint, name, permissions, created, expires_at \
               FROM api_keys WHERE hash = $1";
    Ok(tx.optional(sql, args![hash.hex()]).await?)
}

pub(super) async fn set_expiry(
    tx: &mut Tx,
    id: &Id<ApiKeyKind>,
    expires_at: Option<Timestamp>,
) -> Result<()> {
    tx.execute("UPDATE api_keys SET expires_at = $2 WHERE id = $1", args![id, expires_at]).await?;
    Ok(())
}

pub(super) async fn list(tx: &mut Tx, account: Option<&Id<Account>>) -> Result<Vec<ApiKey>> {
    let sql = "SELECT account, livemode, id, kind, hint, name, permissions, created, expires_at \
               FROM api_keys WHERE ($1 IS NULL OR account = $1) ORDER BY seq LIMIT $2";
    let limit = i64::try_from(KEYS_LISTED_MAX).unwrap_or(i64::MAX);
    Ok(tx.rows(sql, args![account, limit]).await?)
}

pub(super) async fn any(tx: &mut Tx, account: &Id<Account>) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM api_keys WHERE account = $1) AS found";
    Ok(tx.one(sql, args![account]).await?)
}
