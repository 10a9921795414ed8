//! The verbs of API keys, on both databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use taximeter_db::Tx;
use taximeter_kernel::id::{Id, Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_service::accounts;
use taximeter_service::api_keys::{self, ApiKey, KeyKind, New, Permissions, Secret};
use taximeter_service::ctx::Entropy;
use taximeter_service::error::Kind;

use crate::accounts::migrated;

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_007);

/// Different bytes at each call, the same in each run.
pub(crate) fn entropy() -> Entropy {
    let count = AtomicU8::new(100);
    Arc::new(move || [count.fetch_add(1, Ordering::Relaxed); 32])
}

/// A new key of a new account.
pub(crate) async fn key(
    tx: &mut Tx,
    entropy: &Entropy,
    kind: KeyKind,
    permissions: &str,
) -> (ApiKey, Secret) {
    let account = accounts::default_or_create(tx, entropy(), NOW).await.unwrap();
    let new = New {
        scope: Scope { account: account.id, mode: Mode::Test },
        kind,
        name: Some("worker".to_owned()),
        permissions: permissions.parse().unwrap(),
    };
    api_keys::create(tx, entropy, NOW, new).await.unwrap()
}

fn after(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds)
}

#[tokio::test]
async fn a_key_is_read_back_as_it_was_made() {
    for db in migrated().await {
        let entropy = entropy();
        let mut tx = db.begin().await.unwrap();
        let (made, secret) =
            key(&mut tx, &entropy, KeyKind::Restricted, "customer=write,price=read").await;
        assert_eq!(made.created, NOW);
        assert_eq!(made.expires_at, None);
        assert_eq!(made.hint, secret.hint());
        assert_eq!(api_keys::named(&mut tx, made.id.as_str()).await.unwrap(), made);
        assert_eq!(api_keys::named(&mut tx, secret.expose()).await.unwrap(), made);
        assert_eq!(api_keys::list(&mut tx, None).await.unwrap(), std::slice::from_ref(&made));
        let account = &made.scope.account;
        assert!(api_keys::any(&mut tx, account).await.unwrap());
        assert_eq!(api_keys::list(&mut tx, Some(account)).await.unwrap(), [made]);
        let nobody = Id::parse("acct_nobody").unwrap();
        assert_eq!(api_keys::list(&mut tx, Some(&nobody)).await.unwrap(), []);
        assert!(!api_keys::any(&mut tx, &nobody).await.unwrap());
    }
}

#[tokio::test]
async fn a_rolled_key_ends_after_the_grace_and_its_successor_is_like_it() {
    for db in migrated().await {
        let entropy = entropy();
        let mut tx = db.begin().await.unwrap();
        let (made, secret) = key(&mut tx, &entropy, KeyKind::Restricted, "price=read").await;
        let rolled = api_keys::roll(&mut tx, &entropy, after(7), &made.id, 13).await.unwrap();
        assert_eq!(rolled.old, ApiKey { expires_at: Some(after(20)), ..made.clone() });
        assert_eq!(api_keys::named(&mut tx, made.id.as_str()).await.unwrap(), rolled.old);
        assert_ne!(rolled.secret, secret);
        let expected = ApiKey {
            id: rolled.new.id.clone(),
            hint: rolled.secret.hint(),
            created: after(7),
            ..made.clone()
        };
        assert_ne!(rolled.new.id, made.id);
        assert_eq!(rolled.new, expected);
        // A second roll shortens the life of the first, and never lengthens it.
        let again = api_keys::roll(&mut tx, &entropy, after(8), &made.id, 700).await.unwrap();
        assert_eq!(again.old.expires_at, Some(after(20)));
        let again = api_keys::roll(&mut tx, &entropy, after(9), &made.id, 1).await.unwrap();
        assert_eq!(again.old.expires_at, Some(after(10)));
        let error = api_keys::roll(&mut tx, &entropy, after(10), &made.id, 0).await.unwrap_err();
        assert!(error.message.ends_with("has expired; create a new one."), "{error}");
    }
}

