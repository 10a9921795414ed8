//! One turn of sending: what came back is settled and what is due is claimed, in one transaction.
//!
//! A claim is a lease. Its delivery is due again when the lease ends, so that a process which dies
//! loses nothing; each claim has a number, so that a report which comes too late changes nothing.

use taximeter_db::{Arg, Tx, args};
use taximeter_kernel::id::Mode;
use taximeter_kernel::time::Timestamp;

use super::deliveries::ANSWER_BYTES_KEPT_MAX;
use super::{Attempt, Delivery, Lanes, Settings, Unsent, WebhookEndpoint, signature};
use crate::ctx::Services;
use crate::error::{Error, Result};
use crate::params::Choice as _;
use crate::version::ApiVersion;
use crate::{events, stored};

/// How many endpoints are looked at in one turn.
const ENDPOINTS_PER_TURN_MAX: i64 = 256;
/// How many deliveries one turn cancels.
const CANCELED_PER_TURN_MAX: i64 = 1_000;
/// How much longer a lease is than a call may take, in seconds: to write down what came of it.
const LEASE_MARGIN_S: i64 = 15;

/// A call to make.
#[derive(Debug, Clone)]
pub struct Post {
    delivery: Delivery,
    /// Whether it tells of the live dataset.
    pub mode: Mode,
    /// Where to.
    pub url: String,
    /// What is sent, to the byte.
    pub body: String,
    /// The `Stripe-Signature` header.
    pub signature: String,
    at: Timestamp,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An answer.
    Status {
        /// The HTTP status.
        status: u16,
        /// The first bytes of its body.
        body: Vec<u8>,
    },
    /// None.
    Unsent(Unsent),
}

/// What came of a call, to be settled.
#[derive(Debug, Clone)]
pub struct Report {
    delivery: Delivery,
    mode: Mode,
    attempt: Attempt,
}

impl Post {
    /// What is reported of it.
    #[must_use]
    pub fn report(self, answer: &Answer, duration_ms: i64) -> Report {
        let (response_status, response_body, error) = match answer {
            Answer::Status { status, body } => {
                let kept = body.get(..ANSWER_BYTES_KEPT_MAX).unwrap_or(body);
                (Some(*status), Some(String::from_utf8_lossy(kept).into_owned()), None)
            }
            Answer::Unsent(why) => (None, None, Some(why.as_str().to_owned())),
        };
        let at = self.at.0;
        let attempt = Attempt { at, duration_ms, response_status, response_body, error };
        Report { delivery: self.delivery, mode: self.mode, attempt }
    }
}

/// What a turn came to.
#[derive(Debug, Default)]
pub struct Turn {
    /// The calls to make.
    pub posts: Vec<Post>,
    /// Whether there is more to claim at once.
    pub more: bool,
}

/// Settles reports and claims what is due, as much as there is room for. After an error nothing has
/// happened, and the reports are to be brought again.
///
/// # Errors
/// A 500 when the database cannot be written.
pub async fn turn(
    services: &Services,
    now: Timestamp,
    reports: &[Report],
    lanes: &mut Lanes,
) -> Result<Turn> {
    let settings = &services.webhooks.settings;
    let mut next = lanes.clone();
    let lease_s = settings.timeout_s.saturating_add(LEASE_MARGIN_S);
    next.forget_before(Timestamp(now.0.saturating_sub(lease_s)));
    for report in reports {
        next.end(report.delivery.endpoint, report.delivery.seq, now);
    }
    let (due, more) = endpoints_due(services, now, &mut next).await?;
    if reports.is_empty() && due.is_empty() {
        *lanes = next;
        return Ok(Turn { posts: Vec::new(), more });
    }
    let mut tx = services.db.begin().await?;
    for report in reports {
        settle(&mut tx, settings, report, now, (services.entropy)()).await?;
    }
    let mut posts = Vec::new();
    let lease = Timestamp(now.0.saturating_add(lease_s));
    for endpoint in &due {
        if endpoint.disabled {
            cancel(&mut tx, endpoint, now).await?;
            continue;
        }
        let room = next.room(endpoint.seq, now);
        if room == 0 {
            continue;
        }
        for delivery in claim(&mut tx, endpoint, room, (now, lease)).await? {
            let (number, event) = (delivery.seq, delivery.event);
            if let Some(post) = post(&mut tx, endpoint, delivery, now).await? {
                next.begin(endpoint.seq, number, now);
                posts.push(post);
            } else {
                tracing::warn!(event.seq = event, "a delivery has lost its event");
            }
        }
        if next.is_full(now) {
            // The others come first when there is room again.
            next.served(endpoint.seq);
            break;
        }
    }
    tx.commit().await?;
    *lanes = next;
    Ok(Turn { posts, more })
}

