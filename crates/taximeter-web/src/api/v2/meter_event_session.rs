//! `/v2/billing/meter_event_session`

use taximeter_service::meter_event_session;

use crate::endpoint::resource;

resource! { V2 "billing_meter_event":
    POST "/v2/billing/meter_event_session" => meter_event_session::create(meter_event_session::Create);
}
