//! `/v1/billing/usage_audit`

use taximeter_service::usage_audit;

use crate::endpoint::resource;

resource! { "billing_meter_event_adjustment":
    GET "/v1/billing/usage_audit" => usage_audit::list(usage_audit::List);
    GET "/v1/billing/usage_audit/{id}" => usage_audit::retrieve(id);
}
