//! A first look: everything once.

use taximeter_db::testing::databases;
use taximeter_db::{Migration, args};

#[tokio::test]
async fn a_row_that_is_written_is_read() {
    for db in databases().await {
        let tables = Migration {
            name: "0001_seven",
            sql: "CREATE TABLE seven (id {text} NOT NULL PRIMARY KEY, n {int}, b {bool} NOT NULL, x {bytes}) {strict};\nCREATE UNIQUE INDEX seven_n ON seven (n);",
        };
        assert_eq!(db.migrate(&[tables]).await.unwrap().len(), 1);
        assert_eq!(db.migrate(&[tables]).await.unwrap().len(), 0);
        let mut tx = db.begin().await.unwrap();
        let n = tx
            .execute("INSERT INTO seven (id, n, b) VALUES ($1, $2, $3)", args!["a", 7, true])
            .await
            .unwrap();
        assert_eq!(n, 1);
        tx.commit().await.unwrap();
        let mut tx = db.begin_read().await.unwrap();
        assert_eq!(
            tx.one::<i64>("SELECT n FROM seven WHERE id = $1", args!["a"]).await.unwrap(),
            7
        );
        println!("{:?}", db.columns().await.unwrap());
    }
}
