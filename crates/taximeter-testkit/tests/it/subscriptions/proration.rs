//! What changes in the middle of a period give back and charge, to the cent.

use serde_json::{Value, json};
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use crate::shop::{self, id, lines, metered, monthly, payer, subscribe, used};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// A clock at midnight on the first of a month of 30 days, and a payer who lives by it.
pub(super) async fn april(app: &TestApp) -> (String, String) {
    let first = Timestamp::from_rfc3339("2026-04-01T00:00:00Z").unwrap();
    let clock = app.made("/v1/test_helpers/test_clocks", &format!("frozen_time={}", first.0)).await;
    let who = payer(app, &format!("test_clock={}", id(&clock))).await;
    (id(&clock), who)
}

pub(super) async fn moved(app: &TestApp, clock: &str, seconds: i64) {
    let path = format!("/v1/test_helpers/test_clocks/{clock}");
    let at = app.read(&path).await["frozen_time"].as_i64().unwrap() + seconds;
    app.made(&format!("{path}/advance"), &format!("frozen_time={at}")).await;
    app.work().await;
    assert_eq!(app.read(&path).await["status"], "ready");
}

fn amounts(invoice: &Value) -> Vec<(String, i64)> {
    lines(invoice).into_iter().map(|(description, _, amount)| (description, amount)).collect()
}

pub(super) async fn latest(app: &TestApp, sub: &str) -> Value {
    let sub = app.read(&format!("/v1/subscriptions/{sub}")).await;
    app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await
}

fn text(line: &str) -> String {
    line.to_owned()
}

#[tokio::test]
async fn a_dearer_price_at_half_of_the_period_gives_back_half_and_charges_half() {
    for app in TestApp::everywhere().await {
        let (clock, who) = april(&app).await;
        let silver = monthly(&app, "Silver", "currency=usd&unit_amount=1000").await;
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=2000").await;
        let sub = subscribe(&app, &who, &[&silver], "").await;
        assert_eq!(sub["status"], "active");
        let item = id(&sub["items"]["data"][0]);
        moved(&app, &clock, 15 * DAY).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        let form = format!("items[0][id]={item}&items[0][price]={gold}");
        let changed = app.made(&path, &form).await;
        assert_eq!(changed["items"]["data"][0]["price"]["id"], json!(gold));
        assert_eq!(changed["latest_invoice"], sub["latest_invoice"], "it waits for the renewal");

        moved(&app, &clock, 15 * DAY).await;
        let renewal = latest(&app, &id(&sub)).await;
        assert_eq!(
            amounts(&renewal),
            [
                (text("Remaining time on Gold after 16 Apr 2026"), 1_000),
                (text("Unused time on Silver after 16 Apr 2026"), -500),
                (text("1 × Gold (at $20.00 / month)"), 2_000),
            ]
        );
        assert_eq!(renewal["total"], 2_500);
        let parent = &renewal["lines"]["data"][1]["parent"]["subscription_item_details"];
        assert_eq!(parent["proration"], true);
        assert_eq!(
            parent["proration_details"]["credited_items"]["invoice"], sub["latest_invoice"],
            "what is given back was charged there"
        );
        moved(&app, &clock, HOUR).await;
        let paid = latest(&app, &id(&sub)).await;
        assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(2_500)));
    }
}

#[tokio::test]
async fn flexible_billing_gives_back_what_was_charged_and_classic_what_it_costs_now() {
    let app = TestApp::start().await;
    let ten = monthly(&app, "Ten", "currency=usd&unit_amount=1000").await;
    let twenty = monthly(&app, "Twenty", "currency=usd&unit_amount=2000").await;
    for (mode, lines, total) in [
        ("flexible", [("Remaining time on Ten", 333), ("Unused time on Twenty", -333)], 0),
        ("classic", [("Remaining time on Ten", 333), ("Unused time on Twenty", -667)], -334),
    ] {
        let (clock, who) = april(&app).await;
        let more = format!("billing_mode[type]={mode}");
        let sub = subscribe(&app, &who, &[&ten], &more).await;
        let item = id(&sub["items"]["data"][0]);
        let path = format!("/v1/subscriptions/{}", id(&sub));
        // From ten to twenty for nothing, then back.
        let up = format!("items[0][id]={item}&items[0][price]={twenty}&proration_behavior=none");
        app.made(&path, &up).await;
        moved(&app, &clock, 20 * DAY).await;
        let down =
            format!("items[0][id]={item}&items[0][price]={ten}&proration_behavior=always_invoice");
        app.made(&path, &down).await;
        let invoice = latest(&app, &id(&sub)).await;
        let expected: Vec<_> = lines
            .iter()
            .map(|(line, amount)| (format!("{line} after 21 Apr 2026"), *amount))
            .collect();
        assert_eq!(amounts(&invoice), expected, "{mode}");
        assert_eq!(invoice["total"], total, "{mode}");
        assert_eq!((&invoice["status"], &invoice["amount_due"]), (&json!("paid"), &json!(0)));
        let balance = app.read(&format!("/v1/customers/{who}")).await["balance"].clone();
        assert_eq!(balance, total, "what is owed to the customer is credit");
    }
}

