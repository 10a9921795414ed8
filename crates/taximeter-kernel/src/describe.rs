//! What an invoice line says.
