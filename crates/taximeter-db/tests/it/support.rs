//! Tables to try things on.

use taximeter_db::testing::{TestDb, databases};
use taximeter_db::{Arg, Db, DbError, Migration, Row};

/// One column of each type, keyed and not.
pub(crate) const THINGS: Migration = Migration {
    name: "0001_things",
    sql: "CREATE TABLE things (
        id {text} NOT NULL PRIMARY KEY,
        n {int},
        t {text},
        b {bool},
        x {bytes}
    ) {strict};",
};

/// Both databases with `sql` run on them as a migration.
pub(crate) async fn databases_with(migration: Migration) -> Vec<TestDb> {
    let databases = databases().await;
    for db in &databases {
        db.migrate(&[migration]).await.unwrap();
    }
    databases
}

/// Runs one statement in a transaction of its own.
pub(crate) async fn execute(db: &Db, sql: &'static str, args: Vec<Arg>) -> Result<u64, DbError> {
    let mut tx = db.begin().await?;
    let affected = tx.execute(sql, args).await?;
    tx.commit().await?;
    Ok(affected)
}

/// Reads one row in a transaction of its own.
pub(crate) async fn one<T: Row>(db: &Db, sql: &'static str, args: Vec<Arg>) -> Result<T, DbError> {
    db.begin_read().await?.one(sql, args).await
}

/// How many things there are.
pub(crate) async fn count(db: &Db) -> i64 {
    one(db, "SELECT COUNT(*) AS n FROM things", vec![]).await.unwrap()
}
