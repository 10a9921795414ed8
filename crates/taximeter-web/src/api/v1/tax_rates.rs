//! `/v1/tax_rates`

use taximeter_service::tax_rates;

use crate::endpoint::resource;

resource! { "tax_rate":
    POST "/v1/tax_rates" => tax_rates::create(tax_rates::Create);
    GET "/v1/tax_rates" => tax_rates::list(tax_rates::List);
    GET "/v1/tax_rates/{id}" => tax_rates::retrieve(id);
    POST "/v1/tax_rates/{id}" => tax_rates::update(id, tax_rates::Update);
}
