//! Tests of the usage engine through its public interface.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod support;
