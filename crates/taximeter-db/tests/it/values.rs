//! What is written is what is read, and what differs between the databases is an error on both.

use taximeter_db::{Arg, Cells, DbError, Kind, Row, args};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Customer, Id, Mode};
use taximeter_kernel::time::Timestamp;

use crate::support::{THINGS, databases_with, execute, one};

#[derive(Debug, PartialEq)]
struct Thing {
    n: Option<i64>,
    t: Option<String>,
    b: Option<bool>,
    x: Option<Vec<u8>>,
}

impl Row for Thing {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self { n: cells.get("n")?, t: cells.get("t")?, b: cells.get("b")?, x: cells.get("x")? })
    }
}

const INSERT: &str = "INSERT INTO things (id, n, t, b, x) VALUES ($1, $2, $3, $4, $5)";
const BY_ID: &str = "SELECT n, t, b, x FROM things WHERE id = $1";

#[tokio::test]
async fn what_is_written_is_read() {
    for db in databases_with(THINGS).await {
        for (id, n, t, x) in [
            ("least", i64::MIN, "", vec![]),
            ("greatest", i64::MAX, "é \u{1f6d2} ' \" $1 ; --", vec![0, 255, 0]),
        ] {
            let args = args![id, n, t, true, x.clone()];
            assert_eq!(execute(&db, INSERT, args).await.unwrap(), 1);
            let thing: Thing = one(&db, BY_ID, args![id]).await.unwrap();
            let written = Thing { n: Some(n), t: Some(t.to_owned()), b: Some(true), x: Some(x) };
            assert_eq!(thing, written);
        }
    }
}

#[tokio::test]
async fn a_null_of_each_type_is_written_and_read() {
    for db in databases_with(THINGS).await {
        let nulls = args!["a", None::<i64>, None::<&str>, None::<bool>, None::<&[u8]>];
        execute(&db, INSERT, nulls).await.unwrap();
        let thing: Thing = one(&db, BY_ID, args!["a"]).await.unwrap();
        assert_eq!(thing, Thing { n: None, t: None, b: None, x: None });
    }
}

