//! `/v1/payment_intents`

use taximeter_service::{payment_intents, search};

use crate::endpoint::resource;

resource! { "payment_intent":
    POST "/v1/payment_intents" => payment_intents::create(payment_intents::Create);
    GET "/v1/payment_intents" => payment_intents::list(payment_intents::List);
    GET "/v1/payment_intents/search" => payment_intents::search(search::Search);
    GET "/v1/payment_intents/{id}" => payment_intents::read(id, payment_intents::Retrieve);
    POST "/v1/payment_intents/{id}" => payment_intents::update(id, payment_intents::Update);
    POST "/v1/payment_intents/{id}/confirm" => payment_intents::confirm(id, payment_intents::Confirm);
    POST "/v1/payment_intents/{id}/capture" => payment_intents::capture(id, payment_intents::Capture);
    POST "/v1/payment_intents/{id}/cancel" => payment_intents::cancel(id, payment_intents::Cancel);
    POST "/v1/test_helpers/payment_intents/{id}/authenticate" => payment_intents::authenticate(id, payment_intents::Authenticate);
}
