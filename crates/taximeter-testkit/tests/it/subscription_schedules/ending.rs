//! How schedules end: with their subscriptions, or leaving them to themselves.

use serde_json::json;
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use super::{DAY, PATH, Shop, amounts, at};
use crate::shop::{happened, id, latest_event, meter, metered, refused, subscribe, told, used};

#[tokio::test]
async fn a_schedule_that_is_canceled_bills_usage_and_gives_the_rest_back() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let meter = meter(&shop.app, "tokens").await;
        let tokens = metered(&shop.app, &meter, "Tokens", "currency=usd&unit_amount=3").await;
        let sub = subscribe(&shop.app, &shop.customer, &[&shop.seat, &tokens], "").await;
        let schedule = shop.app.made(PATH, &format!("from_subscription={}", id(&sub))).await;
        used(&shop.app, "tokens", &shop.customer, "13", Timestamp(START.0 + 5)).await;
        shop.app.live_s(11 * DAY).await;
        let seen = latest_event(&shop.app).await;
        let canceled = shop.app.made(&format!("{PATH}/{}/cancel", id(&schedule)), "").await;
        let now = shop.app.now().0;
        assert_eq!(
            (&canceled["status"], &canceled["canceled_at"]),
            (&json!("canceled"), &json!(now))
        );
        assert_eq!(
            (&canceled["subscription"], &canceled["current_phase"]),
            (&sub["id"], &json!(null))
        );
        assert_eq!(shop.sub(&schedule).await["status"], "canceled");
        let mut last = amounts(&shop.latest(&schedule).await);
        last.sort_unstable();
        assert_eq!(last, [-2_000, 39]);
        let kinds = happened(&shop.app, Some(&seen)).await;
        let ends: Vec<_> = kinds.iter().filter(|kind| kind.contains("subscription")).collect();
        assert_eq!(ends, ["customer.subscription.deleted", "subscription_schedule.canceled"]);
        let again = refused(&shop.app, &format!("{PATH}/{}/cancel", id(&schedule)), "").await;
        assert_eq!(
            again[2],
            "You cannot cancel a subscription schedule that is currently in the `canceled` status. \
             It must be in `not_started, active` status to be canceled."
        );
    }
}

#[tokio::test]
async fn a_schedule_can_be_canceled_without_a_last_invoice() {
    let shop = Shop::open(TestApp::start().await).await;
    let schedule = shop.schedule(&shop.seat_then_pro()).await;
    shop.app.live_s(11 * DAY).await;
    let path = format!("{PATH}/{}/cancel", id(&schedule));
    shop.app.made(&path, "invoice_now=false&prorate=false").await;
    assert_eq!(shop.billed(&schedule).await.len(), 1);
    assert_eq!(shop.pending().await, [0; 0]);
}

#[tokio::test]
async fn a_schedule_to_come_is_canceled_alone() {
    let shop = Shop::open(TestApp::start().await).await;
    let later = format!("{}&start_date={}", shop.seat_then_pro(), START.0 + DAY);
    let schedule = shop.schedule(&later).await;
    let canceled = shop.app.made(&format!("{PATH}/{}/cancel", id(&schedule)), "").await;
    assert_eq!(
        (&canceled["status"], &canceled["subscription"]),
        (&json!("canceled"), &json!(null))
    );
    shop.app.live_s(2 * DAY).await;
    let subs = shop.app.read("/v1/subscriptions?status=all").await;
    assert_eq!(subs["data"], json!([]), "it does not begin");
}

#[tokio::test]
async fn a_subscription_that_ends_takes_its_schedule_along() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let schedule = shop.schedule(&shop.seat_then_pro()).await;
        let path = format!("/v1/subscriptions/{}", id(&shop.sub(&schedule).await));
        assert_eq!(shop.app.delete(&path).await.json()["status"], "canceled");
        assert_eq!(shop.read(&schedule).await["status"], "canceled");
        let kinds = happened(&shop.app, None).await;
        assert_eq!(kinds.last().unwrap(), "subscription_schedule.canceled");
        shop.app.live_s(40 * DAY).await;
        assert_eq!(shop.billed(&schedule).await.len(), 1);
    }
}

#[tokio::test]
async fn a_customer_who_is_deleted_has_no_schedules_left() {
    let shop = Shop::open(TestApp::start().await).await;
    let now = shop.schedule(&shop.seat_then_pro()).await;
    let later = format!("{}&start_date={}", shop.seat_then_pro(), START.0 + DAY);
    let later = shop.schedule(&later).await;
    shop.app.delete(&format!("/v1/customers/{}", shop.customer)).await;
    for schedule in [now, later] {
        assert_eq!(shop.read(&schedule).await["status"], "canceled");
    }
    shop.app.live_s(2 * DAY).await;
}

#[tokio::test]
async fn a_schedule_whose_subscription_is_not_paid_is_aborted() {
    let shop = Shop::open(TestApp::start().await).await;
    let form =
        format!("phases[0][items][0][price]={}&phases[0][duration][interval]=year", shop.seat);
    let schedule = shop.schedule(&form).await;
    let card = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
    let card = id(&shop.app.made(card, &format!("customer={}", shop.customer)).await);
    let form = format!("invoice_settings[default_payment_method]={card}");
    shop.app.made(&format!("/v1/customers/{}", shop.customer), &form).await;
    for _ in 0..30 {
        shop.app.live_s(DAY).await;
    }
    assert_eq!(shop.sub(&schedule).await["status"], "canceled");
    let aborted = shop.read(&schedule).await;
    assert_eq!(aborted["status"], "canceled");
    let kinds = happened(&shop.app, None).await;
    assert!(kinds.iter().any(|kind| kind == "subscription_schedule.aborted"), "{kinds:?}");
}

