//! Events as v2 has them: who did what to which object, without the object.
//!
//! Meters are the objects whose events v2 tells of so far.

use serde_json::{Value, json};
use taximeter_db::Arg;
use taximeter_kernel::id::{Event as EventKind, Kind as _};

use super::{Event, KEPT_S, joined, sql};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_events::Rfc3339;
use crate::page::{open_token, seal_token};
use crate::params::{Limit, Text};

/// Between an event's id and that of its thin twin.
const THIN: &str = "thin_";
/// What the types of events begin with of which only v2 tells.
const THIN_ONLY: &str = "v1.";

crate::params! {
    /// Bounds of an instant.
    pub struct Created {
        /// After.
        pub gt: Option<Rfc3339>,
        /// At or after.
        pub gte: Option<Rfc3339>,
        /// Before.
        pub lt: Option<Rfc3339>,
        /// At or before.
        pub lte: Option<Rfc3339>,
    }
}

crate::params! {
    /// A list of thin events.
    pub struct ListThin {
        /// Only events that happened in this span.
        pub created: Option<Created>,
        /// How many.
        pub limit: Limit,
        /// Only events about this object.
        pub object_id: Option<Text<255>>,
        /// The page, as `next_page_url` names it.
        pub page: Option<Text<255>>,
        /// Only events of these types.
        pub types: Option<Vec<Text<100>>>,
    }
}

/// Lists thin events, newest first.
///
/// # Errors
/// A 400 when the page token is malformed.
pub async fn list_thin(ctx: &mut Ctx, input: ListThin) -> Result<Value> {
    let below = input.page.as_deref().map(|token| open_token(token, "page")).transpose()?;
    let types = joined(input.types.as_deref())?;
    let (min, max) = input.created.as_ref().map_or((None, None), Created::bounds);
    let oldest = ctx.now.0.saturating_sub(KEPT_S);
    let rows = input.limit.0.saturating_add(1);
    let args = ctx.args([
        Arg::from(below),
        Arg::from(min.map_or(oldest, |min| min.max(oldest))),
        Arg::from(max),
        Arg::from(input.object_id.as_deref()),
        Arg::from(types),
        Arg::from(rows),
    ]);
    let mut events: Vec<Event> = ctx.tx.rows(sql::LIST_THIN, args).await?;
    let limit = usize::try_from(input.limit.0).map_err(Error::internal)?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(|last| input.url(&seal_token(last.seq)));
    Ok(json!({
        "data": events.iter().map(Event::thin).collect::<Vec<_>>(),
        "next_page_url": next,
        "previous_page_url": null,
    }))
}

/// Reads a thin event.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve_thin(ctx: &mut Ctx, id: &str) -> Result<Value> {
    let prefix = format!("{}_{THIN}", EventKind::PREFIX);
    let missing = || Error::no_such_path(EventKind::NOUN, id).code("not_found");
    let random = id.strip_prefix(&prefix).ok_or_else(missing)?;
    let full = format!("{}_{random}", EventKind::PREFIX);
    match sql::find(ctx, &full, super::oldest(ctx)).await? {
        Some(event) if event.is_thin_only() || event.kind.starts_with("billing.meter.") => {
            Ok(event.thin())
        }
        Some(_) | None => Err(missing()),
    }
}

/// The id of an event as v2 has it: `evt_x` is `evt_thin_x`.
#[must_use]
pub fn thin_id(id: &str) -> String {
    let random = id.rsplit('_').next().unwrap_or("");
    format!("{}_{THIN}{random}", EventKind::PREFIX)
}

impl Created {
    /// The first and the last second of the span.
    fn bounds(&self) -> (Option<i64>, Option<i64>) {
        let above = self.gt.map(|at| at.0.0.saturating_add(1));
        let below = self.lt.map(|at| at.0.0.saturating_sub(1));
        let last = match (below, self.lte.map(|at| at.0.0)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        (above.max(self.gte.map(|at| at.0.0)), last)
    }
}

impl ListThin {
    /// The address of another page of the same list.
    fn url(&self, page: &str) -> String {
        let mut url = format!("/v2/core/events?limit={}", self.limit.0);
        if let Some(id) = &self.object_id {
            url.push_str(&format!("&object_id={}", &**id));
        }
        for (index, kind) in self.types.iter().flatten().enumerate() {
            url.push_str(&format!("&types[{index}]={}", &**kind));
        }
        let (min, max) = self.created.as_ref().map_or((None, None), Created::bounds);
        for (name, bound) in [("gte", min), ("lte", max)] {
            if let Some(at) = bound {
                let at = taximeter_kernel::time::Timestamp(at).to_rfc3339();
                url.push_str(&format!("&created[{name}]={at}"));
            }
        }
        url.push_str(&format!("&page={page}"));
        url
    }
}

impl Event {
    /// Whether only v2 tells of it.
    pub(super) fn is_thin_only(&self) -> bool {
        self.kind.starts_with(THIN_ONLY)
    }

    /// The object `v2.core.event`.
    fn thin(&self) -> Value {
        if self.is_thin_only() {
            let meter = Some(self.object_id.as_str()).filter(|id| !id.is_empty());
            let mut event = self.thin_head(&self.kind, meter);
            event["data"] = self.object.clone();
            return event;
        }
        let kind = format!("{THIN_ONLY}{}", self.kind);
        let mut event = self.thin_head(&kind, self.object["id"].as_str());
        event["snapshot_event"] = self.id.as_str().into();
        if let Some(request) = &self.request {
            let key = self.idempotency_key.as_deref().unwrap_or("");
            event["reason"] = json!({
                "request": { "id": request, "idempotency_key": key },
                "type": "request",
            });
        }
        event
    }

    /// What thin events have in common.
    fn thin_head(&self, kind: &str, meter: Option<&str>) -> Value {
        let related = meter.map(|id| {
            json!({ "id": id, "type": "billing.meter", "url": format!("/v1/billing/meters/{id}") })
        });
        json!({
            "id": thin_id(self.id.as_str()),
            "object": "v2.core.event",
            "context": null,
            "created": self.created.to_rfc3339(),
            "livemode": self.livemode,
            "related_object": related,
            "type": kind,
        })
    }
}
