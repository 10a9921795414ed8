//! Accounts: the tenants of an installation. Each has keys and data of its own.
//!
//! These verbs take a transaction and no caller: they are for whoever runs the installation, not
//! for the programs that speak to it.

mod sql;

use taximeter_db::{Cells, DbError, Row, Tx};
use taximeter_kernel::id::{Account as AccountKind, Id, Kind as _};
use taximeter_kernel::time::Timestamp;

use crate::error::{Error, Result};

/// The name of the account that the first start makes.
pub const DEFAULT_NAME: &str = "default";
/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// The most accounts that [`list`] returns.
pub const ACCOUNTS_LISTED_MAX: usize = 1_000;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: Id<AccountKind>,
    /// What its owner calls it; no two accounts have the same name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Row for Account {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self { id: cells.get("id")?, name: cells.get("name")?, created: cells.get("created")? })
    }
}

/// Makes an account.
///
/// # Errors
/// A 400 when the name is taken, empty, longer than [`NAME_CHARS_MAX`], holds control characters,
/// begins or ends with a space, or looks like an account's id.
pub async fn create(tx: &mut Tx, entropy: [u8; 32], now: Timestamp, name: &str) -> Result<Account> {
    check_name(name)?;
    let account = Account { id: Id::generate(entropy), name: name.to_owned(), created: now };
    if sql::insert_unless_named(tx, &account).await? {
        Ok(account)
    } else {
        Err(Error::invalid(format!("An account named '{name}' already exists.")).param("name"))
    }
}

/// The default account, made if there is no account yet.
///
/// The account stays locked until the transaction ends, so that of several processes that start
/// for the first time together, one makes the first keys and the others see them.
///
/// # Errors
/// A 500 when the database cannot be read or written.
pub async fn default_or_create(tx: &mut Tx, entropy: [u8; 32], now: Timestamp) -> Result<Account> {
    if let Some(account) = sql::find_oldest_for_update(tx).await? {
        return Ok(account);
    }
    let account =
        Account { id: Id::generate(entropy), name: DEFAULT_NAME.to_owned(), created: now };
    sql::insert_unless_named(tx, &account).await?;
    // Not `account`: another process may have been first.
    Ok(sql::find_oldest_for_update(tx).await?.ok_or(DbError::NotFound)?)
}

/// The account with this id or name.
///
/// # Errors
/// A 404 when there is none.
pub async fn named(tx: &mut Tx, id_or_name: &str) -> Result<Account> {
    let found = sql::find(tx, id_or_name).await?;
    found.ok_or_else(|| Error::no_such_path(AccountKind::NOUN, id_or_name))
}

/// All accounts, oldest first; the first is the default one.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn list(tx: &mut Tx) -> Result<Vec<Account>> {
    sql::list(tx).await
}

fn check_name(name: &str) -> Result<()> {
    let fault = if name.trim().is_empty() {
        "may not be empty"
    } else if name.chars().count() > NAME_CHARS_MAX {
        "may have 100 characters at most"
    } else if name.chars().any(char::is_control) || name.trim() != name {
        "may not hold control characters, nor begin or end with a space"
    } else if name.starts_with("acct_") {
        "may not begin with 'acct_', as an id does"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("An account's name {fault}.")).param("name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_text_that_no_id_looks_like() {
        for name in ["default", "Acme GmbH", "7", "Søren & Søn", &"é".repeat(100)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "  ", " acme", "acme ", "a\nb", "acct_7", &"a".repeat(101)] {
            let error = check_name(name).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("name"), "{name}");
        }
    }
}
