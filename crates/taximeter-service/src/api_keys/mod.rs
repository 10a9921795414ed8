//! API keys: with which programs prove who they are, and what they may do.
//!
//! Keys are made and ended by whoever runs the installation, so these verbs take a transaction and
//! no caller. [`Authenticator`] is the other side: it turns what a request shows into who asks.

mod authenticator;
mod permissions;
mod secret;
mod sql;

use taximeter_db::{Cells, DbError, Row, Tx};
use taximeter_kernel::id::{Account, ApiKey as ApiKeyKind, Id, Kind as _, Scope};
use taximeter_kernel::time::Timestamp;

pub use authenticator::{
    Authenticated, Authenticator, KEY_CACHE_ENTRIES_MAX, KEY_CACHE_TTL_S, Shown,
};
pub use permissions::{Access, InvalidPermission, Permissions, RESOURCES};
pub use secret::{InvalidSecret, SECRET_BYTES_MAX, SECRET_CHARS_MIN, Secret, SecretHash, mask};

use crate::ctx::{Entropy, malformed, word};
use crate::error::{Error, Result};

/// The longest name of a key, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// The longest that a rolled key may go on working, in seconds: Stripe's seven days.
pub const ROLL_GRACE_S_MAX: i64 = 7 * 86_400;
/// The most keys that [`list`] returns.
pub const KEYS_LISTED_MAX: usize = 1_000;

crate::choice! {
    /// What a key is for.
    pub enum KeyKind {
        /// Everything, from a server: `sk_`.
        Secret = "secret",
        /// What its permissions say: `rk_`.
        Restricted = "restricted",
        /// To be seen by anyone, in a browser: `pk_`. It opens none of the API's resources.
        Publishable = "publishable",
    }
}

/// What is known of a key. Not its secret: that is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The name of the key, which is no secret.
    pub id: Id<ApiKeyKind>,
    /// The data it opens.
    pub scope: Scope,
    /// What it is for.
    pub kind: KeyKind,
    /// What can be recognised of its secret: `sk_test_****wxyz`.
    pub hint: String,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What a restricted key may do.
    pub permissions: Permissions,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused. Set when it is revoked or rolled.
    pub expires_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it is refused at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl Row for ApiKey {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let permissions: String = cells.get("permissions")?;
        Ok(Self {
            id: cells.get("id")?,
            scope: Scope { account: cells.get("account")?, mode: cells.get("livemode")? },
            kind: word(cells, "kind")?,
            hint: cells.get("hint")?,
            name: cells.get("name")?,
            permissions: permissions
                .parse()
                .map_err(|_| malformed("permissions", "list of permissions", &permissions))?,
            created: cells.get("created")?,
            expires_at: cells.get("expires_at")?,
        })
    }
}

/// What a new key is made of.
#[derive(Debug, Clone)]
pub struct New {
    /// The data it opens.
    pub scope: Scope,
    /// What it is for.
    pub kind: KeyKind,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it may do, for a restricted key.
    pub permissions: Permissions,
}

/// What rolling a key comes to.
#[derive(Debug, Clone)]
pub struct Rolled {
    /// The key that ends, with the time it ends at.
    pub old: ApiKey,
    /// The key in its place.
    pub new: ApiKey,
    /// The new key's secret.
    pub secret: Secret,
}

/// Makes a key. Its secret is in the answer and nowhere else.
///
/// # Errors
/// A 400 when a restricted key has no permissions, another kind has some, or the name is longer
/// than [`NAME_CHARS_MAX`] or holds control characters.
pub async fn create(
    tx: &mut Tx,
    entropy: &Entropy,
    now: Timestamp,
    new: New,
) -> Result<(ApiKey, Secret)> {
    check(&new)?;
    let secret = Secret::generate(new.kind, new.scope.mode, entropy());
    let key = key_of(&secret, Id::generate(entropy()), now, new);
    if sql::insert_unless_known(tx, &key, &secret.hash()).await? {
        Ok((key, secret))
    } else {
        Err(Error::internal("the source of randomness repeats itself"))
    }
}

/// Makes a key of a secret that the installation's owner chose. One that is known already is
/// taken as it is, and works again if it had been ended.
///
/// # Errors
/// A 400 when the secret is that of another account's key.
pub async fn accept(
    tx: &mut Tx,
    entropy: &Entropy,
    now: Timestamp,
    account: &Id<Account>,
    secret: &Secret,
) -> Result<ApiKey> {
    let new = New {
        scope: Scope { account: account.clone(), mode: secret.mode() },
        kind: secret.kind(),
        name: Some("given at start".to_owned()),
        permissions: Permissions::default(),
    };
    check(&new)?;
    let key = key_of(secret, Id::generate(entropy()), now, new);
    if sql::insert_unless_known(tx, &key, &secret.hash()).await? {
        return Ok(key);
    }
    let mut known = sql::find_by_hash(tx, &secret.hash())
        .await?
        .ok_or_else(|| Error::from(DbError::NotFound))?;
    if known.scope != key.scope {
        return Err(Error::invalid(format!(
            "The key {} belongs to account '{}'.",
            known.hint, known.scope.account
        )));
    }
    if known.expires_at.is_some() {
        known.expires_at = None;
        sql::set_expiry(tx, &known.id, None).await?;
    }
    Ok(known)
}

