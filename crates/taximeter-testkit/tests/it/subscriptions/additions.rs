//! What is sold once along with a subscription, and what is pending that is billed by itself.

use serde_json::{Value, json};
use taximeter_testkit::{START, TestApp};

use crate::shop::{self, customer, id, monthly, subscribe};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
const CARD: &str =
    "payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa";

async fn once(app: &TestApp, name: &str, amount: i64) -> String {
    let form = format!("currency=usd&unit_amount={amount}&product_data[name]={name}");
    id(&app.made("/v1/prices", &form).await)
}

async fn invoice(app: &TestApp, sub: &Value) -> Value {
    app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await
}

/// The lines of an invoice: description, amount, start and end of their time, since the start.
fn shown(invoice: &Value) -> Vec<(&str, i64, i64, i64)> {
    let lines = invoice["lines"]["data"].as_array().unwrap();
    let line = |line: &'_ Value| -> (i64, i64, i64) {
        let number = |value: &Value| value.as_i64().unwrap();
        let (start, end) = (&line["period"]["start"], &line["period"]["end"]);
        (number(&line["amount"]), number(start) - START.0, number(end) - START.0)
    };
    lines
        .iter()
        .map(|each| {
            let (amount, start, end) = line(each);
            (each["description"].as_str().unwrap(), amount, start, end)
        })
        .collect()
}

#[tokio::test]
async fn what_is_sold_once_is_on_the_first_invoice() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
        let setup = once(&app, "Setup", 101).await;
        let product = id(&app.made("/v1/products", "name=Box").await);
        let rate = "display_name=VAT&percentage=10&inclusive=false";
        let rate = id(&app.made("/v1/tax_rates", rate).await);
        let who = customer(&app, CARD).await;
        let at = START.0 + DAY;
        let more = format!(
            "add_invoice_items[0][price]={setup}&add_invoice_items[0][quantity]=3\
             &add_invoice_items[0][metadata][a]=1\
             &add_invoice_items[1][price_data][currency]=usd\
             &add_invoice_items[1][price_data][product]={product}\
             &add_invoice_items[1][price_data][unit_amount]=70\
             &add_invoice_items[1][tax_rates][0]={rate}\
             &add_invoice_items[1][period][start][type]=now\
             &add_invoice_items[1][period][end][type]=timestamp\
             &add_invoice_items[1][period][end][timestamp]={at}"
        );
        let sub = subscribe(&app, &who, &[&seat], &more).await;
        assert_eq!(sub["status"], "active");
        let first = invoice(&app, &sub).await;
        assert_eq!(
            shown(&first),
            [
                ("Box", 70, 0, DAY),
                ("Setup", 303, 0, 31 * DAY),
                ("1 × Seat (at $31.00 / month)", 3_100, 0, 31 * DAY),
            ]
        );
        assert_eq!((&first["total"], &first["status"]), (&json!(3_480), &json!("paid")));
        let items = app.read(&format!("/v1/invoiceitems?customer={who}")).await;
        let item = &items["data"][1];
        assert_eq!(item["metadata"], json!({ "a": "1" }));
        assert_eq!(item["parent"]["subscription_details"]["subscription"], sub["id"]);
    }
}

#[tokio::test]
async fn what_is_sold_once_is_on_the_next_invoice_of_a_subscription_that_is_there() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let setup = once(&app, "Setup", 101).await;
    let who = customer(&app, CARD).await;
    let coupon = id(&app.made("/v1/coupons", "amount_off=7&currency=usd&duration=once").await);
    let sub = subscribe(&app, &who, &[&seat], "").await;
    let path = format!("/v1/subscriptions/{}", id(&sub));
    app.live_s(DAY).await;
    let form = format!(
        "add_invoice_items[0][price]={setup}&add_invoice_items[0][discounts][0][coupon]={coupon}"
    );
    let after = app.made(&path, &form).await;
    assert_eq!(after["latest_invoice"], sub["latest_invoice"], "nothing is billed at once");
    app.live_s(30 * DAY).await;
    let renewal = invoice(&app, &app.read(&path).await).await;
    assert_eq!(
        shown(&renewal),
        [("Setup", 94, 0, 31 * DAY), ("1 × Seat (at $31.00 / month)", 3_100, 31 * DAY, 59 * DAY)]
    );
    assert_eq!(renewal["total"], 3_194);
}

#[tokio::test]
async fn a_trial_with_something_sold_once_begins_when_that_is_paid() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let setup = once(&app, "Setup", 101).await;
    let who = customer(&app, CARD).await;
    let more = format!("trial_period_days=7&add_invoice_items[0][price]={setup}");
    let sub = subscribe(&app, &who, &[&seat], &more).await;
    assert_eq!(sub["status"], "trialing");
    let first = invoice(&app, &sub).await;
    assert_eq!((&first["total"], &first["amount_paid"]), (&json!(101), &json!(101)));
    let waits = format!("{more}&payment_behavior=default_incomplete");
    let sub = subscribe(&app, &who, &[&seat], &waits).await;
    assert_eq!(sub["status"], "incomplete");
    let first = sub["latest_invoice"].as_str().unwrap();
    app.made(&format!("/v1/invoices/{first}/pay"), "").await;
    assert_eq!(app.read(&format!("/v1/subscriptions/{}", id(&sub))).await["status"], "trialing");
}

