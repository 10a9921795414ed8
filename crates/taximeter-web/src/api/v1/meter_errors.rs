//! `/v1/billing/meter_event_errors`, `/v1/billing/meter_error_reports`

use taximeter_service::meter_errors::{self, reports};

use crate::endpoint::resource;

resource! { "billing_meter_event":
    GET "/v1/billing/meter_event_errors" => meter_errors::list(meter_errors::List);
    POST "/v1/billing/meter_event_errors/replay" => meter_errors::replay_all(meter_errors::ReplayAll);
    GET "/v1/billing/meter_event_errors/{id}" => meter_errors::retrieve(id);
    POST "/v1/billing/meter_event_errors/{id}/replay" => meter_errors::replay(id, meter_errors::Replay);
    POST "/v1/billing/meter_event_errors/{id}/dismiss" => meter_errors::dismiss(id, meter_errors::Dismiss);
    GET "/v1/billing/meter_error_reports" => reports::list(reports::List);
    GET "/v1/billing/meter_error_reports/{id}" => reports::retrieve(id);
}
