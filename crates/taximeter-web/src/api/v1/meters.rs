//! `/v1/billing/meters`

use taximeter_service::{meter_events, meters};

use crate::endpoint::resource;

resource! { "billing_meter":
    POST "/v1/billing/meters" => meters::create(meters::Create);
    GET "/v1/billing/meters" => meters::list(meters::List);
    GET "/v1/billing/meters/{id}" => meters::retrieve(id);
    POST "/v1/billing/meters/{id}" => meters::update(id, meters::Update);
    POST "/v1/billing/meters/{id}/deactivate" => meters::deactivate(id, meters::Switch);
    POST "/v1/billing/meters/{id}/reactivate" => meters::reactivate(id, meters::Switch);
    GET "/v1/billing/meters/{id}/event_summaries" => meter_events::summaries(id, meter_events::Summaries);
}
