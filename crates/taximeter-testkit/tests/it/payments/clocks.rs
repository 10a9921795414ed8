//! Payments of customers whose time is a test clock's.

use serde_json::json;
use taximeter_testkit::TestApp;

use super::INTENTS;
use crate::support::{id, ids};

/// A customer whose time lies `offset` seconds from everybody else's.
async fn clocked(app: &TestApp, offset: i64) -> (String, i64) {
    let at = app.now().0 + offset;
    let clock = app.made("/v1/test_helpers/test_clocks", &format!("frozen_time={at}")).await;
    let form = format!("test_clock={}", id(&clock));
    (id(&app.made("/v1/customers", &form).await).to_owned(), at)
}

#[tokio::test]
async fn a_payment_happens_at_the_time_of_its_customer() {
    for app in TestApp::everywhere().await {
        let (customer, at) = clocked(&app, 86_400 * 77).await;
        let form = format!("amount=701&currency=usd&customer={customer}");
        let intent = app.made(INTENTS, &form).await;
        assert_eq!(intent["created"], at);
        let path = format!("{INTENTS}/{}/confirm", id(&intent));
        let paid = app.made(&path, "payment_method=pm_card_visa&expand[]=latest_charge").await;
        assert_eq!(paid["latest_charge"]["created"], at);
        let refund = app.made("/v1/refunds", &format!("payment_intent={}", id(&intent))).await;
        assert_eq!(refund["created"], at);
        let setup = app.made("/v1/setup_intents", &format!("customer={customer}")).await;
        assert_eq!(setup["created"], at);
    }
}

#[tokio::test]
async fn an_answer_is_kept_in_the_time_in_which_it_is_asked_for_again() {
    for app in TestApp::everywhere().await {
        let keyed = async |key: &str, form: &str| {
            app.send("POST", INTENTS, &[("idempotency-key", key)], form).await
        };
        let plain = "amount=701&currency=usd&payment_method=pm_card_visa&confirm=true";
        let first = keyed("plain", plain).await;
        for (offset, declined) in [(-86_400 * 7, false), (86_400 * 7, false), (86_400 * 7, true)] {
            let (customer, _) = clocked(&app, offset).await;
            let card = if declined { "pm_card_chargeDeclined" } else { "pm_card_visa" };
            let form = format!(
                "amount=701&currency=usd&customer={customer}&confirm=true&payment_method={card}"
            );
            let key = format!("{offset} {declined}");
            let one = keyed(&key, &form).await;
            let other = keyed(&key, &form).await;
            assert_eq!(one.body, other.body, "{key}");
            assert_eq!(other.header("idempotent-replayed"), "true", "{key}");
            let list = app.read(&format!("{INTENTS}?customer={customer}")).await;
            assert_eq!(ids(&list).len(), 1, "{key}");
        }
        // A clock that is far ahead lets no key of the others go.
        let again = keyed("plain", plain).await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(json!(again.body), json!(first.body));
    }
}
