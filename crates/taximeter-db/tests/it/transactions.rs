//! All or nothing, one after the other, and no commit after an error.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use taximeter_db::{DbError, args};

use crate::support::{THINGS, count, databases_with, execute, one};

const INSERT: &str = "INSERT INTO things (id, n) VALUES ($1, $2)";

#[tokio::test]
async fn what_is_not_committed_is_gone() {
    for db in databases_with(THINGS).await {
        let mut dropped = db.begin().await.unwrap();
        dropped.execute(INSERT, args!["a", 7]).await.unwrap();
        drop(dropped);
        let mut undone = db.begin().await.unwrap();
        undone.execute(INSERT, args!["a", 7]).await.unwrap();
        undone.rollback().await.unwrap();
        assert_eq!(count(&db).await, 0);
        let mut kept = db.begin().await.unwrap();
        kept.execute(INSERT, args!["a", 7]).await.unwrap();
        assert_eq!(count(&db).await, 0, "seen before the commit");
        kept.commit().await.unwrap();
        assert_eq!(count(&db).await, 1);
    }
}

#[tokio::test]
async fn after_an_error_nothing_can_be_committed() {
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args!["a", 7]).await.unwrap();
        assert!(tx.execute(INSERT, args!["a", 7]).await.unwrap_err().is_unique());
        let again = tx.execute(INSERT, args!["b", 7]).await.unwrap_err();
        assert!(matches!(again, DbError::Aborted), "{again:?}");
        let read = tx.rows::<i64>("SELECT n FROM things", args![]).await.unwrap_err();
        assert!(matches!(read, DbError::Aborted), "{read:?}");
        let commit = tx.commit().await.unwrap_err();
        assert!(matches!(commit, DbError::Aborted), "{commit:?}");
        assert_eq!(count(&db).await, 0);
    }
}

#[tokio::test]
async fn after_an_abandoned_statement_nothing_can_be_committed() {
    // Long enough that it cannot be done when it is asked once.
    let long = "INSERT INTO things (id, n) WITH RECURSIVE c (n) AS \
                (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000) SELECT 'a', COUNT(*) FROM c";
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        {
            let mut abandoned = pin!(tx.execute(long, args![]));
            let polled = abandoned.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Pending));
        }
        let commit = tx.commit().await.unwrap_err();
        assert!(matches!(commit, DbError::Aborted), "{commit:?}");
        // The connection is as good as before.
        execute(&db, INSERT, args!["b", 7]).await.unwrap();
        assert_eq!(count(&db).await, 1);
    }
}

#[tokio::test]
async fn a_begin_or_a_commit_may_be_abandoned_at_any_point() {
    for db in databases_with(THINGS).await {
        let mut kept = 0;
        for polls_max in 1..8 {
            abandon(pin!(db.begin()), polls_max).await;
            let mut tx = db.begin().await.unwrap();
            tx.execute("DELETE FROM things", args![]).await.unwrap();
            tx.execute(INSERT, args!["a", polls_max]).await.unwrap();
            let committed = abandon(pin!(tx.commit()), polls_max).await;
            // Abandoned, it happened, or not, or not yet; the next transaction is a new one.
            let n: i64 =
                one(&db, "SELECT COALESCE(MAX(n), 0) AS n FROM things", args![]).await.unwrap();
            assert!((kept..=polls_max).contains(&n), "{n}");
            assert!(n == polls_max || committed.is_none(), "{n}");
            kept = n;
        }
        let writers = db.begin().await.unwrap();
        writers.commit().await.unwrap();
    }
}

/// Awaits a future until it is done or has been polled so often.
async fn abandon<F: Future>(mut future: Pin<&mut F>, polls_max: i64) -> Option<F::Output> {
    let mut polls = 0;
    poll_fn(|context| {
        polls += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls < polls_max => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    })
    .await
}

#[tokio::test]
async fn a_savepoint_mends_what_an_error_ended() {
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args!["a", 7]).await.unwrap();
        let savepoint = tx.savepoint().await.unwrap();
        tx.execute(INSERT, args!["b", 7]).await.unwrap();
        assert!(tx.execute(INSERT, args!["a", 7]).await.unwrap_err().is_unique());
        tx.rollback_to(savepoint).await.unwrap();
        tx.execute(INSERT, args!["c", 7]).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.begin_read().await.unwrap();
        let left: Vec<String> =
            tx.rows("SELECT id FROM things ORDER BY id", args![]).await.unwrap();
        assert_eq!(left, ["a", "c"]);
    }
}

