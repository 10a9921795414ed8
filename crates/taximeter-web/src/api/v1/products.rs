//! `/v1/products`

use taximeter_service::{products, search};

use crate::endpoint::resource;

resource! { "product":
    POST "/v1/products" => products::create(products::Create);
    GET "/v1/products" => products::list(products::List);
    GET "/v1/products/search" => products::search(search::Search);
    GET "/v1/products/{id}" => products::retrieve(id);
    POST "/v1/products/{id}" => products::update(id, products::Update);
    DELETE "/v1/products/{id}" => products::delete(id, products::Delete);
}