#[tokio::test]
async fn more_seats_are_paid_for_at_once_when_so_asked() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let who = payer(&app, "").await;
        let sub = subscribe(&app, &who, &[&seat], "items[0][quantity]=3").await;
        let item = id(&sub["items"]["data"][0]);
        // A day of the 31 is gone.
        app.live_s(DAY).await;
        let form = "quantity=5&proration_behavior=always_invoice";
        app.made(&format!("/v1/subscription_items/{item}"), form).await;
        let invoice = latest(&app, &id(&sub)).await;
        assert_eq!(
            amounts(&invoice),
            [
                // 3500 × 30 ÷ 31 = 3387.1, 2100 × 30 ÷ 31 = 2032.3
                (text("Remaining time on 5 × Seat after 16 Jan 2026"), 3_387),
                (text("Unused time on 3 × Seat after 16 Jan 2026"), -2_032),
            ]
        );
        assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&json!("paid"), &json!(1_355)));
        assert_eq!(invoice["billing_reason"], "subscription_update");
        let details = &invoice["parent"]["subscription_details"];
        assert_eq!(details["subscription_proration_date"], START.0 + DAY);
    }
}

#[tokio::test]
async fn an_item_that_is_added_and_one_that_goes_are_billed_for_their_time() {
    let app = TestApp::start().await;
    let meter = shop::meter(&app, "tokens").await;
    let usage = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let who = payer(&app, "").await;
    let sub = subscribe(&app, &who, &[&usage], "").await;
    let path = format!("/v1/subscriptions/{}", id(&sub));
    used(&app, "tokens", &who, "7", Timestamp(START.0 + 3)).await;
    app.live_s(DAY).await;
    let added = app.made(&path, &format!("items[0][price]={seat}&items[0][quantity]=2")).await;
    let items = added["items"]["data"].as_array().unwrap();
    assert_eq!(items[1]["current_period_end"], items[0]["current_period_end"]);
    app.live_s(DAY).await;
    let gone = format!(
        "items[0][id]={}&items[0][deleted]=true&proration_behavior=always_invoice",
        id(&items[0])
    );
    app.made(&path, &gone).await;
    let invoice = latest(&app, &id(&sub)).await;
    assert_eq!(
        amounts(&invoice),
        [
            (text("7 × Tokens (at $0.04 / month)"), 28),
            // 6200 × 30 ÷ 31
            (text("Remaining time on 2 × Seat after 16 Jan 2026"), 6_000),
        ],
        "usage of an item that goes is billed"
    );
    assert_eq!(invoice["status"], "paid");
}

#[tokio::test]
async fn a_period_that_begins_anew_gives_back_the_old_one_and_bills_its_usage() {
    let app = TestApp::start().await;
    let meter = shop::meter(&app, "tokens").await;
    let usage = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let who = payer(&app, "").await;
    let sub = subscribe(&app, &who, &[&usage, &seat], "").await;
    used(&app, "tokens", &who, "9", Timestamp(START.0 + 3)).await;
    app.live_s(10 * DAY).await;
    let path = format!("/v1/subscriptions/{}", id(&sub));
    let anew = app.made(&path, "billing_cycle_anchor[type]=now").await;
    assert_eq!(anew["billing_cycle_anchor"], START.0 + 10 * DAY);
    let invoice = latest(&app, &id(&sub)).await;
    assert_eq!(
        amounts(&invoice),
        [
            (text("Unused time on Seat after 25 Jan 2026"), -2_100),
            (text("9 × Tokens (at $0.04 / month)"), 36),
            (text("1 × Seat (at $31.00 / month)"), 3_100),
        ]
    );
    assert_eq!(invoice["status"], "paid");
    // What was billed is not billed again: the next one is of the new period alone.
    app.live_s(DAY).await;
    used(&app, "tokens", &who, "100", app.now()).await;
    let preview =
        app.made("/v1/invoices/create_preview", &format!("subscription={}", id(&sub))).await;
    assert_eq!(preview["total"], 400 + 3_100);
}

