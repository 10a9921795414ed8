//! Prints `docs/stripe-coverage.md`:
//! `cargo run -p taximeter-testkit --example coverage > docs/stripe-coverage.md`
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use taximeter_testkit::contract::coverage;
use taximeter_testkit::offered::offered;

fn main() {
    print!("{}", coverage(&offered()));
}
