//! The coverage document says what the router does.

use taximeter_testkit::contract::{coverage, unknown_params};
use taximeter_testkit::offered::offered;

#[test]
fn the_coverage_document_is_what_the_router_offers() {
    let written = include_str!("../../../../docs/stripe-coverage.md");
    assert!(
        written == coverage(&offered()),
        "docs/stripe-coverage.md is out of date: \
         cargo run -p taximeter-testkit --example coverage > docs/stripe-coverage.md"
    );
}

#[test]
fn every_parameter_offered_is_one_of_stripes_or_one_of_ours_by_name() {
    let unknown = unknown_params(&offered());
    assert!(unknown.is_empty(), "{unknown:#?}");
}
