//! `/v1/events`

use taximeter_service::events;

use crate::endpoint::resource;

resource! { "event":
    GET "/v1/events" => events::list(events::List);
    GET "/v1/events/{id}" => events::retrieve(id);
}
