//! `/v1/billing/analytics`

use taximeter_service::meter_usage;

use crate::endpoint::resource;

resource! { "billing_meter":
    GET "/v1/billing/analytics/meter_usage" => meter_usage::retrieve(meter_usage::Retrieve);
}
