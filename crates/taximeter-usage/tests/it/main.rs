//! Tests of the usage engine through its public interface.

#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod model;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod rebuild;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod support;
