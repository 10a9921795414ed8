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
        pub webhook_endpoint: Option<Text<255>>,
        /// Whether to show it to those who listen on a command line, when no endpoint is named.
        pub for_stripecli: Option<bool>,
    }
}

/// Sends an event to an endpoint, whether it was sent there before or not. It is tried as if it were
/// new.
///
/// # Errors
/// A 404 when there is no such event, a 400 when there is no such endpoint, it is disabled, or nobody
/// listens.
pub async fn resend(ctx: &mut Ctx, id: &str, input: Resend) -> Result<Event> {
    const PARAM: &str = "webhook_endpoint";
    let event = events::retrieve(ctx, id).await?;
    let Some(name) = input.webhook_endpoint else {
        if input.for_stripecli != Some(true) {
            return Err(Error::missing(PARAM));
        }
        if !ctx.webhooks().listeners.again(ctx.scope(), event.seq(), ctx.wall()) {
            let message = "Nobody is listening: run `stripe listen`, or name a webhook_endpoint.";
            return Err(Error::invalid(message).param("for_stripecli"));
        }
        return Ok(event);
    };
    if input.for_stripecli == Some(true) {
        let message =
            "You may only specify one of these parameters: webhook_endpoint, for_stripecli.";
        return Err(Error::invalid(message).code("parameters_exclusive").param(PARAM));
    }
    let Some(endpoint) = sql::find_locked(ctx, &name).await? else {
        return Err(ctx.no_such(EndpointKind::NOUN, &name, PARAM).await?);
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
