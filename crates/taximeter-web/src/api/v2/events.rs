//! `/v2/core/events`

use taximeter_service::events;

use crate::endpoint::resource;

resource! { V2 "event":
    GET "/v2/core/events" => events::list_thin(events::ListThin);
    GET "/v2/core/events/{id}" => events::retrieve_thin(id);
}
