//! Pausing a subscription and resuming it: what is given back, what is billed, when it is active again.
//!
//! All start on 2026-01-15 with seats at 31.00 a month, so a day of the first period is 1.00.

use serde_json::{Value, json};
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use crate::shop::{self, customer, happened, id, latest_event, lines, meter, metered, monthly};
use crate::shop::{subscribe, told, used};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
const CARD: &str =
    "payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa";

/// A subscription to seats and tokens of a customer with a card, 11 days and 13 tokens on.
struct Shop {
    app: TestApp,
    customer: String,
    path: String,
}

impl Shop {
    async fn open(app: TestApp) -> Self {
        let meter = meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=3").await;
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
        let customer = customer(&app, CARD).await;
        let sub = subscribe(&app, &customer, &[&seat, &tokens], "").await;
        assert_eq!(sub["status"], "active");
        used(&app, "tokens", &customer, "13", Timestamp(START.0 + 5)).await;
        app.live_s(11 * DAY).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        Self { app, customer, path }
    }

    async fn pause(&self, form: &str) -> Value {
        self.app.made(&format!("{}/pause", self.path), form).await
    }

    async fn resume(&self, form: &str) -> Value {
        self.app.made(&format!("{}/resume", self.path), form).await
    }

    async fn read(&self) -> Value {
        self.app.read(&self.path).await
    }

    /// What is pending, newest first.
    async fn pending(&self) -> Vec<i64> {
        let path = format!("/v1/invoiceitems?customer={}&pending=true", self.customer);
        let list = self.app.read(&path).await;
        list["data"].as_array().unwrap().iter().map(|i| i["amount"].as_i64().unwrap()).collect()
    }

    async fn latest_invoice(&self) -> Value {
        let sub = self.read().await;
        self.app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await
    }

    /// From now on payments are refused.
    async fn decline(&self) {
        let card = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
        let form = format!("customer={}", self.customer);
        let card = id(&self.app.made(card, &form).await);
        let form = format!("invoice_settings[default_payment_method]={card}");
        self.app.made(&format!("/v1/customers/{}", self.customer), &form).await;
    }
}

#[tokio::test]
async fn a_pause_gives_unused_time_back_and_bills_usage_and_nothing_is_billed_until_it_is_resumed()
{
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let seen = latest_event(&shop.app).await;
        let sub = shop.pause("").await;
        let now = shop.app.now().0;
        assert_eq!(sub["status"], "paused");
        assert_eq!(
            sub["status_details"],
            json!({ "paused": {
                "subscription": { "type": "pause_requested" }, "transitioned_at": now,
                "type": "subscription",
            }})
        );
        for item in sub["items"]["data"].as_array().unwrap() {
            assert_eq!(item["current_period_start"], START.0);
            assert_eq!(item["current_period_end"], now);
        }
        assert_eq!(shop.pending().await, [39, -2_000]);
        assert_eq!(
            happened(&shop.app, Some(&seen)).await,
            [
                "invoiceitem.created",
                "invoiceitem.created",
                "customer.subscription.updated",
                "customer.subscription.paused"
            ]
        );
        // Two months on, with usage that is not billed.
        used(&shop.app, "tokens", &shop.customer, "1000", Timestamp(now + 7)).await;
        shop.app.live_s(62 * DAY).await;
        let invoices = shop.app.read("/v1/invoices").await;
        assert_eq!(invoices["data"].as_array().unwrap().len(), 1, "the first one only");

        let sub = shop.resume("").await;
        let now = shop.app.now().0;
        assert_eq!((&sub["status"], &sub["billing_cycle_anchor"]), (&json!("active"), &json!(now)));
        assert!(sub.get("status_details").is_none_or(Value::is_null), "{sub}");
        assert_eq!(sub["items"]["data"][0]["current_period_start"], now);
        let invoice = shop.latest_invoice().await;
        assert_eq!(
            (&invoice["status"], &invoice["billing_reason"], &invoice["total"]),
            (&json!("paid"), &json!("subscription_update"), &json!(3_100 - 2_000 + 39))
        );
        let kinds = happened(&shop.app, None).await;
        assert_eq!(kinds.last().unwrap(), "customer.subscription.resumed", "{kinds:?}");
        assert_eq!(kinds.iter().filter(|kind| *kind == "customer.subscription.resumed").count(), 1);
    }
}

