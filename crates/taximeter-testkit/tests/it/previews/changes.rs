//! Previews of changes: what would be billed, and nothing of it stays.

use serde_json::{Value, json};
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use crate::shop::{
    self, customer, id, latest_event, lines, metered, monthly, payer, subscribe, used,
};

const DAY: i64 = 86_400;
const PATH: &str = "/v1/invoices/create_preview";

fn amounts(invoice: &Value) -> Vec<i64> {
    lines(invoice).into_iter().map(|(_, _, amount)| amount).collect()
}

#[tokio::test]
async fn a_change_is_previewed_to_the_cent_and_leaves_no_trace() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
        let who = payer(&app, "").await;
        let sub = subscribe(&app, &who, &[&seat], "").await;
        app.live_s(DAY).await;
        let (path, item) =
            (format!("/v1/subscriptions/{}", id(&sub)), id(&sub["items"]["data"][0]));
        let before = (app.read(&path).await, latest_event(&app).await);
        let change = format!(
            "subscription={}&subscription_details[items][0][id]={item}\
             &subscription_details[items][0][quantity]=2",
            id(&sub)
        );
        let next = app.made(PATH, &change).await;
        // 6200 and 3100, each × 30 ÷ 31, and the next period.
        assert_eq!(amounts(&next), [6_000, -3_000, 6_200]);
        assert!(next["lines"]["data"][0]["id"].as_str().unwrap().starts_with("il_tmp"));

        let at_once = format!("{change}&subscription_details[proration_behavior]=always_invoice");
        let invoice = app.made(PATH, &at_once).await;
        assert_eq!(amounts(&invoice), [6_000, -3_000]);
        assert_eq!(
            [&invoice["status"], &invoice["billing_reason"]],
            [&json!("draft"), &json!("upcoming")]
        );
        assert_eq!((&invoice["number"], &invoice["amount_due"]), (&json!(null), &json!(3_000)));
        assert!(id(&invoice).starts_with("upcoming_in_"));

        let over = format!("subscription={}&subscription_details[cancel_now]=true", id(&sub));
        assert_eq!(app.made(PATH, &over).await["total"], -3_000);

        assert_eq!((app.read(&path).await, latest_event(&app).await), before);
        let pending = app.read(&format!("/v1/invoiceitems?customer={who}")).await;
        assert_eq!(pending["data"], json!([]));

        // What is done is what was shown.
        let form =
            format!("items[0][id]={item}&items[0][quantity]=2&proration_behavior=always_invoice");
        let changed = app.made(&path, &form).await;
        let made = app
            .read(&format!("/v1/invoices/{}", changed["latest_invoice"].as_str().unwrap()))
            .await;
        assert_eq!(lines(&made), lines(&invoice));
    }
}

#[tokio::test]
async fn items_and_discounts_are_put_on_a_preview() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let who = payer(&app, "").await;
    let sub = id(&subscribe(&app, &who, &[&seat], "").await);
    app.made("/v1/coupons", "id=TEN&percent_off=10&duration=once").await;
    let form = format!(
        "subscription={sub}&invoice_items[0][amount]=300&invoice_items[0][currency]=usd\
         &invoice_items[0][description]=Setup&discounts[0][coupon]=TEN"
    );
    let invoice = app.made(PATH, &form).await;
    assert_eq!(amounts(&invoice), [300, 700]);
    assert_eq!([&invoice["subtotal"], &invoice["total"]], [1_000, 900]);
    assert_eq!(app.read("/v1/coupons/TEN").await["times_redeemed"], 0);
    let plain = app.made(PATH, &format!("subscription={sub}")).await;
    assert_eq!(plain["total"], 700);
}

