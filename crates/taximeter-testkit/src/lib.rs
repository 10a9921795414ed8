//! testkit

pub mod contract;
