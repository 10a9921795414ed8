//! `/v1/invoices`

use taximeter_service::invoices::{self, preview};
use taximeter_service::search;

use crate::endpoint::resource;

resource! { "invoice":
    POST "/v1/invoices/create_preview" => preview::create(preview::Create);
    GET "/v1/invoices/upcoming" => preview::upcoming(preview::Upcoming);
    GET "/v1/invoices/upcoming/lines" => preview::upcoming_lines(preview::UpcomingLines);
    GET "/v1/invoices" => invoices::list(invoices::List);
    GET "/v1/invoices/search" => invoices::search(search::Search);
    GET "/v1/invoices/{id}" => invoices::retrieve(id);
    GET "/v1/invoices/{id}/lines" => invoices::lines(id, invoices::Lines);
    POST "/v1/invoices/{id}/finalize" => invoices::finalize(id, invoices::Finalize);
    POST "/v1/invoices/{id}/pay" => invoices::pay(id, invoices::Pay);
    POST "/v1/invoices/{id}/send" => invoices::send(id, invoices::Plain);
    POST "/v1/invoices/{id}/void" => invoices::void(id, invoices::Plain);
    POST "/v1/invoices/{id}/mark_uncollectible" => invoices::mark_uncollectible(id, invoices::Plain);
}
