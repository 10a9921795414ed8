//! Deliveries: an event on its way to an endpoint, and what came of each attempt.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taximeter_db::{Arg, Cells, DbError, Row, args};
use taximeter_kernel::id::{Kind as _, Mode, WebhookDelivery};
use taximeter_kernel::time::Timestamp;

use super::{TRIES_MAX, retrieve, schedule};
use crate::ctx::{Ctx, word};
use crate::error::{Error, Result};
use crate::page::{Direction, List as Page};
use crate::params::Choice as _;
use crate::stored;

/// How many attempts of one delivery are kept: its tries, and some that were asked for.
const ATTEMPTS_KEPT_MAX: usize = 16;
/// How much of an answer is kept, in bytes.
pub(super) const ANSWER_BYTES_KEPT_MAX: usize = 1_024;

crate::choice! {
    /// How far a delivery has come.
    pub enum Status {
        /// It is to be tried, again or for the first time.
        Pending = "pending",
        /// The endpoint took it.
        Succeeded = "succeeded",
        /// It was tried for as long as it is tried.
        Failed = "failed",
        /// The endpoint was disabled when it was to be tried.
        Canceled = "canceled",
    }
}

crate::choice! {
    /// Why a call came to nothing, when nobody answered.
    pub enum Unsent {
        /// The URL, or all that its name stands for, is out of reach.
        Forbidden = "destination_not_allowed",
        /// The name stands for no address.
        Unresolved = "name_not_resolved",
        /// Nobody takes connections there.
        Unconnected = "connection_failed",
        /// The certificate was not to be trusted, or TLS failed otherwise.
        Insecure = "tls_failed",
        /// There was no answer in time.
        TimedOut = "timed_out",
        /// The connection broke, or what came was no HTTP.
        Broken = "connection_broken",
    }
}

/// One attempt, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: i64,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The HTTP status, if there was an answer.
    pub response_status: Option<u16>,
    /// The first of what was answered.
    pub response_body: Option<String>,
    /// Why there was no answer, a word of [`Unsent`].
    pub error: Option<String>,
}

impl Attempt {
    fn has_succeeded(&self) -> bool {
        self.response_status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub(super) seq: i64,
    pub(super) endpoint: i64,
    pub(super) event: i64,
    /// How far it has come.
    pub status: Status,
    /// When it is tried next, or while it is claimed, when it is taken for lost.
    pub due: Option<Timestamp>,
    pub(super) claimed: bool,
    pub(super) claims: i64,
    /// How often it was tried since it was last begun.
    pub tries: i64,
    /// What came of it, oldest first.
    pub attempts: Vec<Attempt>,
    pub(super) created: Timestamp,
}

impl Row for Delivery {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            endpoint: cells.get("endpoint")?,
            event: cells.get("event")?,
            status: word(cells, "status")?,
            due: cells.get("due")?,
            claimed: cells.get("claimed")?,
            claims: cells.get("claims")?,
            tries: cells.get("tries")?,
            attempts: stored::read(cells, "attempts")?,
            created: cells.get("created")?,
        })
    }
}

impl Delivery {
    /// Keeps an attempt.
    pub(super) fn keep(&mut self, attempt: Attempt) {
        if self.attempts.len() >= ATTEMPTS_KEPT_MAX {
            self.attempts.remove(0);
        }
        self.attempts.push(attempt);
    }

    /// What becomes of it after an attempt: taken, tried again, or given up.
    pub(super) fn settle(
        &mut self,
        attempt: Attempt,
        (mode, test_tries_max): (Mode, i64),
        now: Timestamp,
        entropy: [u8; 32],
    ) {
        let succeeded = attempt.has_succeeded();
        self.keep(attempt);
        self.claimed = false;
        self.tries = self.tries.saturating_add(1).min(TRIES_MAX);
        self.due = if succeeded {
            None
        } else {
            schedule::next(self.tries, mode, test_tries_max, now, entropy)
        };
        self.status = match (succeeded, self.due) {
            (true, _) => Status::Succeeded,
            (false, Some(_)) => Status::Pending,
            (false, None) => Status::Failed,
        };
    }
}

crate::params! {
    /// A list of deliveries.
    pub struct ListDeliveries with page {
        /// Only those that have come so far.
        pub status: Option<Status>,
    }
}

/// A delivery with the names of what it delivers.
struct Listed {
    delivery: Delivery,
    event: String,
    kind: String,
}

impl Row for Listed {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            delivery: Delivery::read(cells)?,
            event: cells.get("event_id")?,
            kind: cells.get("event_type")?,
        })
    }
}

macro_rules! page {
    ($order:literal) => {
        concat!(
            "SELECT d.*, v.id AS event_id, v.type AS event_type FROM webhook_deliveries AS d ",
            "JOIN events AS v ON v.seq = d.event WHERE d.endpoint = $1 ",
            "AND ($2 IS NULL OR d.status = $2) ",
            "AND ($3 IS NULL OR d.seq < $3) AND ($4 IS NULL OR d.seq > $4)",
            $order
        )
    };
}

