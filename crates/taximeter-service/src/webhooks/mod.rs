//! Webhook endpoints: who is told of events, and how that is done.
//!
//! An event and its deliveries are written in one transaction ([`mod@queue`]). Deliveries that are due
//! are claimed, sent and settled by a [`mod@dispatch`], of which any number may be at work on the same
//! database. What speaks HTTP is a [`Courier`], which lives elsewhere.

mod deliveries;
mod destination;
mod dispatch;
mod input;
mod lanes;
mod listen;
mod names;
mod queue;
mod resend;
mod schedule;
mod shared;
mod signature;
mod sql;
mod sweep;
mod turn;
mod wire;

use std::collections::BTreeMap;

pub use deliveries::{Attempt, Delivery, ListDeliveries, Status, Unsent, list_deliveries};
pub use destination::{Reach, to_call};
pub use dispatch::{Clock, Courier, dispatch};
pub use input::{Create, Delete, List, Rotate, Update};
pub use lanes::{AT_ONCE_TO_ONE_MAX, Lanes, WAITING_S};
pub use listen::{Listen, Listener, Listeners, listen, unheard};
pub(crate) use queue::{Wanted, queue};
pub use resend::{Resend, resend};
pub use schedule::{RETRY_AFTER_S, TRIES_MAX};
use serde_json::{Value, json};
pub use shared::{Settings, Shared};
pub use signature::Secret;
pub use sweep::{Backlog, backlog, release, sweep};
use taximeter_kernel::id::{Id, Kind as _, WebhookEndpoint as EndpointKind};
use taximeter_kernel::time::Timestamp;
pub use turn::{Answer, Post, Report, Turn, turn};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::version::ApiVersion;

/// The most endpoints of an account's mode (Stripe's bound).
pub const ENDPOINTS_MAX: i64 = 16;
/// The longest that an old secret goes on signing, in seconds: Stripe's 24 hours.
pub const OLD_SECRET_S_MAX: i64 = 86_400;
/// What stands for every event.
const EVERYTHING: &str = "*";

/// Who is told of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    seq: i64,
    /// Its id.
    pub id: Id<EndpointKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Where events are sent.
    pub url: String,
    /// The types of the events that are sent, or `*`.
    pub enabled_events: Vec<String>,
    /// The version of the API in which events are shown, if it is not the newest.
    pub api_version: Option<ApiVersion>,
    /// A note of the operator's.
    pub description: Option<String>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// Whether nothing is sent for now.
    pub disabled: bool,
    /// What is signed with.
    pub secret: Secret,
    /// What was signed with before, and until when it is signed with that too.
    pub old_secret: Option<(Secret, Timestamp)>,
    /// When it was made.
    pub created: Timestamp,
}

impl WebhookEndpoint {
    /// What is signed with at an instant, newest first.
    pub(crate) fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let old = self.old_secret.iter().filter(move |(_, until)| now < *until);
        std::iter::once(&self.secret).chain(old.map(|(secret, _)| secret))
    }
}

/// Makes an endpoint. Its secret is shown this once.
///
/// # Errors
/// A 400 when the URL is not one to call, an event has no such name, or there are too many.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Value> {
    let (mode, reach) = (ctx.scope().mode, ctx.webhooks().settings.reach);
    destination::check(&input.url, mode, reach)?;
    let enabled_events = input::enabled_events(input.enabled_events)?;
    if input.connect == Some(true) {
        let message = "Invalid connect: there are no connected accounts here.";
        return Err(Error::invalid(message).param("connect"));
    }
    let api_version = input.api_version.as_deref().map(input::api_version).transpose()?;
    sql::lock_account(ctx).await?;
    if sql::count(ctx).await? >= ENDPOINTS_MAX {
        return Err(Error::invalid(format!(
            "You have reached the maximum of {ENDPOINTS_MAX} {} webhook endpoints.",
            mode.as_str()
        )));
    }
    let endpoint = WebhookEndpoint {
        seq: 0,
        id: ctx.new_id(),
        livemode: mode.is_live(),
        url: input.url.into(),
        enabled_events,
        api_version,
        description: input.description.or_none().map(Into::into),
        metadata: input.metadata.0,
        disabled: false,
        secret: Secret::generate(ctx.entropy()),
        old_secret: None,
        created: ctx.now,
    };
    sql::insert(ctx, &endpoint).await?;
    Ok(endpoint.wire_with_secret())
}

/// Reads an endpoint whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<WebhookEndpoint> {
    match sql::find(ctx, id).await? {
        Some(endpoint) => Ok(endpoint),
        None => Err(ctx.no_such_path(EndpointKind::NOUN, id).await?),
    }
}

async fn retrieve_locked(ctx: &mut Ctx, id: &str) -> Result<WebhookEndpoint> {
    match sql::find_locked(ctx, id).await? {
        Some(endpoint) => Ok(endpoint),
        None => Err(ctx.no_such_path(EndpointKind::NOUN, id).await?),
    }
}

/// Changes an endpoint.
///
/// # Errors
/// A 404 when there is none, a 400 as for [`create`].
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<WebhookEndpoint> {
    let mut endpoint = retrieve_locked(ctx, id).await?;
    if let Some(url) = input.url {
        destination::check(&url, ctx.scope().mode, ctx.webhooks().settings.reach)?;
        endpoint.url = url.into();
    }
    if let Some(events) = input.enabled_events {
        endpoint.enabled_events = input::enabled_events(events)?;
    }
    endpoint.disabled = input.disabled.unwrap_or(endpoint.disabled);
    input.description.apply(&mut endpoint.description);
    input.metadata.apply(&mut endpoint.metadata)?;
    sql::update(ctx, &endpoint).await?;
    Ok(endpoint)
}

/// Gives an endpoint another secret, and shows it this once. The old one goes on signing beside it
/// for as long as is asked; one that was older still ends.
///
/// # Errors
/// A 404 when there is none, a 400 when that is too long.
pub async fn rotate_secret(ctx: &mut Ctx, id: &str, input: Rotate) -> Result<Value> {
    let expires_in_s = input.expires_in.unwrap_or(0);
    if !(0..=OLD_SECRET_S_MAX).contains(&expires_in_s) {
        let message =
            format!("Invalid expires_in: must be between 0 and {OLD_SECRET_S_MAX} seconds.");
        return Err(Error::invalid(message).param("expires_in"));
    }
    let mut endpoint = retrieve_locked(ctx, id).await?;
    let until = Timestamp(ctx.wall().0.saturating_add(expires_in_s));
    let old = std::mem::replace(&mut endpoint.secret, Secret::generate(ctx.entropy()));
    endpoint.old_secret = (expires_in_s > 0).then_some((old, until));
    sql::update(ctx, &endpoint).await?;
    Ok(endpoint.wire_with_secret())
}

/// Deletes an endpoint, and what was not delivered to it.
///
/// # Errors
/// A 404 when there is none.
pub async fn delete(ctx: &mut Ctx, id: &str, _: Delete) -> Result<Value> {
    let endpoint = retrieve_locked(ctx, id).await?;
    sql::delete(ctx, &endpoint).await?;
    Ok(json!({ "id": endpoint.id.as_str(), "object": "webhook_endpoint", "deleted": true }))
}

/// Lists endpoints, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let page = input.page()?;
    let slice: crate::page::Slice<WebhookEndpoint> =
        ctx.page(&page, EndpointKind::NOUN, (sql::SEQ, sql::LIST), []).await?;
    Ok(Page {
        url: "/v1/webhook_endpoints".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(WebhookEndpoint::wire).collect(),
    })
}
