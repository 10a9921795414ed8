//! `/v1/prices`

use taximeter_service::{prices, search};

use crate::endpoint::resource;

resource! { "price":
    POST "/v1/prices" => prices::create(prices::Create);
    GET "/v1/prices" => prices::list(prices::List);
    GET "/v1/prices/search" => prices::search(search::Search);
    GET "/v1/prices/{id}" => prices::retrieve(id);
    POST "/v1/prices/{id}" => prices::update(id, prices::Update);
}
