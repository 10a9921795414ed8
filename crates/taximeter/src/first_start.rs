//! What a start finds or makes: the default account and a key to begin with.

use taximeter_db::Db;
use taximeter_kernel::id::{Account as AccountKind, Id, Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_service::accounts;
use taximeter_service::api_keys::{self, KeyKind, New, Permissions, Secret};
use taximeter_service::ctx::Entropy;
use taximeter_service::error::Result;

/// The keys that a start can show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Just made; never shown again.
    Made {
        /// For trying out.
        test: Secret,
        /// For real customers.
        live: Secret,
    },
    /// The one that was given.
    Given(Secret),
    /// There are some, and nobody knows their secrets any more.
    Known,
}

/// Makes sure of a default account and of a key to it: `given`, or else, if there has never been a
/// key, a new one of each mode.
///
/// # Errors
/// A 400 when `given` belongs to another account, a 500 when the database cannot be written.
pub(crate) async fn prepare(
    db: &Db,
    entropy: &Entropy,
    now: Timestamp,
    given: Option<&Secret>,
) -> Result<Keys> {
    let mut tx = db.begin().await?;
    let account = accounts::default_or_create(&mut tx, entropy(), now).await?;
    let keys = match given {
        Some(secret) => {
            api_keys::accept(&mut tx, entropy, now, &account.id, secret).await?;
            Keys::Given(secret.clone())
        }
        None if api_keys::any(&mut tx, &account.id).await? => Keys::Known,
        None => {
            let mut make = async |mode| {
                let new = first_key(&account.id, mode);
                api_keys::create(&mut tx, entropy, now, new).await.map(|(_, secret)| secret)
            };
            Keys::Made { test: make(Mode::Test).await?, live: make(Mode::Live).await? }
        }
    };
    tx.commit().await?;
    Ok(keys)
}

fn first_key(account: &Id<AccountKind>, mode: Mode) -> New {
    New {
        scope: Scope { account: account.clone(), mode },
        kind: KeyKind::Secret,
        name: Some("made at first start".to_owned()),
        permissions: Permissions::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};
    use taximeter_service::migrations::MIGRATIONS;

    const NOW: Timestamp = Timestamp(1_800_000_007);

    fn entropy() -> Entropy {
        let count = AtomicU8::new(0);
        Arc::new(move || [count.fetch_add(1, Ordering::Relaxed); 32])
    }

    async fn count_keys(db: &Db) -> usize {
        let mut tx = db.begin_read().await.unwrap();
        api_keys::list(&mut tx, None).await.unwrap().len()
    }

    #[tokio::test]
    async fn the_first_start_makes_a_key_of_each_mode_and_later_ones_make_none() {
        for db in taximeter_db::testing::databases().await {
            db.migrate(MIGRATIONS).await.unwrap();
            let entropy = entropy();
            let Keys::Made { test, live } = prepare(&db, &entropy, NOW, None).await.unwrap() else {
                panic!("the first start makes keys");
            };
            assert_eq!((test.mode(), live.mode()), (Mode::Test, Mode::Live));
            assert_eq!(prepare(&db, &entropy, NOW, None).await.unwrap(), Keys::Known);
            assert_eq!(count_keys(&db).await, 2);
        }
    }

    #[tokio::test]
    async fn a_given_key_is_the_only_one_and_is_taken_again() {
        let given = Secret::parse("sk_test_local_development").unwrap();
        for db in taximeter_db::testing::databases().await {
            db.migrate(MIGRATIONS).await.unwrap();
            let entropy = entropy();
            for _ in 0..2 {
                let keys = prepare(&db, &entropy, NOW, Some(&given)).await.unwrap();
                assert_eq!(keys, Keys::Given(given.clone()));
            }
            assert_eq!(prepare(&db, &entropy, NOW, None).await.unwrap(), Keys::Known);
            assert_eq!(count_keys(&db).await, 1);
        }
    }

    #[tokio::test]
    async fn first_starts_at_the_same_moment_make_one_account_and_one_pair_of_keys() {
        for db in taximeter_db::testing::databases().await {
            db.migrate(MIGRATIONS).await.unwrap();
            let entropy = entropy();
            let start = || prepare(&db, &entropy, NOW, None);
            let (a, b, c) = tokio::join!(start(), start(), start());
            let made = [a, b, c].map(Result::unwrap);
            let makers = made.iter().filter(|keys| matches!(keys, Keys::Made { .. })).count();
            assert_eq!(makers, 1);
            assert_eq!(count_keys(&db).await, 2);
            let mut tx = db.begin_read().await.unwrap();
            assert_eq!(accounts::list(&mut tx).await.unwrap().len(), 1);
        }
    }
}
