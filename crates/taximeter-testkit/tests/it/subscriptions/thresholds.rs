//! Invoices before their time: when as much was used as was agreed to.

use serde_json::{Value, json};
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use crate::shop::{self, customer, id, lines, meter, metered, monthly, subscribe, used};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
const CARD: &str =
    "payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa";

/// A subscription to tokens of a customer with a card.
struct Shop {
    app: TestApp,
    customer: String,
    path: String,
}

impl Shop {
    /// With tokens at so much, as the last item, and whatever else is in the form.
    async fn open(app: TestApp, tokens: &str, others: &[&str], more: &str) -> Self {
        let meter = meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", tokens).await;
        let customer = customer(&app, CARD).await;
        let mut prices = others.to_vec();
        prices.push(&tokens);
        let sub = subscribe(&app, &customer, &prices, more).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        Self { app, customer, path }
    }

    async fn used(&self, value: &str) {
        let at = Timestamp(self.app.now().0 - 1);
        used(&self.app, "tokens", &self.customer, value, at).await;
    }

    async fn read(&self) -> Value {
        self.app.read(&self.path).await
    }

    /// All invoices, oldest first: why, and what they come to.
    async fn invoices(&self) -> Vec<(String, i64)> {
        let list = self.app.read("/v1/invoices?limit=100").await;
        let shown = |invoice: &Value| {
            let reason = invoice["billing_reason"].as_str().unwrap().replace("subscription_", "");
            (reason, invoice["total"].as_i64().unwrap())
        };
        list["data"].as_array().unwrap().iter().rev().map(shown).collect()
    }

    async fn latest(&self) -> Value {
        let sub = self.read().await;
        self.app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await
    }
}

fn all(invoices: &[(&str, i64)]) -> Vec<(String, i64)> {
    invoices.iter().map(|(reason, total)| ((*reason).to_owned(), *total)).collect()
}

const THREE: &str = "currency=usd&unit_amount=3";

#[tokio::test]
async fn what_is_used_is_billed_at_an_amount_and_not_again() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app, THREE, &[], "billing_thresholds[amount_gte]=300").await;
        let terms = json!({ "amount_gte": 300, "reset_billing_cycle_anchor": false });
        assert_eq!(shop.read().await["billing_thresholds"], terms);
        shop.app.live_s(DAY).await;
        shop.used("99").await;
        shop.app.live_s(60).await;
        assert_eq!(shop.invoices().await, []);
        shop.used("1").await;
        shop.app.live_s(60).await;
        let invoice = shop.latest().await;
        assert_eq!((&invoice["status"], &invoice["total"]), (&json!("paid"), &json!(300)));
        assert_eq!(invoice["billing_reason"], "subscription_threshold");
        let reason = json!({ "amount_gte": 300, "item_reasons": [] });
        assert_eq!(invoice["threshold_reason"], reason);
        assert_eq!(shop.read().await["billing_cycle_anchor"], START.0);
        shop.used("50").await;
        shop.app.live_s(DAY).await;
        assert_eq!(shop.invoices().await, all(&[("threshold", 300)]));
        shop.app.live_s(30 * DAY).await;
        let renewal = shop.latest().await;
        assert_eq!(
            lines(&renewal),
            [
                ("150 × Tokens (at $0.03 / month)".to_owned(), "150".to_owned(), 450),
                ("Amount previously billed (at $0.03 per unit)".to_owned(), "100".to_owned(), -300),
            ]
        );
        assert_eq!(shop.invoices().await, all(&[("threshold", 300), ("cycle", 150)]));
        // The next period begins from nothing.
        shop.used("7").await;
        shop.app.live_s(27 * DAY).await;
        shop.app.live_s(DAY).await;
        assert_eq!(shop.latest().await["total"], 21);
    }
}

