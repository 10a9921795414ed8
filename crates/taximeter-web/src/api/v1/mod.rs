//! `/v1`: forms in, JSON out.

mod analytics;
mod billing_settings;
mod charges;
mod coupons;
mod credit_notes;
mod customers;
mod events;
mod invoice_items;
mod invoice_payments;
mod invoices;
mod meter_errors;
mod meter_event_adjustments;
mod meter_event_backfills;
mod meter_event_reads;
mod meter_events;
mod meters;
mod payment_intents;
mod payment_methods;
mod prices;
mod products;
mod promotion_codes;
mod refunds;
mod setup_intents;
mod stripecli;
mod subscription_items;
mod subscription_schedules;
mod subscriptions;
mod tax_rates;
mod test_clocks;
mod usage_audit;
mod webhook_endpoints;

use crate::endpoint::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    [
        analytics::endpoints(),
        charges::endpoints(),
        coupons::endpoints(),
        billing_settings::endpoints(),
        credit_notes::endpoints(),
        customers::endpoints(),
        events::endpoints(),
        invoice_payments::endpoints(),
        invoice_items::endpoints(),
        invoices::endpoints(),
        meter_errors::endpoints(),
        meter_event_adjustments::endpoints(),
        meter_event_backfills::endpoints(),
        meter_event_reads::endpoints(),
        meter_events::endpoints(),
        meters::endpoints(),
        payment_intents::endpoints(),
        payment_methods::endpoints(),
        prices::endpoints(),
        products::endpoints(),
        promotion_codes::endpoints(),
        refunds::endpoints(),
        setup_intents::endpoints(),
        subscription_items::endpoints(),
        subscription_schedules::endpoints(),
        stripecli::endpoints(),
        subscriptions::endpoints(),
        tax_rates::endpoints(),
        test_clocks::endpoints(),
        usage_audit::endpoints(),
        webhook_endpoints::endpoints(),
    ]
    .concat()
}
