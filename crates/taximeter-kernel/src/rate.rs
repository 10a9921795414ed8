//! From a quantity to invoice lines.
