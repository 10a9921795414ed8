//! What a new subscription is.

use serde_json::{Value, json};
use taximeter_testkit::{START, TestApp};

use crate::shop::{self, customer, id, metered, monthly, subscribe, subscription};

const USD: &str = "currency=usd&unit_amount=1000";
/// 2026-02-15T10:30:00Z, a month after the start of every test.
const MONTH_LATER: i64 = 1_771_151_400;

#[tokio::test]
async fn a_metered_subscription_is_active_at_once_and_has_no_invoice() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let price = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let who = customer(&app, "name=Ada").await;
        let sub = subscribe(&app, &who, &[&price], "").await;
        assert_eq!(sub["status"], "active");
        assert_eq!(sub["latest_invoice"], json!(null));
        assert_eq!(sub["customer"], who.as_str());
        assert_eq!(sub["currency"], "usd");
        assert_eq!(sub["collection_method"], "charge_automatically");
        assert_eq!(sub["billing_cycle_anchor"], START.0);
        assert_eq!(sub["start_date"], START.0);
        assert_eq!(
            sub["billing_mode"],
            json!({ "flexible": { "proration_discounts": "included" }, "type": "flexible" })
        );
        let item = &sub["items"]["data"][0];
        assert_eq!(item["current_period_start"], START.0);
        assert_eq!(item["current_period_end"], MONTH_LATER);
        assert_eq!(item.get("quantity"), None, "usage decides how many");
        assert_eq!(item["price"]["id"], price.as_str());
        assert_eq!(item["plan"]["id"], price.as_str());
        assert_eq!(item["subscription"], sub["id"]);
        assert_eq!(app.read("/v1/invoices").await["data"], json!([]));
        let read = app.read(&format!("/v1/subscriptions/{}", id(&sub))).await;
        assert_eq!(read, sub);
        assert_eq!(app.read(&format!("/v1/customers/{who}")).await["currency"], "usd");
    }
}

#[tokio::test]
async fn what_a_subscription_is_given_reads_back() {
    for app in TestApp::everywhere().await {
        let (gold, oil) = (monthly(&app, "Gold", USD).await, monthly(&app, "Oil", USD).await);
        let who = customer(&app, "").await;
        let described = "d".repeat(500);
        let form = format!(
            "customer={who}&items[0][plan]={gold}&items[0][quantity]=0&items[0][metadata][a]=b\
             &items[1][price]={oil}&collection_method=send_invoice&days_until_due=7\
             &metadata[tier]=7&description={described}&billing_mode[type]=flexible\
             &billing_mode[flexible][proration_discounts]=itemized"
        );
        let longer = form.replace(&described, &"d".repeat(501));
        assert_eq!(shop::refused(&app, "/v1/subscriptions", &longer).await[1], "description");
        let sub = app.made("/v1/subscriptions", &form).await;
        assert_eq!(sub["days_until_due"], 7);
        assert_eq!(sub["metadata"], json!({ "tier": "7" }));
        assert_eq!(sub["description"], described.as_str());
        assert_eq!(sub["billing_mode"]["flexible"]["proration_discounts"], "itemized");
        let items = &sub["items"]["data"];
        assert_eq!(items[0]["price"]["id"], gold.as_str());
        assert_eq!(items[0]["quantity"], 0);
        assert_eq!(items[0]["metadata"], json!({ "a": "b" }));
        assert_eq!(items[1]["price"]["id"], oil.as_str(), "oldest first");
        assert_eq!(items[1]["quantity"], 1);
        assert_eq!(app.read(&format!("/v1/subscriptions/{}", id(&sub))).await, sub);
    }
}

#[tokio::test]
async fn an_old_client_gets_classic_mode_and_the_period_on_the_subscription() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let who = customer(&app, "").await;
        let bearer = format!("Bearer {}", app.test_key());
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("stripe-version", "2024-09-30.acacia"),
        ];
        let form = subscription(&who, &[&price], "");
        let answer = app.request("POST", "/v1/subscriptions", &headers, form.as_bytes()).await;
        let sub = answer.json();
        assert_eq!(sub["current_period_start"], START.0, "{sub}");
        assert_eq!(sub["current_period_end"], MONTH_LATER);
        let newest = app.read(&format!("/v1/subscriptions/{}", id(&sub))).await;
        assert_eq!(newest["billing_mode"], json!({ "flexible": null, "type": "classic" }));
    }
}

#[tokio::test]
async fn an_inline_price_is_made_for_its_subscription_only() {
    for app in TestApp::everywhere().await {
        let who = customer(&app, "").await;
        app.made("/v1/products", "name=Gold&id=gold").await;
        let form = format!(
            "customer={who}&payment_behavior=default_incomplete\
             &items[0][price_data][currency]=usd&items[0][price_data][product]=gold\
             &items[0][price_data][unit_amount]=700\
             &items[0][price_data][recurring][interval]=week"
        );
        let sub = app.made("/v1/subscriptions", &form).await;
        let price = &sub["items"]["data"][0]["price"];
        assert_eq!([&price["unit_amount"], &price["active"]], [&json!(700), &json!(false)]);
        let again = subscription(&who, &[price["id"].as_str().unwrap()], "");
        let [_, param, message] = shop::refused(&app, "/v1/subscriptions", &again).await;
        assert_eq!(param, "items[0][price]");
        assert!(message.contains("inactive"), "{message}");
        // A part that is wrong is named by its whole path.
        let wrong = form.replace("unit_amount]=700", "unit_amount]=-7");
        let [_, param, _] = shop::refused(&app, "/v1/subscriptions", &wrong).await;
        assert_eq!(param, "items[0][price_data][unit_amount]");
    }
}

