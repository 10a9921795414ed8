//! `/v1/invoice_payments`

use taximeter_service::invoice_payments;

use crate::endpoint::resource;

resource! { "invoice":
    GET "/v1/invoice_payments" => invoice_payments::list(invoice_payments::List);
    GET "/v1/invoice_payments/{id}" => invoice_payments::retrieve(id);
}
