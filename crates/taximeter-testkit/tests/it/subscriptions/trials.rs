//! Trials, and first periods that are not whole ones.

use serde_json::{Value, json};
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use crate::shop::{self, customer, happened, id, latest_event, lines, metered, monthly, payer};
use crate::shop::{refused, subscribe, used};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

async fn invoice_of(app: &TestApp, sub: &Value) -> Value {
    app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await
}

#[tokio::test]
async fn a_trial_is_free_and_its_end_begins_the_first_period() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let usage = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let who = payer(&app, "").await;
        let sub = subscribe(&app, &who, &[&seat, &usage], "trial_period_days=14").await;
        let end = START.0 + 14 * DAY;
        assert_eq!(sub["status"], "trialing");
        assert_eq!([&sub["trial_start"], &sub["trial_end"]], [START.0, end]);
        assert_eq!(sub["billing_cycle_anchor"], end);
        assert_eq!(sub["items"]["data"][0]["current_period_end"], end);
        let first = invoice_of(&app, &sub).await;
        assert_eq!((&first["status"], &first["total"]), (&json!("paid"), &json!(0)));
        assert_eq!(lines(&first)[0].0, "Free trial for 1 × Seat");
        used(&app, "tokens", &who, "1000", Timestamp(START.0 + 3)).await;

        let seen = latest_event(&app).await;
        app.live_s(11 * DAY).await;
        assert_eq!(happened(&app, Some(&seen)).await, ["customer.subscription.trial_will_end"]);
        app.live_s(3 * DAY).await;
        let sub = app.read(&format!("/v1/subscriptions/{}", id(&sub))).await;
        assert_eq!(sub["status"], "active");
        let draft = invoice_of(&app, &sub).await;
        assert_eq!(draft["billing_reason"], "subscription_cycle");
        assert_eq!(
            lines(&draft),
            [("1 × Seat (at $7.00 / month)".to_owned(), "1".to_owned(), 700)],
            "usage of the trial is not billed"
        );
        // Counted from the trial's end, 2026-01-29.
        assert_eq!(
            sub["items"]["data"][0]["current_period_end"],
            Timestamp::from_rfc3339("2026-02-28T10:30:00Z").unwrap().0
        );
        app.live_s(HOUR).await;
        assert_eq!(invoice_of(&app, &sub).await["status"], "paid");
    }
}

#[tokio::test]
async fn a_trial_without_anything_to_pay_with_ends_as_agreed() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    for (behavior, at_end, an_hour_later) in [
        ("create_invoice", "active", "past_due"),
        ("cancel", "canceled", "canceled"),
        ("pause", "paused", "paused"),
    ] {
        let who = customer(&app, "").await;
        let more = format!(
            "trial_period_days=7&trial_settings[end_behavior][missing_payment_method]={behavior}"
        );
        let sub = subscribe(&app, &who, &[&seat], &more).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        app.live_s(7 * DAY).await;
        assert_eq!(app.read(&path).await["status"], at_end, "{behavior}");
        app.live_s(HOUR).await;
        assert_eq!(app.read(&path).await["status"], an_hour_later, "{behavior}");
    }
}

#[tokio::test]
async fn a_trial_ends_now_or_later_when_so_asked() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let who = payer(&app, "").await;
    let sub = subscribe(&app, &who, &[&seat], "trial_period_days=7").await;
    let path = format!("/v1/subscriptions/{}", id(&sub));
    let later = START.0 + 9 * DAY;
    let longer = app.made(&path, &format!("trial_end={later}")).await;
    assert_eq!([&longer["trial_end"], &longer["billing_cycle_anchor"]], [later, later]);
    app.live_s(DAY).await;
    let ended = app.made(&path, "trial_end=now").await;
    assert_eq!((&ended["status"], &ended["trial_end"]), (&json!("active"), &json!(START.0 + DAY)));
    let invoice = invoice_of(&app, &ended).await;
    assert_eq!((&invoice["status"], &invoice["total"]), (&json!("paid"), &json!(700)));
    assert_eq!(invoice["billing_reason"], "subscription_update");

    // Free for a while again: what was paid is given back.
    app.live_s(DAY).await;
    let end = START.0 + 20 * DAY;
    let free = app.made(&path, &format!("trial_end={end}")).await;
    assert_eq!(free["status"], "trialing");
    let invoice = invoice_of(&app, &free).await;
    // 700 × 30 ÷ 31
    assert_eq!(invoice["total"], -677);
}

