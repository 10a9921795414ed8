//! Opening what is stored: the database and the usage engine.

use std::path::Path;
use std::time::Instant;

use taximeter_db::{Db, DbError, MigrationError};
use taximeter_service::migrations::MIGRATIONS;
use taximeter_usage::{Engine, OpenError, Options};

use crate::config::Store;
use crate::data_dir;
use crate::failure::Failure;

impl Store {
    /// Where the database is, as users may see it: without user, password and options.
    pub(crate) fn shown(&self) -> String {
        match &self.postgres_url {
            Some(url) => without_credentials(url),
            None => data_dir::database(&self.data_dir).display().to_string(),
        }
    }

    /// Whether the embedded database is yet to be made.
    pub(crate) fn is_missing(&self) -> bool {
        self.postgres_url.is_none() && !data_dir::database(&self.data_dir).exists()
    }
}

/// Opens the database, making the embedded one if there is none.
///
/// # Errors
/// A failure that names the database.
pub(crate) async fn open(store: &Store) -> Result<Db, Failure> {
    match &store.postgres_url {
        Some(url) => Db::open_postgres(url).await.map_err(|error| {
            Failure::new(format!("cannot use the database {}", store.shown())).because(&error).hint(
                "is PostgreSQL running there, and does it let this user in? see --database-url",
            )
        }),
        None => {
            data_dir::create(&store.data_dir)?;
            Db::open_sqlite(&data_dir::database(&store.data_dir)).await.map_err(|error| {
                Failure::new(format!("cannot open the database {}", store.shown()))
                    .because(&error)
                    .hint("is the data directory writable, and its disk not full?")
            })
        }
    }
}

/// Opens a database that is there and whose tables are up to date, for a command that works on what
/// a server made. So a wrong `--data-dir` is refused rather than filled.
///
/// # Errors
/// A failure that names the database and what is wrong with it.
pub(crate) async fn open_current(store: &Store) -> Result<Db, Failure> {
    if store.is_missing() {
        return Err(Failure::new(format!("there is no database in {}", store.data_dir.display()))
            .hint("start `taximeter serve` or run `taximeter migrate` first, or name another directory with --data-dir"));
    }
    let db = open(store).await?;
    let pending = db.pending(MIGRATIONS).await.map_err(|error| migration_failure(store, &error))?;
    if pending.is_empty() {
        return Ok(db);
    }
    Err(Failure::new(format!("the tables of {} are not up to date", store.shown()))
        .hint("run `taximeter migrate`, or start the server, which does it"))
}

/// Brings the database's tables up to date. Returns the names of the steps that were done.
///
/// # Errors
/// A failure that names the database and the step.
pub(crate) async fn migrate(db: &Db, store: &Store) -> Result<Vec<&'static str>, Failure> {
    let applied = db.migrate(MIGRATIONS).await.map_err(|error| migration_failure(store, &error))?;
    Ok(applied.into_iter().map(|applied| applied.name).collect())
}

/// What is told of tables that cannot be brought up to date.
pub(crate) fn migration_failure(store: &Store, error: &DbError) -> Failure {
    let failure = Failure::new(format!("cannot bring the tables of {} up to date", store.shown()));
    match error {
        DbError::Migration(cause @ MigrationError::Unknown { .. }) => failure
            .because(cause)
            .hint("this data was used by a newer Taximeter: install that version or a later one"),
        DbError::Migration(cause) => failure.because(cause),
        other => failure.because(other),
    }
}

/// Opens the usage engine, which reads what of its log is not in the index, and says so in the log.
///
/// # Errors
/// A failure that names the file at fault.
pub(crate) async fn open_usage(data_dir: &Path, options: Options) -> Result<Engine, Failure> {
    let started = Instant::now();
    let dir = data_dir::usage(data_dir);
    let opening = tokio::task::spawn_blocking(move || Engine::open(&dir, options));
    let opened =
        opening.await.map_err(|error| Failure::new("cannot open the usage log").because(&error))?;
    let engine = opened.map_err(|error| usage_failure(&error))?;
    if let Ok(stats) = engine.stats() {
        tracing::info!(
            usage.position = stats.last_seq,
            usage.indexed = stats.indexed_seq,
            usage.runs = stats.runs,
            start.duration_ms = duration_ms(started),
            "opened the usage log"
        );
    }
    Ok(engine)
}

/// How long ago that was. A log of JSON shows wider numbers as texts.
pub(crate) fn duration_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What is told of a usage engine that does not open.
pub(crate) fn usage_failure(error: &OpenError) -> Failure {
    let failure = Failure::new(error.to_string()).beneath(error);
    match error {
        OpenError::Locked(_) => failure.hint("stop the process that uses it"),
        OpenError::Missing(_) => failure.hint("name another directory with --data-dir"),
        // The index is made of the log, so damage to it loses nothing.
        OpenError::Damaged { path, offset, what } if is_of_index(path) => Failure::new(format!(
            "usage index {} is damaged at byte {offset}: {what}",
            path.display()
        ))
        .hint("nothing was changed; check the disk, then run: taximeter usage rebuild-index"),
        OpenError::Damaged { .. } => failure
            .hint("nothing was changed; restore this file from a copy, and check the disk first"),
        OpenError::Incomplete { .. } => failure.hint("keep the index that there is"),
        OpenError::Read(_) => failure.hint("check the disk; nothing was changed"),
        OpenError::UnknownFormat { .. } => failure
            .hint("this data was used by a newer Taximeter: install that version or a later one"),
        OpenError::Io { .. } => {
            failure.hint("is the data directory writable, and its disk not full?")
        }
    }
}

fn is_of_index(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with("index"))
}

/// Commits what waits and closes the usage engine.
pub(crate) async fn close_usage(usage: Engine) {
    let closing = tokio::task::spawn_blocking(move || usage.close());
    if let Err(error) = closing.await {
        tracing::error!(%error, "the usage engine did not close");
    }
}

/// `postgres://db.internal:5432/taximeter`, from a URL with more in it.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // A password may hold a slash or an @ that is not escaped: what is left of the last @ is hidden.
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_shown_without_what_opens_it() {
        for (url, shown) in [
            ("postgres://me:hunter2@db:5432/x?sslmode=require", "postgres://db:5432/x"),
            ("postgresql://me@db/x", "postgresql://db/x"),
            ("postgres://db/x?user=me&password=hunter2", "postgres://db/x"),
            ("postgres://me:hunt@er/2@db/x", "postgres://db/x"),
            ("postgres:///x", "postgres:///x"),
        ] {
            assert_eq!(without_credentials(url), shown, "{url}");
        }
    }
}
