//! Accumulators that turn events into a quantity.
