//! One answer per `Idempotency-Key`, whatever is retried.
//!
//! The answer is written in the transaction of the work it answers for: either both last or
//! neither, so a retry after a crash finds the answer or does the work, never twice.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::Scope;

use crate::ctx::{Ctx, malformed};
use crate::error::{Error, Kind, Result};
use crate::params::Node;

/// How long an answer is kept, in seconds: Stripe's 24 hours.
pub const KEPT_S: i64 = 86_400;
/// The longest key, in characters.
pub const KEY_CHARS_MAX: usize = 255;

/// What makes two requests the same: method, path and parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a request.
    #[must_use]
    pub fn of(method: &str, path: &str, params: &Node) -> Self {
        let mut text = format!("{method} {path}\n");
        params.canonical(&mut text);
        Self(Sha256::digest(text.as_bytes()).into())
    }

    fn hex(&self) -> String {
        let mut out = String::with_capacity(64);
        for byte in self.0 {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "{byte:02x}");
        }
        out
    }
}

/// An answer that was given once and is given again.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
    /// The request that was answered first.
    pub request: String,
    fingerprint: String,
}

impl Row for Stored {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let status: i64 = cells.get("status")?;
        Ok(Self {
            status: u16::try_from(status)
                .map_err(|_| malformed("status", "HTTP status", &status.to_string()))?,
            body: cells.get("body")?,
            request: cells.get("request")?,
            fingerprint: cells.get("fingerprint")?,
        })
    }
}

/// Checks the header's form.
///
/// # Errors
/// A 400 when the key is empty or too long.
pub fn check_key(key: &str) -> Result<()> {
    if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
        return Err(Error::invalid(format!(
            "Invalid Idempotency-Key: must be 1 to {KEY_CHARS_MAX} characters."
        ))
        .before_execution());
    }
    Ok(())
}

/// The error of a key that was first used with other parameters.
#[must_use]
pub fn mismatch(key: &str) -> Error {
    Error::new(
        Kind::IdempotencyMismatch,
        format!(
            "Keys for idempotent requests can only be used with the same parameters they were \
             first used with. Try using a key other than '{key}' if you meant to execute a \
             different request."
        ),
    )
}

/// Looks for the answer that was given under `key`.
///
/// # Errors
/// [`mismatch`] when the key was used for another request.
pub async fn find(ctx: &mut Ctx, key: &str, fingerprint: &Fingerprint) -> Result<Option<Stored>> {
    let oldest = ctx.now.0.saturating_sub(KEPT_S);
    let args = ctx.args([Arg::from(key), Arg::from(oldest)]);
    let stored: Option<Stored> = ctx
        .tx
        .optional(
            "SELECT fingerprint, status, body, request FROM idempotency_keys \
             WHERE account = $1 AND livemode = $2 AND key = $3 AND created > $4",
            args,
        )
        .await?;
    match stored {
        Some(stored) if stored.fingerprint != fingerprint.hex() => Err(mismatch(key)),
        found => Ok(found),
    }
}

/// Keeps an answer under `key`, in the transaction of the work it answers for, and drops what is
/// past its time.
///
/// # Errors
/// A 409 when another process answered under the same key meanwhile.
pub async fn keep(
    ctx: &mut Ctx,
    key: &str,
    fingerprint: &Fingerprint,
    status: u16,
    body: &str,
) -> Result<()> {
    let oldest = ctx.now.0.saturating_sub(KEPT_S);
    let args = ctx.args([Arg::from(oldest)]);
    ctx.tx
        .execute(
            "DELETE FROM idempotency_keys WHERE account = $1 AND livemode = $2 AND created <= $3",
            args,
        )
        .await?;
    let args = ctx.args([
        Arg::from(key),
        Arg::from(fingerprint.hex()),
        Arg::from(i64::from(status)),
        Arg::from(body),
        Arg::from(ctx.caller.request.as_str()),
        Arg::from(ctx.now),
    ]);
    let kept = ctx
        .tx
        .execute(
            "INSERT INTO idempotency_keys \
             (account, livemode, key, fingerprint, status, body, request, created) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            args,
        )
        .await;
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.is_unique() => Err(in_flight()),
        Err(error) => Err(error.into()),
    }
}

fn in_flight() -> Error {
    Error::new(
        Kind::IdempotencyInFlight,
        "There is currently another in-progress request using this Idempotent Key (that probably \
         means you submitted twice, and the other request is still going through)",
    )
    .code("idempotency_key_in_use")
}

/// The keys whose requests this process is answering now.
#[derive(Debug, Default)]
pub struct InFlight {
    keys: Mutex<BTreeSet<(Scope, String)>>,
}

/// Holds a key while its request is answered.
#[derive(Debug)]
pub struct Held {
    registry: Arc<InFlight>,
    entry: (Scope, String),
}

impl InFlight {
    /// Holds `key` until the returned guard is dropped.
    ///
    /// # Errors
    /// A 409 when another request holds it.
    pub fn hold(self: &Arc<Self>, scope: &Scope, key: &str) -> Result<Held> {
        let entry = (scope.clone(), key.to_owned());
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.insert(entry.clone()) {
            return Err(in_flight());
        }
        Ok(Held { registry: Arc::clone(self), entry })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.registry.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.entry);
    }
}
