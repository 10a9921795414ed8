//! `/v1/billing/settings`, ours.

use taximeter_service::billing_settings;
use taximeter_service::params::Nothing;

use crate::endpoint::resource;

resource! { "billing_settings":
    GET "/v1/billing/settings" => billing_settings::show(Nothing);
    POST "/v1/billing/settings" => billing_settings::update(billing_settings::Update);
}
