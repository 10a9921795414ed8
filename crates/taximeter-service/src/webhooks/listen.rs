//! `stripe listen`: events shown to a command line while somebody looks.
//!
//! A session is in the memory of the process that made it. Nothing is kept for one and nothing is
//! tried again: what happens while nobody is connected is shown at the next connection of the same
//! session, as long as the process lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use taximeter_kernel::id::Scope;
use taximeter_kernel::time::{DAY_S, Timestamp};

use super::{Secret, signature};
use crate::ctx::{Ctx, Services};
use crate::error::{Error, Result};
use crate::params::Text;
use crate::version::NEWEST;
use crate::{events, meter_event_session};

/// What a command line listens for.
const FEATURE: &str = "webhooks";
/// How long a session can be connected to, in seconds.
const SESSION_S: i64 = DAY_S;
/// The most sessions at once; past it the oldest ends.
const SESSIONS_MAX: usize = 1_000;
/// After how many seconds a command line that lost its connection comes again.
const RECONNECT_DELAY_S: i64 = 5;
/// How many events are shown at once.
const EVENTS_PER_LOOK: i64 = 100;
/// How many events wait to be shown again.
const AGAIN_MAX: usize = 100;
/// How far it is looked back for events that were written earlier and committed later.
const LOOK_BACK: i64 = 64;

crate::params! {
    /// Who listens.
    pub struct Listen {
        /// The machine's name; the signing secret is one of its own.
        pub device_name: Text<255>,
        /// What is listened for.
        pub websocket_features: Vec<Text<100>>,
        /// Where the command line forwards to. That is its own affair, here and in all that follow:
        /// it sends them along for Stripe's dashboard to show.
        pub forward_to_url: Option<Text>,
        /// The same for events of connected accounts.
        pub forward_connect_to_url: Option<Text>,
        /// The same for thin events.
        pub forward_thin_to_url: Option<Text>,
        /// The same for thin events of connected accounts.
        pub forward_thin_connect_to_url: Option<Text>,
    }
}

/// Somebody who listens.
#[derive(Debug, Clone)]
pub struct Listener {
    scope: Scope,
    secret: Secret,
    until: Timestamp,
    /// Events up to this number had been written when the session began.
    began_after: i64,
    /// The latest events that have been shown.
    shown: BTreeSet<i64>,
    /// Events that are to be shown again.
    again: BTreeSet<i64>,
}

/// Everybody who listens to this process, by the name of their session.
#[derive(Debug, Default)]
pub struct Listeners(Mutex<BTreeMap<String, Listener>>);

impl Listeners {
    // The map is valid between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, name: String, listener: Listener, now: Timestamp) {
        let mut all = self.lock();
        all.retain(|_, listener| now < listener.until);
        if all.len() >= SESSIONS_MAX
            && let Some(oldest) =
                all.iter().min_by_key(|(_, it)| it.until).map(|(name, _)| name.clone())
        {
            all.remove(&oldest);
        }
        all.insert(name, listener);
    }

    /// Who has this session, if it still is one.
    #[must_use]
    pub fn find(&self, name: &str, now: Timestamp) -> Option<Listener> {
        self.lock().get(name).filter(|listener| now < listener.until).cloned()
    }

    /// Has an event shown again to all who listen to an account's mode. Returns whether anybody does.
    pub(super) fn again(&self, scope: &Scope, event: i64, now: Timestamp) -> bool {
        let mut all = self.lock();
        let mut heard = false;
        for listener in all.values_mut().filter(|it| it.scope == *scope && now < it.until) {
            if listener.again.len() < AGAIN_MAX {
                listener.again.insert(event);
            }
            heard = true;
        }
        heard
    }

    fn keep(&self, name: &str, shown: &BTreeSet<i64>) {
        if let Some(listener) = self.lock().get_mut(name) {
            listener.shown.clone_from(shown);
        }
    }

    fn take_again(&self, name: &str) -> BTreeSet<i64> {
        self.lock().get_mut(name).map_or_else(BTreeSet::new, |it| std::mem::take(&mut it.again))
    }
}

/// Makes a session. Its `websocket_url` is to be put in by who knows the server's address.
///
/// # Errors
/// A 400 when something else than webhooks is listened for.
pub async fn listen(ctx: &mut Ctx, input: Listen) -> Result<Value> {
    if !input.websocket_features.iter().any(|feature| &**feature == FEATURE) {
        let message = "Invalid websocket_features: only webhooks can be listened for here.";
        return Err(Error::invalid(message).param("websocket_features"));
    }
    let purpose = format!("stripecli:{}", &*input.device_name);
    let secret = Secret::generate(meter_event_session::derived(ctx, &purpose).await?);
    let name = Secret::generate(ctx.entropy()).expose().replacen("whsec_", "cliws_", 1);
    let listener = Listener {
        scope: ctx.scope().clone(),
        secret: secret.clone(),
        until: Timestamp(ctx.wall().0.saturating_add(SESSION_S)),
        began_after: events::latest(ctx).await?,
        shown: BTreeSet::new(),
        again: BTreeSet::new(),
    };
    ctx.webhooks().listeners.add(name.clone(), listener, ctx.wall());
    Ok(json!({
        "object": "stripecli.session",
        "default_version": NEWEST,
        "display_connect_filter_warning": false,
        "latest_version": NEWEST,
        "reconnect_delay": RECONNECT_DELAY_S,
        "secret": secret.expose(),
        "websocket_authorized_feature": FEATURE,
        "websocket_id": name,
        "websocket_url": "",
    }))
}

/// What a listener has not been shown yet, as the messages that show it; and it counts as shown.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn unheard(
    services: &Services,
    name: &str,
    listener: &mut Listener,
    now: Timestamp,
) -> Result<Vec<String>> {
    let latest = listener.shown.last().copied().unwrap_or(listener.began_after);
    let after = latest.saturating_sub(LOOK_BACK).max(listener.began_after);
    let mut tx = services.db.begin_read().await?;
    let mut events =
        events::after(&mut tx, &listener.scope, (after, latest), EVENTS_PER_LOOK).await?;
    events.retain(|event| listener.shown.insert(event.seq()));
    for seq in services.webhooks.listeners.take_again(name) {
        events.extend(events::of_delivery(&mut tx, seq).await?);
    }
    let mut messages = Vec::new();
    for event in events {
        let payload = serde_json::to_string_pretty(&event.wire()).map_err(Error::internal)?;
        let signature = signature::header([&listener.secret], now, &payload);
        // Those who asked for the latest version take the second, the others the first.
        for version in [Value::Null, NEWEST.into()] {
            messages.push(message(event.id.as_str(), &version, &payload, &signature));
        }
    }
    while listener.shown.first().is_some_and(|first| *first < latest.saturating_sub(LOOK_BACK)) {
        listener.shown.pop_first();
    }
    services.webhooks.listeners.keep(name, &listener.shown);
    Ok(messages)
}

fn message(event: &str, version: &Value, payload: &str, signature: &str) -> String {
    let random = event.rsplit('_').next().unwrap_or(event);
    json!({
        "type": "webhook_event",
        "endpoint": { "api_version": version },
        "event_payload": payload,
        "http_headers": {
            "Accept": "*/*",
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature,
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        },
        "webhook_conversation_id": format!("wc_{random}"),
        "webhook_id": format!("wh_{random}"),
    })
    .to_string()
}
