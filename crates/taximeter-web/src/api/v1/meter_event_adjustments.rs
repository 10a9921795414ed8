//! `/v1/billing/meter_event_adjustments`, and corrections at an event's own address.

use taximeter_service::meter_event_adjustments;

use crate::endpoint::resource;

resource! { "billing_meter_event_adjustment":
    POST "/v1/billing/meter_event_adjustments" => meter_event_adjustments::create(meter_event_adjustments::Create);
    POST "/v1/billing/meter_events/{id}/cancel" => meter_event_adjustments::cancel(id, meter_event_adjustments::Cancel);
    POST "/v1/billing/meter_events/{id}/restore" => meter_event_adjustments::restore(id, meter_event_adjustments::Restore);
    POST "/v1/billing/meter_events/{id}/amend" => meter_event_adjustments::amend(id, meter_event_adjustments::Amend);
}
