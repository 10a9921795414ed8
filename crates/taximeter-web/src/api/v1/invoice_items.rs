//! `/v1/invoiceitems`

use taximeter_service::invoice_items;

use crate::endpoint::resource;

resource! { "invoice":
    POST "/v1/invoiceitems" => invoice_items::create(invoice_items::Create);
    GET "/v1/invoiceitems" => invoice_items::list(invoice_items::List);
    GET "/v1/invoiceitems/{id}" => invoice_items::retrieve(id);
    POST "/v1/invoiceitems/{id}" => invoice_items::update(id, invoice_items::Update);
    DELETE "/v1/invoiceitems/{id}" => invoice_items::delete(id, invoice_items::Delete);
}
