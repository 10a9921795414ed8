//! `/v1/subscriptions`

use taximeter_service::{discounts, search, subscriptions};

use crate::endpoint::resource;

resource! { "subscription":
    POST "/v1/subscriptions" => subscriptions::create(subscriptions::Create);
    GET "/v1/subscriptions" => subscriptions::list(subscriptions::List);
    GET "/v1/subscriptions/search" => subscriptions::search(search::Search);
    GET "/v1/subscriptions/{id}" => subscriptions::retrieve(id);
    POST "/v1/subscriptions/{id}" => subscriptions::update(id, subscriptions::Update);
    POST "/v1/subscriptions/{id}/migrate" => subscriptions::migrate(id, subscriptions::Migrate);
    POST "/v1/subscriptions/{id}/pause" => subscriptions::pause(id, subscriptions::Pause);
    POST "/v1/subscriptions/{id}/resume" => subscriptions::resume(id, subscriptions::Resume);
    DELETE "/v1/subscriptions/{id}/discount" =>
        subscriptions::delete_discount(id, discounts::Delete);
    DELETE "/v1/subscriptions/{id}" => subscriptions::cancel(id, subscriptions::Cancel);
}
