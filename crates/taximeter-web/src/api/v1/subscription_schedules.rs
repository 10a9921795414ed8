//! `/v1/subscription_schedules`

use taximeter_service::subscription_schedules;

use crate::endpoint::resource;

resource! { "subscription":
    POST "/v1/subscription_schedules" =>
        subscription_schedules::create(subscription_schedules::Create);
    GET "/v1/subscription_schedules" => subscription_schedules::list(subscription_schedules::List);
    GET "/v1/subscription_schedules/{id}" => subscription_schedules::retrieve(id);
    POST "/v1/subscription_schedules/{id}" =>
        subscription_schedules::update(id, subscription_schedules::Update);
    POST "/v1/subscription_schedules/{id}/cancel" =>
        subscription_schedules::cancel(id, subscription_schedules::Cancel);
    POST "/v1/subscription_schedules/{id}/release" =>
        subscription_schedules::release(id, subscription_schedules::Release);
}
