//! What customers pay with, and what is collected.

mod clocks;
mod intents;
mod invoices;
mod methods;
mod refunds;
mod setup;

use serde_json::Value;
use taximeter_testkit::TestApp;

use crate::support::id;

const METHODS: &str = "/v1/payment_methods";
const INTENTS: &str = "/v1/payment_intents";

/// Attaches a test card to a customer, and takes its id.
pub(crate) async fn attached(app: &TestApp, card: &str, customer: &str) -> String {
    let path = format!("{METHODS}/pm_card_{card}/attach");
    id(&app.made(&path, &format!("customer={customer}")).await).to_owned()
}

/// A payment of 701 cents with a test card.
async fn paid(app: &TestApp, card: &str, more: &str) -> Value {
    let form = format!("amount=701&currency=usd&payment_method=pm_card_{card}&confirm=true{more}");
    app.made(INTENTS, &form).await
}
