//! `/v1/test_helpers/test_clocks`

use taximeter_service::test_clocks;

use crate::endpoint::resource;

resource! { "test_clock":
    POST "/v1/test_helpers/test_clocks" => test_clocks::create(test_clocks::Create);
    GET "/v1/test_helpers/test_clocks" => test_clocks::list(test_clocks::List);
    GET "/v1/test_helpers/test_clocks/{id}" => test_clocks::retrieve(id);
    DELETE "/v1/test_helpers/test_clocks/{id}" => test_clocks::delete(id, test_clocks::Delete);
    POST "/v1/test_helpers/test_clocks/{id}/advance" => test_clocks::advance(id, test_clocks::Advance);
}