#[tokio::test]
async fn savepoints_nest() {
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        let outer = tx.savepoint().await.unwrap();
        tx.execute(INSERT, args!["a", 7]).await.unwrap();
        let kept = tx.savepoint().await.unwrap();
        tx.execute(INSERT, args!["b", 7]).await.unwrap();
        tx.release(kept).await.unwrap();
        let undone = tx.savepoint().await.unwrap();
        tx.execute(INSERT, args!["c", 7]).await.unwrap();
        tx.rollback_to(undone).await.unwrap();
        let sum = "SELECT COUNT(*) AS n FROM things";
        assert_eq!(tx.one::<i64>(sum, args![]).await.unwrap(), 2);
        // The outer one takes the inner one with it.
        let inner = tx.savepoint().await.unwrap();
        tx.execute(INSERT, args!["d", 7]).await.unwrap();
        tx.rollback_to(outer).await.unwrap();
        assert_eq!(tx.one::<i64>(sum, args![]).await.unwrap(), 0);
        let gone = tx.release(inner).await.unwrap_err();
        assert!(matches!(gone, DbError::NoSavepoint), "{gone:?}");
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_transaction_for_reading_writes_nothing() {
    for db in databases_with(THINGS).await {
        let mut tx = db.begin_read().await.unwrap();
        let error = tx.execute(INSERT, args!["a", 7]).await.unwrap_err();
        assert!(matches!(error, DbError::ReadOnly), "{error:?}");
        let mut tx = db.begin_read().await.unwrap();
        let error = tx.try_claim(7).await.unwrap_err();
        assert!(matches!(error, DbError::ReadOnly), "{error:?}");
        let all = "SELECT id FROM things ORDER BY id";
        let error = tx.rows_for_update::<String>(all, args![]).await.unwrap_err();
        assert!(matches!(error, DbError::ReadOnly), "{error:?}");
    }
}

#[tokio::test]
async fn a_transaction_for_reading_sees_one_state() {
    for db in databases_with(THINGS).await {
        let all = "SELECT COUNT(*) AS n FROM things";
        let mut before = db.begin_read().await.unwrap();
        assert_eq!(before.one::<i64>(all, args![]).await.unwrap(), 0);
        execute(&db, INSERT, args!["a", 7]).await.unwrap();
        assert_eq!(before.one::<i64>(all, args![]).await.unwrap(), 0);
        let mut after = db.begin_read().await.unwrap();
        assert_eq!(after.one::<i64>(all, args![]).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn no_update_of_a_locked_row_is_lost() {
    for db in databases_with(THINGS).await {
        execute(&db, INSERT, args!["a", 0]).await.unwrap();
        let other = db.reopen().await;
        let mut workers = Vec::new();
        for place in 0..20 {
            let db = if place % 2 == 0 { (*db).clone() } else { other.clone() };
            workers.push(tokio::spawn(async move {
                let mut tx = db.begin().await?;
                let sql = "SELECT n FROM things WHERE id = $1";
                let n: i64 =
                    tx.optional_for_update(sql, args!["a"]).await?.ok_or(DbError::NotFound)?;
                tokio::task::yield_now().await;
                tx.execute("UPDATE things SET n = $1", args![n + 1]).await?;
                tx.commit().await
            }));
        }
        for worker in workers {
            worker.await.unwrap().unwrap();
        }
        let n: i64 = one(&db, "SELECT n FROM things", args![]).await.unwrap();
        assert_eq!(n, 20);
    }
}

#[tokio::test]
async fn the_only_one_that_writes_has_every_claim() {
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        assert!(tx.try_claim(7).await.unwrap());
        assert!(tx.try_claim(-13).await.unwrap());
        tx.commit().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        assert!(tx.try_claim(7).await.unwrap(), "a claim ends with its transaction");
    }
}

#[tokio::test]
async fn a_closed_database_says_so() {
    for db in databases_with(THINGS).await {
        let again = db.reopen().await;
        let clone = again.clone();
        clone.ping().await.unwrap();
        again.close().await;
        assert!(matches!(clone.ping().await, Err(DbError::Closed)));
        assert!(matches!(clone.begin().await, Err(DbError::Closed)));
        db.ping().await.unwrap();
    }
}

#[test]
fn transactions_can_move_between_threads() {
    fn send<T: Send>() {}
    send::<taximeter_db::Tx>();
    send::<taximeter_db::Db>();
    send::<DbError>();
}
