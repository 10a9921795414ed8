//! `/v1/promotion_codes`

use taximeter_service::promotion_codes;

use crate::endpoint::resource;

resource! { "promotion_code":
    POST "/v1/promotion_codes" => promotion_codes::create(promotion_codes::Create);
    GET "/v1/promotion_codes" => promotion_codes::list(promotion_codes::List);
    GET "/v1/promotion_codes/{id}" => promotion_codes::retrieve(id);
    POST "/v1/promotion_codes/{id}" => promotion_codes::update(id, promotion_codes::Update);
}