#[tokio::test]
async fn a_pause_that_is_invoiced_leaves_what_it_gives_back_on_the_balance() {
    let shop = Shop::open(TestApp::start().await).await;
    let sub = shop.pause("invoicing_behavior=invoice&type=subscription").await;
    assert_eq!(sub["status"], "paused");
    let invoice = shop.latest_invoice().await;
    assert_eq!((&invoice["status"], &invoice["total"]), (&json!("paid"), &json!(-1_961)));
    assert_eq!(invoice["billing_reason"], "subscription_update");
    let customer = shop.app.read(&format!("/v1/customers/{}", shop.customer)).await;
    assert_eq!(customer["balance"], -1_961);
    assert_eq!(shop.pending().await, [0; 0]);
}

#[tokio::test]
async fn a_pause_bills_what_it_is_told_to() {
    for (form, pending) in [
        ("bill_for[unused_time_from][type]=none", vec![39]),
        ("bill_for[outstanding_usage_through][type]=none", vec![-2_000]),
        (
            "bill_for[unused_time_from][type]=item_current_period_start\
             &bill_for[outstanding_usage_through][type]=now",
            vec![39, -3_100],
        ),
        (
            "bill_for[unused_time_from][type]=none\
             &bill_for[outstanding_usage_through][type]=none",
            vec![],
        ),
    ] {
        let shop = Shop::open(TestApp::start().await).await;
        shop.pause(form).await;
        assert_eq!(shop.pending().await, pending, "{form}");
    }
}

#[tokio::test]
async fn a_subscription_comes_back_to_the_period_that_it_would_be_in() {
    // On day 21 of 31, 10 days are left.
    for (form, pending, billed) in [
        ("", vec![1_000, 39, -2_000], None),
        ("&proration_behavior=none", vec![39, -2_000], None),
        ("&proration_behavior=always_invoice", vec![], Some(1_000 + 39 - 2_000)),
    ] {
        let shop = Shop::open(TestApp::start().await).await;
        shop.pause("").await;
        shop.app.live_s(10 * DAY).await;
        let sub = shop.resume(&format!("billing_cycle_anchor[type]=unchanged{form}")).await;
        assert_eq!(sub["status"], "active", "{form}");
        assert_eq!(sub["billing_cycle_anchor"], START.0);
        let item = &sub["items"]["data"][0];
        assert_eq!(item["current_period_start"], START.0 + 21 * DAY);
        assert_eq!(item["current_period_end"], START.0 + 31 * DAY);
        assert_eq!(shop.pending().await, pending, "{form}");
        let total = shop.latest_invoice().await["total"].as_i64();
        assert_eq!(total, billed.or(Some(3_100)), "{form}");
        // And is billed as before from then on.
        used(&shop.app, "tokens", &shop.customer, "7", shop.app.now()).await;
        shop.app.live_s(10 * DAY).await;
        let renewal = shop.latest_invoice().await;
        assert_eq!(renewal["billing_reason"], "subscription_cycle");
        let carried: i64 = pending.iter().sum();
        assert_eq!(renewal["total"], 3_100 + 7 * 3 + carried, "{form}");
    }
}

#[tokio::test]
async fn time_that_was_paid_for_and_not_given_back_is_not_charged_again() {
    let shop = Shop::open(TestApp::start().await).await;
    shop.pause("bill_for[unused_time_from][type]=none").await;
    shop.app.live_s(10 * DAY).await;
    shop.resume("billing_cycle_anchor[type]=unchanged").await;
    assert_eq!(shop.pending().await.iter().sum::<i64>(), 39);
}

#[tokio::test]
async fn a_date_says_as_of_when_the_rest_of_a_period_is_charged() {
    let shop = Shop::open(TestApp::start().await).await;
    shop.pause("").await;
    shop.app.live_s(10 * DAY).await;
    let path = format!("{}/resume", shop.path);
    let unchanged = "billing_cycle_anchor[type]=unchanged&proration_date";
    let outside = format!("{unchanged}={}", START.0 - 1);
    assert_eq!(shop::refused(&shop.app, &path, &outside).await[1], "proration_date");
    shop.resume(&format!("{unchanged}={}", START.0 + 18 * DAY)).await;
    assert_eq!(shop.pending().await, [1_300, 39, -2_000]);
}

#[tokio::test]
async fn a_resumption_that_is_refused_payment_is_past_due() {
    let shop = Shop::open(TestApp::start().await).await;
    shop.pause("").await;
    shop.decline().await;
    let sub = shop.resume("").await;
    assert_eq!(sub["status"], "past_due");
    let invoice = shop.latest_invoice().await;
    assert_eq!((&invoice["status"], &invoice["attempt_count"]), (&json!("open"), &json!(1)));
    assert_eq!(invoice["next_payment_attempt"], shop.app.now().0 + 3 * DAY);
}

