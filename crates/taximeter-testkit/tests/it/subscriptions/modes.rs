//! Where flexible and classic billing differ in what a change comes to.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use super::proration::{april, latest, moved};
use crate::shop::{id, lines, monthly, subscribe};

const DAY: i64 = 86_400;

fn amounts(invoice: &Value) -> Vec<i64> {
    let mut amounts: Vec<i64> = lines(invoice).into_iter().map(|line| line.2).collect();
    amounts.sort_unstable();
    amounts
}

async fn coupon(app: &TestApp, form: &str) -> String {
    id(&app.made("/v1/coupons", &format!("{form}&duration=forever")).await)
}

#[tokio::test]
async fn an_amount_off_is_shared_by_size_or_evenly_by_the_items_that_stay() {
    for app in TestApp::everywhere().await {
        let five = coupon(&app, "amount_off=500&currency=usd").await;
        let ten = monthly(&app, "Ten", "currency=usd&unit_amount=1000").await;
        let twenty = monthly(&app, "Twenty", "currency=usd&unit_amount=2000").await;
        for (mode, gone, more) in [
            // 8.33 of 10.00; and 5.00 off 30.00 of 50.00 are 3.00: half of each.
            ("flexible", vec![-417], vec![-417, 1_350]),
            // 10.00 − 5.00; and 10.00 − 2.50 for 30.00 − 2.50: half of each.
            ("classic", vec![-250], vec![-375, 1_375]),
        ] {
            for (goes, expected) in [(true, gone), (false, more)] {
                let (clock, who) = april(&app).await;
                let form = format!("billing_mode[type]={mode}&discounts[0][coupon]={five}");
                let sub = subscribe(&app, &who, &[&ten, &twenty], &form).await;
                assert_eq!(latest(&app, &id(&sub)).await["total"], 2_500);
                moved(&app, &clock, 15 * DAY).await;
                let path = format!("/v1/subscription_items/{}", id(&sub["items"]["data"][0]));
                let now = "proration_behavior=always_invoice";
                if goes {
                    assert_eq!(app.delete(&format!("{path}?{now}")).await.status, 200);
                } else {
                    app.made(&path, &format!("quantity=3&{now}")).await;
                }
                assert_eq!(amounts(&latest(&app, &id(&sub)).await), expected, "{mode}");
            }
        }
    }
}

#[tokio::test]
async fn itemized_discounts_stand_beside_what_a_change_comes_to() {
    for app in TestApp::everywhere().await {
        let (clock, who) = april(&app).await;
        let tenth = coupon(&app, "percent_off=10").await;
        let silver = monthly(&app, "Silver", "currency=usd&unit_amount=1000").await;
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=2000").await;
        let tax = "display_name=VAT&percentage=10&inclusive=false";
        let tax = id(&app.made("/v1/tax_rates", tax).await);
        let form = format!(
            "billing_mode[type]=flexible&billing_mode[flexible][proration_discounts]=itemized\
             &discounts[0][coupon]={tenth}&default_tax_rates[0]={tax}"
        );
        let sub = subscribe(&app, &who, &[&silver], &form).await;
        moved(&app, &clock, 15 * DAY).await;
        let item = id(&sub["items"]["data"][0]);
        let path = format!("/v1/subscriptions/{}", id(&sub));
        let now = "proration_behavior=always_invoice";
        app.made(&path, &format!("items[0][id]={item}&items[0][price]={gold}&{now}")).await;
        let invoice = latest(&app, &id(&sub)).await;
        assert_eq!(amounts(&invoice), [-500, 1_000]);
        assert_eq!(invoice["subtotal"], 500);
        assert_eq!(invoice["total_discount_amounts"][0]["amount"], 50);
        assert_eq!(
            (&invoice["total_excluding_tax"], &invoice["total"]),
            (&json!(450), &json!(495))
        );
        assert_eq!(invoice["total_taxes"][0]["taxable_amount"], 450);
        let of = |line: &Value| line["discount_amounts"][0]["amount"].clone();
        let data = invoice["lines"]["data"].as_array().unwrap();
        assert_eq!(data.iter().map(of).collect::<Vec<_>>(), [json!(100), json!(-50)]);

        let items = app.read(&format!("/v1/invoiceitems?customer={who}")).await;
        let back = &items["data"][1];
        assert_eq!((&back["amount"], &back["net_amount"]), (&json!(-500), &json!(-450)));
        assert_eq!(
            back["proration_details"]["discount_amounts"],
            json!([{ "amount": -50, "discount": sub["discounts"][0] }])
        );
        // What was charged for 15 days is given back for 5: 300 of 900, and 33 of 100.
        moved(&app, &clock, 10 * DAY).await;
        app.made(&path, &format!("items[0][id]={item}&items[0][price]={silver}&{now}")).await;
        let invoice = latest(&app, &id(&sub)).await;
        assert_eq!(amounts(&invoice), [-333, 167]);
        assert_eq!(invoice["total_excluding_tax"], -150);
    }
}

#[tokio::test]
async fn what_is_pending_is_on_every_invoice_but_of_new_periods_in_classic_billing() {
    for app in TestApp::everywhere().await {
        for (mode, expected) in
            [("flexible", vec![-2_000, 311, 3_000]), ("classic", vec![-2_000, 3_000])]
        {
            let (clock, who) = april(&app).await;
            let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3000").await;
            let form = format!("billing_mode[type]={mode}");
            let sub = subscribe(&app, &who, &[&seat], &form).await;
            moved(&app, &clock, 10 * DAY).await;
            let item = format!("customer={who}&amount=311&currency=usd&description=Extra");
            app.made("/v1/invoiceitems", &item).await;
            let path = format!("/v1/subscriptions/{}", id(&sub));
            app.made(&path, "billing_cycle_anchor=now&proration_behavior=always_invoice").await;
            assert_eq!(amounts(&latest(&app, &id(&sub)).await), expected, "{mode}");
            moved(&app, &clock, 30 * DAY).await;
            let renewal = amounts(&latest(&app, &id(&sub)).await);
            assert_eq!(renewal.contains(&311), mode == "classic", "{mode}: it is on one of them");
        }
    }
}
