//! `taximeter accounts`: tenants, made and listed.

use std::process::ExitCode;

use taximeter_service::accounts;

use super::shown;
use crate::config::Store;
use crate::failure::Failure;
use crate::{process, store, terminal};

/// Makes an account. Its id is all that is on standard output.
///
/// # Errors
/// A failure when the name cannot be had or the database not be used.
pub(crate) async fn create(at: &Store, name: &str) -> Result<ExitCode, Failure> {
    let entropy = process::entropy()?;
    let db = store::open_current(at).await?;
    let mut tx = db.begin().await?;
    // The oldest account is the default one, so it must not be this one by accident.
    accounts::default_or_create(&mut tx, entropy(), process::now()).await?;
    let account = accounts::create(&mut tx, entropy(), process::now(), name).await?;
    tx.commit().await?;
    db.close().await;
    terminal::print(&format!("{}\n", account.id));
    terminal::note(&format!("make a key for it: taximeter keys create --account {}", account.id));
    Ok(ExitCode::SUCCESS)
}

/// Lists accounts, oldest first.
///
/// # Errors
/// A failure when the database cannot be used.
pub(crate) async fn list(at: &Store) -> Result<ExitCode, Failure> {
    let db = store::open_current(at).await?;
    let mut tx = db.begin_read().await?;
    let accounts = accounts::list(&mut tx).await?;
    drop(tx);
    db.close().await;
    let mut rows = vec![["ID", "NAME", "CREATED", ""].map(str::to_owned)];
    for (place, account) in accounts.into_iter().enumerate() {
        let note = if place == 0 { "default" } else { "" };
        let created = shown(account.created);
        rows.push([account.id.to_string(), account.name, created, note.to_owned()]);
    }
    terminal::print(&terminal::table(&rows));
    Ok(ExitCode::SUCCESS)
}
