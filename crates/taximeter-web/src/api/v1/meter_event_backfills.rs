//! `/v1/billing/meter_event_backfills`

use axum::Extension;

use crate::dispatch::ManyEvents;
use crate::endpoint::Endpoint;

const EVENTS: &str = "/v1/billing/meter_event_backfills/{id}/events";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = table::endpoints();
    for endpoint in endpoints.iter_mut().filter(|endpoint| endpoint.path == EVENTS) {
        endpoint.handler = endpoint.handler.clone().layer(Extension(ManyEvents));
    }
    endpoints
}

mod table {
    use taximeter_service::meter_event_backfills::{
        self as backfills, AddEvents, Create, Discard, List, Preview, Run,
    };

    use crate::endpoint::resource;

    resource! { "billing_meter_event_adjustment":
        POST "/v1/billing/meter_event_backfills" => backfills::create(Create);
        GET "/v1/billing/meter_event_backfills" => backfills::list(List);
        GET "/v1/billing/meter_event_backfills/{id}" => backfills::retrieve(id);
        POST "/v1/billing/meter_event_backfills/{id}/events" => backfills::add_events(id, AddEvents);
        GET "/v1/billing/meter_event_backfills/{id}/preview" => backfills::preview(id, Preview);
        POST "/v1/billing/meter_event_backfills/{id}/apply" => backfills::apply(id, Run);
        POST "/v1/billing/meter_event_backfills/{id}/revert" => backfills::revert(id, Run);
        POST "/v1/billing/meter_event_backfills/{id}/discard" => backfills::discard(id, Discard);
    }
}
