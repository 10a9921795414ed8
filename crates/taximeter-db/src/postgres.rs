//! PostgreSQL 15 or newer.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgConnection, PgDatabaseError, PgPoolOptions, PgQueryResult,
    PgRow,
};
use sqlx::{
    Arguments as _, Connection as _, Decode, PgPool, Postgres, Row as _, Transaction,
    TypeInfo as _, ValueRef as _,
};
use sqlx::{AssertSqlSafe, SqlStr};

use crate::arg::Arg;
use crate::cells::{Fault, Value};
use crate::error::DbError;

/// How many transactions run at once in one process.
const CONNECTIONS_MAX: u32 = 16;
/// How long a transaction waits for a connection.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// How long a statement waits for a lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How long a statement may run, migrations apart.
const STATEMENT_WAIT: Duration = Duration::from_secs(60);
/// How long a transaction may do nothing before the server ends it, so that one whose process hangs
/// does not hold its locks for ever.
const IDLE_IN_TRANSACTION_WAIT: Duration = Duration::from_secs(60);
/// How many prepared statements a connection keeps.
const STATEMENTS_KEPT_MAX: usize = 512;
/// The oldest server that is tested: 15.0, as `server_version_num` has it.
const SERVER_VERSION_MIN: i64 = 150_000;

pub(crate) async fn open(url: &str) -> Result<PgPool, DbError> {
    let mut options = PgConnectOptions::from_str(url)
        .map_err(error)?
        .statement_cache_capacity(STATEMENTS_KEPT_MAX);
    if options.get_application_name().is_none() {
        options = options.application_name("taximeter");
    }
    let mut first = refuse_unreachable(&options).await?;
    refuse_unfit(&mut first).await?;
    first.close().await.map_err(error)?;
    let limits = format!(
        "SET lock_timeout = {}; SET statement_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}",
        LOCK_WAIT.as_millis(),
        STATEMENT_WAIT.as_millis(),
        IDLE_IN_TRANSACTION_WAIT.as_millis(),
    );
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(CONNECTION_WAIT)
        .after_connect(move |connection, _| {
            let limits = limits.clone();
            Box::pin(async move {
                sqlx::raw_sql(AssertSqlSafe(limits)).execute(connection).await.map(drop)
            })
        })
        .connect_lazy_with(options);
    Ok(pool)
}

/// Connects once, before there is a pool: a pool would try again and again, and in the end not say
/// what was wrong.
async fn refuse_unreachable(options: &PgConnectOptions) -> Result<PgConnection, DbError> {
    let connecting = PgConnection::connect_with(options);
    match tokio::time::timeout(CONNECTION_WAIT, connecting).await {
        Ok(connection) => connection.map_err(error),
        Err(elapsed) => Err(DbError::Connection { source: elapsed.into() }),
    }
}

async fn refuse_unfit(connection: &mut PgConnection) -> Result<(), DbError> {
    let row = sqlx::query(
        "SELECT CAST(current_setting('server_version_num') AS BIGINT) AS version, \
         current_setting('server_encoding') AS encoding, \
         current_setting('fsync') AS fsync, \
         current_setting('synchronous_commit') AS synchronous_commit",
    )
    .fetch_one(connection)
    .await
    .map_err(error)?;
    let text = |name| row.try_get::<String, _>(name).map_err(error);
    let version: i64 = row.try_get("version").map_err(error)?;
    if version < SERVER_VERSION_MIN {
        return Err(DbError::Unsupported {
            reason: format!("version {version}, want 15 or newer"),
        });
    }
    let encoding = text("encoding")?;
    if encoding != "UTF8" {
        return Err(DbError::Unsupported { reason: format!("encoding {encoding}, want UTF8") });
    }
    for setting in ["fsync", "synchronous_commit"] {
        if text(setting)? == "off" {
            tracing::warn!(setting, "postgresql may lose commits in a crash: the setting is off");
        }
    }
    Ok(())
}