#[tokio::test]
async fn a_grace_is_at_most_seven_days() {
    for db in migrated().await {
        let entropy = entropy();
        let mut tx = db.begin().await.unwrap();
        let (made, _) = key(&mut tx, &entropy, KeyKind::Secret, "").await;
        for grace_s in [-1, 7 * 86_400 + 1, i64::MAX] {
            let refused = api_keys::roll(&mut tx, &entropy, NOW, &made.id, grace_s).await;
            assert_eq!(refused.unwrap_err().kind, Kind::InvalidRequest, "{grace_s}");
        }
        assert!(api_keys::roll(&mut tx, &entropy, NOW, &made.id, 7 * 86_400).await.is_ok());
    }
}

#[tokio::test]
async fn a_key_is_revoked_once() {
    for db in migrated().await {
        let entropy = entropy();
        let mut tx = db.begin().await.unwrap();
        let (made, _) = key(&mut tx, &entropy, KeyKind::Secret, "").await;
        for now in [after(7), after(13)] {
            let revoked = api_keys::revoke(&mut tx, now, &made.id).await.unwrap();
            assert_eq!(revoked, ApiKey { expires_at: Some(after(7)), ..made.clone() });
        }
        let nobody = Id::parse("key_nobody").unwrap();
        let error = api_keys::revoke(&mut tx, NOW, &nobody).await.unwrap_err();
        assert_eq!(error.message, "No such API key: 'key_nobody'");
    }
}

#[tokio::test]
async fn a_chosen_secret_is_taken_again_even_after_it_was_revoked() {
    let secret = Secret::parse("sk_test_local_development").unwrap();
    for db in migrated().await {
        let entropy = entropy();
        let mut tx = db.begin().await.unwrap();
        let first = accounts::default_or_create(&mut tx, entropy(), NOW).await.unwrap().id;
        let key = api_keys::accept(&mut tx, &entropy, NOW, &first, &secret).await.unwrap();
        assert_eq!(key.scope.mode, Mode::Test);
        api_keys::revoke(&mut tx, after(7), &key.id).await.unwrap();
        let again = api_keys::accept(&mut tx, &entropy, after(8), &first, &secret).await.unwrap();
        assert_eq!(again, key);
        assert_eq!(api_keys::list(&mut tx, None).await.unwrap(), [key]);
        let other = accounts::create(&mut tx, entropy(), NOW, "acme").await.unwrap().id;
        let error = api_keys::accept(&mut tx, &entropy, NOW, &other, &secret).await.unwrap_err();
        assert_eq!(
            error.message,
            format!("The key sk_test_****ment belongs to account '{first}'.")
        );
    }
}

#[tokio::test]
async fn permissions_are_for_restricted_keys_and_those_need_some() {
    for db in migrated().await {
        let entropy = entropy();
        let mut tx = db.begin().await.unwrap();
        let account = accounts::default_or_create(&mut tx, entropy(), NOW).await.unwrap().id;
        for (kind, permissions) in [
            (KeyKind::Restricted, ""),
            (KeyKind::Secret, "customer=read"),
            (KeyKind::Publishable, "customer=read"),
        ] {
            let permissions: Permissions = permissions.parse().unwrap();
            let scope = Scope { account: account.clone(), mode: Mode::Test };
            let new = New { scope, kind, name: None, permissions };
            let refused = api_keys::create(&mut tx, &entropy, NOW, new).await;
            assert_eq!(refused.unwrap_err().kind, Kind::InvalidRequest, "{kind:?}");
        }
        assert!(!api_keys::any(&mut tx, &account).await.unwrap());
    }
}

#[tokio::test]
async fn randomness_that_repeats_itself_makes_no_second_key() {
    for db in migrated().await {
        let entropy: Entropy = Arc::new(|| [7; 32]);
        let mut tx = db.begin().await.unwrap();
        let (made, _) = key(&mut tx, &entropy, KeyKind::Secret, "").await;
        let new = New {
            scope: made.scope.clone(),
            kind: KeyKind::Secret,
            name: None,
            permissions: Permissions::default(),
        };
        let refused = api_keys::create(&mut tx, &entropy, NOW, new).await;
        assert_eq!(refused.unwrap_err().kind, Kind::Internal);
    }
}

#[test]
fn each_endpoint_asks_for_a_permission_that_can_be_given() {
    let endpoints = taximeter_web::endpoints();
    assert!(!endpoints.is_empty());
    for endpoint in endpoints {
        assert!(
            api_keys::RESOURCES.contains(&endpoint.resource),
            "`{}`, for {}",
            endpoint.resource,
            endpoint.path
        );
    }
}
