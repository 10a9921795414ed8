//! `/v1/subscriptions`

use taximeter_service::{search, subscriptions};

use crate::endpoint::resource;

resource! { "subscription":
    POST "/v1/subscriptions" => subscriptions::create(subscriptions::Create);
    GET "/v1/subscriptions" => subscriptions::list(subscriptions::List);
    GET "/v1/subscriptions/search" => subscriptions::search(search::Search);
    GET "/v1/subscriptions/{id}" => subscriptions::retrieve(id);
    POST "/v1/subscriptions/{id}" => subscriptions::update(id, subscriptions::Update);
    DELETE "/v1/subscriptions/{id}" => subscriptions::cancel(id, subscriptions::Cancel);
}
