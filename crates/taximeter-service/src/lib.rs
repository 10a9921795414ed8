//! What the product does: a directory per resource, and what all resources share.
//!
//! A verb is an async function that takes a [`ctx::Ctx`] (one transaction, who asks, what time it
//! is), works, writes to the [`outbox`], and leaves the commit to its caller: the answer is
//! rendered and kept under its idempotency key in the same transaction.

// The wire form of an invoice or a subscription is one literal of many members.
#![recursion_limit = "512"]

pub mod accounts;
pub mod api_keys;
mod aside;
pub mod balance_transactions;
pub mod billing_settings;
pub mod catalog;
pub mod charges;
pub mod coupons;
pub mod credit_notes;
pub mod ctx;
pub mod customers;
pub mod discounts;
pub mod error;
pub mod events;
pub mod expand;
pub mod idempotency;
pub mod invoice_items;
pub mod invoice_payments;
pub mod invoices;
pub mod jobs;
pub mod meter_errors;
pub mod meter_event_adjustments;
pub mod meter_event_backfills;
pub mod meter_event_session;
pub mod meter_events;
pub mod meter_usage;
pub mod meters;
pub mod migrations;
mod missing;
pub mod number;
pub mod outbox;
pub mod page;
pub mod params;
pub mod payment_intents;
pub mod payment_methods;
pub mod payments;
pub mod prices;
pub mod products;
pub mod promotion_codes;
pub mod refunds;
pub mod search;
pub mod setup_intents;
pub mod stored;
pub mod subscription_schedules;
pub mod subscriptions;
pub mod tax_rates;
pub mod test_clocks;
pub mod usage_audit;
pub mod version;
pub mod webhooks;
pub mod wire;
