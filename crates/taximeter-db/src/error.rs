//! What can go wrong with a database, in the same words for both.

use crate::migrate::MigrationError;

/// What lies under an error, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a statement, a transaction or a connection failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// Another row has this key. The name is that of the unique index, or what PostgreSQL calls an
    /// unnamed constraint: `customers_pkey`, `customers_account_key_key`.
    #[error("unique constraint {} violated", named(constraint.as_deref()))]
    Unique {
        /// `None` when SQLite cannot tell which of two indexes over the same columns it was.
        constraint: Option<String>,
    },
    /// A row that this one refers to is missing, or one that refers to it remains.
    #[error("foreign key {} violated", named(constraint.as_deref()))]
    ForeignKey {
        /// Always `None` on SQLite, which does not say.
        constraint: Option<String>,
    },
    /// A `CHECK` said no.
    #[error("check {} violated", named(constraint.as_deref()))]
    Check {
        /// The constraint's name, if it has one.
        constraint: Option<String>,
    },
    /// A NULL was written where none may be.
    #[error("column {} may not be null", named(column.as_deref()))]
    NotNull {
        /// The column, without its table.
        column: Option<String>,
    },
    /// A value was written to a column of another type.
    #[error("a value of the wrong type was written")]
    Mismatch {
        /// What the database said.
        #[source]
        source: Cause,
    },
    /// Exactly one row was asked for and there is none.
    #[error("no such row")]
    NotFound,
    /// At most one row was asked for and there are more: the statement lacks a key.
    #[error("more than one row")]
    TooManyRows,
    /// A column holds NULL and is read as a type that has none.
    #[error("column `{column}` is null")]
    UnexpectedNull {
        /// The column's name in the result.
        column: String,
    },
    /// The result has no such column.
    #[error("no column `{column}` in the result")]
    NoColumn {
        /// The name that was asked for.
        column: String,
    },
    /// Two columns of the result have the same name, so reading by name would be a guess.
    #[error("two columns `{column}` in the result")]
    TwoColumns {
        /// The name they share.
        column: String,
    },
    /// A column holds another type than the one it is read as.
    #[error("column `{column}` holds {found}, not {wanted}")]
    WrongType {
        /// The column's name in the result.
        column: String,
        /// What it is read as.
        wanted: &'static str,
        /// What it holds, in the database's words.
        found: String,
    },
    /// A stored value is none that its type could have written.
    #[error("column `{column}` holds no {wanted}")]
    Malformed {
        /// The column's name in the result.
        column: String,
        /// What it is read as.
        wanted: &'static str,
        /// Why it is not.
        #[source]
        source: Cause,
    },
    /// A text argument holds U+0000, which PostgreSQL cannot store. Refused on both.
    #[error("argument ${argument} holds a null character")]
    NulInText {
        /// Which placeholder: 1 for `$1`.
        argument: usize,
    },
    /// The statement could not mean the same on both databases.
    #[error("{reason}: {sql}")]
    Statement {
        /// What is wrong with it.
        reason: &'static str,
        /// The statement.
        sql: String,
    },
    /// A number left the range of 64 bits inside SQL.
    #[error("integer overflow in SQL")]
    Overflow,
    /// A connection, a lock or the end of a statement did not come in time. Trying again may help.
    #[error("the database is busy")]
    Busy {
        /// What was waited for.
        #[source]
        source: Cause,
    },
    /// Two transactions stood in each other's way and this one lost. Running it again helps.
    #[error("the transaction lost against another")]
    Serialization {
        /// What the database said.
        #[source]
        source: Cause,
    },
    /// A write inside [`Db::begin_read`](crate::Db::begin_read).
    #[error("the transaction is for reading")]
    ReadOnly,
    /// An earlier statement of the transaction failed or was abandoned; it can only be rolled back.
    #[error("an earlier statement of the transaction failed")]
    Aborted,
    /// The savepoint has been released or rolled back already.
    #[error("the savepoint is gone")]
    NoSavepoint,
    /// The connection broke, or none could be made. The next request gets another.
    #[error("no connection to the database")]
    Connection {
        /// What broke it.
        #[source]
        source: Cause,
    },
    /// The connection broke during the commit: it happened or it did not. What is retried must be
    /// idempotent, as after a timeout.
    #[error("the outcome of the commit is unknown")]
    CommitUnknown {
        /// What broke it.
        #[source]
        source: Cause,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// The disk is full or failing, or the file is no database.
    #[error("the database's storage failed")]
    Storage {
        /// What the database said.
        #[source]
        source: Cause,
    },
    /// The server cannot be used: too old, or not in UTF-8.
    #[error("the database server cannot be used: {reason}")]
    Unsupported {
        /// What is wrong with it.
        reason: String,
    },
    /// The schema could not be brought up to date.
    #[error("migration failed")]
    Migration(#[from] MigrationError),
    /// Anything else: mostly a mistake in a statement.
    #[error("the database refused")]
    Other {
        /// What the database said.
        #[source]
        source: Cause,
    },
}

fn named(name: Option<&str>) -> &str {
    name.unwrap_or("(unnamed)")
}

impl DbError {
    /// Whether another row has the key.
    #[must_use]
    pub const fn is_unique(&self) -> bool {
        matches!(self, Self::Unique { .. })
    }

    /// Whether the named unique constraint was violated: `error.is_unique_on("customers_key_unique")`.
    #[must_use]
    pub fn is_unique_on(&self, name: &str) -> bool {
        matches!(self, Self::Unique { constraint: Some(constraint) } if constraint == name)
    }

    /// Whether the same transaction, run again from its start, may succeed. Not so for
    /// [`DbError::CommitUnknown`], which may have succeeded already.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Serialization { .. } | Self::Connection { .. })
    }

    /// What the driver of PostgreSQL reports by itself: what the database said is mapped before this.
    pub(crate) fn from_driver(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy { source: error.into() },
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Connection { source: error.into() },
            error => Self::Other { source: error.into() },
        }
    }
}