#[tokio::test]
async fn a_metered_price_that_changes_is_billed_at_the_old_one_until_then() {
    let app = TestApp::start().await;
    let meter = shop::meter(&app, "tokens").await;
    let four = metered(&app, &meter, "Four", "currency=usd&unit_amount=4").await;
    let seven = metered(&app, &meter, "Seven", "currency=usd&unit_amount=7").await;
    for (mode, total) in [("flexible", 10 * 4 + 7), ("classic", 7)] {
        let who = payer(&app, "").await;
        let more = format!("billing_mode[type]={mode}");
        let sub = subscribe(&app, &who, &[&four], &more).await;
        let item = id(&sub["items"]["data"][0]);
        used(&app, "tokens", &who, "10", app.now()).await;
        app.live_s(DAY).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        app.made(&path, &format!("items[0][id]={item}&items[0][price]={seven}")).await;
        used(&app, "tokens", &who, "1", app.now()).await;
        let form = format!("subscription={}", id(&sub));
        let preview = app.made("/v1/invoices/create_preview", &form).await;
        assert_eq!(preview["total"], total, "{mode}");
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_paid_is_not_made_when_so_asked() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let who = payer(&app, "").await;
        let sub = subscribe(&app, &who, &[&seat], "").await;
        let failing = app
            .made(
                "/v1/payment_methods/pm_card_chargeCustomerFail/attach",
                &format!("customer={who}"),
            )
            .await;
        let form = format!("invoice_settings[default_payment_method]={}", id(&failing));
        app.made(&format!("/v1/customers/{who}"), &form).await;
        app.live_s(DAY).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        let before = app.read(&path).await;
        let item = id(&sub["items"]["data"][0]);
        let form = format!(
            "items[0][id]={item}&items[0][quantity]=9&proration_behavior=always_invoice\
             &payment_behavior=error_if_incomplete"
        );
        assert_eq!(app.post(&path, &form).await.status, 402);
        assert_eq!(app.read(&path).await, before);
        let form = form.replace("error_if_incomplete", "allow_incomplete");
        let changed = app.made(&path, &form).await;
        assert_eq!(
            (&changed["status"], &changed["items"]["data"][0]["quantity"]),
            (&json!("past_due"), &json!(9))
        );
    }
}

#[tokio::test]
async fn canceling_gives_unused_time_back_only_when_asked() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    for (query, total) in [("", None), ("?prorate=true&invoice_now=true", Some(-3_000))] {
        let who = payer(&app, "").await;
        let sub = subscribe(&app, &who, &[&seat], "").await;
        app.live_s(DAY).await;
        let over = app.delete(&format!("/v1/subscriptions/{}{query}", id(&sub))).await.json();
        assert_eq!(over["status"], "canceled");
        match total {
            None => assert_eq!(over["latest_invoice"], sub["latest_invoice"]),
            Some(total) => {
                assert_eq!(latest(&app, &id(&sub)).await["total"], total);
                let customer = app.read(&format!("/v1/customers/{who}")).await;
                assert_eq!(customer["balance"], total);
            }
        }
    }
}

#[tokio::test]
async fn a_subscription_that_ends_with_its_period_bills_its_last_usage_and_nothing_ahead() {
    let app = TestApp::start().await;
    let meter = shop::meter(&app, "tokens").await;
    let usage = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let who = payer(&app, "").await;
    let sub = subscribe(&app, &who, &[&usage, &seat], "").await;
    let path = format!("/v1/subscriptions/{}", id(&sub));
    used(&app, "tokens", &who, "11", Timestamp(START.0 + 3)).await;
    app.live_s(DAY).await;
    let ending = app.made(&path, "cancel_at_period_end=true").await;
    assert_eq!(
        (&ending["status"], &ending["cancel_at"]),
        (&json!("active"), &json!(START.0 + 31 * DAY))
    );
    let undone = app.made(&path, "cancel_at_period_end=false").await;
    assert_eq!((&undone["cancel_at"], &undone["canceled_at"]), (&json!(null), &json!(null)));
    app.made(&path, "cancel_at_period_end=true").await;
    app.live_s(30 * DAY).await;
    let over = app.read(&path).await;
    assert_eq!(
        (&over["status"], &over["ended_at"]),
        (&json!("canceled"), &json!(START.0 + 31 * DAY))
    );
    let last = latest(&app, &id(&sub)).await;
    assert_eq!(amounts(&last), [(text("11 × Tokens (at $0.04 / month)"), 44)]);
    app.live_s(HOUR).await;
    let settled = latest(&app, &id(&sub)).await;
    // Less than can be charged is carried over.
    assert_eq!((&settled["status"], &settled["amount_due"]), (&json!("paid"), &json!(0)));
    assert_eq!(app.read(&format!("/v1/customers/{who}")).await["balance"], 44);
}

#[tokio::test]
async fn usage_before_an_item_was_added_is_not_its_own_whatever_the_date_of_the_change() {
    let app = TestApp::start().await;
    let meter = shop::meter(&app, "tokens").await;
    let four = metered(&app, &meter, "Four", "currency=usd&unit_amount=4").await;
    let seven = metered(&app, &meter, "Seven", "currency=usd&unit_amount=7").await;
    let who = payer(&app, "").await;
    let sub = subscribe(&app, &who, &[&four], "").await;
    let item = id(&sub["items"]["data"][0]);
    app.live_s(2 * DAY).await;
    used(&app, "tokens", &who, "100", app.now()).await;
    app.live_s(DAY).await;
    let path = format!("/v1/subscriptions/{}", id(&sub));
    let form = format!(
        "items[0][price]={seven}&items[1][id]={item}&items[1][deleted]=true&proration_date={}",
        START.0 + DAY
    );
    app.made(&path, &form).await;
    let form = format!("subscription={}", id(&sub));
    let preview = app.made("/v1/invoices/create_preview", &form).await;
    assert_eq!(preview["total"], 100 * 4, "once, at the price it was used at");
}
