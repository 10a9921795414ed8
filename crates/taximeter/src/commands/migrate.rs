//! `taximeter migrate`: the database's tables, brought up to date.

use std::process::ExitCode;

use taximeter_service::migrations::MIGRATIONS;

use crate::cli::MigrateFlags;
use crate::config::Store;
use crate::failure::Failure;
use crate::{store, terminal};

/// Brings the tables up to date, or says what is to be done.
///
/// # Errors
/// A failure that names the database and the step.
pub(crate) async fn run(at: &Store, flags: &MigrateFlags) -> Result<ExitCode, Failure> {
    if flags.check { check(at).await } else { migrate(at).await }
}

async fn migrate(at: &Store) -> Result<ExitCode, Failure> {
    let db = store::open(at).await?;
    let applied = store::migrate(&db, at).await;
    db.close().await;
    let applied = applied?;
    for name in &applied {
        terminal::print(&format!("{name}  done\n"));
    }
    if applied.is_empty() {
        terminal::print(&format!("{} is up to date\n", at.shown()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(at: &Store) -> Result<ExitCode, Failure> {
    let pending: Vec<&str> = if at.is_missing() {
        MIGRATIONS.iter().map(|step| step.name).collect()
    } else {
        let db = store::open(at).await?;
        let pending = db.pending(MIGRATIONS).await;
        db.close().await;
        let pending = pending.map_err(|error| store::migration_failure(at, &error))?;
        pending.into_iter().map(|step| step.name).collect()
    };
    if pending.is_empty() {
        terminal::print(&format!("{} is up to date\n", at.shown()));
        return Ok(ExitCode::SUCCESS);
    }
    for name in &pending {
        terminal::print(&format!("{name}  to be done\n"));
    }
    Ok(ExitCode::FAILURE)
}