#[tokio::test]
async fn a_month_that_begins_on_the_31st_ends_on_the_last_day_of_a_shorter_one() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        app.advance_s(16 * 86_400);
        let sub = subscribe(&app, &customer(&app, "").await, &[&price], "").await;
        let item = &sub["items"]["data"][0];
        assert_eq!(item["current_period_start"], 1_769_855_400, "2026-01-31T10:30:00Z");
        assert_eq!(item["current_period_end"], 1_772_274_600, "2026-02-28T10:30:00Z");
        let line = &shop::preview(&app, &sub).await["lines"]["data"][0];
        assert_eq!(line["period"], json!({ "start": 1_772_274_600, "end": 1_774_953_000 }));
    }
}

#[tokio::test]
async fn in_flexible_mode_intervals_are_multiples_of_the_shortest() {
    for app in TestApp::everywhere().await {
        let zero = "currency=usd&unit_amount=0&product_data[name]=Gold&recurring[interval]=";
        let mut prices = Vec::new();
        for interval in ["month", "year", "week", "day", "month&recurring[interval_count]=5"] {
            prices.push(id(&app.made("/v1/prices", &format!("{zero}{interval}")).await));
        }
        let [month, year, week, day, five] = prices.try_into().unwrap();
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&month, &year], "").await;
        let ends = |sub: &Value, at: usize| sub["items"]["data"][at]["current_period_end"].clone();
        assert_eq!([ends(&sub, 0), ends(&sub, 1)], [json!(MONTH_LATER), json!(1_800_009_000)]);
        subscribe(&app, &who, &[&day, &five], "").await;
        let classic = "billing_mode[type]=classic";
        for (prices, more) in
            [([&month, &week], ""), ([&year, &five], ""), ([&month, &year], classic)]
        {
            let form = subscription(&who, &[prices[0], prices[1]], more);
            let [code, param, message] = shop::refused(&app, "/v1/subscriptions", &form).await;
            assert_eq!([&*code, &*param], ["", "items"]);
            assert!(message.contains("interval"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_customer_without_a_live_subscription_may_change_currency() {
    for app in TestApp::everywhere().await {
        let usd = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let both = "currency=usd&unit_amount=0&currency_options[eur][unit_amount]=0";
        let both = monthly(&app, "Gold", both).await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&usd], "").await;
        let in_eur = subscription(&who, &[&both], "currency=eur");
        let [code, _, message] = shop::refused(&app, "/v1/subscriptions", &in_eur).await;
        assert_eq!(code, "");
        assert_eq!(
            message,
            "You cannot combine currencies on a single customer. This customer has an active \
             subscription, subscription schedule, discount, quote, or invoice item with currency \
             usd."
        );
        app.delete(&format!("/v1/subscriptions/{}", id(&sub))).await;
        let sub = app.made("/v1/subscriptions", &in_eur).await;
        assert_eq!(sub["currency"], "eur");
        assert_eq!(app.read(&format!("/v1/customers/{who}")).await["currency"], "eur");
        // A price with several currencies now goes along with the customer's.
        assert_eq!(subscribe(&app, &who, &[&both], "").await["currency"], "eur");
    }
}

#[tokio::test]
async fn a_balance_and_a_draft_hold_the_currency_too() {
    for app in TestApp::everywhere().await {
        let usd = monthly(&app, "Gold", USD).await;
        let eur = monthly(&app, "Gold", "currency=eur&unit_amount=0").await;
        for (form, more) in
            [("balance=-1700", ""), ("", "collection_method=send_invoice&days_until_due=7")]
        {
            let who = customer(&app, form).await;
            let sub = subscribe(&app, &who, &[&usd], more).await;
            app.delete(&format!("/v1/subscriptions/{}", id(&sub))).await;
            let in_eur = subscription(&who, &[&eur], "");
            let [_, _, message] = shop::refused(&app, "/v1/subscriptions", &in_eur).await;
            assert!(message.starts_with("You cannot combine currencies"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_customer_has_at_most_500_subscriptions() {
    let app = TestApp::start().await;
    let price = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
    let meter = shop::meter(&app, "tokens").await;
    let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
    let who = customer(&app, "").await;
    let first = subscribe(&app, &who, &[&price], "").await;
    for _ in 1..500 {
        subscribe(&app, &who, &[&tokens], "").await;
    }
    let form = subscription(&who, &[&price], "");
    let [code, param, _] = shop::refused(&app, "/v1/subscriptions", &form).await;
    assert_eq!([&*code, &*param], ["customer_max_subscriptions", "customer"]);
    app.delete(&format!("/v1/subscriptions/{}", id(&first))).await;
    app.made("/v1/subscriptions", &form).await;
}
