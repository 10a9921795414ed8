//! A violated constraint has the same name on both databases.

use taximeter_db::{Arg, DbError, Kind, Migration, args};

use crate::support::{databases_with, execute};

const OWNERS: Migration = Migration {
    name: "0001_owners",
    sql: "
    CREATE TABLE owners (
        account {text} NOT NULL,
        id {text} NOT NULL,
        email {text} NOT NULL,
        number {int} NOT NULL,
        series {text} NOT NULL,
        age {int} NOT NULL CONSTRAINT owners_age_check CHECK (age >= 0),
        PRIMARY KEY (account, id),
        UNIQUE (number, series)
    ) {strict};
    CREATE UNIQUE INDEX owners_email_key ON owners (account, email);
    CREATE TABLE tags (name {text} NOT NULL) {strict};
    CREATE UNIQUE INDEX tags_folded ON tags (LOWER(name));
    CREATE TABLE pets (
        number {int} NOT NULL PRIMARY KEY,
        account {text} NOT NULL,
        owner {text} NOT NULL,
        FOREIGN KEY (account, owner) REFERENCES owners (account, id)
    ) {strict};",
};

const OWNER: &str = "INSERT INTO owners (account, id, email, number, series, age) \
                     VALUES ($1, $2, $3, $4, $5, $6)";
const TAG: &str = "INSERT INTO tags (name) VALUES ($1)";
const PET: &str = "INSERT INTO pets (number, account, owner) VALUES ($1, $2, $3)";

#[tokio::test]
async fn a_unique_constraint_has_the_same_name_on_both() {
    for db in databases_with(OWNERS).await {
        execute(&db, OWNER, args!["x", "a", "a@b", 7, "s", 13]).await.unwrap();
        execute(&db, PET, args![7, "x", "a"]).await.unwrap();
        execute(&db, TAG, args!["blue"]).await.unwrap();
        for (sql, args, name) in [
            (OWNER, args!["x", "a", "c@d", 8, "s", 13], "owners_pkey"),
            (OWNER, args!["x", "b", "a@b", 8, "s", 13], "owners_email_key"),
            (TAG, args!["Blue"], "tags_folded"),
            (OWNER, args!["x", "b", "c@d", 7, "s", 13], "owners_number_series_key"),
            (PET, args![7, "x", "a"], "pets_pkey"),
        ] {
            let error = execute(&db, sql, args).await.unwrap_err();
            assert!(error.is_unique(), "{error:?}");
            assert!(error.is_unique_on(name), "{error:?}, not {name}");
        }
        // Also when rows are asked for.
        let returning = "INSERT INTO pets (number, account, owner) VALUES (7, 'x', 'a') \
                         RETURNING number";
        let mut tx = db.begin().await.unwrap();
        let error = tx.one::<i64>(returning, args![]).await.unwrap_err();
        assert!(error.is_unique_on("pets_pkey"), "{error:?}");
    }
}

#[tokio::test]
async fn what_refers_to_nothing_is_refused_and_what_is_referred_to_stays() {
    for db in databases_with(OWNERS).await {
        execute(&db, OWNER, args!["x", "a", "a@b", 7, "s", 13]).await.unwrap();
        execute(&db, PET, args![7, "x", "a"]).await.unwrap();
        for error in [
            execute(&db, PET, args![8, "x", "b"]).await.unwrap_err(),
            execute(&db, "DELETE FROM owners", args![]).await.unwrap_err(),
        ] {
            match (db.kind(), error) {
                (Kind::Sqlite, DbError::ForeignKey { constraint }) => assert_eq!(constraint, None),
                (Kind::Postgres, DbError::ForeignKey { constraint }) => {
                    assert_eq!(constraint.as_deref(), Some("pets_account_owner_fkey"));
                }
                (_, error) => panic!("{error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_check_and_a_missing_value_have_the_same_name_on_both() {
    for db in databases_with(OWNERS).await {
        let error = execute(&db, OWNER, args!["x", "a", "a@b", 7, "s", -1]).await.unwrap_err();
        let DbError::Check { constraint } = error else { panic!("{error:?}") };
        assert_eq!(constraint.as_deref(), Some("owners_age_check"));
        let nulls = vec![
            Arg::from("x"),
            Arg::from("a"),
            Arg::Text(None),
            Arg::from(7),
            Arg::from("s"),
            Arg::from(13),
        ];
        let error = execute(&db, OWNER, nulls).await.unwrap_err();
        let DbError::NotNull { column } = error else { panic!("{error:?}") };
        assert_eq!(column.as_deref(), Some("email"));
    }
}

#[tokio::test]
async fn a_violation_is_found_out_when_two_indexes_could_be_meant() {
    let twins = Migration {
        name: "0001_twins",
        sql: "CREATE TABLE twins (a {int} NOT NULL, b {int} NOT NULL) {strict};
              CREATE UNIQUE INDEX twins_small ON twins (a) WHERE b < 7;
              CREATE UNIQUE INDEX twins_large ON twins (a) WHERE b >= 7;",
    };
    for db in databases_with(twins).await {
        let insert = "INSERT INTO twins (a, b) VALUES (1, 13)";
        execute(&db, insert, args![]).await.unwrap();
        let error = execute(&db, insert, args![]).await.unwrap_err();
        let DbError::Unique { constraint } = error else { panic!("{error:?}") };
        let expected = (db.kind() == Kind::Postgres).then_some("twins_large");
        assert_eq!(constraint.as_deref(), expected);
    }
}
