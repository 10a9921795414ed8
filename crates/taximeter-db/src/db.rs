//! A database: opening it, and beginning transactions on it.

use std::path::Path;

use sqlx::PgPool;

use crate::args;
use crate::cells::{Cells, Row};
use crate::error::DbError;
use crate::tx::{Access, Tx};
use crate::{postgres, sqlite};

/// A database. Cheap to clone; clones share its connections.
#[derive(Debug, Clone)]
pub struct Db {
    pools: Pools,
}

#[derive(Debug, Clone)]
enum Pools {
    Sqlite(sqlite::Pools),
    Postgres(PgPool),
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One file on this machine.
    Sqlite,
    /// A server.
    Postgres,
}

/// A column, as both databases' catalogs describe it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column {
    /// The table's name.
    pub table: String,
    /// The column's name.
    pub name: String,
    /// Whether it may hold NULL.
    pub nullable: bool,
}

impl Row for Column {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            table: cells.get("table_name")?,
            name: cells.get("column_name")?,
            nullable: cells.get("nullable")?,
        })
    }
}

impl Db {
    /// Opens the SQLite database in the file at `path`, making the file if there is none. Other
    /// processes may have it open, and write to it, at the same time.
    ///
    /// # Errors
    /// [`DbError::Storage`] when the file cannot be made or is no database.
    pub async fn open_sqlite(path: &Path) -> Result<Self, DbError> {
        Ok(Self { pools: Pools::Sqlite(sqlite::Pools::open(path).await?) })
    }

    /// Connects to the PostgreSQL database at `url`, `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    /// [`DbError::Connection`] when nobody answers; [`DbError::Unsupported`] when the server is
    /// older than 15 or the database is not in UTF-8.
    pub async fn open_postgres(url: &str) -> Result<Self, DbError> {
        Ok(Self { pools: Pools::Postgres(postgres::open(url).await?) })
    }

    /// Which of the two it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.pools {
            Pools::Sqlite(_) => Kind::Sqlite,
            Pools::Postgres(_) => Kind::Postgres,
        }
    }

    /// Begins a transaction that reads and writes.
    ///
    /// On SQLite it is the only one: whoever asks next waits, in the order of asking. On PostgreSQL
    /// it is READ COMMITTED, so what a decision rests on is read with [`Tx::rows_for_update`].
    ///
    /// # Errors
    /// [`DbError::Busy`] when its turn does not come within ten seconds, as when the same task holds
    /// another; [`DbError::Connection`].
    pub async fn begin(&self) -> Result<Tx, DbError> {
        match &self.pools {
            Pools::Sqlite(pools) => {
                Ok(Tx::sqlite(pools.begin(Access::Write).await?, Access::Write))
            }
            Pools::Postgres(pool) => {
                let statement = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
                Ok(Tx::postgres(postgres::begin(pool, statement).await?, Access::Write))
            }
        }
    }

    /// Begins a transaction that only reads. All its statements see the same state: what was
    /// committed when its first statement ran.
    ///
    /// # Errors
    /// As [`Db::begin`].
    pub async fn begin_read(&self) -> Result<Tx, DbError> {
        match &self.pools {
            Pools::Sqlite(pools) => Ok(Tx::sqlite(pools.begin(Access::Read).await?, Access::Read)),
            Pools::Postgres(pool) => {
                let statement = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Tx::postgres(postgres::begin(pool, statement).await?, Access::Read))
            }
        }
    }

    /// Asks the database whether it is there.
    ///
    /// # Errors
    /// As [`Db::begin_read`].
    pub async fn ping(&self) -> Result<(), DbError> {
        let mut tx = self.begin_read().await?;
        tx.one::<i64>("SELECT 1 AS one", args![]).await?;
        Ok(())
    }

    /// Every column of every table, in order: for a test that both databases have the same ones.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub async fn columns(&self) -> Result<Vec<Column>, DbError> {
        let catalog = match self.kind() {
            // A primary key is never NULL, though SQLite's catalog does not always say so.
            Kind::Sqlite => {
                "SELECT t.name AS table_name, c.name AS column_name, \
                 c.\"notnull\" = 0 AND c.pk = 0 AS nullable \
                 FROM sqlite_schema AS t, pragma_table_info(t.name) AS c \
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            }
            Kind::Postgres => {
                "SELECT CAST(t.relname AS TEXT) AS table_name, CAST(c.attname AS TEXT) AS column_name, \
                 NOT c.attnotnull AS nullable \
                 FROM pg_class AS t JOIN pg_attribute AS c ON c.attrelid = t.oid \
                 WHERE t.relkind IN ('r', 'p') AND c.attnum > 0 AND NOT c.attisdropped \
                 AND t.relnamespace = CAST(current_schema() AS regnamespace)"
            }
        };
        let mut columns: Vec<Column> = self.begin_read().await?.rows(catalog, args![]).await?;
        columns.sort();
        Ok(columns)
    }

    /// Waits for the transactions under way and closes all connections, of all clones. On SQLite,
    /// the last process to close folds the write-ahead log into the file.
    pub async fn close(self) {
        match self.pools {
            Pools::Sqlite(pools) => pools.close().await,
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}
