//! For tests only: a whole application in process, and Stripe's contract to hold answers against.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot be set up must stop"
)]

pub mod app;
pub mod contract;
mod lane;
pub mod offered;

pub use app::{Client, Response, START, TestApp};
