//! What only SQLite needs.

use taximeter_db::testing::{TestDb, sqlite};
use taximeter_db::{Cell, Cells, Db, DbError, Row, args};

use crate::support::{THINGS, count, execute};

async fn with_things() -> TestDb {
    let db = sqlite().await;
    db.migrate(&[THINGS]).await.unwrap();
    db
}

async fn check_setting<T: Cell + PartialEq + std::fmt::Debug>(
    db: &Db,
    sql: &'static str,
    writer: T,
    reader: T,
) {
    let found: T = db.begin().await.unwrap().one(sql, args![]).await.unwrap();
    assert_eq!(found, writer, "writer: {sql}");
    let found: T = db.begin_read().await.unwrap().one(sql, args![]).await.unwrap();
    assert_eq!(found, reader, "reader: {sql}");
}

#[tokio::test]
async fn every_connection_has_its_settings() {
    let db = sqlite().await;
    let wal = || "wal".to_owned();
    check_setting(&db, "PRAGMA journal_mode", wal(), wal()).await;
    // 2 is FULL: the log is synced at every commit.
    check_setting(&db, "PRAGMA synchronous", 2, 2).await;
    check_setting(&db, "PRAGMA foreign_keys", true, true).await;
    check_setting(&db, "PRAGMA busy_timeout", 10_000, 10_000).await;
    check_setting(&db, "PRAGMA query_only", false, true).await;
    check_setting(&db, "PRAGMA trusted_schema", false, false).await;
    check_setting(&db, "PRAGMA cache_size", -65_536, -2_000).await;
    check_setting(&db, "PRAGMA wal_autocheckpoint", 8_192, 1_000).await;
    check_setting(&db, "PRAGMA fullfsync", true, false).await;
    check_setting(&db, "PRAGMA checkpoint_fullfsync", true, false).await;
    check_setting(&db, "PRAGMA journal_size_limit", 67_108_864, -1).await;
}

#[tokio::test]
async fn every_table_is_strict() {
    let db = with_things().await;
    let sql = "SELECT COUNT(*) AS n FROM pragma_table_list \
               WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND strict = 0";
    let lax: i64 = db.begin_read().await.unwrap().one(sql, args![]).await.unwrap();
    assert_eq!(lax, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let db = with_things().await;
    let mut found = 0;
    for file in std::fs::read_dir(db.directory()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
        found += 1;
    }
    assert!(found >= 2, "the file and its log");
}

#[tokio::test]
async fn many_may_open_a_new_file_at_once() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new.db");
        let mut opening = Vec::new();
        for _ in 0..4 {
            let path = path.clone();
            opening.push(tokio::spawn(async move {
                Db::open_sqlite(&path).await?.begin().await?.commit().await
            }));
        }
        for opened in opening {
            opened.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn the_writer_outlives_a_transaction_that_sqlite_ended() {
    let db = with_things().await;
    let insert = "INSERT OR ROLLBACK INTO things (id) VALUES ('a')";
    execute(&db, insert, args![]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let savepoint = tx.savepoint().await.unwrap();
    assert!(tx.execute(insert, args![]).await.unwrap_err().is_unique());
    // There is no transaction any more: what follows must not run outside of one.
    let error = tx.execute("INSERT INTO things (id) VALUES ('b')", args![]).await.unwrap_err();
    assert!(matches!(error, DbError::Aborted), "{error:?}");
    tx.rollback_to(savepoint).await.unwrap_err();
    let error = tx.execute("INSERT INTO things (id) VALUES ('b')", args![]).await.unwrap_err();
    assert!(matches!(error, DbError::Aborted), "{error:?}");
    drop(tx);
    execute(&db, "INSERT INTO things (id) VALUES ('c')", args![]).await.unwrap();
    assert_eq!(count(&db).await, 2);
}

#[tokio::test]
async fn a_full_disk_is_an_error_of_storage_and_passes() {
    let db = with_things().await;
    let mut tx = db.begin().await.unwrap();
    tx.one::<i64>("PRAGMA max_page_count = 20", args![]).await.unwrap();
    let insert = "INSERT INTO things (id, x) VALUES ('a', zeroblob(1000000))";
    let error = tx.execute(insert, args![]).await.unwrap_err();
    assert!(matches!(error, DbError::Storage { .. }), "{error:?}");
    tx.one::<i64>("SELECT 1 AS n", args![]).await.unwrap_err();
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    tx.one::<i64>("PRAGMA max_page_count = 1000000", args![]).await.unwrap();
    tx.execute(insert, args![]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn a_result_follows_its_table() {
    let db = with_things().await;
    let all = "SELECT * FROM things ORDER BY id";
    execute(&db, "INSERT INTO things (id, n) VALUES ('a', 7)", args![]).await.unwrap();
    let read = async |column: &'static str| {
        let mut tx = db.begin().await.unwrap();
        let rows = tx.rows::<Named>(all, args![]).await;
        rows.map(|rows| rows.iter().map(|row| row.of(column)).collect::<Vec<_>>())
    };
    assert_eq!(read("n").await.unwrap(), [Some(7)]);
    // The connection keeps the statement and knows its columns, until another renames one.
    let other = db.reopen().await;
    execute(&other, "ALTER TABLE things RENAME COLUMN n TO m", args![]).await.unwrap();
    assert_eq!(read("m").await.unwrap(), [Some(7)]);
    assert_eq!(read("n").await.unwrap(), [None]);
}

/// The columns `n` and `m`, where the result has them.
struct Named {
    n: Option<i64>,
    m: Option<i64>,
}

impl Named {
    fn of(&self, column: &str) -> Option<i64> {
        if column == "n" { self.n } else { self.m }
    }
}

impl Row for Named {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self { n: cells.get("n").ok(), m: cells.get("m").ok() })
    }
}

#[tokio::test]
async fn while_another_process_writes_the_thread_goes_on() {
    let db = with_things().await;
    let other = db.reopen().await;
    let writing = other.begin().await.unwrap();
    // One thread runs both: if the second waited on it, the first could never be done.
    let waiting = tokio::spawn({
        let db = (*db).clone();
        async move { execute(&db, "INSERT INTO things (id) VALUES ('a')", args![]).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(count(&db).await, 0);
    writing.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letter.txt");
    std::fs::write(&path, "Dear customer, ".repeat(100)).unwrap();
    let error = Db::open_sqlite(&path).await.unwrap_err();
    assert!(matches!(error, DbError::Storage { .. }), "{error:?}");
    let nowhere = directory.path().join("missing").join("new.db");
    let error = Db::open_sqlite(&nowhere).await.unwrap_err();
    assert!(matches!(error, DbError::Storage { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_committed_is_there_when_the_file_is_opened_again() {
    let db = with_things().await;
    execute(&db, "INSERT INTO things (id) VALUES ('a')", args![]).await.unwrap();
    (*db).clone().close().await;
    let log = db.directory().join("test.db-wal");
    assert!(!log.exists(), "the last to close folds the log into the file");
    assert_eq!(count(&db.reopen().await).await, 1);
}