#[tokio::test]
async fn a_schedule_that_ends_its_subscription_is_completed() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let form = format!("{}&end_behavior=cancel", shop.seat_then_pro());
        let schedule = shop.schedule(&form).await;
        let end = at("2026-03-15T10:30:00Z");
        let sub = shop.sub(&schedule).await;
        assert_eq!((&sub["cancel_at"], &sub["cancel_at_period_end"]), (&json!(end), &json!(false)));
        shop.app.live_s(52 * DAY - 1).await;
        let seen = latest_event(&shop.app).await;
        shop.app.live_s(1).await;
        assert_eq!(happened(&shop.app, Some(&seen)).await, ["subscription_schedule.expiring"]);
        shop.app.live_s(7 * DAY).await;
        assert_eq!(
            happened(&shop.app, Some(&seen)).await,
            [
                "subscription_schedule.expiring",
                "customer.subscription.deleted",
                "subscription_schedule.completed"
            ]
        );
        let done = shop.read(&schedule).await;
        assert_eq!((&done["status"], &done["completed_at"]), (&json!("completed"), &json!(end)));
        assert_eq!((&done["current_phase"], &done["subscription"]), (&json!(null), &sub["id"]));
        let sub = shop.sub(&schedule).await;
        assert_eq!((&sub["status"], &sub["ended_at"]), (&json!("canceled"), &json!(end)));
        assert_eq!(shop.billed(&schedule).await.len(), 2);
    }
}

#[tokio::test]
async fn a_schedule_that_is_released_leaves_its_subscription_as_it_is() {
    for (form, kept) in [("", false), ("preserve_cancel_date=true", true)] {
        for app in TestApp::everywhere().await {
            let shop = Shop::open(app).await;
            let made = format!("{}&end_behavior=cancel", shop.seat_then_pro());
            let schedule = shop.schedule(&made).await;
            let sub = shop.sub(&schedule).await;
            shop.app.live_s(DAY).await;
            let seen = latest_event(&shop.app).await;
            let path = format!("{PATH}/{}/release", id(&schedule));
            let released = shop.app.made(&path, form).await;
            assert_eq!(released["status"], "released");
            assert_eq!(released["released_at"], shop.app.now().0);
            assert_eq!(
                (&released["subscription"], &released["released_subscription"]),
                (&json!(null), &sub["id"])
            );
            assert_eq!(
                happened(&shop.app, Some(&seen)).await,
                ["customer.subscription.updated", "subscription_schedule.released"]
            );
            let after = shop.sub(&schedule).await;
            assert_eq!(after["schedule"], json!(null));
            assert_eq!(after["cancel_at"].is_i64(), kept);
            shop.app.live_s(30 * DAY).await;
            assert_eq!(amounts(&shop.latest(&schedule).await), [3_100], "no next phase");
            let again = refused(&shop.app, &path, "").await;
            assert!(again[2].contains("currently in the `released` status"), "{again:?}");
        }
    }
}

#[tokio::test]
async fn a_schedule_that_ends_within_a_period_is_paid_for_until_then() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let end = START.0 + 10 * DAY;
        let form = format!(
            "phases[0][items][0][price]={}&phases[0][end_date]={end}&end_behavior=cancel",
            shop.seat
        );
        let schedule = shop.schedule(&form).await;
        assert_eq!(amounts(&shop.latest(&schedule).await), [1_000]);
        shop.app.live_s(10 * DAY).await;
        assert_eq!(shop.read(&schedule).await["status"], "completed");
        assert_eq!(shop.sub(&schedule).await["ended_at"], end);
        assert_eq!(shop.billed(&schedule).await.len(), 1);
    }
}

#[tokio::test]
async fn only_a_schedule_says_when_its_subscription_ends() {
    let shop = Shop::open(TestApp::start().await).await;
    let schedule = shop.schedule(&shop.seat_then_pro()).await;
    let path = format!("/v1/subscriptions/{}", id(&shop.sub(&schedule).await));
    for form in ["cancel_at_period_end=true".to_owned(), format!("cancel_at={}", START.0 + DAY)] {
        let answer = shop.app.post(&path, &form).await;
        assert_eq!(
            told(&answer, 400)[2],
            format!(
                "The subscription is managed by the subscription schedule `{}`, and updating any \
                 cancelation behavior directly is not allowed. Please update the schedule instead.",
                id(&schedule)
            )
        );
    }
    // What it is for can be changed until the next phase.
    let item = id(&shop.sub(&schedule).await["items"]["data"][0]);
    let form = format!("items[0][id]={item}&items[0][quantity]=2&proration_behavior=none");
    assert_eq!(shop.app.made(&path, &form).await["items"]["data"][0]["quantity"], 2);
    shop.app.live_s(31 * DAY).await;
    assert_eq!(amounts(&shop.latest(&schedule).await), [6_200]);
}
