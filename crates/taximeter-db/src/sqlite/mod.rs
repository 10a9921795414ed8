//! SQLite: one writer, a few readers, a write-ahead log that is synced at every commit.
//!
//! A statement runs where it is asked for, on the thread of the one who asks: most take a few
//! microseconds, and to hand one over to another thread and wait for it takes several times as long.
//! What may wait for the disk or for very many rows lets the runtime's other tasks go on meanwhile
//! (see [`aside`]).

mod error;
mod pool;
mod statement;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::coop::consume_budget;

use self::pool::{Kept, Lent, Pool};
pub(crate) use self::statement::Line;
use crate::arg::Arg;
use crate::cells::Row;
use crate::error::DbError;
use crate::tx::Access;

/// How many transactions of [`begin_read`](crate::Db::begin_read) run at once.
const READERS_MAX: u32 = 8;
/// How long a transaction waits for its turn, and the writer for another process.
const WAIT: Duration = Duration::from_secs(10);
/// The pauses in which the writer asks whether another process is done: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// How often opening is tried while another process turns the same new file into a database.
const OPEN_TRIES_MAX: u32 = 100;
/// The pause between those.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// The connections to one file.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    writer: Pool,
    readers: Pool,
}

impl Pools {
    pub(crate) async fn open(path: &Path) -> Result<Self, DbError> {
        // Absolute, so that no name means anything but a file.
        let path =
            std::path::absolute(path).map_err(|error| DbError::Storage { source: error.into() })?;
        create_private(&path)?;
        let pools = Self {
            writer: Pool::new(path.clone(), Access::Write, 1),
            readers: Pool::new(path, Access::Read, READERS_MAX),
        };
        // Changing a new file to the write-ahead log needs it alone, and SQLite does not wait for
        // that: it says "busy" at once.
        let mut tries = 0;
        loop {
            match pools.writer.lend().await {
                Ok(connection) => break drop(connection),
                Err(error) => {
                    tries += 1;
                    if !matches!(error, DbError::Busy { .. }) || tries >= OPEN_TRIES_MAX {
                        return Err(error);
                    }
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
            }
        }
        Ok(pools)
    }

    /// Begins a transaction once it is its turn.
    pub(crate) async fn begin(&self, access: Access) -> Result<Transaction, DbError> {
        let mut transaction = match access {
            Access::Read => Transaction::on(self.readers.lend().await?, access),
            Access::Write => Transaction::on(self.writer.lend().await?, access),
        };
        match access {
            Access::Read => transaction.run("BEGIN DEFERRED")?,
            Access::Write => transaction.begin_immediate().await?,
        }
        Ok(transaction)
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

/// A transaction. Dropped without [`commit`](Transaction::commit), it is rolled back.
#[derive(Debug)]
pub(crate) struct Transaction {
    // Never locked, for whoever has the transaction has it alone: it is there for `Sync`.
    connection: Mutex<Lent>,
    access: Access,
}

impl Transaction {
    const fn on(connection: Lent, access: Access) -> Self {
        Self { connection: Mutex::new(connection), access }
    }

    fn kept(&mut self) -> Result<&mut Kept, DbError> {
        self.connection.get_mut().unwrap_or_else(PoisonError::into_inner).kept()
    }

    /// Becomes the one that writes, also among processes, without holding up the thread.
    async fn begin_immediate(&mut self) -> Result<(), DbError> {
        let waiting = async {
            let (mut pause, longest) = PAUSES;
            loop {
                match self.try_begin() {
                    Err(DbError::Busy { .. }) => tokio::time::sleep(pause).await,
                    begun => return begun,
                }
                pause = longest.min(pause.saturating_mul(2));
            }
        };
        let begun = tokio::time::timeout(WAIT, waiting).await;
        begun.unwrap_or_else(|elapsed| Err(DbError::Busy { source: elapsed.into() }))
    }

    fn try_begin(&mut self) -> Result<(), DbError> {
        let connection = &self.kept()?.connection;
        connection.busy_timeout(Duration::ZERO).map_err(error::plain)?;
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        connection.busy_timeout(WAIT).map_err(error::plain)?;
        begun.map_err(error::plain)
    }

    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        args: &[Arg],
    ) -> Result<u64, DbError> {
        before_a_statement().await;
        self.kept()?.execute(sql, args)
    }

    /// Runs a query, and reads its rows. The outer error is the statement's.
    pub(crate) async fn fetch<T: Row>(
        &mut self,
        sql: &'static str,
        args: &[Arg],
        most: Most,
    ) -> Result<Result<Vec<T>, DbError>, DbError> {
        before_a_statement().await;
        let access = self.access;
        let kept = self.kept()?;
        match (access, most) {
            // A list or a search, which may look at a whole table.
            (Access::Read, Most::Many) => aside(|| kept.fetch(sql, args)),
            _ => kept.fetch(sql, args),
        }
    }

    /// Runs statements that answer nothing, unprepared.
    pub(crate) fn run(&mut self, sql: &str) -> Result<(), DbError> {
        self.kept()?.connection.execute_batch(sql).map_err(error::plain)
    }

    pub(crate) fn commit(mut self) -> Result<(), DbError> {
        match self.access {
            Access::Read => self.run("COMMIT"),
            Access::Write => aside(|| self.run("COMMIT")),
        }
    }

    pub(crate) fn rollback(mut self) -> Result<(), DbError> {
        self.run("ROLLBACK")
    }
}

/// Lets others run now and then. Where it is tested what becomes of work that is cut short, they run
/// before each statement, as they do while PostgreSQL is waited for.
async fn before_a_statement() {
    consume_budget().await;
    #[cfg(feature = "testing")]
    tokio::task::yield_now().await;
}

/// How many rows a query is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Most {
    /// One, by its key.
    One,
    /// As many as its LIMIT says.
    Many,
}

/// Does what may take long: other tasks of a runtime of several threads go on meanwhile, on another
/// one, to which they are handed over in about the time of one short statement.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
