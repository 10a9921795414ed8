//! `/v1/billing/meter_events`

use axum::http::Method;
use axum::routing::post;
use taximeter_service::meter_events::{BatchCreate, Create};
use taximeter_service::params::Decode as _;

use crate::endpoint::Endpoint;
use crate::{batch, ingest};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            method: Method::POST,
            path: "/v1/billing/meter_events",
            schema: Create::schema(),
            resource: ingest::RESOURCE,
            handler: post(ingest::create_v1),
        },
        Endpoint {
            method: Method::POST,
            path: batch::PATH,
            schema: BatchCreate::schema(),
            resource: ingest::RESOURCE,
            handler: post(batch::create),
        },
    ]
}
