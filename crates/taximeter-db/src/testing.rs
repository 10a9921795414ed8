//! Databases for tests, of this crate and of those above it.
//!
//! ```no_run
//! # async fn example() {
//! for db in taximeter_db::testing::databases().await {
//!     let tx = db.begin().await.expect("a transaction");
//!     // One behaviour, the same on both.
//!     tx.commit().await.expect("a commit");
//! }
//! # }
//! ```

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use crate::db::{Db, Kind};

/// The variable that names a PostgreSQL server to test on: a URL of a role that may make databases.
pub const POSTGRES_URL_VARIABLE: &str = "TAXIMETER_TEST_POSTGRES_URL";

/// An empty database of its own for one test. It is gone when this is dropped.
#[derive(Debug)]
pub struct TestDb {
    db: Db,
    place: Place,
    // Last: what is in it is closed by then.
    directory: TempDir,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Server { server_url: String, database: String },
}

impl Deref for TestDb {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

/// An empty database on each kind: SQLite always, PostgreSQL when [`POSTGRES_URL_VARIABLE`] is set.
///
/// # Panics
/// When a database cannot be made, and when `CI` is `true` and the variable is not set: there, both
/// must be tested.
pub async fn databases() -> Vec<TestDb> {
    let mut databases = vec![sqlite().await];
    databases.extend(postgres().await);
    databases
}

/// An empty SQLite database.
///
/// # Panics
/// When it cannot be made.
#[expect(clippy::expect_used, reason = "a test without its database has nothing to say")]
pub async fn sqlite() -> TestDb {
    let directory = directory();
    let path = directory.path().join("test.db");
    let db = Db::open_sqlite(&path).await.expect("open a SQLite database for a test");
    TestDb { db, place: Place::File(path), directory }
}

/// An empty PostgreSQL database, if there is a server for tests.
///
/// Its language is English, so that text which is not compared by bytes shows.
///
/// # Panics
/// As [`databases`].
#[expect(clippy::expect_used, reason = "a test without its database has nothing to say")]
pub async fn postgres() -> Option<TestDb> {
    let server_url = server_url()?;
    let directory = directory();
    let database = database_name(&directory);
    let mut server = PgConnection::connect(&server_url).await.expect("reach PostgreSQL");
    let create = format!(
        "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' \
         LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
    );
    sqlx::raw_sql(AssertSqlSafe(create))
        .execute(&mut server)
        .await
        .expect("make a PostgreSQL database for a test");
    server.close().await.expect("leave PostgreSQL");
    let place = Place::Server { server_url, database };
    let db = Db::open_postgres(&place.url()).await.expect("open a PostgreSQL database for a test");
    Some(TestDb { db, place, directory })
}

#[expect(clippy::disallowed_methods, reason = "where the server is differs by machine")]
fn server_url() -> Option<String> {
    let url = std::env::var(POSTGRES_URL_VARIABLE).ok().filter(|url| !url.is_empty());
    let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(url.is_some() || !must, "{POSTGRES_URL_VARIABLE} is not set, and CI tests on both");
    url
}

#[expect(clippy::expect_used, reason = "a test without its database has nothing to say")]
fn directory() -> TempDir {
    tempfile::Builder::new().prefix("taximeter-db-").tempdir().expect("make a directory for a test")
}

/// A name that nobody else uses, made of the directory's random one.
fn database_name(directory: &TempDir) -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let random: String = directory
        .path()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { format!("{:x}", u32::from(c)) } else { "_".into() })
        .collect();
    let process = std::process::id();
    let mut name = format!("taximeter_test_{process}_{number}_{random}");
    // PostgreSQL would cut it there, with a mere notice.
    name.truncate(63);
    name
}

impl Place {
    fn url(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Server { server_url, database } => with_database(server_url, database),
        }
    }
}

/// The URL with another database: what is between the last `/` of the address and a `?`.
fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let host_at = address.find("://").map_or(0, |at| at + "://".len());
    let server = match address.get(host_at..).and_then(|rest| rest.find('/')) {
        Some(slash) => address.get(..host_at + slash).unwrap_or(address),
        None => address,
    };
    format!("{server}/{database}{parameters}")
}

impl TestDb {
    /// Opens the same database once more, as another process would.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[expect(clippy::expect_used, reason = "a test without its database has nothing to say")]
    pub async fn reopen(&self) -> Db {
        match &self.place {
            Place::File(path) => Db::open_sqlite(path).await,
            Place::Server { .. } => Db::open_postgres(&self.url()).await,
        }
        .expect("open a test's database again")
    }

    /// The file's path or the server's URL: what a command line takes.
    #[must_use]
    pub fn url(&self) -> String {
        self.place.url()
    }

    /// A directory that lives as long as the database, for what else the test keeps in files.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        debug_assert_eq!(
            self.db.kind() == Kind::Postgres,
            matches!(self.place, Place::Server { .. })
        );
        let Place::Server { server_url, database } = &self.place else { return };
        let (server_url, drop_it) =
            (server_url.clone(), format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
        // The test's runtime cannot be waited for here, so another one on another thread does it.
        let done = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                let mut server = PgConnection::connect(&server_url).await?;
                sqlx::raw_sql(AssertSqlSafe(drop_it)).execute(&mut server).await?;
                server.close().await
            })
        })
        .join();
        // A test may be failing already: to panic here as well would hide why.
        if !matches!(done, Ok(Ok(()))) {
            tracing::warn!(%database, "a test's database was left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_can_be_replaced() {
        for (url, expected) in [
            ("postgres://u@h:7/postgres", "postgres://u@h:7/d"),
            ("postgres://u:p@h/x?sslmode=disable", "postgres://u:p@h/d?sslmode=disable"),
            ("postgres://h", "postgres://h/d"),
            ("postgres://h?host=/tmp/a", "postgres://h/d?host=/tmp/a"),
        ] {
            assert_eq!(with_database(url, "d"), expected);
        }
    }
}
