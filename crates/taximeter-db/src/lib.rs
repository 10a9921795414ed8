//! The one place that knows there are two SQL databases: SQLite, embedded, and PostgreSQL 15+.
//!
//! The seam is the statement: every query is written once, as constant text with `$1` placeholders,
//! and runs on both. What a table means is for the crates above; the drivers (rusqlite, and sqlx for PostgreSQL)
//! are for nobody but this one.
//!
//! ```no_run
//! # use taximeter_db::{args, Cells, Db, DbError, Row};
//! struct Customer { name: Option<String>, balance_minor: i64 }
//!
//! impl Row for Customer {
//!     fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
//!         Ok(Self { name: cells.get("name")?, balance_minor: cells.get("balance_minor")? })
//!     }
//! }
//!
//! # async fn example(db: Db) -> Result<(), DbError> {
//! let mut tx = db.begin().await?;
//! tx.execute("UPDATE customers SET balance_minor = $2 WHERE id = $1", args!["cus_7", 1300])
//!     .await?;
//! let customer: Customer =
//!     tx.one("SELECT name, balance_minor FROM customers WHERE id = $1", args!["cus_7"]).await?;
//! tx.commit().await
//! # }
//! ```
//!
//! # What SQL may say
//!
//! Both databases must read a statement the same way. The seam takes most traps away (see the tests
//! in `tests/it`); these rules are left to whoever writes SQL:
//!
//! - `CAST(SUM(x) AS BIGINT)`, with `COALESCE(.., 0)` where no row is a sum of 0.
//! - `ORDER BY` always, over columns without NULL (or with `NULLS LAST`); `LIMIT` always.
//! - No arithmetic that can overflow: numbers are the kernel's business.
//! - Constraints that verbs tell apart must not be violated by the same row: which of two is reported
//!   differs.
//! - `LIKE` patterns name their escape: `LIKE $1 ESCAPE '\'`. `LIKE` minds case on both.
//! - `INSERT .. ON CONFLICT DO NOTHING` where a conflict is expected: an error ends the transaction
//!   (see [`Tx`]).
//! - Optional filters are `($2 IS NULL OR col = $2)`, bound as `None`.
#![warn(missing_docs)]

mod arg;
mod cells;
mod db;
mod error;
mod migrate;
mod postgres;
mod sql;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod tx;

pub use arg::{Arg, Bind};
pub use cells::{Cell, Cells, Row, Unfit, Value};
pub use db::{Column, Db, Kind};
pub use error::{Cause, DbError};
pub use migrate::{Applied, Migration, MigrationError, migration_faults};
pub use tx::{Savepoint, Tx};