#[tokio::test]
async fn tiers_go_on_across_thresholds() {
    // Up to 10,000 at 0.50, beyond at 0.40, all at the price of the tier that is reached.
    let volume = "currency=usd&billing_scheme=tiered&tiers_mode=volume&tiers[0][up_to]=10000\
        &tiers[0][unit_amount]=50&tiers[1][up_to]=inf&tiers[1][unit_amount]=40";
    for (more, renewal) in [("1", -99_960), ("15000", 0)] {
        let app = TestApp::start().await;
        let shop = Shop::open(app, volume, &[], "billing_thresholds[amount_gte]=500000").await;
        shop.app.live_s(DAY).await;
        shop.used("10000").await;
        shop.app.live_s(60).await;
        assert_eq!(shop.invoices().await, all(&[("threshold", 500_000)]));
        shop.used(more).await;
        shop.app.live_s(60).await;
        if renewal == 0 {
            let second = shop.latest().await;
            let amounts: Vec<i64> = lines(&second).iter().map(|line| line.2).collect();
            assert_eq!(amounts, [1_000_000, -500_000]);
        }
        shop.app.live_s(31 * DAY).await;
        assert_eq!(shop.invoices().await.last().unwrap(), &("cycle".to_owned(), renewal), "{more}");
    }
}

#[tokio::test]
async fn the_usage_of_an_item_is_billed_at_so_many_units() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let form = "items[1][billing_thresholds][usage_gte]=13";
    let shop = Shop::open(app, THREE, &[&seat], form).await;
    let item = shop.read().await["items"]["data"][1].clone();
    assert_eq!(item["billing_thresholds"], json!({ "usage_gte": 13 }));
    shop.app.live_s(DAY).await;
    for (units, bills) in [("12", false), ("1", true), ("12", false), ("1", true)] {
        let before = shop.invoices().await.len();
        shop.used(units).await;
        shop.app.live_s(60).await;
        assert_eq!(shop.invoices().await.len() > before, bills, "{units}");
    }
    let invoice = shop.latest().await;
    let line = invoice["lines"]["data"][0]["id"].clone();
    assert_eq!(
        invoice["threshold_reason"],
        json!({
            "amount_gte": null,
            "item_reasons": [{ "line_item_ids": [line], "usage_gte": 13 }],
        })
    );
    assert_eq!(
        shop.invoices().await,
        all(&[("create", 3_100), ("threshold", 39), ("threshold", 39)])
    );
    // What was billed is not billed when it ends, either.
    shop.used("5").await;
    shop.app.delete(&format!("{}?invoice_now=true", shop.path)).await;
    assert_eq!(shop.invoices().await.last().unwrap(), &("update".to_owned(), 15));
}

#[tokio::test]
async fn a_threshold_is_held_against_what_is_left_after_discounts() {
    let app = TestApp::start().await;
    let coupon = id(&app.made("/v1/coupons", "percent_off=10&duration=forever").await);
    let form = format!("billing_thresholds[amount_gte]=300&discounts[0][coupon]={coupon}");
    let shop = Shop::open(app, THREE, &[], &form).await;
    shop.app.live_s(DAY).await;
    shop.used("110").await;
    shop.app.live_s(60).await;
    assert_eq!(shop.invoices().await, [], "297");
    shop.used("10").await;
    shop.app.live_s(60).await;
    shop.used("30").await;
    shop.app.live_s(31 * DAY).await;
    assert_eq!(shop.invoices().await, all(&[("threshold", 324), ("cycle", 405 - 324)]));
}

#[tokio::test]
async fn a_threshold_can_begin_the_periods_anew() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let form = "billing_thresholds[amount_gte]=3300\
                &billing_thresholds[reset_billing_cycle_anchor]=true";
    let shop = Shop::open(app, THREE, &[&seat], form).await;
    shop.app.live_s(11 * DAY - 60).await;
    shop.used("1100").await;
    shop.app.live_s(60).await;
    // 1,100 tokens, 20 of 31 days of the seat back, and the seat for the month that begins.
    assert_eq!(shop.latest().await["total"], 3_300 - 2_000 + 3_100);
    let sub = shop.read().await;
    let now = START.0 + 11 * DAY;
    assert_eq!(sub["billing_cycle_anchor"], now);
    assert_eq!(sub["items"]["data"][1]["current_period_start"], now);
    shop.app.live_s(31 * DAY).await;
    assert_eq!(shop.latest().await["total"], 3_100, "the tokens are not billed again");
}

