//! `/v1/setup_intents`

use taximeter_service::{payment_intents, setup_intents};

use crate::endpoint::resource;

resource! { "setup_intent":
    POST "/v1/setup_intents" => setup_intents::create(setup_intents::Create);
    GET "/v1/setup_intents" => setup_intents::list(setup_intents::List);
    GET "/v1/setup_intents/{id}" => setup_intents::read(id, setup_intents::Retrieve);
    POST "/v1/setup_intents/{id}" => setup_intents::update(id, setup_intents::Update);
    POST "/v1/setup_intents/{id}/confirm" => setup_intents::confirm(id, setup_intents::Confirm);
    POST "/v1/setup_intents/{id}/cancel" => setup_intents::cancel(id, setup_intents::Cancel);
    POST "/v1/test_helpers/setup_intents/{id}/authenticate" => setup_intents::authenticate(id, payment_intents::Authenticate);
}
