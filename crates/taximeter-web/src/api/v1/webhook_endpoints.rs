//! `/v1/webhook_endpoints`

use taximeter_service::webhooks;

use crate::endpoint::resource;

resource! { "webhook":
    POST "/v1/webhook_endpoints" => webhooks::create(webhooks::Create);
    GET "/v1/webhook_endpoints" => webhooks::list(webhooks::List);
    GET "/v1/webhook_endpoints/{id}" => webhooks::retrieve(id);
    POST "/v1/webhook_endpoints/{id}" => webhooks::update(id, webhooks::Update);
    DELETE "/v1/webhook_endpoints/{id}" => webhooks::delete(id, webhooks::Delete);
    POST "/v1/webhook_endpoints/{id}/rotate_secret" => webhooks::rotate_secret(id, webhooks::Rotate);
    GET "/v1/webhook_endpoints/{id}/deliveries" => webhooks::list_deliveries(id, webhooks::ListDeliveries);
}
