//! What only PostgreSQL needs. Without a server for tests, nothing here runs.

use std::future::Future as _;
use std::pin::pin;
use std::task::Poll;

use taximeter_db::testing::{TestDb, postgres};
use taximeter_db::{Db, DbError, args};

use crate::support::{THINGS, count, execute, one};

async fn with_things() -> Option<TestDb> {
    let db = postgres().await?;
    db.migrate(&[THINGS]).await.unwrap();
    Some(db)
}

const INSERT: &str = "INSERT INTO things (id) VALUES ($1)";

/// Ends all connections to the database but the one that asks.
async fn end_all_connections(db: &TestDb) {
    let other = db.reopen().await;
    let sql = "SELECT COUNT(pg_terminate_backend(pid, 5000)) AS n FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let ended: i64 = one(&other, sql, args![]).await.unwrap();
    assert!(ended >= 1);
}

#[tokio::test]
async fn a_lost_connection_fails_one_transaction_and_no_more() {
    let Some(db) = with_things().await else { return };
    let mut tx = db.begin().await.unwrap();
    tx.execute(INSERT, args!["a"]).await.unwrap();
    end_all_connections(&db).await;
    let error = tx.execute(INSERT, args!["b"]).await.unwrap_err();
    assert!(matches!(error, DbError::Connection { .. }), "{error:?}");
    assert!(error.is_transient());
    drop(tx);
    execute(&db, INSERT, args!["c"]).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn idle_connections_that_are_lost_are_not_noticed() {
    let Some(db) = with_things().await else { return };
    let (first, second) = (db.begin().await.unwrap(), db.begin_read().await.unwrap());
    first.commit().await.unwrap();
    second.commit().await.unwrap();
    end_all_connections(&db).await;
    execute(&db, INSERT, args!["a"]).await.unwrap();
    db.ping().await.unwrap();
}

#[tokio::test]
async fn a_commit_whose_connection_is_lost_has_an_unknown_outcome() {
    let Some(db) = with_things().await else { return };
    let mut tx = db.begin().await.unwrap();
    tx.execute(INSERT, args!["a"]).await.unwrap();
    end_all_connections(&db).await;
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(error, DbError::CommitUnknown { .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_begin_that_is_abandoned_leaves_no_transaction_open() {
    let Some(db) = with_things().await else { return };
    let watcher = db.reopen().await;
    db.ping().await.unwrap();
    for polls_max in 1..10 {
        {
            let mut begin = pin!(db.begin());
            let mut polls = 0;
            std::future::poll_fn(|context| {
                polls += 1;
                match begin.as_mut().poll(context) {
                    Poll::Pending if polls < polls_max => Poll::Pending,
                    Poll::Pending | Poll::Ready(_) => Poll::Ready(()),
                }
            })
            .await;
        }
        // What was begun is ended soon, and what is forgotten stays open for a minute.
        let sql = "SELECT COUNT(*) AS n FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid() \
                   AND state LIKE 'idle in transaction%'";
        let mut open = 1;
        for _ in 0..100 {
            open = one::<i64>(&watcher, sql, args![]).await.unwrap();
            if open == 0 {
                break;
            }
        }
        assert_eq!(open, 0, "abandoned when asked {polls_max} times");
    }
}

#[tokio::test]
async fn a_claim_is_had_by_one_until_it_is_done() {
    let Some(db) = with_things().await else { return };
    let mut first = db.begin().await.unwrap();
    let mut second = db.begin().await.unwrap();
    assert!(first.try_claim(7).await.unwrap());
    assert!(!second.try_claim(7).await.unwrap());
    assert!(second.try_claim(13).await.unwrap());
    first.commit().await.unwrap();
    assert!(second.try_claim(7).await.unwrap());
}

#[tokio::test]
async fn two_workers_never_take_the_same_row() {
    let Some(db) = with_things().await else { return };
    for id in ["a", "b", "c"] {
        execute(&db, INSERT, args![id]).await.unwrap();
    }
    let sql = "SELECT id FROM things ORDER BY id LIMIT $1";
    let (mut first, mut second) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    assert_eq!(first.rows_unclaimed::<String>(sql, args![2]).await.unwrap(), ["a", "b"]);
    assert_eq!(second.rows_unclaimed::<String>(sql, args![2]).await.unwrap(), ["c"]);
}

#[tokio::test]
async fn of_two_that_wait_for_each_other_one_loses() {
    let Some(db) = with_things().await else { return };
    for id in ["a", "b"] {
        execute(&db, INSERT, args![id]).await.unwrap();
    }
    let lock = "SELECT id FROM things WHERE id = $1";
    let (mut first, mut second) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    first.rows_for_update::<String>(lock, args!["a"]).await.unwrap();
    second.rows_for_update::<String>(lock, args!["b"]).await.unwrap();
    // The loser must let go at once, or the winner waits for it: hence a task for each.
    let first =
        tokio::spawn(async move { first.rows_for_update::<String>(lock, args!["b"]).await });
    let second =
        tokio::spawn(async move { second.rows_for_update::<String>(lock, args!["a"]).await });
    let outcomes = [first.await.unwrap(), second.await.unwrap()];
    let lost: Vec<&DbError> =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(lost.len(), 1, "{outcomes:?}");
    assert!(matches!(lost.first(), Some(DbError::Serialization { .. })), "{lost:?}");
}

#[tokio::test]
async fn every_connection_has_its_limits() {
    let Some(db) = postgres().await else { return };
    for (sql, expected) in [
        ("SELECT current_setting('lock_timeout') AS t", "10s"),
        ("SELECT current_setting('statement_timeout') AS t", "1min"),
        ("SELECT current_setting('idle_in_transaction_session_timeout') AS t", "1min"),
        ("SELECT current_setting('application_name') AS t", "taximeter"),
        ("SELECT current_setting('transaction_isolation') AS t", "repeatable read"),
    ] {
        assert_eq!(one::<String>(&db, sql, args![]).await.unwrap(), expected, "{sql}");
    }
    let isolation = "SELECT current_setting('transaction_isolation') AS t";
    let mut tx = db.begin().await.unwrap();
    assert_eq!(tx.one::<String>(isolation, args![]).await.unwrap(), "read committed");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_of_connection() {
    // Port 1 is nobody's.
    let error = Db::open_postgres("postgres://nobody@127.0.0.1:1/none").await.unwrap_err();
    assert!(matches!(error, DbError::Connection { .. }), "{error:?}");
    let error = Db::open_postgres("not a url").await.unwrap_err();
    assert!(matches!(error, DbError::Other { .. }), "{error:?}");
}
