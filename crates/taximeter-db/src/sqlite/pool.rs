//! Connections that are lent, one to each transaction.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::statement::Columns;
use super::{WAIT, error};
use crate::error::DbError;
use crate::tx::Access;

/// How many prepared statements a connection keeps.
const STATEMENTS_KEPT_MAX: usize = 512;
/// How much of the file the connection that writes keeps in memory, in KiB: SQLite's 2 MiB are soon
/// less than what the jobs of one instant touch.
const WRITER_CACHE_KIB: i64 = 65_536;
/// After how many pages of 4 KiB the write-ahead log is folded into the file. A page that changes
/// again and again is then written there less often.
const LOG_PAGES_MAX: i64 = 8_192;
/// What the write-ahead log is cut back to after a checkpoint, in bytes.
const LOG_BYTES_KEPT_MAX: i64 = 67_108_864;

/// So many connections at most, made when they are first needed and kept.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    access: Access,
    /// A permit for each connection, given in the order of asking.
    turns: Arc<Semaphore>,
    size: u32,
    closing: AtomicBool,
    idle: Mutex<Vec<Kept>>,
}

/// A connection, with what is known of the statements it ran.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) connection: Connection,
    /// By the text of the statement.
    pub(super) columns: BTreeMap<&'static str, Arc<Columns>>,
}

/// A connection that is lent, until this is dropped.
#[derive(Debug)]
pub(super) struct Lent {
    /// There until it is dropped.
    kept: Option<Kept>,
    home: Arc<Shared>,
    // Let go after `Drop`: whoever comes next finds the connection at home.
    _turn: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(path: PathBuf, access: Access, size: u32) -> Self {
        let turns = usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS);
        let shared = Shared {
            path,
            access,
            turns: Arc::new(Semaphore::new(turns)),
            size,
            closing: AtomicBool::new(false),
            idle: Mutex::new(Vec::new()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Lends a connection, when it is the caller's turn.
    pub(super) async fn lend(&self) -> Result<Lent, DbError> {
        let home = Arc::clone(&self.shared);
        if home.closing.load(Ordering::Acquire) {
            return Err(DbError::Closed);
        }
        let turn = tokio::time::timeout(WAIT, Arc::clone(&home.turns).acquire_owned()).await;
        let turn = turn.map_err(|elapsed| DbError::Busy { source: elapsed.into() })?;
        let turn = turn.map_err(|_closed| DbError::Closed)?;
        let idle = home.idle().pop();
        let kept = match idle {
            Some(kept) => kept,
            None => home.connect().map_err(error::plain)?,
        };
        Ok(Lent { kept: Some(kept), home, _turn: turn })
    }

    /// Waits until all connections are at home, and closes them.
    pub(super) async fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        // It fails where another has closed them.
        let _all = self.shared.turns.acquire_many(self.shared.size).await;
        self.shared.turns.close();
        self.shared.idle().clear();
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> rusqlite::Result<Kept> {
        // Neither does SQLite make the file, nor is a path anything but a path (`file:` is a URI).
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(WAIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT_MAX);
        connection.pragma_update(None, "foreign_keys", true)?;
        // As in PostgreSQL, `LIKE` minds case.
        connection.pragma_update(None, "case_sensitive_like", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        match self.access {
            Access::Read => connection.pragma_update(None, "query_only", true)?,
            Access::Write => {
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.pragma_update(None, "synchronous", "FULL")?;
                // Less than 0: in KiB and not in pages.
                connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
                connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?;
                connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT_MAX)?;
                // Where a plain fsync stops at the drive's cache (macOS), go on to the platter.
                connection.pragma_update(None, "fullfsync", true)?;
                connection.pragma_update(None, "checkpoint_fullfsync", true)?;
            }
        }
        Ok(Kept { connection, columns: BTreeMap::new() })
    }
}

impl Lent {
    pub(super) fn kept(&mut self) -> Result<&mut Kept, DbError> {
        self.kept.as_mut().ok_or(DbError::Closed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        if !kept.connection.is_autocommit() {
            // Where that fails, SQLite has rolled back by itself, or the connection is past mending.
            let _undone = kept.connection.execute_batch("ROLLBACK");
        }
        if kept.connection.is_autocommit() {
            self.home.idle().push(kept);
        }
    }
}