#[tokio::test]
async fn what_does_not_go_with_a_subscription_is_refused() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let setup = once(&app, "Setup", 101).await;
    let form = "currency=eur&unit_amount=101&product_data[name]=Euro";
    let euro = id(&app.made("/v1/prices", form).await);
    let who = customer(&app, CARD).await;
    let path = format!("/v1/subscriptions/{}", id(&subscribe(&app, &who, &[&seat], "").await));
    let many: Vec<String> =
        (0..21).map(|n| format!("add_invoice_items[{n}][price]={setup}")).collect();
    for (form, param) in [
        (format!("add_invoice_items[0][price]={seat}"), "add_invoice_items[0][price]"),
        (format!("add_invoice_items[0][price]={euro}"), "add_invoice_items[0][price]"),
        ("add_invoice_items[0][quantity]=3".to_owned(), "add_invoice_items[0][price]"),
        (
            format!("add_invoice_items[0][price]={setup}&add_invoice_items[0][quantity]=-1"),
            "add_invoice_items[0][quantity]",
        ),
        (
            format!(
                "add_invoice_items[0][price]={setup}\
                 &add_invoice_items[0][period][start][type]=timestamp\
                 &add_invoice_items[0][period][end][type]=min_item_period_end"
            ),
            "add_invoice_items[0][period][start][timestamp]",
        ),
        (
            format!(
                "add_invoice_items[0][price]={setup}\
                 &add_invoice_items[0][period][start][type]=now\
                 &add_invoice_items[0][period][end][type]=timestamp\
                 &add_invoice_items[0][period][end][timestamp]={}",
                START.0 - 1
            ),
            "add_invoice_items[0][period][end]",
        ),
        (many.join("&"), "add_invoice_items"),
        (
            "pending_invoice_item_interval[interval]=week\
             &pending_invoice_item_interval[interval_count]=53"
                .to_owned(),
            "pending_invoice_item_interval[interval_count]",
        ),
        ("trial_from_plan=true&trial_end=now".to_owned(), "trial_from_plan"),
    ] {
        assert_eq!(shop::refused(&app, &path, &form).await[1], param, "{form}");
    }
}

#[tokio::test]
async fn a_subscription_gets_the_trial_of_its_prices() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let tried =
        monthly(&app, "Tried", "currency=usd&unit_amount=3100&recurring[trial_period_days]=13");
    let tried = tried.await;
    let who = customer(&app, CARD).await;
    let sub = subscribe(&app, &who, &[&seat], "").await;
    let path = format!("/v1/subscriptions/{}", id(&sub));
    // The price that it has gives none.
    let same = app.made(&path, "trial_from_plan=true").await;
    assert_eq!(same["status"], "active");
    let item = id(&sub["items"]["data"][0]);
    let form = format!("items[0][id]={item}&items[0][price]={tried}&trial_from_plan=true");
    let sub = app.made(&path, &form).await;
    assert_eq!(
        (&sub["status"], &sub["trial_end"]),
        (&json!("trialing"), &json!(START.0 + 13 * DAY))
    );
}

#[tokio::test]
async fn what_is_pending_is_billed_every_so_often() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
        let setup = once(&app, "Setup", 101).await;
        let who = customer(&app, CARD).await;
        let every = "pending_invoice_item_interval[interval]=week";
        let sub = subscribe(&app, &who, &[&seat], every).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        assert_eq!(
            sub["pending_invoice_item_interval"],
            json!({ "interval": "week", "interval_count": 1 })
        );
        assert_eq!(sub["next_pending_invoice_item_invoice"], START.0 + 7 * DAY);
        // Nothing is pending, nothing is billed.
        app.live_s(7 * DAY).await;
        let after = app.read(&path).await;
        assert_eq!(after["latest_invoice"], sub["latest_invoice"]);
        assert_eq!(after["next_pending_invoice_item_invoice"], START.0 + 14 * DAY);
        app.live_s(3 * DAY).await;
        app.made(&path, &format!("add_invoice_items[0][price]={setup}")).await;
        app.live_s(4 * DAY).await;
        let billed = invoice(&app, &app.read(&path).await).await;
        assert_eq!(billed["billing_reason"], "automatic_pending_invoice_item_invoice");
        assert_eq!((&billed["status"], &billed["total"]), (&json!("draft"), &json!(101)));
        assert_eq!(billed["period_start"], START.0 + 7 * DAY);
        assert_eq!(billed["period_end"], START.0 + 14 * DAY);
        app.live_s(HOUR).await;
        let billed = app.read(&format!("/v1/invoices/{}", id(&billed))).await;
        assert_eq!(billed["status"], "paid");
        // And not any more.
        let cleared = app.made(&path, "pending_invoice_item_interval=").await;
        assert_eq!(cleared["pending_invoice_item_interval"], json!(null));
        assert_eq!(cleared["next_pending_invoice_item_invoice"], json!(null));
        app.made(&path, &format!("add_invoice_items[0][price]={setup}")).await;
        app.live_s(10 * DAY).await;
        assert_eq!(app.read(&path).await["latest_invoice"], billed["id"]);
    }
}

#[tokio::test]
async fn what_is_pending_at_a_renewal_goes_with_it() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let setup = once(&app, "Setup", 101).await;
    let who = customer(&app, CARD).await;
    let every = "pending_invoice_item_interval[interval]=day&pending_invoice_item_interval[interval_count]=31";
    let sub = subscribe(&app, &who, &[&seat], every).await;
    let path = format!("/v1/subscriptions/{}", id(&sub));
    app.live_s(DAY).await;
    app.made(&path, &format!("add_invoice_items[0][price]={setup}")).await;
    app.live_s(30 * DAY).await;
    let sub = app.read(&path).await;
    let renewal = invoice(&app, &sub).await;
    assert_eq!(
        (&renewal["billing_reason"], &renewal["total"]),
        (&json!("subscription_cycle"), &json!(3_201))
    );
    let invoices = app.read("/v1/invoices").await;
    assert_eq!(invoices["data"].as_array().unwrap().len(), 2);
    assert_eq!(sub["next_pending_invoice_item_invoice"], START.0 + 62 * DAY);
}
