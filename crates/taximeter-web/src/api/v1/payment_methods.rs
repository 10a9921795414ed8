//! `/v1/payment_methods`

use taximeter_service::payment_methods;

use crate::endpoint::resource;

resource! { "payment_method":
    POST "/v1/payment_methods" => payment_methods::create(payment_methods::Create);
    GET "/v1/payment_methods" => payment_methods::list(payment_methods::List);
    GET "/v1/payment_methods/{id}" => payment_methods::retrieve(id);
    POST "/v1/payment_methods/{id}" => payment_methods::update(id, payment_methods::Update);
    POST "/v1/payment_methods/{id}/attach" => payment_methods::attach(id, payment_methods::Attach);
    POST "/v1/payment_methods/{id}/detach" => payment_methods::detach(id, payment_methods::Detach);
    GET "/v1/customers/{id}/payment_methods" => payment_methods::list_of_customer(id, payment_methods::ListOfCustomer);
    GET "/v1/customers/{id}/payment_methods/{part}" => payment_methods::retrieve_of_customer(id, part);
}