#[tokio::test]
async fn trials_against_the_rules_are_refused() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let who = customer(&app, "").await;
    let form = shop::subscription(&who, &[&seat], "");
    let past = START.0 - 5;
    for (more, param) in [
        (format!("trial_end={past}"), "trial_end"),
        (format!("trial_end={}", START.0 + 731 * DAY), "trial_end"),
        ("trial_period_days=731".to_owned(), "trial_period_days"),
        ("trial_period_days=3&trial_end=now".to_owned(), "trial_end"),
        ("trial_from_plan=true&trial_period_days=3".to_owned(), "trial_from_plan"),
        (format!("billing_cycle_anchor={past}"), "billing_cycle_anchor"),
        (format!("billing_cycle_anchor={}", START.0 + 32 * DAY), "billing_cycle_anchor"),
        (format!("backdate_start_date={}", START.0 + 5), "backdate_start_date"),
        (format!("cancel_at={past}"), "cancel_at"),
        (
            "billing_cycle_anchor_config[day_of_month]=32".to_owned(),
            "billing_cycle_anchor_config[day_of_month]",
        ),
    ] {
        let [_, said, _] = refused(&app, "/v1/subscriptions", &format!("{form}&{more}")).await;
        assert_eq!(said, param, "{more}");
    }
    let [_, _, message] =
        refused(&app, "/v1/subscriptions", &format!("{form}&trial_end={past}")).await;
    assert_eq!(
        message,
        format!(
            "The parameter `trial_end` expects a unix timestamp representing a date and time in the \
             future. You specified the value `{past}` which is in the past."
        )
    );
}

#[tokio::test]
async fn a_first_period_up_to_an_anchor_is_charged_in_proportion_or_free() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
    // 2026-02-01T10:30:00Z, in 17 of the 31 days of a month that ends there.
    let anchor = START.0 + 17 * DAY;
    let who = payer(&app, "").await;
    let more = format!("billing_cycle_anchor={anchor}");
    let sub = subscribe(&app, &who, &[&seat], &more).await;
    assert_eq!(sub["items"]["data"][0]["current_period_end"], anchor);
    assert_eq!(invoice_of(&app, &sub).await["total"], 1_700);
    let free = subscribe(&app, &who, &[&seat], &format!("{more}&proration_behavior=none")).await;
    assert_eq!((&free["latest_invoice"], &free["status"]), (&json!(null), &json!("active")));
    app.live_s(17 * DAY).await;
    let free = app.read(&format!("/v1/subscriptions/{}", id(&free))).await;
    assert_eq!(invoice_of(&app, &free).await["total"], 3_100);
    let by_day = "billing_cycle_anchor_config[day_of_month]=5&billing_cycle_anchor_config[hour]=0\
                  &billing_cycle_anchor_config[minute]=0&billing_cycle_anchor_config[second]=0";
    let sub = subscribe(&app, &payer(&app, "").await, &[&seat], by_day).await;
    let fifth = Timestamp::from_rfc3339("2026-02-05T00:00:00Z").unwrap().0;
    assert_eq!(sub["billing_cycle_anchor"], fifth);
}

#[tokio::test]
async fn a_subscription_that_began_before_is_billed_since() {
    let app = TestApp::start().await;
    let meter = shop::meter(&app, "tokens").await;
    let usage = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let who = payer(&app, "").await;
    // 2025-11-15T10:30:00Z: two periods are over, the third is under way.
    let start = Timestamp::from_rfc3339("2025-11-20T10:30:00Z").unwrap().0;
    used(&app, "tokens", &who, "5", Timestamp(START.0 - 30 * DAY)).await;
    let more = format!("backdate_start_date={start}");
    let sub = subscribe(&app, &who, &[&usage, &seat], &more).await;
    assert_eq!([&sub["start_date"], &sub["billing_cycle_anchor"]], [start, start]);
    let invoice = invoice_of(&app, &sub).await;
    let amounts: Vec<_> =
        lines(&invoice).into_iter().map(|(what, _, amount)| (what, amount)).collect();
    let seat = || "1 × Seat (at $7.00 / month)".to_owned();
    assert_eq!(
        amounts,
        [(seat(), 700), (seat(), 700), ("5 × Tokens (at $0.04 / month)".to_owned(), 20),]
    );
    // 2026-01-20
    assert_eq!(
        sub["items"]["data"][0]["current_period_end"],
        Timestamp::from_rfc3339("2026-01-20T10:30:00Z").unwrap().0
    );
}

