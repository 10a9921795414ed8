//! `taximeter version`: which version this is, and which version of Stripe's API it speaks.

use std::process::ExitCode;

use taximeter_service::version::NEWEST;

use crate::terminal;

/// Prints the version.
pub(crate) fn run() -> ExitCode {
    terminal::print(&format!(
        "taximeter {}\nspeaks Stripe's API {NEWEST} and older\n",
        env!("CARGO_PKG_VERSION")
    ));
    ExitCode::SUCCESS
}
