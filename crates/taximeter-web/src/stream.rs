//! The fastest way in: many events under a session's token, validated after the answer as far as
//! clients can see, durable and counted before it.

use axum::extract::{Request, State};
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;
use taximeter_kernel::id::{Id, Request as RequestKind};
use taximeter_service::ctx::Caller;
use taximeter_service::error::{Error, Result};
use taximeter_service::meter_events::{
    Counts, EVENTS_PER_REQUEST_MAX, Events, Instants, PAYLOAD_MEMBERS_MAX, Stream, Validation,
    record_many,
};
use taximeter_service::params::{Decode as _, Path};
use xxhash_rust::xxh3::xxh3_64;

use crate::app::App;
use crate::auth::presented_key;
use crate::endpoint::Flavor;
use crate::error;
use crate::head::Head;
use crate::request::{json_params, json_response, read_body_within};

/// Where the stream is.
pub(crate) const PATH: &str = "/v2/billing/meter_event_stream";
/// The largest body of the stream and of a batch, in bytes.
pub const EVENTS_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most values in one JSON body of events: as many as full events have.
pub(crate) const EVENTS_VALUES_MAX: usize = EVENTS_PER_REQUEST_MAX * (PAYLOAD_MEMBERS_MAX + 6);

/// Asks the stream to say what became of each event.
pub(crate) const OUTCOMES: HeaderName = HeaderName::from_static("taximeter-outcomes");
/// How many events were recorded.
pub(crate) const RECORDED: HeaderName = HeaderName::from_static("taximeter-recorded");
/// How many events were recorded before.
pub(crate) const DUPLICATES: HeaderName = HeaderName::from_static("taximeter-duplicates");
/// How many events are not counted.
pub(crate) const REJECTED: HeaderName = HeaderName::from_static("taximeter-rejected");

/// `POST /v2/billing/meter_event_stream`
pub(crate) async fn create(State(app): State<App>, request: Request) -> Response {
    match take(&app, request).await {
        Ok(response) => response,
        Err(error) => error::response(&error, Flavor::V2),
    }
}

async fn take(app: &App, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let now = app.now();
    let (services, intake) = (&app.services, &app.services.intake);
    let head = Head::of(&parts.headers);
    let token = head.authorization.map(presented_key).transpose()?.flatten();
    let session = intake.sessions.open(&services.db, token.as_deref(), now).await?;
    let (version, idempotency_key) = head.manner(true)?;
    let caller = Caller {
        scope: session.scope.clone(),
        key: session.key.clone(),
        version,
        request: request_id(app, &parts.extensions),
        idempotency_key: idempotency_key.map(str::to_owned),
        by_time: false,
    };
    let told = wants_outcomes(&parts.headers)?;
    let body = read_body_within(body, EVENTS_BODY_BYTES_MAX).await?;
    let events = events(parts.uri.query().unwrap_or(""), &body)?;
    events.at_most(intake.limits.stream_events_max)?;
    // Only a request with a key is told from another one.
    let fingerprint = idempotency_key.map_or(0, |_| xxh3_64(&body));
    let how = (fingerprint, Validation::Kept);
    let outcomes = record_many(services, &caller, now, &events, how).await?;
    let text = match told {
        true => json!({ "outcomes": outcomes.wire(&events) }).to_string(),
        false => "{}".to_owned(),
    };
    let mut response = json_response(200, text);
    put_counts(&mut response, outcomes.counts());
    Ok(response)
}

/// The events of a body: as fast as can be what clients usually send, and at length the rest.
fn events<'a>(query: &str, body: &'a Bytes) -> Result<Events<'a>> {
    if query.is_empty()
        && let Some(events) = Events::scan(body, Instants::Rfc3339)
    {
        return Ok(events);
    }
    let params = json_params(query, body, EVENTS_VALUES_MAX)?;
    let stream = Stream::decode(Some(params), Path::ROOT).map_err(Error::before_execution)?;
    Ok(stream.into())
}

pub(crate) fn request_id(app: &App, extensions: &axum::http::Extensions) -> Id<RequestKind> {
    let given = extensions.get::<Id<RequestKind>>().cloned();
    given.unwrap_or_else(|| Id::generate((app.services.entropy)()))
}

fn wants_outcomes(headers: &HeaderMap) -> Result<bool> {
    match headers.get(OUTCOMES).map(HeaderValue::as_bytes) {
        None | Some(b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => Err(Error::invalid("Invalid Taximeter-Outcomes header: must be true or false.")
            .before_execution()),
    }
}

/// Says how many events came to what.
pub(crate) fn put_counts(response: &mut Response, counts: Counts) {
    let Counts { recorded, duplicates, rejected } = counts;
    let headers = response.headers_mut();
    headers.insert(RECORDED, HeaderValue::from(recorded));
    headers.insert(DUPLICATES, HeaderValue::from(duplicates));
    headers.insert(REJECTED, HeaderValue::from(rejected));
}
