//! From the key that a request shows to who asks.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use taximeter_db::Db;
use taximeter_kernel::id::{ApiKey as ApiKeyKind, Id, Scope};
use taximeter_kernel::time::Timestamp;

use super::{Access, ApiKey, KeyKind, Permissions, Secret, SecretHash, mask, sql};
use crate::error::{Error, Kind, Result};

/// How long a key is believed without being looked up again, in seconds. So this is how long one
/// that another process revoked still works.
pub const KEY_CACHE_TTL_S: i64 = 5;
/// The most keys kept in memory, and as many again of those that are none. Past it that half
/// starts afresh, so that a flood of guesses never displaces a real key.
pub const KEY_CACHE_ENTRIES_MAX: usize = 10_000;

#[expect(clippy::disallowed_types, reason = "on the path of every request; nothing iterates it")]
type Map<V> = std::collections::HashMap<SecretHash, Entry<V>>;

struct Entry<V> {
    value: V,
    read_at: Timestamp,
}

#[derive(Default)]
struct Cache {
    keys: Map<Arc<Shown>>,
    unknown: Map<()>,
}

/// A key that exists, as it was found when it was shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    asker: Authenticated,
    expires_at: Option<Timestamp>,
    read_at: Timestamp,
}

impl Shown {
    /// Whether it can be believed at `now` without asking the [`Authenticator`] again.
    #[must_use]
    pub fn serves(&self, now: Timestamp) -> bool {
        is_fresh(self.read_at, now) && !self.is_expired(now)
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl Deref for Shown {
    type Target = Authenticated;

    fn deref(&self) -> &Authenticated {
        &self.asker
    }
}

/// What is remembered of a secret.
enum Memory {
    Key(Arc<Shown>),
    NoKey,
    Nothing,
}

/// Knows keys by what requests show. Cheap to clone; clones share their memory.
#[derive(Clone)]
pub struct Authenticator {
    db: Db,
    cache: Arc<Mutex<Cache>>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

/// Who asks, as the key that was shown proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// Whose data.
    pub scope: Scope,
    /// The key.
    pub key: Id<ApiKeyKind>,
    /// What the key is for.
    pub kind: KeyKind,
    /// What it may do, if it is a restricted key.
    pub permissions: Permissions,
    /// The key as messages show it: `sk_test_********wxyz`.
    pub hint: String,
}

impl Authenticated {
    /// Demands that the key may do this.
    ///
    /// # Errors
    /// A 403 for a publishable key, and for a restricted key without the permission. `resource` is
    /// one of [`super::RESOURCES`]; others are refused to restricted keys.
    pub fn require(&self, resource: &str, access: Access) -> Result<()> {
        match self.kind {
            KeyKind::Secret => Ok(()),
            KeyKind::Restricted if self.permissions.allow(resource, access) => Ok(()),
            KeyKind::Restricted => Err(self.not_permitted(resource, access)),
            KeyKind::Publishable => Err(publishable()),
        }
    }

    fn not_permitted(&self, resource: &str, access: Access) -> Error {
        let message = format!(
            "The provided key '{}' does not have the required permissions for this endpoint on \
             account '{}'. Having the 'rak_{resource}_{}' permission would allow this request to \
             continue.",
            self.hint,
            self.scope.account,
            access.as_str(),
        );
        Error::new(Kind::Permission, message).before_execution()
    }
}

impl Authenticator {
    /// Knows the keys in `db`.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db, cache: Arc::default() }
    }

    /// Finds out who asks, by the key that the request shows.
    ///
    /// # Errors
    /// A 401 when no key is shown, or one that does not exist or has expired; a 500 when the
    /// database cannot be read.
    pub async fn authenticate(
        &self,
        presented: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<Shown>> {
        let Some(presented) = presented.filter(|text| !text.is_empty()) else {
            return Err(not_provided());
        };
        // What cannot be a key costs no look at the database.
        let secret = Secret::parse(presented).map_err(|_| invalid(presented))?;
        let hash = secret.hash();
        let found = match self.remembered(&hash, now) {
            Memory::Key(shown) => Some(shown),
            Memory::NoKey => None,
            Memory::Nothing => self.look_up(&secret, hash, now).await?,
        };
        let shown = found.ok_or_else(|| invalid(presented))?;
        if shown.is_expired(now) {
            return Err(expired(presented));
        }
        Ok(shown)
    }

    fn remembered(&self, hash: &SecretHash, now: Timestamp) -> Memory {
        let cache = self.cache();
        if let Some(shown) = fresh(&cache.keys, hash, now) {
            return Memory::Key(shown);
        }
        match fresh(&cache.unknown, hash, now) {
            Some(()) => Memory::NoKey,
            None => Memory::Nothing,
        }
    }

    async fn look_up(
        &self,
        secret: &Secret,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<Arc<Shown>>> {
        let mut tx = self.db.begin_read().await?;
        let found = sql::find_by_hash(&mut tx, &hash).await?;
        let shown = found.map(|key| Arc::new(shown(key, secret, now)));
        let mut cache = self.cache();
        match &shown {
            Some(shown) => {
                cache.unknown.remove(&hash);
                keep(&mut cache.keys, hash, Arc::clone(shown), now);
            }
            None => {
                cache.keys.remove(&hash);
                keep(&mut cache.unknown, hash, (), now);
            }
        }
        Ok(shown)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // The maps are valid between any two statements, so a panic elsewhere does not spoil them.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(key: ApiKey, secret: &Secret, now: Timestamp) -> Shown {
    let asker = Authenticated {
        scope: key.scope,
        key: key.id,
        kind: key.kind,
        permissions: key.permissions,
        hint: mask(secret.expose()),
    };
    Shown { asker, expires_at: key.expires_at, read_at: now }
}

fn fresh<V: Clone>(map: &Map<V>, hash: &SecretHash, now: Timestamp) -> Option<V> {
    let entry = map.get(hash)?;
    is_fresh(entry.read_at, now).then(|| entry.value.clone())
}

fn is_fresh(read_at: Timestamp, now: Timestamp) -> bool {
    // A clock that was set back makes an age negative: then look again.
    let age_s = now.0.saturating_sub(read_at.0);
    (0..KEY_CACHE_TTL_S).contains(&age_s)
}

fn keep<V>(map: &mut Map<V>, hash: SecretHash, value: V, now: Timestamp) {
    if map.len() >= KEY_CACHE_ENTRIES_MAX {
        map.clear();
    }
    map.insert(hash, Entry { value, read_at: now });
}

/// In Stripe's words, as are the others.
fn not_provided() -> Error {
    unauthenticated(
        "You did not provide an API key. You need to provide your API key in the Authorization \
         header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See \
         https://stripe.com/docs/api#authentication for details, or we can help at \
         https://support.stripe.com/."
            .to_owned(),
    )
}

fn invalid(presented: &str) -> Error {
    unauthenticated(format!("Invalid API Key provided: {}", mask(presented)))
}

fn expired(presented: &str) -> Error {
    unauthenticated(format!("Expired API Key provided: {}", mask(presented)))
        .code("api_key_expired")
}

fn publishable() -> Error {
    let message = "This API call cannot be made with a publishable API key. Please use a secret \
                   API key. `taximeter keys list` shows which keys there are.";
    Error::new(Kind::Permission, message).code("secret_key_required").before_execution()
}

fn unauthenticated(message: String) -> Error {
    Error::new(Kind::Authentication, message).before_execution()
}

#[cfg(test)]
mod tests {
    use super::*;
    use taximeter_kernel::id::Mode;

    fn asker(kind: KeyKind, permissions: &str) -> Authenticated {
        Authenticated {
            scope: Scope { account: Id::parse("acct_7").unwrap(), mode: Mode::Test },
            key: Id::parse("key_7").unwrap(),
            kind,
            permissions: permissions.parse().unwrap(),
            hint: mask("rk_test_123456789abcd"),
        }
    }

    #[test]
    fn a_secret_key_may_do_everything() {
        assert!(asker(KeyKind::Secret, "").require("customer", Access::Write).is_ok());
    }

    #[test]
    fn a_restricted_key_may_do_what_it_was_given_and_is_told_what_it_lacks() {
        let key = asker(KeyKind::Restricted, "customer=read");
        assert!(key.require("customer", Access::Read).is_ok());
        let error = key.require("customer", Access::Write).unwrap_err();
        assert_eq!(error.kind, Kind::Permission);
        assert_eq!(
            error.message,
            "The provided key 'rk_test_*********abcd' does not have the required permissions for \
             this endpoint on account 'acct_7'. Having the 'rak_customer_write' permission would \
             allow this request to continue."
        );
        assert!(
            key.require("price", Access::Read).unwrap_err().message.contains("'rak_price_read'")
        );
    }

    #[test]
    fn a_publishable_key_may_do_nothing_even_with_permissions() {
        let error = asker(KeyKind::Publishable, "customer=write")
            .require("customer", Access::Read)
            .unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Permission, Some("secret_key_required")));
    }

    #[test]
    fn a_full_half_of_the_cache_starts_afresh() {
        let mut map = Map::default();
        let hash = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            SecretHash(bytes)
        };
        let max = u32::try_from(KEY_CACHE_ENTRIES_MAX).unwrap();
        for n in 0..max {
            keep(&mut map, hash(n), (), Timestamp(100));
        }
        assert_eq!(map.len(), KEY_CACHE_ENTRIES_MAX);
        keep(&mut map, hash(max), (), Timestamp(100));
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn an_entry_serves_for_five_seconds_and_never_from_the_future() {
        let mut map = Map::default();
        let hash = SecretHash([7; 32]);
        keep(&mut map, hash, (), Timestamp(100));
        for (now, served) in [(99, false), (100, true), (104, true), (105, false)] {
            assert_eq!(fresh(&map, &hash, Timestamp(now)).is_some(), served, "{now}");
        }
    }

    #[test]
    fn a_key_is_believed_for_five_seconds_and_not_beyond_its_end() {
        let key = |expires_at: Option<i64>| Shown {
            asker: asker(KeyKind::Secret, ""),
            expires_at: expires_at.map(Timestamp),
            read_at: Timestamp(100),
        };
        for (now, served) in [(99, false), (100, true), (104, true), (105, false)] {
            assert_eq!(key(None).serves(Timestamp(now)), served, "{now}");
        }
        assert!(key(Some(103)).serves(Timestamp(102)));
        assert!(!key(Some(103)).serves(Timestamp(103)));
    }
}
