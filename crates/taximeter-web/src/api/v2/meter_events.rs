//! `/v2/billing/meter_events`

use axum::http::Method;
use axum::routing::post;
use taximeter_service::meter_events::CreateV2;
use taximeter_service::params::Decode as _;

use crate::endpoint::Endpoint;
use crate::ingest;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint {
        method: Method::POST,
        path: "/v2/billing/meter_events",
        schema: CreateV2::schema(),
        resource: ingest::RESOURCE,
        handler: post(ingest::create_v2),
    }]
}
