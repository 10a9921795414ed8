//! The versions of everything that `cargo xtask` installs, in one place.

/// PyPI `stripe`: a client in tests, and the source of the contract's types.
pub(crate) const STRIPE_PYTHON: &str = "16.1.0";
/// npm `stripe`: a client in tests, and what the contract knows of absent and null fields.
pub(crate) const STRIPE_NODE: &str = "23.1.0";
/// npm `@stripe/cli`: a client in tests.
pub(crate) const STRIPE_CLI: &str = "1.52.0";
/// The oldest Node that npm `stripe` runs on.
pub(crate) const NODE_MAJOR_MIN: u32 = 18;
