//! `/v1/events`

use taximeter_service::{events, webhooks};

use crate::endpoint::resource;

resource! { "event":
    GET "/v1/events" => events::list(events::List);
    GET "/v1/events/{id}" => events::retrieve(id);
    POST "/v1/events/{id}/resend" => webhooks::resend(id, webhooks::Resend);
    POST "/v1/events/{id}/retry" => webhooks::resend(id, webhooks::Resend);
}
