//! Transactions: the only way to run a statement.

use sqlx::{AssertSqlSafe, Postgres, SqlSafeStr as _, Transaction};

use crate::arg::Arg;
use crate::args;
use crate::cells::{Row, read_all};
use crate::db::Kind;
use crate::error::DbError;
use crate::sqlite::{self, Most};
use crate::{postgres, sql};

/// A transaction. Dropped without [`commit`](Tx::commit), it is rolled back.
///
/// A statement that the database refuses, and one whose future is dropped before it is done, ends
/// the transaction: all that follows is [`DbError::Aborted`], the commit too, until
/// [`rollback_to`](Tx::rollback_to) an earlier savepoint. PostgreSQL is so by nature, but for that
/// its COMMIT would then quietly roll back; on SQLite the seam makes it so.
#[derive(Debug)]
pub struct Tx {
    connection: Connection,
    access: Access,
    /// False from before a statement is sent until it has succeeded.
    sound: bool,
    /// How many savepoints are open.
    savepoints: usize,
    undone: u64,
}

#[derive(Debug)]
enum Connection {
    Sqlite(sqlite::Transaction),
    Postgres(Transaction<'static, Postgres>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A point in a transaction to which [`Tx::rollback_to`] goes back.
#[derive(Debug)]
#[must_use = "a savepoint is for `release` or `rollback_to`"]
pub struct Savepoint {
    /// How many savepoints were open when this one had been made: 1 for the first.
    depth: usize,
}

impl Tx {
    pub(crate) const fn sqlite(tx: sqlite::Transaction, access: Access) -> Self {
        Self { connection: Connection::Sqlite(tx), access, sound: true, savepoints: 0, undone: 0 }
    }

    pub(crate) const fn postgres(tx: Transaction<'static, Postgres>, access: Access) -> Self {
        Self { connection: Connection::Postgres(tx), access, sound: true, savepoints: 0, undone: 0 }
    }

    /// Which database this is. For tests and reports; statements are the same on both.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.connection {
            Connection::Sqlite(_) => Kind::Sqlite,
            Connection::Postgres(_) => Kind::Postgres,
        }
    }

    /// Runs a statement and returns how many rows it inserted, updated or deleted.
    ///
    /// # Errors
    /// What the database says, see [`DbError`]; [`DbError::Aborted`] after an earlier error;
    /// [`DbError::Statement`] when placeholders and arguments do not match.
    pub async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, DbError> {
        self.ready(sql, &args)?;
        self.sound = false;
        let affected = match &mut self.connection {
            Connection::Sqlite(tx) => tx.execute(sql, &args).await?,
            Connection::Postgres(tx) => postgres::execute(tx, sql.into_sql_str(), args).await?,
        };
        self.sound = true;
        Ok(affected)
    }

    /// Runs a query and reads all its rows, which the statement's LIMIT bounds.
    ///
    /// # Errors
    /// As [`Tx::execute`], and those of [`Cells::get`](crate::Cells::get). What cannot be read does
    /// not end the transaction.
    pub async fn rows<T: Row>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, DbError> {
        self.fetch(sql, args, Held::Not, Most::Many).await
    }

