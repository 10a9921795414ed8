//! `/v2/billing/meter_event_stream`

use axum::http::Method;
use axum::routing::post;
use taximeter_service::meter_events::Stream;
use taximeter_service::params::Decode as _;

use crate::endpoint::Endpoint;
use crate::{ingest, stream};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint {
        method: Method::POST,
        path: stream::PATH,
        schema: Stream::schema(),
        resource: ingest::RESOURCE,
        handler: post(stream::create),
    }]
}
