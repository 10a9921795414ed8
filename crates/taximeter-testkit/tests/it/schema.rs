//! The schema is one, whichever database holds it.

use taximeter_db::Migration;
use taximeter_db::testing::databases;
use taximeter_service::migrations::MIGRATIONS;

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let mut catalogs = Vec::new();
    for database in databases().await {
        database.migrate(MIGRATIONS).await.unwrap();
        catalogs.push(database.columns().await.unwrap());
    }
    assert!(catalogs[0].iter().any(|column| column.table == "customers"));
    for catalog in &catalogs[1..] {
        assert_eq!(*catalog, catalogs[0]);
    }
}

#[tokio::test]
async fn no_migration_means_different_things_on_the_two_databases() {
    for Migration { name, sql } in MIGRATIONS {
        let faults = taximeter_db::migration_faults(sql);
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

#[tokio::test]
async fn every_table_of_the_tenants_says_whose_rows_it_holds() {
    for database in databases().await {
        database.migrate(MIGRATIONS).await.unwrap();
        let columns = database.columns().await.unwrap();
        let mut tables: Vec<&str> = columns.iter().map(|column| column.table.as_str()).collect();
        tables.dedup();
        for table in tables {
            let has = |name: &str| {
                columns.iter().any(|c| c.table == table && c.name == name && !c.nullable)
            };
            // What is not a tenant's: the list of tenants, and what the migrations remember.
            if table != "accounts" && !table.contains("migration") {
                assert!(has("account") && has("livemode"), "{table}");
            }
        }
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    for database in databases().await {
        assert_eq!(database.migrate(MIGRATIONS).await.unwrap().len(), MIGRATIONS.len());
        let before = database.columns().await.unwrap();
        assert_eq!(database.migrate(MIGRATIONS).await.unwrap().len(), 0);
        assert_eq!(database.columns().await.unwrap(), before);
    }
}
