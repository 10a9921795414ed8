//! SQLite: one writer, a few readers, a write-ahead log that is synced at every commit.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlStr;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
    SqliteQueryResult, SqliteRow, SqliteSynchronous,
};
use sqlx::{
    Arguments as _, Connection as _, Decode, Row as _, Sqlite, SqlitePool, TypeInfo as _,
    ValueRef as _,
};

use crate::arg::Arg;
use crate::cells::{Fault, Value};
use crate::error::DbError;

/// How many transactions of [`begin_read`](crate::Db::begin_read) run at once.
const READERS_MAX: u32 = 8;
/// How long a transaction waits for its turn, and the writer for another process.
const WAIT: Duration = Duration::from_secs(10);
/// How many prepared statements a connection keeps.
const STATEMENTS_KEPT_MAX: usize = 512;
/// What the write-ahead log is cut back to after a checkpoint, in bytes.
const LOG_BYTES_KEPT_MAX: &str = "67108864";
/// How often opening is tried while another process turns the same new file into a database.
const OPEN_TRIES_MAX: u32 = 100;
/// The pause between those.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// The connections to one file.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl Pools {
    pub(crate) async fn open(path: &Path) -> Result<Self, DbError> {
        // Absolute, so that no name means anything but a file: SQLite has `:memory:` and `file:`.
        let path =
            std::path::absolute(path).map_err(|error| DbError::Storage { source: error.into() })?;
        create_private(&path)?;
        let options = options(&path);
        let writing = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", LOG_BYTES_KEPT_MAX)
            // Where a plain fsync stops at the drive's cache (macOS), go on to the platter.
            .pragma("fullfsync", "ON")
            .pragma("checkpoint_fullfsync", "ON");
        let writer = pool(1).connect_lazy_with(writing);
        // Changing a new file to the write-ahead log needs it alone, and SQLite does not wait for
        // that: it says "busy" at once.
        let mut tries = 0;
        loop {
            match writer.acquire().await {
                Ok(connection) => break drop(connection),
                Err(error) => {
                    let error = plain_error(error);
                    tries += 1;
                    if !matches!(error, DbError::Busy { .. }) || tries >= OPEN_TRIES_MAX {
                        return Err(error);
                    }
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
            }
        }
        let readers =
            pool(READERS_MAX).connect_lazy_with(options.clone().pragma("query_only", "ON"));
        Ok(Self { writer, readers })
    }

    pub(crate) async fn close(self) {
        // The writer last: whoever closes last folds the log into the file, and readers may not.
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes the file, if there is none, readable by nobody else: it will hold keys and customers.
fn create_private(path: &Path) -> Result<(), DbError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(DbError::Storage {
            source: format!("cannot create `{}`: {error}", path.display()).into(),
        }),
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(WAIT)
        .statement_cache_capacity(STATEMENTS_KEPT_MAX)
        // As in PostgreSQL, `LIKE` minds case.
        .pragma("case_sensitive_like", "ON")
        .pragma("trusted_schema", "OFF")
        .pragma("temp_store", "MEMORY")
}

fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        // A file does not go away as a server does.
        .test_before_acquire(false)
        .after_release(|connection, _| {
            Box::pin(async move {
                // The ping comes after the roll-back that a dropped transaction has queued. A
                // transaction that SQLite itself rolled back (a full disk does that) cannot be
                // rolled back again, and the driver would hold it open for ever: start afresh.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
}

pub(crate) fn arguments(args: Vec<Arg>) -> Result<SqliteArguments, DbError> {
    let mut bound = SqliteArguments::default();
    for arg in args {
        match arg {
            Arg::Int(value) => bound.add(value),
            Arg::Text(value) => bound.add(value),
            Arg::Bool(value) => bound.add(value),
            Arg::Bytes(value) => bound.add(value),
        }
        .map_err(|source| DbError::Other { source })?;
    }
    Ok(bound)
}

pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    sql: SqlStr,
    args: Vec<Arg>,
) -> Result<u64, DbError> {
    let result = sqlx::query_with(sql, arguments(args)?).execute(&mut *connection).await;
    match result {
        Ok(result) => Ok(SqliteQueryResult::rows_affected(&result)),
        Err(error) => Err(full_error(connection, error).await),
    }
}

pub(crate) async fn fetch(
    connection: &mut SqliteConnection,
    sql: SqlStr,
    args: Vec<Arg>,
) -> Result<Vec<SqliteRow>, DbError> {
    let result = sqlx::query_with(sql, arguments(args)?).fetch_all(&mut *connection).await;
    match result {
        Ok(rows) => Ok(rows),
        Err(error) => Err(full_error(connection, error).await),
    }
}

pub(crate) fn value(row: &SqliteRow, name: &str) -> Result<Option<Value>, Fault> {
    let cell = row.try_get_raw(name).map_err(|_| Fault::NoColumn)?;
    // Asked first and of the cell itself: the driver reads NULL as 0.
    if cell.is_null() {
        return Ok(None);
    }
    let kind = cell.type_info().name().to_owned();
    let value = match kind.as_str() {
        "INTEGER" => Decode::<Sqlite>::decode(cell).map(Value::Int),
        "TEXT" => Decode::<Sqlite>::decode(cell).map(Value::Text),
        "BLOB" => Decode::<Sqlite>::decode(cell).map(Value::Bytes),
        _ => return Err(Fault::Type(kind)),
    };
    value.map(Some).map_err(Fault::Value)
}

// Result codes, <https://www.sqlite.org/rescode.html>. The low byte is the kind of an extended one.
const ERROR: i64 = 1;
const BUSY: i64 = 5;
const LOCKED: i64 = 6;
const READONLY: i64 = 8;
const IOERR: i64 = 10;
const CORRUPT: i64 = 11;
const FULL: i64 = 13;
const CANTOPEN: i64 = 14;
const NOTADB: i64 = 26;
const CONSTRAINT_CHECK: i64 = 275;
const CONSTRAINT_FOREIGNKEY: i64 = 787;
const CONSTRAINT_NOTNULL: i64 = 1299;
const CONSTRAINT_PRIMARYKEY: i64 = 1555;
const CONSTRAINT_UNIQUE: i64 = 2067;
const CONSTRAINT_ROWID: i64 = 2579;
const CONSTRAINT_DATATYPE: i64 = 3091;

fn code(error: &dyn DatabaseError) -> i64 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or(ERROR)
}

/// What follows the colon: `customers.key` in "NOT NULL constraint failed: customers.key".
fn subject(message: &str) -> Option<&str> {
    message.split_once("constraint failed: ").map(|(_, subject)| subject)
}

/// An error in our words, with all that can be said without asking the database.
pub(crate) fn plain_error(error: sqlx::Error) -> DbError {
    let Some(said) = error.as_database_error() else { return DbError::from_driver(error) };
    let subject = subject(said.message()).map(str::to_owned);
    match code(said) {
        CONSTRAINT_UNIQUE | CONSTRAINT_PRIMARYKEY | CONSTRAINT_ROWID => {
            DbError::Unique { constraint: None }
        }
        CONSTRAINT_FOREIGNKEY => DbError::ForeignKey { constraint: None },
        CONSTRAINT_CHECK => DbError::Check { constraint: subject },
        CONSTRAINT_NOTNULL => DbError::NotNull {
            column: subject.and_then(|name| Some(name.rsplit_once('.')?.1.to_owned())),
        },
        CONSTRAINT_DATATYPE => DbError::Mismatch { source: error.into() },
        ERROR if said.message() == "integer overflow" => DbError::Overflow,
        code => match code & 0xff {
            BUSY | LOCKED => DbError::Busy { source: error.into() },
            READONLY => DbError::ReadOnly,
            IOERR | CORRUPT | FULL | CANTOPEN | NOTADB => DbError::Storage { source: error.into() },
            _ => DbError::Other { source: error.into() },
        },
    }
}

/// An error in our words, with the name of a violated unique index, which SQLite does not say.
async fn full_error(connection: &mut SqliteConnection, error: sqlx::Error) -> DbError {
    let message = error.as_database_error().map(|said| said.message().to_owned());
    match (plain_error(error), message.as_deref().and_then(subject)) {
        (DbError::Unique { .. }, Some(subject)) => {
            let indexes = match subject.split_once('.') {
                Some((table, _)) => unique_indexes(connection, table).await.unwrap_or_default(),
                None => Vec::new(),
            };
            DbError::Unique { constraint: constraint(subject, &indexes) }
        }
        (error, _) => error,
    }
}

/// A unique index as `pragma_index_list` has it.
#[derive(Debug)]
struct UniqueIndex {
    name: String,
    /// `c`: made by CREATE INDEX; `u`: by UNIQUE in a table; `pk`: by PRIMARY KEY.
    origin: String,
    columns: Vec<String>,
}

async fn unique_indexes(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<Vec<UniqueIndex>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT l.name AS name, l.origin AS origin, i.name AS column_name \
         FROM pragma_index_list($1) AS l, pragma_index_info(l.name) AS i \
         WHERE l.\"unique\" = 1 ORDER BY l.seq, i.seqno",
    )
    .bind(table)
    .fetch_all(connection)
    .await?;
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    for row in rows {
        let (name, column): (String, Option<String>) =
            (row.try_get("name")?, row.try_get("column_name")?);
        match indexes.last_mut() {
            Some(last) if last.name == name => last.columns.extend(column),
            _ => indexes.push(UniqueIndex {
                name,
                origin: row.try_get("origin")?,
                columns: column.into_iter().collect(),
            }),
        }
    }
    Ok(indexes)
}

/// The name PostgreSQL would give. `subject` is `t.a, t.b`, or `index 'name'` for one over
/// expressions.
fn constraint(subject: &str, indexes: &[UniqueIndex]) -> Option<String> {
    if let Some(name) = subject.strip_prefix("index '") {
        return Some(name.strip_suffix('\'')?.to_owned());
    }
    let (table, _) = subject.split_once('.')?;
    let columns: Vec<&str> =
        subject.split(", ").map(|name| name.split_once('.').map_or(name, |(_, c)| c)).collect();
    let mut matching = indexes.iter().filter(|index| index.columns == columns);
    match (matching.next(), matching.next()) {
        // `INTEGER PRIMARY KEY` is the table itself and has no index.
        (None, _) => Some(format!("{table}_pkey")),
        (Some(index), None) => Some(match index.origin.as_str() {
            "pk" => format!("{table}_pkey"),
            "u" => format!("{table}_{}_key", columns.join("_")),
            _ => index.name.clone(),
        }),
        (Some(_), Some(_)) => None,
    }
}