    /// Runs a query and reads its only row.
    ///
    /// # Errors
    /// As [`Tx::rows`]; [`DbError::NotFound`] when there is none, [`DbError::TooManyRows`] when
    /// there are more, neither of which ends the transaction.
    pub async fn one<T: Row>(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<T, DbError> {
        self.optional(sql, args).await?.ok_or(DbError::NotFound)
    }

    /// Runs a query and reads its only row, if there is one.
    ///
    /// # Errors
    /// As [`Tx::rows`]; [`DbError::TooManyRows`] when there are more.
    pub async fn optional<T: Row>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Option<T>, DbError> {
        at_most_one(self.fetch(sql, args, Held::Not, Most::One).await?)
    }

    /// [`Tx::rows`], and the rows stay as they are until the transaction ends: what is decided on
    /// them holds when it is saved. Waits for whoever else holds them.
    ///
    /// PostgreSQL locks the rows (`FOR UPDATE` is added to the statement, which therefore may have
    /// no DISTINCT, GROUP BY, aggregate or outer join); on SQLite there is no other writer.
    ///
    /// # Errors
    /// As [`Tx::rows`]; [`DbError::ReadOnly`] in a transaction for reading.
    pub async fn rows_for_update<T: Row>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, DbError> {
        self.writable()?;
        self.fetch(sql, args, Held::Awaited, Most::Many).await
    }

    /// [`Tx::rows_for_update`] of at most one row.
    ///
    /// # Errors
    /// As [`Tx::rows_for_update`]; [`DbError::TooManyRows`] when there are more.
    pub async fn optional_for_update<T: Row>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Option<T>, DbError> {
        at_most_one(self.rows_for_update(sql, args).await?)
    }

    /// Holds the rows of a query as [`Tx::rows_for_update`] does, and reads nothing of them. On SQLite
    /// nothing is asked.
    ///
    /// # Errors
    /// As [`Tx::rows_for_update`].
    pub async fn hold(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<(), DbError> {
        self.writable()?;
        self.ready(sql, &args)?;
        let Connection::Postgres(tx) = &mut self.connection else { return Ok(()) };
        self.sound = false;
        let sql = AssertSqlSafe([sql, " FOR UPDATE"].concat()).into_sql_str();
        postgres::execute(tx, sql, args).await?;
        self.sound = true;
        Ok(())
    }

    /// [`Tx::rows_for_update`] that leaves out rows which another transaction holds instead of
    /// waiting for them: how workers share a queue.
    ///
    /// # Errors
    /// As [`Tx::rows_for_update`].
    pub async fn rows_unclaimed<T: Row>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, DbError> {
        self.writable()?;
        self.fetch(sql, args, Held::LeftOut, Most::Many).await
    }

    /// Claims `key` until the transaction ends, unless another transaction has it. PostgreSQL takes
    /// an advisory lock; on SQLite the one writer is the lock, and the answer is always yes.
    ///
    /// # Errors
    /// As [`Tx::execute`]; [`DbError::ReadOnly`] in a transaction for reading.
    pub async fn try_claim(&mut self, key: i64) -> Result<bool, DbError> {
        self.writable()?;
        match self.connection {
            Connection::Sqlite(_) => {
                self.one("SELECT 1 AS claimed WHERE $1 = $1", args![key]).await
            }
            Connection::Postgres(_) => {
                self.one("SELECT pg_try_advisory_xact_lock($1) AS claimed", args![key]).await
            }
        }
    }

    /// Marks the point to which [`Tx::rollback_to`] goes back. They nest.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn savepoint(&mut self) -> Result<Savepoint, DbError> {
        self.execute("SAVEPOINT point", args![]).await?;
        self.savepoints += 1;
        Ok(Savepoint { depth: self.savepoints })
    }

    /// Undoes all that was done since the savepoint, and mends a transaction that an error ended
    /// since. The savepoint is gone.
    ///
    /// # Errors
    /// [`DbError::NoSavepoint`] when an earlier one was released or rolled back to before it; what
    /// the database says.
    pub async fn rollback_to(&mut self, savepoint: Savepoint) -> Result<(), DbError> {
        self.undone = self.undone.saturating_add(1);
        // All have the same name: both databases then mean the latest, so go back one by one.
        self.unwind(savepoint.depth, "ROLLBACK TO SAVEPOINT point").await
    }

    /// How often something was undone by [`Tx::rollback_to`]: who remembers what was read before
    /// may remember what never was.
    #[must_use]
    pub const fn undone(&self) -> u64 {
        self.undone
    }

    /// Forgets the savepoint and keeps what was done since.
    ///
    /// # Errors
    /// As [`Tx::execute`]; [`DbError::NoSavepoint`] as for [`Tx::rollback_to`].
    pub async fn release(&mut self, savepoint: Savepoint) -> Result<(), DbError> {
        if !self.sound {
            return Err(DbError::Aborted);
        }
        self.unwind(savepoint.depth, "").await
    }

    async fn unwind(&mut self, depth: usize, first: &'static str) -> Result<(), DbError> {
        if depth > self.savepoints {
            return Err(DbError::NoSavepoint);
        }
        self.sound = false;
        while self.savepoints >= depth {
            if !first.is_empty() {
                self.run(first).await?;
            }
            self.run("RELEASE SAVEPOINT point").await?;
            self.savepoints -= 1;
        }
        self.sound = true;
        Ok(())
    }

    /// Makes all of it durable and visible.
    ///
    /// # Errors
    /// [`DbError::Aborted`] after an earlier error, and nothing is kept; [`DbError::CommitUnknown`]
    /// when the connection breaks meanwhile; what the database says of deferred constraints.
    pub async fn commit(self) -> Result<(), DbError> {
        if !self.sound {
            return Err(DbError::Aborted);
        }
        let done = match self.connection {
            Connection::Sqlite(tx) => tx.commit(),
            Connection::Postgres(tx) => tx.commit().await.map_err(postgres::error),
        };
        done.map_err(|error| match error {
            DbError::Connection { source } => DbError::CommitUnknown { source },
            error => error,
        })
    }

    /// Undoes all of it, and waits until it is undone. Dropping does the same without waiting.
    ///
    /// # Errors
    /// What the database says; it is undone all the same.
    pub async fn rollback(self) -> Result<(), DbError> {
        match self.connection {
            Connection::Sqlite(tx) => tx.rollback(),
            Connection::Postgres(tx) => tx.rollback().await.map_err(postgres::error),
        }
    }

    /// Runs a statement of this crate's own making, unprepared: for DDL and savepoints.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), DbError> {
        match &mut self.connection {
            Connection::Sqlite(tx) => tx.run(sql),
            Connection::Postgres(tx) => postgres::run(tx, sql).await,
        }
    }

