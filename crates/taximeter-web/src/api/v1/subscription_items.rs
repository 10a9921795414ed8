//! `/v1/subscription_items`

use taximeter_service::subscriptions::items;

use crate::endpoint::resource;

resource! { "subscription":
    POST "/v1/subscription_items" => items::create(items::Create);
    GET "/v1/subscription_items" => items::list(items::List);
    GET "/v1/subscription_items/{id}" => items::retrieve(id);
    POST "/v1/subscription_items/{id}" => items::update(id, items::Update);
    DELETE "/v1/subscription_items/{id}" => items::delete(id, items::Delete);
}