/// The endpoints that have something due, from the one after the last that was served, and whether
/// there may be others.
async fn endpoints_due(
    services: &Services,
    now: Timestamp,
    lanes: &mut Lanes,
) -> Result<(Vec<WebhookEndpoint>, bool)> {
    if lanes.is_full(now) {
        return Ok((Vec::new(), false));
    }
    let sql = "SELECT * FROM webhook_endpoints AS e WHERE e.seq > $1 AND NOT e.deleted \
               AND EXISTS (SELECT 1 FROM webhook_deliveries AS d \
               WHERE d.endpoint = e.seq AND d.due <= $2) ORDER BY e.seq LIMIT $3";
    let after = lanes.after();
    let mut tx = services.db.begin_read().await?;
    let due: Vec<WebhookEndpoint> = tx.rows(sql, args![after, now, ENDPOINTS_PER_TURN_MAX]).await?;
    let is_page = i64::try_from(due.len()).map_err(Error::internal)? >= ENDPOINTS_PER_TURN_MAX;
    if !is_page {
        // The next turn begins with the first again.
        lanes.served(0);
    }
    Ok((due, is_page || after > 0))
}

/// Writes down what came of a call.
async fn settle(
    tx: &mut Tx,
    settings: &Settings,
    report: &Report,
    now: Timestamp,
    entropy: [u8; 32],
) -> Result<()> {
    let mut delivery = report.delivery.clone();
    let bounds = (report.mode, settings.test_tries_max);
    delivery.settle(report.attempt.clone(), bounds, now, entropy);
    let sql = "UPDATE webhook_deliveries SET status = $3, due = $4, claimed = FALSE, tries = $5, \
               attempts = $6 WHERE seq = $1 AND claims = $2";
    let args = vec![
        Arg::from(delivery.seq),
        Arg::from(delivery.claims),
        Arg::from(delivery.status.as_str()),
        Arg::from(delivery.due),
        Arg::from(delivery.tries),
        stored::write(&delivery.attempts)?,
    ];
    if tx.execute(sql, args).await? > 0 {
        return Ok(());
    }
    // Another has it by now, or it was begun anew: what came of this attempt is kept all the same.
    let sql = "SELECT * FROM webhook_deliveries WHERE seq = $1";
    let found = tx.optional_for_update(sql, args![delivery.seq]).await?;
    let Some::<Delivery>(mut delivery) = found else { return Ok(()) };
    delivery.keep(report.attempt.clone());
    let sql = "UPDATE webhook_deliveries SET attempts = $2 WHERE seq = $1";
    tx.execute(sql, vec![Arg::from(delivery.seq), stored::write(&delivery.attempts)?]).await?;
    Ok(())
}

/// What was to be tried at a disabled endpoint is not tried any more, as Stripe has it.
async fn cancel(tx: &mut Tx, endpoint: &WebhookEndpoint, now: Timestamp) -> Result<()> {
    let sql = "UPDATE webhook_deliveries SET status = 'canceled', due = NULL, claimed = FALSE \
               WHERE seq IN (SELECT seq FROM webhook_deliveries \
               WHERE endpoint = $1 AND due <= $2 ORDER BY due, seq LIMIT $3)";
    tx.execute(sql, args![endpoint.seq, now, CANCELED_PER_TURN_MAX]).await?;
    Ok(())
}

/// Takes what is due at an endpoint, and nobody else has.
async fn claim(
    tx: &mut Tx,
    endpoint: &WebhookEndpoint,
    room: usize,
    (now, lease): (Timestamp, Timestamp),
) -> Result<Vec<Delivery>> {
    let sql = "SELECT * FROM webhook_deliveries WHERE endpoint = $1 AND due <= $2 \
               ORDER BY due, seq LIMIT $3";
    let room = i64::try_from(room).map_err(Error::internal)?;
    let mut claimed: Vec<Delivery> = tx.rows_unclaimed(sql, args![endpoint.seq, now, room]).await?;
    for delivery in &mut claimed {
        delivery.claims = delivery.claims.saturating_add(1);
        let sql = "UPDATE webhook_deliveries SET claimed = TRUE, claims = $2, due = $3 \
                   WHERE seq = $1";
        tx.execute(sql, args![delivery.seq, delivery.claims, lease]).await?;
    }
    Ok(claimed)
}

/// The call that a delivery is; nothing when its event is gone, and then it is gone too.
async fn post(
    tx: &mut Tx,
    endpoint: &WebhookEndpoint,
    delivery: Delivery,
    now: Timestamp,
) -> Result<Option<Post>> {
    let Some(event) = events::of_delivery(tx, delivery.event).await? else {
        tx.execute("DELETE FROM webhook_deliveries WHERE seq = $1", args![delivery.seq]).await?;
        return Ok(None);
    };
    let version = endpoint.api_version.clone().unwrap_or_else(ApiVersion::newest);
    let body = serde_json::to_string_pretty(&event.wire_in(&version)).map_err(Error::internal)?;
    let signature = signature::header(endpoint.secrets(now), now, &body);
    let mode = if endpoint.livemode { Mode::Live } else { Mode::Test };
    Ok(Some(Post { delivery, mode, url: endpoint.url.clone(), body, signature, at: now }))
}