/// The key with this id, or with this secret, for who has nothing but a secret that leaked.
///
/// # Errors
/// A 404 when there is none.
pub async fn named(tx: &mut Tx, id_or_secret: &str) -> Result<ApiKey> {
    if let Ok(secret) = Secret::parse(id_or_secret) {
        let found = sql::find_by_hash(tx, &secret.hash()).await?;
        return found.ok_or_else(|| Error::no_such_path(ApiKeyKind::NOUN, &mask(id_or_secret)));
    }
    let missing = || Error::no_such_path(ApiKeyKind::NOUN, id_or_secret);
    let id = Id::parse(id_or_secret).map_err(|_| missing())?;
    sql::find_for_update(tx, &id).await?.ok_or_else(missing)
}

/// Puts a new key in the place of `id`, with the same scope, kind, name and permissions. The old
/// one ends `grace_s` seconds from now, or when it would have ended anyway.
///
/// # Errors
/// A 404 when there is none; a 400 when it has ended, or when `grace_s` is negative or more than
/// [`ROLL_GRACE_S_MAX`].
pub async fn roll(
    tx: &mut Tx,
    entropy: &Entropy,
    now: Timestamp,
    id: &Id<ApiKeyKind>,
    grace_s: i64,
) -> Result<Rolled> {
    if !(0..=ROLL_GRACE_S_MAX).contains(&grace_s) {
        return Err(Error::invalid("A rolled key may go on working for 7 days at most."));
    }
    let mut old = find(tx, id).await?;
    if old.is_expired(now) {
        return Err(Error::invalid(format!("The key {} has expired; create a new one.", old.hint)));
    }
    let new = New {
        scope: old.scope.clone(),
        kind: old.kind,
        name: old.name.clone(),
        permissions: old.permissions.clone(),
    };
    let (new, secret) = create(tx, entropy, now, new).await?;
    let ends = Timestamp(now.0.saturating_add(grace_s));
    old.expires_at = Some(old.expires_at.map_or(ends, |at| at.min(ends)));
    sql::set_expiry(tx, id, old.expires_at).await?;
    Ok(Rolled { old, new, secret })
}

/// Ends a key now. One that has ended stays as it is.
///
/// # Errors
/// A 404 when there is none.
pub async fn revoke(tx: &mut Tx, now: Timestamp, id: &Id<ApiKeyKind>) -> Result<ApiKey> {
    let mut key = find(tx, id).await?;
    if !key.is_expired(now) {
        key.expires_at = Some(now);
        sql::set_expiry(tx, id, key.expires_at).await?;
    }
    Ok(key)
}

/// The keys of one account, or of all, oldest first, with those that have ended.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn list(tx: &mut Tx, account: Option<&Id<Account>>) -> Result<Vec<ApiKey>> {
    sql::list(tx, account).await
}

/// Whether an account has ever had a key.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn any(tx: &mut Tx, account: &Id<Account>) -> Result<bool> {
    sql::any(tx, account).await
}

async fn find(tx: &mut Tx, id: &Id<ApiKeyKind>) -> Result<ApiKey> {
    let found = sql::find_for_update(tx, id).await?;
    found.ok_or_else(|| Error::no_such_path(ApiKeyKind::NOUN, id.as_str()))
}

fn key_of(secret: &Secret, id: Id<ApiKeyKind>, now: Timestamp, new: New) -> ApiKey {
    ApiKey {
        id,
        scope: new.scope,
        kind: new.kind,
        hint: secret.hint(),
        name: new.name,
        permissions: new.permissions,
        created: now,
        expires_at: None,
    }
}

fn check(new: &New) -> Result<()> {
    match (new.kind, new.permissions.is_empty()) {
        (KeyKind::Restricted, true) => {
            return Err(Error::invalid("A restricted key needs at least one permission."));
        }
        (KeyKind::Secret | KeyKind::Publishable, false) => {
            return Err(Error::invalid("Only a restricted key has permissions."));
        }
        (KeyKind::Restricted, false) | (KeyKind::Secret | KeyKind::Publishable, true) => {}
    }
    let name = new.name.as_deref().unwrap_or("a name");
    if name.is_empty()
        || name.chars().count() > NAME_CHARS_MAX
        || name.chars().any(char::is_control)
    {
        return Err(Error::invalid(format!(
            "A key's name is 1 to {NAME_CHARS_MAX} characters, none of them a control character."
        ))
        .param("name"));
    }
    Ok(())
}
