//! `/v1/credit_notes`

use taximeter_service::credit_notes;

use crate::endpoint::resource;

resource! { "credit_note":
    POST "/v1/credit_notes" => credit_notes::create(credit_notes::Create);
    GET "/v1/credit_notes" => credit_notes::list(credit_notes::List);
    GET "/v1/credit_notes/preview" => credit_notes::preview(credit_notes::Create);
    GET "/v1/credit_notes/preview/lines" =>
        credit_notes::preview_lines(credit_notes::PreviewLines);
    GET "/v1/credit_notes/{id}" => credit_notes::retrieve(id);
    POST "/v1/credit_notes/{id}" => credit_notes::update(id, credit_notes::Update);
    POST "/v1/credit_notes/{id}/void" => credit_notes::void(id, credit_notes::Void);
    GET "/v1/credit_notes/{id}/lines" => credit_notes::lines(id, credit_notes::Lines);
}
