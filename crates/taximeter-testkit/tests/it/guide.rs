//! The pay-as-you-go guide, to the cent.

use serde_json::json;
use taximeter_testkit::TestApp;

const METER: &str = "display_name=Hypernian+tokens&event_name=hypernian_tokens\
    &default_aggregation[formula]=sum&customer_mapping[event_payload_key]=stripe_customer_id\
    &customer_mapping[type]=by_id&value_settings[event_payload_key]=value";

#[tokio::test]
async fn the_guide_comes_to_124_cents_for_3025_tokens() {
    for app in TestApp::everywhere().await {
        let meter = app.made("/v1/billing/meters", METER).await;
        let price = app
            .made(
                "/v1/prices",
                &format!(
                    "currency=usd&unit_amount=4&billing_scheme=per_unit\
                     &transform_quantity[divide_by]=100&transform_quantity[round]=up\
                     &recurring[usage_type]=metered&recurring[interval]=month\
                     &recurring[meter]={}&product_data[name]=Hypernian+tokens",
                    meter["id"].as_str().unwrap()
                ),
            )
            .await;
        let customer = app.made("/v1/customers", "name=John+Doe").await;
        let customer = customer["id"].as_str().unwrap();
        let price = price["id"].as_str().unwrap();
        let subscription = app
            .made("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}"))
            .await;
        assert_eq!(subscription["status"], "active");
        assert_eq!(subscription["latest_invoice"], json!(null));
        let preview = format!("subscription={}", subscription["id"].as_str().unwrap());
        let before = app.made("/v1/invoices/create_preview", &preview).await;
        assert_eq!(before["total"], 0);
        for value in [3000, 25] {
            let event = format!(
                "event_name=hypernian_tokens&payload[stripe_customer_id]={customer}\
                 &payload[value]={value}"
            );
            app.made("/v1/billing/meter_events", &event).await;
        }
        let after = app.made("/v1/invoices/create_preview", &preview).await;
        assert_eq!(after["total"], 124);
        let line = &after["lines"]["data"][0];
        assert_eq!(line["amount"], 124);
        assert_eq!(line["quantity"], 3025);
        assert_eq!(line["description"], "3025 × Hypernian tokens (at $0.04 per 100 units / month)");
        let minute = app.now().0 - app.now().0 % 60;
        let summaries = app
            .read(&format!(
                "/v1/billing/meters/{}/event_summaries?customer={customer}&start_time={minute}\
                 &end_time={}",
                meter["id"].as_str().unwrap(),
                minute + 60
            ))
            .await;
        assert_eq!(summaries["data"][0]["aggregated_value"], 3025);
    }
}
