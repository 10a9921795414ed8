//! The API, in process, on every database.

#[cfg(test)]
mod amounts;
#[cfg(test)]
mod auth;
#[cfg(test)]
mod backfills;
#[cfg(test)]
mod balance_transactions;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod corrections;
#[cfg(test)]
mod coupons;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod credit_notes;
#[cfg(test)]
mod customers;
#[cfg(test)]
mod discounts;
#[cfg(test)]
mod events;
#[cfg(test)]
mod events_api;
#[cfg(test)]
mod expand;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod invoice_items;
#[cfg(test)]
mod invoices;
#[cfg(test)]
mod lane;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod manual_invoices;
#[cfg(test)]
mod meter_error_reports;
#[cfg(test)]
mod meter_event_batch;
#[cfg(test)]
mod meter_event_errors;
#[cfg(test)]
mod meter_event_list;
#[cfg(test)]
mod meter_event_stream;
#[cfg(test)]
mod meter_events;
#[cfg(test)]
mod meter_events_v2;
#[cfg(test)]
mod meter_summaries;
#[cfg(test)]
mod meter_usage;
#[cfg(test)]
mod meters;
#[cfg(test)]
mod modes;
#[cfg(test)]
mod payments;
#[cfg(test)]
mod previews;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod products;
#[cfg(test)]
mod promotion_codes;
#[cfg(test)]
mod renewals;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod search;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod subscription_items;
#[cfg(test)]
mod subscription_schedules;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tax_rates;
#[cfg(test)]
mod test_clocks;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod webhooks;
