//! `/v1/charges`

use taximeter_service::charges;

use crate::endpoint::resource;

resource! { "charge":
    GET "/v1/charges" => charges::list(charges::List);
    GET "/v1/charges/{id}" => charges::retrieve(id);
}
