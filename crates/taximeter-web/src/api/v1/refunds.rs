//! `/v1/refunds`

use taximeter_service::refunds;

use crate::endpoint::resource;

resource! { "charge":
    POST "/v1/refunds" => refunds::create(refunds::Create);
    GET "/v1/refunds" => refunds::list(refunds::List);
    GET "/v1/refunds/{id}" => refunds::retrieve(id);
    POST "/v1/refunds/{id}" => refunds::update(id, refunds::Update);
}