#[tokio::test]
async fn items_of_a_preview_can_say_all_that_items_say() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let product = id(&app.made("/v1/products", "name=Setup").await);
    let who = payer(&app, "").await;
    let sub = id(&subscribe(&app, &who, &[&seat], "").await);
    let pending = format!("customer={who}&amount=500&currency=usd&description=Travel");
    let pending = id(&app.made("/v1/invoiceitems", &pending).await);
    let form = format!(
        "subscription={sub}\
         &invoice_items[0][unit_amount]=13&invoice_items[0][quantity]=3&invoice_items[0][metadata][k]=v\
         &invoice_items[0][description]=Hours\
         &invoice_items[1][invoiceitem]={pending}&invoice_items[1][amount]=501\
         &invoice_items[2][price_data][product]={product}&invoice_items[2][price_data][currency]=usd\
         &invoice_items[2][price_data][unit_amount]=101&invoice_items[2][quantity]=2"
    );
    let invoice = app.made(PATH, &form).await;
    assert_eq!(amounts(&invoice), [39, 202, 501, 700]);
    let line = &invoice["lines"]["data"][0];
    assert_eq!((&line["quantity"], &line["metadata"]), (&json!(3), &json!({ "k": "v" })));

    let kept = app.read(&format!("/v1/invoiceitems/{pending}")).await;
    assert_eq!(kept["amount"], 500, "nothing stays");
    let prices = app.read(&format!("/v1/prices?product={product}")).await;
    assert_eq!(prices["data"], json!([]));

    let other = customer(&app, "").await;
    let theirs = format!("customer={other}&amount=7&currency=usd");
    let theirs = id(&app.made("/v1/invoiceitems", &theirs).await);
    for (form, param) in [
        (format!("[invoiceitem]={theirs}"), "invoice_items[0][invoiceitem]"),
        (
            format!("[invoiceitem]={pending}&invoice_items[0][currency]=usd"),
            "invoice_items[0][currency]",
        ),
        (
            "[unit_amount]=7&invoice_items[0][unit_amount_decimal]=7".into(),
            "invoice_items[0][unit_amount]",
        ),
    ] {
        let answer = app.post(PATH, &format!("subscription={sub}&invoice_items[0]{form}")).await;
        assert_eq!(answer.json()["error"]["param"], param, "{form}");
    }
}

#[tokio::test]
async fn a_preview_is_for_the_customer_and_the_subscription_as_they_would_be() {
    for app in TestApp::everywhere().await {
        let rate = "display_name=VAT&percentage=10&inclusive=false";
        let rate = id(&app.made("/v1/tax_rates", rate).await);
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let who = payer(&app, "").await;
        let taxed = format!("default_tax_rates[0]={rate}");
        let sub = id(&subscribe(&app, &who, &[&seat], &taxed).await);
        let form = format!("subscription={sub}");
        assert_eq!(app.made(PATH, &form).await["total"], 770);
        let free = app.made(PATH, &format!("{form}&customer_details[tax_exempt]=exempt")).await;
        assert_eq!([&free["total"], &free["customer_tax_exempt"]], [&json!(700), &json!("exempt")]);
        let moved = "customer_details[address][country]=AT&customer_details[address][city]=Graz";
        let moved = app.made(PATH, &format!("{form}&{moved}")).await;
        assert_eq!(moved["customer_address"]["city"], "Graz");
        let who = app.read(&format!("/v1/customers/{who}")).await;
        assert_eq!((&who["tax_exempt"], &who["address"]), (&json!("none"), &json!(null)));

        let labelled = app.made(PATH, &format!("{form}&subscription_details[metadata][k]=v")).await;
        assert_eq!(labelled["parent"]["subscription_details"]["metadata"], json!({ "k": "v" }));
        let sub = app.read(&format!("/v1/subscriptions/{sub}")).await;
        assert_eq!(sub["metadata"], json!({}));
    }
}

#[tokio::test]
async fn a_new_subscription_is_previewed_with_its_trial_and_its_anchor() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let who = customer(&app, "").await;
    let new = format!("customer={who}&subscription_details[items][0][price]={seat}");
    assert_eq!(app.made(PATH, &new).await["total"], 3_100);
    let trial = format!("{new}&subscription_details[trial_end]={}", START.0 + 7 * DAY);
    assert_eq!(app.made(PATH, &trial).await["total"], 0);
    let anchor = format!(
        "{new}&subscription_details[billing_cycle_anchor][type]=timestamp\
         &subscription_details[billing_cycle_anchor][timestamp]={}",
        START.0 + 17 * DAY
    );
    assert_eq!(app.made(PATH, &anchor).await["total"], 1_700);
}

#[tokio::test]
async fn a_subscription_that_will_end_shows_its_last_usage_or_nothing() {
    let app = TestApp::start().await;
    let meter = shop::meter(&app, "tokens").await;
    let usage = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let who = payer(&app, "").await;
    let both = subscribe(&app, &who, &[&usage, &seat], "cancel_at_period_end=true").await;
    used(&app, "tokens", &who, "30", Timestamp(START.0 + 3)).await;
    let last = app.made(PATH, &format!("subscription={}", id(&both))).await;
    assert_eq!(amounts(&last), [120]);
    let licensed = subscribe(&app, &who, &[&seat], "cancel_at_period_end=true").await;
    let none = app.post(PATH, &format!("subscription={}", id(&licensed))).await;
    assert_eq!(none.status, 404);
    assert_eq!(none.json()["error"]["code"], "invoice_upcoming_none");
}
