//! `taximeter keys`: API keys, made, listed and ended beside a running server.
//!
//! A new secret is all that is on standard output, so that `KEY=$(taximeter keys create)` works; what
//! there is to say about it goes to standard error.

use std::collections::BTreeMap;
use std::process::ExitCode;

use taximeter_db::Tx;
use taximeter_kernel::id::{Account as AccountKind, Id, Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_service::accounts::{self, Account};
use taximeter_service::api_keys::{self, ApiKey, KEY_CACHE_TTL_S, KeyKind, New, Permissions};
use taximeter_service::ctx::Entropy;
use taximeter_service::params::Choice as _;

use super::shown;
use crate::cli::{CreateKey, KeyKindWord, ListKeys, RevokeKey, RollKey};
use crate::config::Store;
use crate::failure::Failure;
use crate::{process, store, terminal};

/// Makes a key and prints its secret.
///
/// # Errors
/// A failure when the options contradict each other or the database cannot be used.
pub(crate) async fn create(at: &Store, flags: CreateKey) -> Result<ExitCode, Failure> {
    let permissions = permissions(&flags.allow)?;
    let kind = match flags.kind {
        KeyKindWord::Secret => KeyKind::Secret,
        KeyKindWord::Restricted => KeyKind::Restricted,
        KeyKindWord::Publishable => KeyKind::Publishable,
    };
    if permissions.is_empty() == (kind == KeyKind::Restricted) {
        return Err(if permissions.is_empty() {
            Failure::new("a restricted key needs permissions")
                .hint("--allow customer=write, as often as needed")
        } else {
            Failure::new(format!("--allow is for restricted keys, not for a {} key", kind.as_str()))
                .hint("--kind restricted")
        });
    }
    let entropy = process::entropy()?;
    let now = process::now();
    let db = store::open_current(at).await?;
    let mut tx = db.begin().await?;
    let account = account(&mut tx, flags.account.as_deref(), &entropy, now).await?;
    let scope = Scope { account: account.id.clone(), mode: Mode::from_live(flags.live) };
    let new = New { scope, kind, name: flags.name, permissions };
    let (key, secret) = api_keys::create(&mut tx, &entropy, now, new).await?;
    tx.commit().await?;
    db.close().await;
    terminal::print(&format!("{}\n", secret.expose()));
    terminal::note(&format!(
        "made {}, a {} key in {} mode for account {} ({}); its secret is shown this once",
        key.id,
        key.kind.as_str(),
        key.scope.mode.as_str(),
        account.name,
        account.id
    ));
    Ok(ExitCode::SUCCESS)
}

/// Lists keys, oldest first.
///
/// # Errors
/// A failure when there is no such account or the database cannot be used.
pub(crate) async fn list(at: &Store, flags: &ListKeys) -> Result<ExitCode, Failure> {
    let now = process::now();
    let db = store::open_current(at).await?;
    let mut tx = db.begin_read().await?;
    let only = match &flags.account {
        Some(account) => Some(accounts::named(&mut tx, account).await?.id),
        None => None,
    };
    let names = accounts::list(&mut tx).await?;
    let keys = api_keys::list(&mut tx, only.as_ref()).await?;
    drop(tx);
    db.close().await;
    let names = names.into_iter().map(|account| (account.id, account.name)).collect();
    let keys: Vec<ApiKey> =
        keys.into_iter().filter(|key| flags.all || !key.is_expired(now)).collect();
    if keys.is_empty() {
        terminal::note("there are no keys; make one with `taximeter keys create`");
        return Ok(ExitCode::SUCCESS);
    }
    terminal::print(&table(keys, &names, now));
    Ok(ExitCode::SUCCESS)
}

/// Puts a new key in the place of an old one and prints its secret.
///
/// # Errors
/// A failure when there is no such key, it has ended, or the database cannot be used.
pub(crate) async fn roll(at: &Store, flags: &RollKey) -> Result<ExitCode, Failure> {
    let entropy = process::entropy()?;
    let now = process::now();
    let db = store::open_current(at).await?;
    let mut tx = db.begin().await?;
    let key = named(&mut tx, &flags.key).await?;
    let rolled = api_keys::roll(&mut tx, &entropy, now, &key.id, flags.expire_in).await?;
    tx.commit().await?;
    db.close().await;
    terminal::print(&format!("{}\n", rolled.secret.expose()));
    let ends = rolled.old.expires_at.filter(|at| *at > now).map_or_else(
        || format!("ended; a running server refuses it within {KEY_CACHE_TTL_S} seconds"),
        |at| format!("works until {}", shown(at)),
    );
    terminal::note(&format!(
        "made {} in the place of {} ({}), which {ends}; the new secret is shown this once",
        rolled.new.id, rolled.old.id, rolled.old.hint
    ));
    Ok(ExitCode::SUCCESS)
}

/// Ends a key.
///
/// # Errors
/// A failure when there is no such key or the database cannot be used.
pub(crate) async fn revoke(at: &Store, flags: &RevokeKey) -> Result<ExitCode, Failure> {
    let now = process::now();
    let db = store::open_current(at).await?;
    let mut tx = db.begin().await?;
    let before = named(&mut tx, &flags.key).await?;
    let key = api_keys::revoke(&mut tx, now, &before.id).await?;
    tx.commit().await?;
    db.close().await;
    let (id, hint) = (&key.id, &key.hint);
    terminal::print(&if before.is_expired(now) {
        format!("{id} ({hint}) had ended already\n")
    } else {
        format!(
            "{id} ({hint}) ended; a running server refuses it within {KEY_CACHE_TTL_S} seconds\n"
        )
    });
    Ok(ExitCode::SUCCESS)
}

async fn account(
    tx: &mut Tx,
    named: Option<&str>,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<Account, Failure> {
    Ok(match named {
        Some(account) => accounts::named(tx, account).await.map_err(|error| {
            Failure::from(error).hint("`taximeter accounts list` shows which there are")
        })?,
        None => accounts::default_or_create(tx, entropy(), now).await?,
    })
}

async fn named(tx: &mut Tx, key: &str) -> Result<ApiKey, Failure> {
    let found = api_keys::named(tx, key).await;
    found.map_err(|error| {
        Failure::from(error).hint("`taximeter keys list --all` shows which there are")
    })
}

fn permissions(allowed: &[String]) -> Result<Permissions, Failure> {
    let mut permissions = Permissions::default();
    for text in allowed {
        let more = text.parse().map_err(|error: api_keys::InvalidPermission| {
            Failure::new(format!("--allow: {error}"))
        })?;
        permissions.extend(more);
    }
    Ok(permissions)
}

fn table(
    keys: Vec<ApiKey>,
    accounts: &BTreeMap<Id<AccountKind>, String>,
    now: Timestamp,
) -> String {
    let heads = ["ID", "KEY", "KIND", "ACCOUNT", "NAME", "CREATED", "STATUS"];
    let mut rows = vec![heads.map(str::to_owned)];
    for key in keys {
        let account = &key.scope.account;
        let kind = match key.permissions.is_empty() {
            true => key.kind.as_str().to_owned(),
            false => format!("{} ({})", key.kind.as_str(), key.permissions),
        };
        let status = match key.expires_at {
            None => "active".to_owned(),
            Some(at) if at > now => format!("active until {}", shown(at)),
            Some(at) => format!("ended {}", shown(at)),
        };
        rows.push([
            key.id.to_string(),
            key.hint,
            kind,
            accounts.get(account).cloned().unwrap_or_else(|| account.to_string()),
            key.name.unwrap_or_default(),
            shown(key.created),
            status,
        ]);
    }
    terminal::table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_what_can_be_told_without_the_secret() {
        let account = Id::parse("acct_7").unwrap();
        let key = ApiKey {
            id: Id::parse("key_7").unwrap(),
            scope: Scope { account: Id::parse("acct_7").unwrap(), mode: Mode::Test },
            kind: KeyKind::Secret,
            hint: "sk_test_****wxyz".to_owned(),
            name: None,
            permissions: Permissions::default(),
            created: Timestamp(0),
            expires_at: None,
        };
        let ends = ApiKey { expires_at: Some(Timestamp(86_400)), ..key.clone() };
        let names = BTreeMap::from([(account, "default".to_owned())]);
        assert_eq!(
            table(vec![key, ends.clone()], &names, Timestamp(86_399)),
            "\
ID     KEY               KIND    ACCOUNT  NAME  CREATED                  STATUS
key_7  sk_test_****wxyz  secret  default        1970-01-01 00:00:00 UTC  active
key_7  sk_test_****wxyz  secret  default        1970-01-01 00:00:00 UTC  active until 1970-01-02 00:00:00 UTC
"
        );
        assert!(table(vec![ends], &names, Timestamp(86_400)).contains("ended 1970-01-02"));
    }

    #[test]
    fn what_may_be_done_can_be_said_piece_by_piece() {
        let allowed = ["customer=read", "price=read,customer=write"].map(str::to_owned);
        assert_eq!(permissions(&allowed).unwrap().to_string(), "customer=write,price=read");
        let failure = permissions(&["custmer=read".to_owned()]).unwrap_err();
        assert!(failure.line().starts_with("--allow: no resource is called `custmer`"));
    }
}