#[tokio::test]
async fn an_incomplete_subscription_is_paid_in_time_or_expires() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let who = payer(&app, "").await;
        let more = "payment_behavior=default_incomplete";
        let paid = subscribe(&app, &who, &[&seat], more).await;
        let late = subscribe(&app, &who, &[&seat], more).await;
        assert_eq!([&paid["status"], &late["status"]], ["incomplete", "incomplete"]);
        let open = invoice_of(&app, &paid).await;
        app.made(&format!("/v1/invoices/{}/pay", id(&open)), "").await;
        assert_eq!(app.read(&format!("/v1/subscriptions/{}", id(&paid))).await["status"], "active");
        app.live_s(23 * HOUR).await;
        let late = app.read(&format!("/v1/subscriptions/{}", id(&late))).await;
        assert_eq!(late["status"], "incomplete_expired");
        assert_eq!(invoice_of(&app, &late).await["status"], "void");
    }
}

#[tokio::test]
async fn invoices_are_held_back_while_collection_is_paused() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    for (behavior, status) in
        [("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible"), ("void", "void")]
    {
        let who = payer(&app, "").await;
        let sub = subscribe(&app, &who, &[&seat], "").await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        let end = sub["items"]["data"][0]["current_period_end"].as_i64().unwrap();
        let form = format!(
            "pause_collection[behavior]={behavior}&pause_collection[resumes_at]={}",
            end + DAY
        );
        app.made(&path, &form).await;
        app.live_s(end - app.now().0 + 2 * HOUR).await;
        let held = app.read(&path).await;
        assert_eq!(held["status"], "active", "{behavior}");
        assert_eq!(invoice_of(&app, &held).await["status"], status);
        app.live_s(DAY).await;
        assert_eq!(app.read(&path).await["pause_collection"], json!(null));
    }
}

#[tokio::test]
async fn who_begins_with_nothing_to_pay_and_nothing_to_pay_with_is_asked_for_it() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let who = customer(&app, "").await;
        let form = "trial_period_days=14&expand[0]=pending_setup_intent";
        let sub = subscribe(&app, &who, &[&seat], form).await;
        assert_eq!(sub["status"], "trialing");
        let asked = &sub["pending_setup_intent"];
        assert_eq!(asked["object"], "setup_intent");
        assert_eq!(asked["status"], "requires_payment_method");
        assert_eq!((&asked["customer"], &asked["usage"]), (&json!(who), &json!("off_session")));
        let path = format!("/v1/subscriptions/{}", id(&sub));
        assert_eq!(app.read(&path).await["pending_setup_intent"], json!(id(asked)));

        let confirm = format!("/v1/setup_intents/{}/confirm", id(asked));
        let done = app.made(&confirm, "payment_method=pm_card_visa").await;
        assert_eq!(done["status"], "succeeded");
        let sub = app.read(&path).await;
        assert_eq!(sub["pending_setup_intent"], json!(null));
        assert_eq!(sub["default_payment_method"], done["payment_method"]);
        app.live_s(14 * DAY).await;
        app.live_s(HOUR).await;
        let paid = invoice_of(&app, &app.read(&path).await).await;
        assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(700)));
    }
}

#[tokio::test]
async fn who_can_pay_or_is_sent_invoices_is_not_asked_for_anything() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let who = payer(&app, "").await;
    let sub = subscribe(&app, &who, &[&seat], "trial_period_days=14").await;
    assert_eq!(sub["pending_setup_intent"], json!(null));
    let who = customer(&app, "").await;
    let sent = "trial_period_days=14&collection_method=send_invoice&days_until_due=7";
    let sub = subscribe(&app, &who, &[&seat], sent).await;
    assert_eq!(sub["pending_setup_intent"], json!(null));
    let sub = subscribe(&app, &who, &[&seat], "payment_behavior=default_incomplete").await;
    assert_eq!(
        (&sub["status"], &sub["pending_setup_intent"]),
        (&json!("incomplete"), &json!(null))
    );
}