/// Begins a transaction, in a task of its own: the driver, when its BEGIN is abandoned half-way,
/// returns the connection to the pool with the transaction open. The task ends what it began, and
/// drops it if nobody waits any more.
pub(crate) async fn begin(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, DbError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    match begun.await {
        Ok(begun) => begun.map_err(error),
        Err(ended) => Err(DbError::Connection { source: ended.into() }),
    }
}

fn arguments(args: Vec<Arg>) -> Result<PgArguments, DbError> {
    let mut bound = PgArguments::default();
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
    connection: &mut PgConnection,
    sql: SqlStr,
    args: Vec<Arg>,
) -> Result<u64, DbError> {
    let result = sqlx::query_with(sql, arguments(args)?).execute(connection).await;
    result.map(|result| PgQueryResult::rows_affected(&result)).map_err(error)
}

/// Runs statements that answer nothing, unprepared.
pub(crate) async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), DbError> {
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(connection).await.map(drop).map_err(error)
}

pub(crate) async fn fetch(
    connection: &mut PgConnection,
    sql: SqlStr,
    args: Vec<Arg>,
) -> Result<Vec<PgRow>, DbError> {
    sqlx::query_with(sql, arguments(args)?).fetch_all(connection).await.map_err(error)
}

pub(crate) fn value(row: &PgRow, name: &str) -> Result<Option<Value>, Fault> {
    let cell = row.try_get_raw(name).map_err(|_| Fault::NoColumn)?;
    if cell.is_null() {
        return Ok(None);
    }
    let kind = cell.type_info().name().to_owned();
    let value = match kind.as_str() {
        "INT8" => Decode::<Postgres>::decode(cell).map(Value::Int),
        // What a literal is here, and an i64 in SQLite.
        "INT4" => Decode::<Postgres>::decode(cell).map(|n: i32| Value::Int(n.into())),
        "INT2" => Decode::<Postgres>::decode(cell).map(|n: i16| Value::Int(n.into())),
        "TEXT" | "VARCHAR" | "NAME" => Decode::<Postgres>::decode(cell).map(Value::Text),
        "BOOL" => Decode::<Postgres>::decode(cell).map(Value::Bool),
        "BYTEA" => Decode::<Postgres>::decode(cell).map(Value::Bytes),
        _ => return Err(Fault::Type(kind)),
    };
    value.map(Some).map_err(Fault::Value)
}

/// An error in our words. Codes: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
pub(crate) fn error(error: sqlx::Error) -> DbError {
    let said =
        error.as_database_error().and_then(|said| said.try_downcast_ref::<PgDatabaseError>());
    let Some(said) = said else { return DbError::from_driver(error) };
    let constraint = said.constraint().map(str::to_owned);
    match said.code() {
        "23505" => DbError::Unique { constraint },
        "23503" => DbError::ForeignKey { constraint },
        "23514" => DbError::Check { constraint },
        "23502" => DbError::NotNull { column: said.column().map(str::to_owned) },
        // A column of one type, an expression or an argument of another.
        "42804" | "22P03" => DbError::Mismatch { source: error.into() },
        "22003" => DbError::Overflow,
        "25006" => DbError::ReadOnly,
        "25P02" => DbError::Aborted,
        // Serialization failure, deadlock.
        "40001" | "40P01" => DbError::Serialization { source: error.into() },
        // Lock timeout, statement timeout, too many connections.
        "55P03" | "57014" | "53300" => DbError::Busy { source: error.into() },
        // Ended by an operator, by a crash, by an idle limit; starting up.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => {
            DbError::Connection { source: error.into() }
        }
        code => match code.get(..2) {
            Some("08") => DbError::Connection { source: error.into() },
            // Insufficient resources, errors of the system, corruption.
            Some("53" | "58" | "XX") => DbError::Storage { source: error.into() },
            _ => DbError::Other { source: error.into() },
        },
    }
}