#[tokio::test]
async fn null_is_never_read_as_zero_or_as_nothing() {
    fn refused<T: std::fmt::Debug>(read: Result<T, DbError>, name: &str) {
        let error = read.unwrap_err();
        assert!(matches!(&error, DbError::UnexpectedNull { column } if column == name), "{error}");
    }
    for db in databases_with(THINGS).await {
        execute(&db, "INSERT INTO things (id) VALUES ('a')", args![]).await.unwrap();
        refused(one::<i64>(&db, "SELECT n FROM things", args![]).await, "n");
        refused(one::<String>(&db, "SELECT t FROM things", args![]).await, "t");
        refused(one::<bool>(&db, "SELECT b FROM things", args![]).await, "b");
        refused(one::<Vec<u8>>(&db, "SELECT x FROM things", args![]).await, "x");
        refused(one::<Decimal>(&db, "SELECT t FROM things", args![]).await, "t");
        refused(one::<Timestamp>(&db, "SELECT n FROM things", args![]).await, "n");
        refused(one::<u32>(&db, "SELECT n FROM things", args![]).await, "n");
        // A sum of no rows is NULL, not 0.
        let sum = "SELECT CAST(SUM(n) AS BIGINT) AS total FROM things";
        refused(one::<i64>(&db, sum, args![]).await, "total");
        assert_eq!(one::<Option<i64>>(&db, sum, args![]).await.unwrap(), None);
        let sum = "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) AS total FROM things";
        assert_eq!(one::<i64>(&db, sum, args![]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn values_of_the_kernel_survive() {
    for db in databases_with(THINGS).await {
        let id = Id::<Customer>::generate([13; 32]);
        let rate: Decimal = "-0.000000000000000013".parse().unwrap();
        let args = args![&id, Timestamp(1_700_000_007), rate, Mode::Test, None::<Vec<u8>>];
        execute(&db, INSERT, args).await.unwrap();
        let mut tx = db.begin_read().await.unwrap();
        assert_eq!(tx.one::<Id<Customer>>("SELECT id FROM things", args![]).await.unwrap(), id);
        assert_eq!(tx.one::<Decimal>("SELECT t FROM things", args![]).await.unwrap(), rate);
        assert_eq!(tx.one::<Mode>("SELECT b FROM things", args![]).await.unwrap(), Mode::Test);
        let at: Timestamp = tx.one("SELECT n FROM things", args![]).await.unwrap();
        assert_eq!(at, Timestamp(1_700_000_007));
    }
}

#[tokio::test]
async fn a_value_that_its_type_could_not_have_written_is_refused() {
    for db in databases_with(THINGS).await {
        let args = args!["no id!", -1, "1e5", true, None::<Vec<u8>>];
        execute(&db, INSERT, args).await.unwrap();
        let mut tx = db.begin_read().await.unwrap();
        for error in [
            tx.one::<u32>("SELECT n FROM things", args![]).await.map(drop).unwrap_err(),
            tx.one::<bool>("SELECT n FROM things", args![]).await.map(drop).unwrap_err(),
            tx.one::<Decimal>("SELECT t FROM things", args![]).await.map(drop).unwrap_err(),
            tx.one::<Id<Customer>>("SELECT id FROM things", args![]).await.map(drop).unwrap_err(),
        ] {
            assert!(matches!(error, DbError::Malformed { .. }), "{error:?}");
        }
        // Nor is a text a number, though it may look like one.
        let error = tx.one::<i64>("SELECT t FROM things", args![]).await.unwrap_err();
        assert!(matches!(error, DbError::WrongType { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_value_of_another_type_is_not_stored() {
    for db in databases_with(THINGS).await {
        let into_int = "INSERT INTO things (id, n) VALUES ('a', $1)";
        let error = execute(&db, into_int, args!["seven"]).await.unwrap_err();
        assert!(matches!(error, DbError::Mismatch { .. }), "{error:?}");
        let into_bool = "INSERT INTO things (id, b) VALUES ('a', $1)";
        let error = execute(&db, into_bool, args!["yes"]).await.unwrap_err();
        assert!(matches!(error, DbError::Mismatch { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_literal_and_a_count_are_integers() {
    for db in databases_with(THINGS).await {
        assert_eq!(one::<i64>(&db, "SELECT 7 AS n", args![]).await.unwrap(), 7);
        let cast = "SELECT CAST(7 AS BIGINT) AS n";
        assert_eq!(one::<i64>(&db, cast, args![]).await.unwrap(), 7);
        assert_eq!(one::<i64>(&db, "SELECT COUNT(*) AS n FROM things", args![]).await.unwrap(), 0);
        assert_eq!(one::<i64>(&db, "SELECT 7 / 2 AS n", args![]).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn a_sum_is_read_when_it_is_cast_and_refused_when_it_is_too_large() {
    for db in databases_with(THINGS).await {
        let sum = "SELECT CAST(SUM(n) AS BIGINT) AS total FROM things";
        let insert = "INSERT INTO things (id, n) VALUES ($1, $2)";
        execute(&db, insert, args!["a", i64::MAX - 7]).await.unwrap();
        execute(&db, insert, args!["b", 7]).await.unwrap();
        assert_eq!(one::<i64>(&db, sum, args![]).await.unwrap(), i64::MAX);
        execute(&db, insert, args!["c", 1]).await.unwrap();
        let error = one::<i64>(&db, sum, args![]).await.unwrap_err();
        assert!(matches!(error, DbError::Overflow), "{error:?}");
    }
}

#[tokio::test]
async fn a_sum_that_is_not_cast_is_refused_where_it_is_no_integer() {
    for db in databases_with(THINGS).await {
        let insert = "INSERT INTO things (id, n) VALUES ('a', 7)";
        execute(&db, insert, args![]).await.unwrap();
        let sum = one::<i64>(&db, "SELECT SUM(n) AS total FROM things", args![]).await;
        match db.kind() {
            Kind::Sqlite => assert_eq!(sum.unwrap(), 7),
            Kind::Postgres => assert!(matches!(sum, Err(DbError::WrongType { .. })), "{sum:?}"),
        }
    }
}

#[tokio::test]
async fn arithmetic_that_overflows_is_an_error_and_not_a_float() {
    for db in databases_with(THINGS).await {
        execute(&db, "INSERT INTO things (id, n) VALUES ('a', $1)", args![i64::MAX]).await.unwrap();
        let read = one::<i64>(&db, "SELECT n + 1 AS n FROM things", args![]).await;
        assert!(matches!(read, Err(DbError::Overflow | DbError::WrongType { .. })), "{read:?}");
        let written = execute(&db, "UPDATE things SET n = n + $1", args![1]).await;
        let refused = matches!(written, Err(DbError::Overflow | DbError::Mismatch { .. }));
        assert!(refused, "{written:?}");
        let kept: i64 = one(&db, "SELECT n FROM things", args![]).await.unwrap();
        assert_eq!(kept, i64::MAX);
    }
}

#[tokio::test]
async fn a_truth_value_is_one_in_every_position() {
    for db in databases_with(THINGS).await {
        let insert = "INSERT INTO things (id, b) VALUES ($1, $2)";
        execute(&db, insert, args!["yes", true]).await.unwrap();
        execute(&db, insert, args!["no", false]).await.unwrap();
        let mut tx = db.begin_read().await.unwrap();
        for (sql, args, expected) in [
            ("SELECT id FROM things WHERE b", args![], "yes"),
            ("SELECT id FROM things WHERE NOT b", args![], "no"),
            ("SELECT id FROM things WHERE b = $1", args![true], "yes"),
            ("SELECT id FROM things WHERE b = FALSE", args![], "no"),
            ("SELECT id FROM things ORDER BY b LIMIT $1", args![1], "no"),
        ] {
            assert_eq!(tx.one::<String>(sql, args).await.unwrap(), expected, "{sql}");
        }
        let exists = "SELECT EXISTS (SELECT 1 FROM things WHERE b) AS found";
        assert!(tx.one::<bool>(exists, args![]).await.unwrap());
    }
}

#[tokio::test]
async fn an_absent_filter_filters_nothing() {
    for db in databases_with(THINGS).await {
        let insert = "INSERT INTO things (id, n) VALUES ($1, $2)";
        execute(&db, insert, args!["a", 7]).await.unwrap();
        execute(&db, insert, args!["b", 13]).await.unwrap();
        let mut tx = db.begin_read().await.unwrap();
        let sql = "SELECT id FROM things WHERE ($1 IS NULL OR n = $1) ORDER BY id LIMIT $2";
        let all: Vec<String> = tx.rows(sql, args![None::<i64>, 9]).await.unwrap();
        assert_eq!(all, ["a", "b"]);
        let some: Vec<String> = tx.rows(sql, args![13, 9]).await.unwrap();
        assert_eq!(some, ["b"]);
    }
}

#[tokio::test]
async fn text_is_compared_by_its_bytes() {
    for db in databases_with(THINGS).await {
        for id in ["b", "B", "a", "_", "é", "aa", "Z", "-"] {
            execute(&db, "INSERT INTO things (id, t) VALUES ($1, $1)", args![id]).await.unwrap();
        }
        let mut tx = db.begin_read().await.unwrap();
        let in_order = ["-", "B", "Z", "_", "a", "aa", "b", "é"];
        for sql in [
            "SELECT id FROM things ORDER BY id",
            "SELECT t FROM things ORDER BY t",
            "SELECT DISTINCT t FROM things ORDER BY t",
        ] {
            assert_eq!(tx.rows::<String>(sql, args![]).await.unwrap(), in_order, "{sql}");
        }
        // A page ends where the next begins only if > means what ORDER BY means.
        let next = "SELECT t FROM things WHERE t > $1 ORDER BY t LIMIT 2";
        assert_eq!(tx.rows::<String>(next, args!["Z"]).await.unwrap(), ["_", "a"]);
        assert_eq!(tx.one::<String>("SELECT MAX(t) AS t FROM things", args![]).await.unwrap(), "é");
    }
}

#[tokio::test]
async fn case_matters_and_is_folded_alike() {
    for db in databases_with(THINGS).await {
        let insert = "INSERT INTO things (id, t) VALUES ($1, $2)";
        execute(&db, insert, args!["a", "ÄBc_%"]).await.unwrap();
        let mut tx = db.begin_read().await.unwrap();
        for (pattern, matches) in
            [("ÄBc%", true), ("Äb%", false), (r"%\_\%", true), (r"%\_", false), ("ÄB_\\_\\%", true)]
        {
            let sql = r"SELECT COUNT(*) AS n FROM things WHERE t LIKE $1 ESCAPE '\'";
            let found: i64 = tx.one(sql, args![pattern]).await.unwrap();
            assert_eq!(found == 1, matches, "{pattern}");
        }
        let lower = "SELECT LOWER(t) AS t FROM things";
        assert_eq!(tx.one::<String>(lower, args![]).await.unwrap(), "Äbc_%");
        drop(tx);
        // The writer's connections too.
        let mut tx = db.begin().await.unwrap();
        let sql = "SELECT COUNT(*) AS n FROM things WHERE t LIKE 'äb%'";
        assert_eq!(tx.one::<i64>(sql, args![]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_null_character_is_refused_and_the_transaction_goes_on() {
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        let insert = "INSERT INTO things (id, t) VALUES ($1, $2)";
        let error = tx.execute(insert, args!["a", "b\0c"]).await.unwrap_err();
        assert!(matches!(error, DbError::NulInText { argument: 2 }), "{error:?}");
        tx.execute(insert, args!["a", "bc"]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn arguments_and_placeholders_must_match() {
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        let insert = "INSERT INTO things (id, n) VALUES ($1, $2)";
        for (sql, args) in [
            (insert, args!["a"]),
            (insert, args!["a", 7, 13]),
            ("DELETE FROM things;", args![]),
            ("DELETE FROM things WHERE id = ?", args!["a"]),
        ] {
            let error = tx.execute(sql, args).await.unwrap_err();
            assert!(matches!(error, DbError::Statement { .. }), "{error:?}");
        }
        tx.execute(insert, args!["a", 7]).await.unwrap();
        tx.commit().await.unwrap();
        // Placeholders may be used twice and out of order.
        let sql = "SELECT n FROM things WHERE n = $2 AND id = $1 AND $2 = $2";
        assert_eq!(one::<i64>(&db, sql, args!["a", 7]).await.unwrap(), 7);
    }
}

#[tokio::test]
async fn columns_are_read_by_names_that_are_there_once() {
    for db in databases_with(THINGS).await {
        execute(&db, "INSERT INTO things (id, n) VALUES ('a', 7)", args![]).await.unwrap();
        let missing = one::<Thing>(&db, "SELECT n, t FROM things", args![]).await.unwrap_err();
        assert!(matches!(&missing, DbError::NoColumn { column } if column == "b"), "{missing:?}");
        let join = "SELECT a.n, b.n FROM things AS a JOIN things AS b ON a.id = b.id";
        let twice = one::<Thing>(&db, join, args![]).await.unwrap_err();
        assert!(matches!(&twice, DbError::TwoColumns { column } if column == "n"), "{twice:?}");
        let wide = one::<i64>(&db, "SELECT n, id FROM things", args![]).await.unwrap_err();
        assert!(matches!(wide, DbError::WrongType { .. }), "{wide:?}");
    }
}

#[tokio::test]
async fn one_row_means_one() {
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        let all = "SELECT id FROM things";
        let none = tx.one::<String>(all, args![]).await.unwrap_err();
        assert!(matches!(none, DbError::NotFound), "{none:?}");
        assert_eq!(tx.optional::<String>(all, args![]).await.unwrap(), None);
        for id in ["a", "b"] {
            tx.execute("INSERT INTO things (id) VALUES ($1)", args![id]).await.unwrap();
        }
        let two = tx.optional::<String>(all, args![]).await.unwrap_err();
        assert!(matches!(two, DbError::TooManyRows), "{two:?}");
        // None of which is the database's fault: the transaction stands.
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn written_rows_can_be_counted_and_returned() {
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        let upsert = "INSERT INTO things (id, n) VALUES ($1, $2) \
                      ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING n";
        assert_eq!(tx.one::<i64>(upsert, args!["a", 7]).await.unwrap(), 7);
        assert_eq!(tx.one::<i64>(upsert, args!["a", 13]).await.unwrap(), 13);
        let maybe = "INSERT INTO things (id) VALUES ($1) ON CONFLICT DO NOTHING";
        assert_eq!(tx.execute(maybe, args!["a"]).await.unwrap(), 0);
        assert_eq!(tx.execute(maybe, args!["b"]).await.unwrap(), 1);
        assert_eq!(tx.execute("UPDATE things SET n = 0", args![]).await.unwrap(), 2);
        let none = tx.execute("DELETE FROM things WHERE id = $1", args!["c"]).await.unwrap();
        assert_eq!(none, 0);
    }
}

#[tokio::test]
async fn a_statement_can_be_run_again_with_a_null() {
    // A prepared statement remembers the types of its first arguments.
    for db in databases_with(THINGS).await {
        let mut tx = db.begin().await.unwrap();
        let update = "UPDATE things SET n = $1 WHERE id = $2";
        for n in [Some(7), None, Some(13)] {
            tx.execute(update, vec![Arg::from(n), Arg::from("a")]).await.unwrap();
        }
    }
}
