//! Meter event sessions: a key makes a token, and the token opens the stream of events for a while.
//!
//! A token says whose it is and until when, and is signed with a secret of the account's mode that
//! the database keeps. So nothing is stored for a token, and every replica takes it.

mod sessions;
mod sql;
mod token;

use serde_json::{Value, json};
use taximeter_kernel::id::{Id, MeterEventSession as SessionKind};
use taximeter_kernel::time::Timestamp;

pub use sessions::{SESSION_CACHE_ENTRIES_MAX, SESSION_CACHE_TTL_S, Session, Sessions};
use token::Claims;

use crate::ctx::Ctx;
use crate::error::Result;

/// How long a token opens the stream, in seconds: Stripe's 15 minutes.
pub const SESSION_S: i64 = 15 * 60;

crate::params! {
    /// A session takes no parameters.
    pub struct Create {}
}

/// 32 bytes for some purpose, the same each time, that only this installation can work out: of the
/// secret of the caller's account and mode.
///
/// # Errors
/// A 500 when the database cannot be used.
pub(crate) async fn derived(ctx: &mut Ctx, purpose: &str) -> Result<[u8; 32]> {
    let secret = sql::secret_or_create(ctx).await?;
    Ok(token::derived(&secret, purpose))
}

/// Makes a session.
///
/// # Errors
/// A 500 when the database cannot be used.
pub async fn create(ctx: &mut Ctx, _: Create) -> Result<Value> {
    let secret = sql::secret_or_create(ctx).await?;
    let expires_at = Timestamp(ctx.now.0.saturating_add(SESSION_S));
    let id: Id<SessionKind> = ctx.new_id();
    let claims = Claims {
        scope: ctx.scope().clone(),
        key: ctx.caller.key.clone(),
        session: id.clone(),
        expires_at,
    };
    Ok(json!({
        "id": id.as_str(),
        "object": "v2.billing.meter_event_session",
        "authentication_token": claims.seal(&secret),
        "created": ctx.now.to_rfc3339(),
        "expires_at": expires_at.to_rfc3339(),
        "livemode": ctx.scope().mode.is_live(),
    }))
}
