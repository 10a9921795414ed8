//! From the token that a request shows to whose events it brings.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use taximeter_db::Db;
use taximeter_kernel::id::{ApiKey, Id, Scope};
use taximeter_kernel::time::Timestamp;

use super::sql;
use super::token::Unverified;
use crate::error::{Error, Kind, Result};

/// How long a token is believed without its key being looked up again, in seconds. So this is how
/// long one still works whose key another process revoked.
pub const SESSION_CACHE_TTL_S: i64 = 5;
/// The most tokens kept in memory; past it the memory starts afresh.
pub const SESSION_CACHE_ENTRIES_MAX: usize = 10_000;

/// Whose events a token lets in.
#[derive(Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose data.
    pub scope: Scope,
    /// The key that made the session.
    pub key: Id<ApiKey>,
    expires_at: Timestamp,
    key_ends_at: Option<Timestamp>,
}

struct Entry {
    session: Arc<Session>,
    read_at: Timestamp,
}

#[expect(clippy::disallowed_types, reason = "on the path of every request; nothing iterates it")]
type Map<V> = std::collections::HashMap<Box<str>, V>;

/// Knows tokens. What it remembers costs no look at the database.
#[derive(Default)]
pub struct Sessions {
    known: Mutex<Map<Entry>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// Finds out whose events a request brings, by the token that it shows.
    ///
    /// # Errors
    /// A 401 when there is no token, or one that is none, has expired, or was made by a key that has
    /// ended since; a 500 when the database cannot be read.
    pub async fn open(
        &self,
        db: &Db,
        presented: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<Session>> {
        let presented = presented.ok_or_else(not_provided)?;
        let session = match self.remembered(presented, now) {
            Some(session) => session,
            None => {
                let session = Arc::new(look_up(db, presented).await?);
                self.keep(presented, &session, now);
                session
            }
        };
        if session.expires_at <= now || session.key_ends_at.is_some_and(|at| at <= now) {
            return Err(expired());
        }
        Ok(session)
    }

    fn remembered(&self, token: &str, now: Timestamp) -> Option<Arc<Session>> {
        let known = self.known();
        let entry = known.get(token)?;
        // A clock that was set back makes an age negative: then look again.
        let age_s = now.0.saturating_sub(entry.read_at.0);
        (0..SESSION_CACHE_TTL_S).contains(&age_s).then(|| Arc::clone(&entry.session))
    }

    fn keep(&self, token: &str, session: &Arc<Session>, now: Timestamp) {
        let mut known = self.known();
        if known.len() >= SESSION_CACHE_ENTRIES_MAX {
            known.clear();
        }
        known.insert(token.into(), Entry { session: Arc::clone(session), read_at: now });
    }

    fn known(&self) -> MutexGuard<'_, Map<Entry>> {
        // The map is valid between any two statements, so a panic elsewhere does not spoil it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up(db: &Db, presented: &str) -> Result<Session> {
    let token = Unverified::read(presented).ok_or_else(invalid)?;
    let mut tx = db.begin_read().await?;
    let secret = sql::secret(&mut tx, token.scope()).await?.ok_or_else(invalid)?;
    let claims = token.verify(&secret).ok_or_else(invalid)?;
    let key = sql::key_end(&mut tx, &claims.scope, &claims.key).await?.ok_or_else(expired)?;
    Ok(Session {
        scope: claims.scope,
        key: claims.key,
        expires_at: claims.expires_at,
        key_ends_at: key.0,
    })
}

fn not_provided() -> Error {
    Error::new(
        Kind::Authentication,
        "You did not provide the authentication token of a meter event session. Create one with \
         POST /v2/billing/meter_event_session, and provide it in the Authorization header, using \
         Bearer auth.",
    )
    .before_execution()
}

/// Says nothing of what was shown: it may be a secret key.
fn invalid() -> Error {
    Error::new(
        Kind::Authentication,
        "Invalid authentication token provided. The meter event stream takes the \
         authentication_token of a meter event session, and no API key.",
    )
    .before_execution()
}

fn expired() -> Error {
    Error::new(
        Kind::SessionExpired,
        "The meter event session has expired. Create another with POST \
         /v2/billing/meter_event_session.",
    )
    .code("billing_meter_event_session_expired")
    .before_execution()
}
