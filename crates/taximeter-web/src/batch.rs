//! Many events at a time, each answered for: Stripe has no such endpoint.

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;
use taximeter_service::api_keys::Access;
use taximeter_service::ctx::Caller;
use taximeter_service::error::{Error, Result};
use taximeter_service::expand::Expand;
use taximeter_service::meter_events::{
    BatchCreate, EVENTS_PER_REQUEST_MAX, Events, Instants, PAYLOAD_MEMBERS_MAX, Validation,
    record_many,
};
use taximeter_service::params::{Decode as _, Path};
use xxhash_rust::xxh3::xxh3_64;

use crate::app::App;
use crate::dispatch::mark_replayed;
use crate::endpoint::{Flavor, Spec};
use crate::error;
use crate::head::{Asker, Head, KeySeen};
use crate::ingest::RESOURCE;
use crate::request::{form_params, is_json, json_params, json_response, read_body_within};
use crate::stream::{EVENTS_BODY_BYTES_MAX, EVENTS_VALUES_MAX, put_counts, request_id};

/// Where batches go.
pub(crate) const PATH: &str = "/v1/billing/meter_events/batch";
/// The most pairs in a form of events: as many as full events have.
pub(crate) const EVENTS_PAIRS_MAX: usize = EVENTS_PER_REQUEST_MAX * (PAYLOAD_MEMBERS_MAX + 3);

/// `POST /v1/billing/meter_events/batch`
pub(crate) async fn create(State(app): State<App>, request: Request) -> Response {
    match take(&app, request).await {
        Ok(response) => response,
        Err(error) => error::response(&error, Flavor::V1),
    }
}

async fn take(app: &App, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let now = app.now();
    let spec = Spec { flavor: Flavor::V1, resource: RESOURCE, access: Access::Write };
    let head = Head::of(&parts.headers);
    let asker = head.admit(app, spec, true, &mut KeySeen::default(), now).await?;
    let Asker { key, version, idempotency_key } = asker;
    let caller = Caller {
        scope: key.scope.clone(),
        key: key.key.clone(),
        version,
        request: request_id(app, &parts.extensions),
        idempotency_key: idempotency_key.map(str::to_owned),
        by_time: false,
    };
    let body = read_body_within(body, EVENTS_BODY_BYTES_MAX).await?;
    let json = is_json(head.content_type)?;
    let events = events(parts.uri.query().unwrap_or(""), &body, json)?;
    events.at_most(app.services.intake.limits.batch_events_max)?;
    // Only a request with a key is told from another one.
    let fingerprint = idempotency_key.map_or(0, |_| xxh3_64(&body));
    let how = (fingerprint, Validation::Told);
    let outcomes = record_many(&app.services, &caller, now, &events, how).await?;
    let counts = outcomes.counts();
    let answer = json!({
        "object": "billing.meter_event_batch",
        "created": now.0,
        "duplicates": counts.duplicates,
        "livemode": caller.scope.mode.is_live(),
        "outcomes": outcomes.wire(&events),
        "recorded": counts.recorded,
        "rejected": counts.rejected,
    });
    let mut response = json_response(200, answer.to_string());
    put_counts(&mut response, counts);
    if outcomes.all_replayed() {
        mark_replayed(&mut response);
    }
    Ok(response)
}

fn events<'a>(query: &str, body: &'a Bytes, json: bool) -> Result<Events<'a>> {
    if json
        && query.is_empty()
        && let Some(events) = Events::scan(body, Instants::Seconds)
    {
        return Ok(events);
    }
    let mut params = match json {
        true => json_params(query, body, EVENTS_VALUES_MAX)?,
        false => form_params(query, body, EVENTS_PAIRS_MAX)?,
    };
    // A batch has nothing to expand, and asking for something is an error.
    Expand::take(&mut params)
        .and_then(|expand| expand.refuse_all())
        .map_err(Error::before_execution)?;
    let batch = BatchCreate::decode(Some(params), Path::ROOT).map_err(Error::before_execution)?;
    Ok(batch.into())
}
