//! `/v1/coupons`

use taximeter_service::coupons;

use crate::endpoint::resource;

resource! { "coupon":
    POST "/v1/coupons" => coupons::create(coupons::Create);
    GET "/v1/coupons" => coupons::list(coupons::List);
    GET "/v1/coupons/{id}" => coupons::retrieve(id);
    POST "/v1/coupons/{id}" => coupons::update(id, coupons::Update);
    DELETE "/v1/coupons/{id}" => coupons::delete(id, coupons::Delete);
}
