//! A schema is brought up to date once, in order, and never half.

use taximeter_db::testing::databases;
use taximeter_db::{Applied, DbError, Kind, Migration, MigrationError, args};

use crate::support::{THINGS, databases_with, execute, one};

const MORE: Migration = Migration {
    name: "0002_more",
    sql: "-- Not a statement; a comment.
    ALTER TABLE things ADD COLUMN more {int} NOT NULL DEFAULT 7;
    INSERT INTO things (id, t) VALUES ('a', '{int}; -- kept');",
};

fn refusal(error: DbError) -> MigrationError {
    match error {
        DbError::Migration(error) => error,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn what_is_pending_is_applied_once_and_in_order() {
    for db in databases().await {
        let names = |pending: Vec<Migration>| pending.iter().map(|m| m.name).collect::<Vec<_>>();
        let both = [THINGS, MORE];
        assert_eq!(names(db.pending(&both).await.unwrap()), ["0001_things", "0002_more"]);
        assert_eq!(db.migrate(&[THINGS]).await.unwrap(), [Applied { name: "0001_things" }]);
        assert_eq!(names(db.pending(&both).await.unwrap()), ["0002_more"]);
        assert_eq!(db.migrate(&both).await.unwrap(), [Applied { name: "0002_more" }]);
        assert!(db.pending(&both).await.unwrap().is_empty());
        assert!(db.migrate(&both).await.unwrap().is_empty());
        let text: String = one(&db, "SELECT t FROM things", args![]).await.unwrap();
        assert_eq!(text, "{int}; -- kept");
    }
}

#[tokio::test]
async fn both_databases_have_the_same_columns() {
    let mut all = Vec::new();
    for db in databases_with(THINGS).await {
        execute(&db, "CREATE INDEX things_n ON things (n)", args![]).await.unwrap();
        all.push(db.columns().await.unwrap());
    }
    let of_things: Vec<(&str, bool)> = all
        .iter()
        .flatten()
        .filter(|column| column.table == "things")
        .map(|column| (column.name.as_str(), column.nullable))
        .take(5)
        .collect();
    assert_eq!(of_things, [("b", true), ("id", false), ("n", true), ("t", true), ("x", true)]);
    assert!(all.windows(2).all(|pair| pair.first() == pair.last()), "{all:?}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing() {
    let broken = Migration {
        name: "0002_broken",
        sql: "CREATE TABLE half (n {int}) {strict}; INSERT INTO nowhere VALUES (7);",
    };
    for db in databases().await {
        match refusal(db.migrate(&[THINGS, broken]).await.unwrap_err()) {
            MigrationError::Failed { name: "0002_broken", statement: 2, .. } => {}
            error => panic!("{error:?}"),
        }
        let tables: Vec<String> =
            db.columns().await.unwrap().into_iter().map(|column| column.table).collect();
        assert!(!tables.contains(&"half".to_owned()), "{tables:?}");
        assert!(tables.contains(&"things".to_owned()), "{tables:?}");
        // Once it is mended, it goes on from there.
        assert_eq!(db.migrate(&[THINGS, MORE]).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_applied_migration_may_not_change() {
    for db in databases_with(THINGS).await {
        let edited = Migration { sql: "CREATE TABLE things (id {text}) {strict};", ..THINGS };
        let error = refusal(db.migrate(&[edited]).await.unwrap_err());
        assert!(matches!(error, MigrationError::Edited { name: "0001_things" }), "{error:?}");
        // But for its line ends.
        let crlf: &'static str = Box::leak(THINGS.sql.replace('\n', "\r\n").into_boxed_str());
        assert_ne!(crlf, THINGS.sql);
        assert!(db.migrate(&[Migration { sql: crlf, ..THINGS }]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_left_alone() {
    for db in databases().await {
        db.migrate(&[THINGS, MORE]).await.unwrap();
        let error = refusal(db.migrate(&[THINGS]).await.unwrap_err());
        assert!(matches!(&error, MigrationError::Unknown { name } if name == "0002_more"));
        assert!(matches!(db.pending(&[THINGS]).await, Err(DbError::Migration(_))));
    }
}

#[tokio::test]
async fn a_migration_may_not_be_slipped_in_before_an_applied_one() {
    for db in databases().await {
        db.migrate(&[THINGS, MORE]).await.unwrap();
        let late = Migration { name: "0001_tiny", sql: "CREATE TABLE tiny (n {int}) {strict};" };
        let error = refusal(db.migrate(&[THINGS, late, MORE]).await.unwrap_err());
        assert!(matches!(error, MigrationError::Skipped { name: "0001_tiny" }), "{error:?}");
    }
}

#[tokio::test]
async fn a_misnamed_or_faulty_migration_is_refused_before_anything_is_done() {
    for db in databases().await {
        let named = |name| Migration { name, ..THINGS };
        for wrong in ["things", "1_things", "0001_", "0001_Things", "0001-things", "0001_a b"] {
            let error = refusal(db.migrate(&[named(wrong)]).await.unwrap_err());
            assert!(matches!(error, MigrationError::Name { .. }), "{wrong}");
        }
        let error = refusal(db.migrate(&[MORE, THINGS]).await.unwrap_err());
        assert!(matches!(error, MigrationError::Name { name: "0001_things" }), "{error:?}");
        let error = refusal(db.migrate(&[THINGS, THINGS]).await.unwrap_err());
        assert!(matches!(error, MigrationError::Name { .. }), "{error:?}");
        let bare = Migration { name: "0002_bare", sql: "CREATE TABLE b (n BIGINT) {strict};" };
        let error = refusal(db.migrate(&[THINGS, bare]).await.unwrap_err());
        assert!(matches!(error, MigrationError::Fault { .. }), "{error:?}");
        assert!(db.columns().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn many_that_migrate_at_once_do_it_once() {
    for db in databases().await {
        let mut starting = Vec::new();
        for _ in 0..6 {
            let replica = db.reopen().await;
            starting.push(tokio::spawn(async move { replica.migrate(&[THINGS, MORE]).await }));
        }
        let mut applied = Vec::new();
        for replica in starting {
            applied.extend(replica.await.unwrap().unwrap());
        }
        applied.sort_by_key(|applied| applied.name);
        assert_eq!(applied, [Applied { name: "0001_things" }, Applied { name: "0002_more" }]);
    }
}

#[tokio::test]
async fn types_are_those_of_each_database() {
    for db in databases_with(THINGS).await {
        let sql = match db.kind() {
            Kind::Sqlite => "SELECT type AS t FROM pragma_table_info('things') ORDER BY name",
            Kind::Postgres => {
                "SELECT CAST(data_type AS TEXT) AS t FROM information_schema.columns \
                 WHERE table_name = 'things' ORDER BY column_name"
            }
        };
        let types: Vec<String> = db.begin_read().await.unwrap().rows(sql, args![]).await.unwrap();
        match db.kind() {
            Kind::Sqlite => assert_eq!(types, ["INTEGER", "TEXT", "INTEGER", "TEXT", "BLOB"]),
            Kind::Postgres => assert_eq!(types, ["boolean", "text", "bigint", "text", "bytea"]),
        }
    }
}
