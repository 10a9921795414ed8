//! The contract with Stripe's SDKs: are our bodies what their types say, and which of their
//! parameters do we honour.
//!
//! Both halves read the generated files in `contract/` at the root, which `cargo xtask contract
//! generate` takes from the SDKs' own annotations.

pub mod check;
pub mod coverage;

pub use check::check_body;
pub use coverage::{OfferedEndpoint, coverage, unknown_params};
