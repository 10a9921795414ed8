//! The verbs of accounts, on both databases.

use taximeter_db::testing::{TestDb, databases};
use taximeter_kernel::time::Timestamp;
use taximeter_service::accounts;
use taximeter_service::error::Kind;
use taximeter_service::migrations::MIGRATIONS;

const NOW: Timestamp = Timestamp(1_800_000_007);

/// Empty databases with all tables.
pub(crate) async fn migrated() -> Vec<TestDb> {
    let databases = databases().await;
    for db in &databases {
        db.migrate(MIGRATIONS).await.unwrap();
    }
    databases
}

#[tokio::test]
async fn the_oldest_account_is_the_default_one() {
    for db in migrated().await {
        let mut tx = db.begin().await.unwrap();
        let first = accounts::default_or_create(&mut tx, [7; 32], NOW).await.unwrap();
        assert_eq!((first.name.as_str(), first.id.as_str()), ("default", "acct_7777777777777777"));
        let second = accounts::create(&mut tx, [13; 32], NOW, "acme").await.unwrap();
        assert_eq!(accounts::default_or_create(&mut tx, [8; 32], NOW).await.unwrap(), first);
        assert_eq!(accounts::list(&mut tx).await.unwrap(), [first, second]);
    }
}

#[tokio::test]
async fn an_account_is_found_by_its_id_and_by_its_name() {
    for db in migrated().await {
        let mut tx = db.begin().await.unwrap();
        let acme = accounts::create(&mut tx, [7; 32], NOW, "acme").await.unwrap();
        assert_eq!(accounts::named(&mut tx, "acme").await.unwrap(), acme);
        assert_eq!(accounts::named(&mut tx, acme.id.as_str()).await.unwrap(), acme);
        let error = accounts::named(&mut tx, "Acme").await.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (Kind::NotFound, "No such account: 'Acme'")
        );
    }
}

#[tokio::test]
async fn a_name_is_taken_once_and_the_transaction_goes_on() {
    for db in migrated().await {
        let mut tx = db.begin().await.unwrap();
        accounts::create(&mut tx, [7; 32], NOW, "acme").await.unwrap();
        let error = accounts::create(&mut tx, [8; 32], NOW, "acme").await.unwrap_err();
        assert_eq!(error.message, "An account named 'acme' already exists.");
        accounts::create(&mut tx, [9; 32], NOW, "other").await.unwrap();
        tx.commit().await.unwrap();
    }
}