    const fn writable(&self) -> Result<(), DbError> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(DbError::ReadOnly),
        }
    }

    /// Refuses what must not reach the database.
    fn ready(&self, sql: &str, args: &[Arg]) -> Result<(), DbError> {
        if !self.sound {
            return Err(DbError::Aborted);
        }
        if let Some(reason) = sql::statement_fault(sql, args.len()) {
            return Err(DbError::Statement { reason, sql: sql.to_owned() });
        }
        for (place, arg) in args.iter().enumerate() {
            if matches!(arg, Arg::Text(Some(text)) if text.contains('\0')) {
                return Err(DbError::NulInText { argument: place + 1 });
            }
        }
        Ok(())
    }

    async fn fetch<T: Row>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
        held: Held,
        most: Most,
    ) -> Result<Vec<T>, DbError> {
        self.ready(sql, &args)?;
        self.sound = false;
        match &mut self.connection {
            Connection::Sqlite(tx) => {
                let read = tx.fetch(sql, &args, most).await?;
                self.sound = true;
                read
            }
            Connection::Postgres(tx) => {
                let sql = match held {
                    Held::Not => sql.into_sql_str(),
                    Held::Awaited => AssertSqlSafe([sql, " FOR UPDATE"].concat()).into_sql_str(),
                    Held::LeftOut => {
                        AssertSqlSafe([sql, " FOR UPDATE SKIP LOCKED"].concat()).into_sql_str()
                    }
                };
                let rows = postgres::fetch(tx, sql, args).await?;
                self.sound = true;
                read_all(&rows)
            }
        }
    }
}

/// Whether the rows of a query are held until the transaction ends, and what of those that another
/// holds already. SQLite has one writer, so none of them is held by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Not,
    /// It waits for them.
    Awaited,
    /// They are left out.
    LeftOut,
}

fn at_most_one<T>(rows: Vec<T>) -> Result<Option<T>, DbError> {
    let mut rows = rows.into_iter();
    match (rows.next(), rows.next()) {
        (row, None) => Ok(row),
        (_, Some(_)) => Err(DbError::TooManyRows),
    }
}
