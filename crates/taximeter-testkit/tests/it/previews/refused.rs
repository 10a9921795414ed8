//! What cannot be previewed, and in which words.

use taximeter_testkit::TestApp;

use crate::shop::{customer, id, monthly, refused, subscribe};

const PATH: &str = "/v1/invoices/create_preview";

#[tokio::test]
async fn what_does_not_fit_together_is_refused() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let (ada, bob) = (customer(&app, "").await, customer(&app, "").await);
        let sub = id(&subscribe(&app, &ada, &[&gold], "").await);
        let items = format!("subscription_details[items][0][price]={gold}");
        for (form, code, param) in [
            (String::new(), "parameter_missing", ""),
            (items.clone(), "parameter_missing", ""),
            ("customer=cus_none".to_owned(), "resource_missing", "customer"),
            ("subscription=sub_none".to_owned(), "resource_missing", "subscription"),
            (format!("customer={bob}&subscription={sub}"), "", "subscription"),
            (format!("subscription={sub}&currency=eur"), "", "currency"),
            (format!("customer={ada}&currency=eur"), "", "currency"),
            (format!("subscription={sub}&{items}"), "", "subscription_details[plan]"),
            (
                format!("customer={ada}&subscription_details[billing_mode][type]=classic"),
                "parameter_missing",
                "subscription",
            ),
            (format!("subscription={sub}&preview_mode=past"), "", "preview_mode"),
            (
                format!("subscription={sub}&subscription_details[billing_mode][type]=classic"),
                "",
                "subscription_details[billing_mode]",
            ),
            (
                format!("customer={ada}&subscription_details[cancel_now]=true&{items}"),
                "",
                "subscription_details[cancel_now]",
            ),
            (
                format!("customer={ada}&invoice_items[0][price]=price_none"),
                "resource_missing",
                "invoice_items[0][pricing][price]",
            ),
            (
                format!("customer={ada}&discounts[0][coupon]=x"),
                "resource_missing",
                "discounts[0][coupon]",
            ),
            (format!("customer={ada}&schedule=sub_sched_x"), "resource_missing", "schedule"),
        ] {
            let said = refused(&app, PATH, &form).await;
            assert_eq!(said[..2], [code, param], "{form}: {}", said[2]);
        }
        let said = refused(&app, PATH, &format!("subscription={sub}&currency=eur")).await;
        assert_eq!(
            said[2],
            "The subscription is billed in `usd`. This doesn't match the expected currency: `eur`."
        );
        for fits in ["", "&currency=USD", "&preview_mode=recurring", &format!("&customer={ada}")] {
            app.made(PATH, &format!("subscription={sub}{fits}")).await;
        }
    }
}
