//! Previews of invoices: what is next, what is counted, what is refused.

mod changes;
mod next;
mod refused;
mod simulated;
