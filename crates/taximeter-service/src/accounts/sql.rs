//! The statements of accounts.

use taximeter_db::{Tx, args};

use super::{ACCOUNTS_LISTED_MAX, Account};
use crate::error::Result;

/// False when another account has the name.
pub(super) async fn insert_unless_named(tx: &mut Tx, account: &Account) -> Result<bool> {
    let sql = "INSERT INTO accounts (id, name, created) VALUES ($1, $2, $3) \
               ON CONFLICT (name) DO NOTHING";
    let args = args![&account.id, &account.name, account.created];
    Ok(tx.execute(sql, args).await? == 1)
}

pub(super) async fn find_oldest_for_update(tx: &mut Tx) -> Result<Option<Account>> {
    let sql = "SELECT id, name, created FROM accounts ORDER BY seq LIMIT 1";
    Ok(tx.optional_for_update(sql, args![]).await?)
}

pub(super) async fn find(tx: &mut Tx, id_or_name: &str) -> Result<Option<Account>> {
    // No name looks like an id, so one row at most.
    let sql = "SELECT id, name, created FROM accounts WHERE id = $1 OR name = $1";
    Ok(tx.optional(sql, args![id_or_name]).await?)
}

pub(super) async fn list(tx: &mut Tx) -> Result<Vec<Account>> {
    let sql = "SELECT id, name, created FROM accounts ORDER BY seq LIMIT $1";
    let limit = i64::try_from(ACCOUNTS_LISTED_MAX).unwrap_or(i64::MAX);
    Ok(tx.rows(sql, args![limit]).await?)
}
