//! `/v1`: forms in, JSON out.

mod analytics;
mod billing_settings;
mod coupons;
mod customers;
mod events;
mod invoices;
mod meter_errors;
mod meter_event_adjustments;
mod meter_event_backfills;
mod meter_event_reads;
mod meter_events;
mod meters;
mod prices;
mod products;
mod promotion_codes;
mod subscription_items;
mod subscriptions;
mod tax_rates;
mod test_clocks;
mod usage_audit;
mod webhook_endpoints;

use crate::endpoint::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    [
        analytics::endpoints(),
        coupons::endpoints(),
        billing_settings::endpoints(),
        customers::endpoints(),
        events::endpoints(),
        invoices::endpoints(),
        meter_errors::endpoints(),
        meter_event_adjustments::endpoints(),
        meter_event_backfills::endpoints(),
        meter_event_reads::endpoints(),
        meter_events::endpoints(),
        meters::endpoints(),
        prices::endpoints(),
        products::endpoints(),
        promotion_codes::endpoints(),
        subscription_items::endpoints(),
        subscriptions::endpoints(),
        tax_rates::endpoints(),
        test_clocks::endpoints(),
        usage_audit::endpoints(),
        webhook_endpoints::endpoints(),
    ]
    .concat()
}