/// Lists the deliveries to an endpoint, newest first.
///
/// # Errors
/// A 404 when there is no such endpoint, a 400 when a cursor names nothing.
pub async fn list_deliveries(ctx: &mut Ctx, id: &str, input: ListDeliveries) -> Result<Page> {
    let endpoint = retrieve(ctx, id).await?;
    let page = input.page()?;
    let mut cursor_seq = None;
    if let Some((id, param)) = page.cursor() {
        let missing = || Error::no_such(WebhookDelivery::NOUN, id, param);
        let number = id.strip_prefix("whd_").and_then(|number| number.parse::<i64>().ok());
        let sql = "SELECT seq FROM webhook_deliveries WHERE endpoint = $1 AND seq = $2";
        let args = args![endpoint.seq, number.ok_or_else(missing)?];
        cursor_seq = Some(ctx.tx.optional(sql, args).await?.ok_or_else(missing)?);
    }
    let (below, above) = page.seq_bounds(cursor_seq);
    let status = Arg::from(input.status.map(Status::as_str));
    let args = vec![Arg::from(endpoint.seq), status, below, above, Arg::from(page.rows())];
    let sql = match page.direction() {
        Direction::Descending => page!(" ORDER BY d.seq DESC LIMIT $5"),
        Direction::Ascending => page!(" ORDER BY d.seq ASC LIMIT $5"),
    };
    let slice = page.cut(ctx.tx.rows::<Listed>(sql, args).await?);
    let endpoint_id = endpoint.id.as_str();
    Ok(Page {
        url: format!("/v1/webhook_endpoints/{endpoint_id}/deliveries"),
        has_more: slice.has_more,
        data: slice.rows.iter().map(|it| it.wire(endpoint_id, endpoint.livemode)).collect(),
    })
}

impl Listed {
    fn wire(&self, endpoint: &str, livemode: bool) -> Value {
        let delivery = &self.delivery;
        let next = delivery.due.filter(|_| !delivery.claimed).map(|due| due.0);
        json!({
            "id": format!("{}_{}", WebhookDelivery::PREFIX, delivery.seq),
            "object": "webhook_delivery",
            "attempts": delivery.attempts,
            "created": delivery.created.0,
            "event": self.event,
            "event_type": self.kind,
            "livemode": livemode,
            "next_attempt_at": next,
            "status": delivery.status.as_str(),
            "under_way": delivery.claimed,
            "webhook_endpoint": endpoint,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(status: Option<u16>) -> Attempt {
        Attempt {
            at: 7,
            duration_ms: 13,
            response_status: status,
            response_body: None,
            error: None,
        }
    }

    fn delivery(tries: i64) -> Delivery {
        Delivery {
            seq: 1,
            endpoint: 1,
            event: 1,
            status: Status::Pending,
            due: Some(Timestamp(47)),
            claimed: true,
            claims: 1,
            tries,
            attempts: Vec::new(),
            created: Timestamp(7),
        }
    }

    #[test]
    fn only_a_status_of_the_two_hundreds_is_a_success() {
        for (status, expected) in [
            (Some(200), Status::Succeeded),
            (Some(204), Status::Succeeded),
            (Some(299), Status::Succeeded),
            (Some(199), Status::Pending),
            (Some(302), Status::Pending),
            (Some(410), Status::Pending),
            (Some(500), Status::Pending),
            (None, Status::Pending),
        ] {
            let mut delivery = delivery(0);
            let bounds = (Mode::Live, TRIES_MAX);
            delivery.settle(attempt(status), bounds, Timestamp(100), [0; 32]);
            let due = (expected == Status::Pending).then_some(Timestamp(400));
            assert_eq!((delivery.status, delivery.due), (expected, due), "{status:?}");
            assert_eq!((delivery.tries, delivery.claimed, delivery.attempts.len()), (1, false, 1));
        }
    }

    #[test]
    fn the_last_try_that_fails_is_the_end_of_it() {
        let mut delivery = delivery(TRIES_MAX - 1);
        delivery.settle(attempt(Some(500)), (Mode::Live, TRIES_MAX), Timestamp(100), [0; 32]);
        assert_eq!((delivery.status, delivery.due), (Status::Failed, None));
    }

    #[test]
    fn the_newest_attempts_are_kept() {
        let mut delivery = delivery(0);
        for at in 0..20 {
            delivery.keep(Attempt { at, ..attempt(None) });
        }
        let kept: Vec<i64> = delivery.attempts.iter().map(|attempt| attempt.at).collect();
        assert_eq!(kept, (4..20).collect::<Vec<_>>());
    }
}