#[tokio::test]
async fn nothing_is_billed_before_its_time_in_a_trial_or_on_the_last_day() {
    let app = TestApp::start().await;
    let form = "billing_thresholds[amount_gte]=300&trial_period_days=3";
    let shop = Shop::open(app, THREE, &[], form).await;
    shop.app.live_s(DAY).await;
    shop.used("1000").await;
    shop.app.live_s(HOUR).await;
    assert!(!shop.invoices().await.iter().any(|(reason, _)| reason == "threshold"));
    shop.app.live_s(3 * DAY - DAY - HOUR).await;
    // The first period is from day 3 to day 34: 2026-01-18 to 2026-02-18.
    shop.app.live_s(30 * DAY + 60).await;
    shop.used("1000").await;
    shop.app.live_s(HOUR).await;
    assert!(!shop.invoices().await.iter().any(|(reason, _)| reason == "threshold"));
    shop.app.live_s(DAY).await;
    assert_eq!(shop.invoices().await.last().unwrap(), &("cycle".to_owned(), 3_000));
}

#[tokio::test]
async fn a_test_clock_looks_at_its_full_hours() {
    let app = TestApp::start().await;
    let form = format!("frozen_time={}", START.0);
    let clock = id(&app.made("/v1/test_helpers/test_clocks", &form).await);
    let meter = meter(&app, "tokens").await;
    let tokens = metered(&app, &meter, "Tokens", THREE).await;
    let who = customer(&app, &format!("{CARD}&test_clock={clock}")).await;
    let sub = subscribe(&app, &who, &[&tokens], "billing_thresholds[amount_gte]=300").await;
    used(&app, "tokens", &who, "100", Timestamp(START.0 + 5)).await;
    let advance = format!("/v1/test_helpers/test_clocks/{clock}/advance");
    app.made(&advance, &format!("frozen_time={}", START.0 + 2 * HOUR)).await;
    app.work().await;
    let sub = app.read(&format!("/v1/subscriptions/{}", id(&sub))).await;
    let path = format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap());
    let invoice = app.read(&path).await;
    assert_eq!(invoice["billing_reason"], "subscription_threshold");
    // 2026-01-15T11:00:00Z
    assert_eq!(invoice["created"], START.0 + HOUR / 2);
}

#[tokio::test]
async fn thresholds_change_and_are_held_against_rules() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    let shop = Shop::open(app, THREE, &[&seat], "").await;
    let sub = shop.read().await;
    let [seat, tokens] = [0, 1].map(|place| id(&sub["items"]["data"][place]));
    let gte = "billing_thresholds][usage_gte]";
    for (form, param) in [
        ("billing_thresholds[amount_gte]=49".to_owned(), "billing_thresholds[amount_gte]"),
        ("billing_thresholds[amount_gte]=3100".to_owned(), "billing_thresholds[amount_gte]"),
        (format!("items[0][id]={seat}&items[0][{gte}=7"), "items[0][billing_thresholds]"),
        (
            format!("items[0][id]={tokens}&items[0][{gte}=0"),
            "items[0][billing_thresholds][usage_gte]",
        ),
    ] {
        assert_eq!(shop::refused(&shop.app, &shop.path, &form).await[1], param, "{form}");
    }
    let form =
        format!("billing_thresholds[amount_gte]=3101&items[0][id]={tokens}&items[0][{gte}=7");
    let sub = shop.app.made(&shop.path, &form).await;
    assert_eq!(sub["billing_thresholds"]["amount_gte"], 3_101);
    assert_eq!(sub["items"]["data"][1]["billing_thresholds"], json!({ "usage_gte": 7 }));
    let sub = shop.app.made(&shop.path, "billing_thresholds=").await;
    assert_eq!(sub["billing_thresholds"], json!(null));
    let item = format!("/v1/subscription_items/{tokens}");
    let item = shop.app.made(&item, "billing_thresholds=").await;
    assert_eq!(item["billing_thresholds"], json!(null));
}
