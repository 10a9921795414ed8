//! Sending an event again, because somebody asks for it.

use taximeter_db::Arg;
use taximeter_kernel::id::{Kind as _, WebhookEndpoint as EndpointKind};

use super::sql;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::events::{self, Event};
use crate::params::Text;

crate::params! {
    /// Where an event is sent again.
    pub struct Resend {
        /// The endpoint.
        pub webhook_endpoint: Text<255>,
    }
}

/// Sends an event to an endpoint, whether it was sent there before or not. It is tried as if it were
/// new.
///
/// # Errors
/// A 404 when there is no such event, a 400 when there is no such endpoint or it is disabled.
pub async fn resend(ctx: &mut Ctx, id: &str, input: Resend) -> Result<Event> {
    const PARAM: &str = "webhook_endpoint";
    let event = events::retrieve(ctx, id).await?;
    let Some(endpoint) = sql::find_locked(ctx, &input.webhook_endpoint).await? else {
        return Err(ctx.no_such(EndpointKind::NOUN, &input.webhook_endpoint, PARAM).await?);
    };
    if endpoint.disabled {
        let message = format!("The webhook endpoint '{}' is disabled.", endpoint.id);
        return Err(Error::invalid(message).param(PARAM));
    }
    // A call that is under way is another claim's from now on.
    let sql = "INSERT INTO webhook_deliveries (account, livemode, endpoint, event, status, due, \
               claimed, claims, tries, attempts, created) \
               VALUES ($1, $2, $3, $4, 'pending', $5, FALSE, 0, 0, '[]', $5) \
               ON CONFLICT (event, endpoint) DO UPDATE SET status = 'pending', due = $5, \
               claimed = FALSE, claims = webhook_deliveries.claims + 1, tries = 0";
    let args = ctx.args([Arg::from(endpoint.seq), Arg::from(event.seq()), Arg::from(ctx.wall())]);
    ctx.tx.execute(sql, args).await?;
    ctx.tell();
    events::retrieve(ctx, id).await
}