#[tokio::test]
async fn a_resumption_waits_for_its_payment() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        shop.pause("").await;
        let sub = shop.resume("payment_behavior=resume_on_payment_success").await;
        assert_eq!(sub["status"], "paused");
        let invoice = shop.latest_invoice().await;
        assert_eq!((&invoice["status"], &invoice["attempted"]), (&json!("open"), &json!(false)));
        let [_, _, said] = shop::refused(&shop.app, &format!("{}/resume", shop.path), "").await;
        assert!(said.contains(invoice["id"].as_str().unwrap()), "{said}");
        shop.app.live_s(22 * HOUR).await;
        assert_eq!(shop.read().await["status"], "paused");
        shop.app.made(&format!("/v1/invoices/{}/pay", id(&invoice)), "").await;
        assert_eq!(shop.read().await["status"], "active");
        shop.app.live_s(2 * HOUR).await;
        assert_eq!(shop.read().await["status"], "active");
    }
}

#[tokio::test]
async fn a_resumption_that_is_not_paid_in_23_hours_is_taken_back() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        shop.pause("").await;
        let paused = shop.read().await["status_details"].clone();
        shop.resume("payment_behavior=resume_on_payment_success").await;
        shop.app.live_s(23 * HOUR - 1).await;
        assert_eq!(shop.latest_invoice().await["status"], "open");
        shop.app.live_s(1).await;
        assert_eq!(shop.latest_invoice().await["status"], "void");
        let sub = shop.read().await;
        assert_eq!((&sub["status"], &sub["status_details"]), (&json!("paused"), &paused));
        // And can be resumed again.
        assert_eq!(shop.resume("").await["status"], "active");
    }
}

#[tokio::test]
async fn a_resumption_whose_invoice_is_voided_or_given_up_goes_as_that_says() {
    for (verb, status) in [("void", "paused"), ("mark_uncollectible", "active")] {
        let shop = Shop::open(TestApp::start().await).await;
        shop.pause("").await;
        shop.resume("payment_behavior=resume_on_payment_success").await;
        let invoice = id(&shop.latest_invoice().await);
        shop.app.made(&format!("/v1/invoices/{invoice}/{verb}"), "").await;
        assert_eq!(shop.read().await["status"], status, "{verb}");
    }
}

#[tokio::test]
async fn only_an_active_flexible_subscription_that_is_charged_is_paused() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    for (more, word) in [
        ("billing_mode[type]=classic", "flexible"),
        ("collection_method=send_invoice&days_until_due=7", "charge_automatically"),
        ("trial_period_days=7", "trialing"),
        ("payment_behavior=default_incomplete", "incomplete"),
    ] {
        let who = customer(&app, CARD).await;
        let sub = subscribe(&app, &who, &[&seat], more).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        let [_, _, said] = shop::refused(&app, &format!("{path}/pause"), "").await;
        assert!(said.contains(&format!("`{word}`")), "{said}");
        let [_, _, said] = shop::refused(&app, &format!("{path}/resume"), "").await;
        assert_eq!(said, "You can only resume a subscription if it is `paused`.");
        app.delete(&path).await;
        for verb in ["pause", "resume"] {
            let [code, _, _] = told(&app.post(&format!("{path}/{verb}"), "").await, 404);
            assert_eq!(code, "resource_missing");
        }
    }
}

#[tokio::test]
async fn a_paused_trial_is_resumed_once_there_is_a_card() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let who = customer(&app, "").await;
    let trial = "trial_period_days=7&trial_settings[end_behavior][missing_payment_method]=pause";
    let sub = subscribe(&app, &who, &[&seat], trial).await;
    let path = format!("/v1/subscriptions/{}", id(&sub));
    app.live_s(7 * DAY).await;
    let sub = app.read(&path).await;
    assert_eq!(
        sub["status_details"]["paused"]["subscription"]["type"],
        "trial_end_without_payment_method"
    );
    // With nothing that pays, its invoice waits.
    let waits = app.made(&format!("{path}/resume"), "").await;
    assert_eq!(waits["status"], "paused");
    app.live_s(23 * HOUR).await;
    let card =
        id(&app.made("/v1/payment_methods/pm_card_visa/attach", &format!("customer={who}")).await);
    app.made(&path, &format!("default_payment_method={card}")).await;
    let sub = app.made(&format!("{path}/resume"), "").await;
    assert_eq!(sub["status"], "active");
    let invoice =
        app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await;
    assert_eq!(lines(&invoice).len(), 1);
    assert_eq!(invoice["amount_paid"], 3_100);
}
