//! `/v2/billing/meter_event_adjustments`

use taximeter_service::meter_event_adjustments;

use crate::endpoint::resource;

resource! { V2 "billing_meter_event_adjustment":
    POST "/v2/billing/meter_event_adjustments" => meter_event_adjustments::create_v2(meter_event_adjustments::Create);
}
