//! How a subscription goes over to flexible billing, and how its discounts are taken away.

use serde_json::json;
use taximeter_testkit::TestApp;

use crate::shop::{self, customer, happened, id, latest_event, monthly, subscribe, told};

const CLASSIC: &str = "billing_mode[type]=classic&collection_method=send_invoice&days_until_due=7";

#[tokio::test]
async fn a_classic_subscription_becomes_flexible_and_says_since_when() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&seat], CLASSIC).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        app.advance_s(101);
        let seen = latest_event(&app).await;
        let form =
            "billing_mode[type]=flexible&billing_mode[flexible][proration_discounts]=itemized";
        let sub = app.made(&format!("{path}/migrate"), form).await;
        let mode = json!({
            "flexible": { "proration_discounts": "itemized" }, "type": "flexible",
            "updated_at": app.now().0,
        });
        assert_eq!(sub["billing_mode"], mode);
        assert_eq!(app.read(&path).await["billing_mode"], mode);
        assert_eq!(happened(&app, Some(&seen)).await, ["customer.subscription.updated"]);
        // There is no way back, and it is not done twice.
        let again = shop::refused(&app, &format!("{path}/migrate"), form).await;
        assert_eq!(again[1], "billing_mode[type]");
        let back = "billing_mode[type]=classic";
        assert_eq!(
            shop::refused(&app, &format!("{path}/migrate"), back).await[1],
            "billing_mode[type]"
        );
    }
}

#[tokio::test]
async fn the_discount_of_a_subscription_is_taken_away() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let coupon = id(&app.made("/v1/coupons", "percent_off=10&duration=forever").await);
        let who = customer(&app, "").await;
        let more = format!("{CLASSIC}&discounts[0][coupon]={coupon}");
        let sub = subscribe(&app, &who, &[&seat], &more).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        let seen = latest_event(&app).await;
        let gone = app.delete(&format!("{path}/discount")).await;
        assert_eq!(gone.status, 200);
        assert_eq!(gone.json()["id"], sub["discounts"][0]);
        assert_eq!(gone.json()["deleted"], true);
        assert_eq!(app.read(&path).await["discounts"], json!([]));
        assert_eq!(
            happened(&app, Some(&seen)).await,
            ["customer.discount.deleted", "customer.subscription.updated"]
        );
        let again = told(&app.delete(&format!("{path}/discount")).await, 404);
        assert_eq!(again[0], "resource_missing");
    }
}
