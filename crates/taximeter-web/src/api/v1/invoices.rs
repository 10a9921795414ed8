//! `/v1/invoices`

use taximeter_service::invoices::{self, preview};
use taximeter_service::search;

use crate::endpoint::resource;

resource! { "invoice":
    POST "/v1/invoices/create_preview" => preview::create(preview::Create);
    GET "/v1/invoices/upcoming" => preview::upcoming(preview::Upcoming);
    GET "/v1/invoices/upcoming/lines" => preview::upcoming_lines(preview::UpcomingLines);
    POST "/v1/invoices" => invoices::create(invoices::Create);
    GET "/v1/invoices" => invoices::list(invoices::List);
    GET "/v1/invoices/search" => invoices::search(search::Search);
    GET "/v1/invoices/{id}" => invoices::retrieve(id);
    POST "/v1/invoices/{id}" => invoices::update(id, invoices::Update);
    DELETE "/v1/invoices/{id}" => invoices::delete(id, invoices::Delete);
    POST "/v1/invoices/{id}/add_lines" => invoices::add_lines(id, invoices::AddLines);
    POST "/v1/invoices/{id}/update_lines" => invoices::update_lines(id, invoices::UpdateLines);
    POST "/v1/invoices/{id}/remove_lines" => invoices::remove_lines(id, invoices::RemoveLines);
    POST "/v1/invoices/{id}/lines/{part}" => invoices::update_line(id, part, invoices::LineUpdate);
    GET "/v1/invoices/{id}/lines" => invoices::lines(id, invoices::Lines);
    GET "/v1/invoices/{id}/lines/{part}/explanation" => invoices::explanation(id, part);
    POST "/v1/invoices/{id}/finalize" => invoices::finalize(id, invoices::Finalize);
    POST "/v1/invoices/{id}/pay" => invoices::pay(id, invoices::Pay);
    POST "/v1/invoices/{id}/send" => invoices::send(id, invoices::Plain);
    POST "/v1/invoices/{id}/void" => invoices::void(id, invoices::Plain);
    POST "/v1/invoices/{id}/mark_uncollectible" => invoices::mark_uncollectible(id, invoices::Plain);
}
