//! `/v1/billing/meter_events`, read back.

use taximeter_service::meter_events;

use crate::endpoint::resource;

resource! { "billing_meter_event":
    GET "/v1/billing/meter_events" => meter_events::list(meter_events::List);
    GET "/v1/billing/meter_events/{id}" => meter_events::retrieve(id, meter_events::Retrieve);
}
