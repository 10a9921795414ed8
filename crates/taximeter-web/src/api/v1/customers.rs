//! `/v1/customers`

use taximeter_service::{balance_transactions, customers, discounts, search};

use crate::endpoint::resource;

resource! { "customer":
    POST "/v1/customers" => customers::create(customers::Create);
    GET "/v1/customers" => customers::list(customers::List);
    GET "/v1/customers/search" => customers::search(search::Search);
    GET "/v1/customers/{id}" => customers::retrieve_any(id);
    POST "/v1/customers/{id}" => customers::update(id, customers::Update);
    DELETE "/v1/customers/{id}" => customers::delete(id, customers::Delete);
    POST "/v1/customers/{id}/balance_transactions" =>
        balance_transactions::create(id, balance_transactions::Create);
    GET "/v1/customers/{id}/balance_transactions" =>
        balance_transactions::list(id, balance_transactions::List);
    GET "/v1/customers/{id}/balance_transactions/{part}" =>
        balance_transactions::retrieve(id, part);
    POST "/v1/customers/{id}/balance_transactions/{part}" =>
        balance_transactions::update(id, part, balance_transactions::Update);
    DELETE "/v1/customers/{id}/discount" =>
        discounts::delete_of_customer(id, discounts::Delete);
}
