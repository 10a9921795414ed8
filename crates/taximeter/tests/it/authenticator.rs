//! From a key to who asks, on both databases, with time moved by hand.

use std::sync::Arc;

use taximeter_db::Db;
use taximeter_kernel::id::Mode;
use taximeter_kernel::time::Timestamp;
use taximeter_service::api_keys::{self, ApiKey, Authenticator, KEY_CACHE_TTL_S, KeyKind, Secret};
use taximeter_service::ctx::Entropy;
use taximeter_service::error::Kind;

use crate::accounts::migrated;
use crate::api_keys::{NOW, entropy, key};

async fn made(db: &Db) -> (ApiKey, Secret) {
    let mut tx = db.begin().await.unwrap();
    let made = key(&mut tx, &entropy(), KeyKind::Restricted, "customer=read").await;
    tx.commit().await.unwrap();
    made
}

async fn revoke(db: &Db, key: &ApiKey, now: Timestamp) {
    let mut tx = db.begin().await.unwrap();
    api_keys::revoke(&mut tx, now, &key.id).await.unwrap();
    tx.commit().await.unwrap();
}

/// Enough for one more key.
fn repeated() -> Entropy {
    Arc::new(|| [7; 32])
}

fn after(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds)
}

#[tokio::test]
async fn a_key_says_who_asks() {
    for db in migrated().await {
        let (key, secret) = made(&db).await;
        let authenticator = Authenticator::new(db.clone());
        // The second answer comes from memory, and is the same.
        for _ in 0..2 {
            let shown = authenticator.authenticate(Some(secret.expose()), NOW).await.unwrap();
            assert_eq!(shown.scope, key.scope);
            assert_eq!(shown.scope.mode, Mode::Test);
            assert_eq!((&shown.key, shown.kind), (&key.id, KeyKind::Restricted));
            assert_eq!(shown.permissions, key.permissions);
            assert_eq!(shown.hint, api_keys::mask(secret.expose()));
        }
    }
}

#[tokio::test]
async fn who_shows_no_key_or_a_wrong_one_is_told_in_stripes_words() {
    for db in migrated().await {
        let (_, secret) = made(&db).await;
        let authenticator = Authenticator::new(db.clone());
        let wrong = format!("{}x", secret.expose());
        let missing = "You did not provide an API key. You need to provide your API key in the \
                       Authorization header, using Bearer auth (e.g. 'Authorization: Bearer \
                       YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for \
                       details, or we can help at https://support.stripe.com/.";
        let masked = format!("Invalid API Key provided: {}", api_keys::mask(&wrong));
        for (presented, message) in [
            (None, missing),
            (Some(""), missing),
            (Some(wrong.as_str()), masked.as_str()),
            (Some("sk_test_abcdefghwxyz"), "Invalid API Key provided: sk_test_********wxyz"),
            (Some("' OR 1=1 --"), "Invalid API Key provided: *******1*--"),
            (Some("sk_test_\0\0\0\0\0\0\0\0"), "Invalid API Key provided: sk_test_********"),
        ] {
            // The second answer comes from memory, and is the same.
            for _ in 0..2 {
                let error = authenticator.authenticate(presented, NOW).await.unwrap_err();
                assert_eq!(error.kind, Kind::Authentication);
                assert_eq!(error.message, message);
                assert!(error.before_execution);
                assert_eq!(error.code, None);
            }
        }
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_seconds_by_who_remembers_it() {
    for db in migrated().await {
        let (key, secret) = made(&db).await;
        let authenticator = Authenticator::new(db.clone());
        let presented = Some(secret.expose());
        authenticator.authenticate(presented, NOW).await.unwrap();
        revoke(&db, &key, NOW).await;
        let still = after(KEY_CACHE_TTL_S - 1);
        assert!(authenticator.authenticate(presented, still).await.is_ok());
        let error = authenticator.authenticate(presented, after(KEY_CACHE_TTL_S)).await;
        let error = error.unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Authentication, Some("api_key_expired")));
        assert_eq!(
            error.message,
            format!("Expired API Key provided: {}", api_keys::mask(secret.expose()))
        );
    }
}

#[tokio::test]
async fn a_rolled_key_ends_to_the_second_even_from_memory() {
    for db in migrated().await {
        let (key, secret) = made(&db).await;
        let mut tx = db.begin().await.unwrap();
        api_keys::roll(&mut tx, &repeated(), NOW, &key.id, 3).await.unwrap();
        tx.commit().await.unwrap();
        let authenticator = Authenticator::new(db.clone());
        for (at, works) in [(0, true), (2, true), (3, false), (4, false)] {
            let shown = authenticator.authenticate(Some(secret.expose()), after(at)).await;
            assert_eq!(shown.is_ok(), works, "{at}");
        }
    }
}

#[tokio::test]
async fn a_guess_that_becomes_a_key_is_found_within_seconds() {
    for db in migrated().await {
        let (key, _) = made(&db).await;
        let secret = Secret::parse("sk_test_local_development").unwrap();
        let authenticator = Authenticator::new(db.clone());
        let presented = Some(secret.expose());
        assert!(authenticator.authenticate(presented, NOW).await.is_err());
        let mut tx = db.begin().await.unwrap();
        api_keys::accept(&mut tx, &repeated(), NOW, &key.scope.account, &secret).await.unwrap();
        tx.commit().await.unwrap();
        assert!(authenticator.authenticate(presented, after(KEY_CACHE_TTL_S - 1)).await.is_err());
        assert!(authenticator.authenticate(presented, after(KEY_CACHE_TTL_S)).await.is_ok());
    }
}
