//! How schedules change.

use serde_json::{Value, json};
use taximeter_testkit::{START, TestApp};

use super::{DAY, PATH, Shop, amounts, at};
use crate::shop::{happened, id, latest_event, refused, subscribe};

fn path(schedule: &Value) -> String {
    format!("{PATH}/{}", id(schedule))
}

#[tokio::test]
async fn a_subscription_gets_another_price_with_its_next_period() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let sub = subscribe(&shop.app, &shop.customer, &[&shop.seat], "").await;
        shop.app.live_s(3 * DAY).await;
        let schedule = shop.app.made(PATH, &format!("from_subscription={}", id(&sub))).await;
        let seen = latest_event(&shop.app).await;
        let form = format!(
            "phases[0][start_date]={}&phases[0][end_date]={}&phases[0][items][0][price]={}\
             &phases[1][items][0][price]={}&phases[1][items][0][quantity]=2",
            START.0, schedule["phases"][0]["end_date"], shop.seat, shop.pro
        );
        let changed = shop.app.made(&path(&schedule), &form).await;
        assert_eq!(changed["phases"].as_array().unwrap().len(), 2);
        assert_eq!(changed["phases"][1]["end_date"], at("2026-03-15T10:30:00Z"), "one period");
        assert_eq!(
            happened(&shop.app, Some(&seen)).await,
            ["subscription_schedule.updated"],
            "the subscription is as it was"
        );
        shop.app.live_s(28 * DAY).await;
        assert_eq!(amounts(&shop.latest(&schedule).await), [12_400]);
    }
}

#[tokio::test]
async fn a_change_of_the_phase_under_way_is_billed_as_the_request_says() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let schedule = shop.schedule(&shop.seat_then_pro()).await;
        shop.app.live_s(11 * DAY).await;
        let form = |quantity: i64, more: &str| {
            format!(
                "phases[0][start_date]={}&phases[0][end_date]={}&phases[0][items][0][price]={}\
                 &phases[0][items][0][quantity]={quantity}&phases[1][items][0][price]={}{more}",
                START.0, schedule["phases"][0]["end_date"], shop.seat, shop.pro
            )
        };
        let seen = latest_event(&shop.app).await;
        shop.app.made(&path(&schedule), &form(2, "")).await;
        // 20 of 31 days are left.
        assert_eq!(shop.pending().await, [-2_000, 4_000]);
        assert_eq!(shop.sub(&schedule).await["items"]["data"][0]["quantity"], 2);
        assert_eq!(happened(&shop.app, Some(&seen)).await[0], "subscription_schedule.updated");
        shop.app.made(&path(&schedule), &form(3, "&proration_behavior=none")).await;
        assert_eq!(shop.pending().await, [-2_000, 4_000]);
        assert_eq!(shop.sub(&schedule).await["items"]["data"][0]["quantity"], 3);
        // The same once more changes nothing.
        let seen = latest_event(&shop.app).await;
        shop.app.made(&path(&schedule), &form(3, "")).await;
        assert_eq!(happened(&shop.app, Some(&seen)).await, [""; 0]);
        let at_once = form(4, "&proration_behavior=always_invoice");
        shop.app.made(&path(&schedule), &at_once).await;
        let invoice = shop.latest(&schedule).await;
        assert_eq!(
            (&invoice["billing_reason"], &invoice["status"]),
            (&json!("subscription_update"), &json!("paid"))
        );
    }
}

#[tokio::test]
async fn a_phase_that_is_over_stays_as_it_was() {
    let shop = Shop::open(TestApp::start().await).await;
    let schedule = shop.schedule(&shop.seat_then_pro()).await;
    shop.app.live_s(31 * DAY).await;
    let phases = &schedule["phases"];
    let (feb, mar) = (&phases[1]["start_date"], &phases[1]["end_date"]);
    let second = |place: usize| {
        format!(
            "phases[{place}][items][0][price]={}&phases[{place}][start_date]={feb}\
             &phases[{place}][end_date]={mar}",
            shop.pro
        )
    };
    let first = format!(
        "phases[0][items][0][price]={}&phases[0][start_date]={}&phases[0][end_date]={feb}",
        shop.seat, START.0
    );
    let whole = shop.app.made(&path(&schedule), &format!("{first}&{}", second(1))).await;
    let current = shop.app.made(&path(&schedule), &second(0)).await;
    assert_eq!(whole["phases"], current["phases"]);
    assert_eq!(current["phases"].as_array().unwrap().len(), 2);
    let other = first.replace(&shop.seat, &shop.pro);
    let told = refused(&shop.app, &path(&schedule), &format!("{other}&{}", second(1))).await;
    assert_eq!(
        [&*told[1], &*told[2]],
        ["phases[0][items]", "You can not update a phase that has already ended."]
    );
    let moved = second(0).replace(&feb.to_string(), &(feb.as_i64().unwrap() + 5).to_string());
    let told = refused(&shop.app, &path(&schedule), &moved).await;
    assert_eq!(
        [&*told[1], &*told[2]],
        ["phases[0][start_date]", "You can not modify the start date of the current phase."]
    );
    let ended = second(0).replace(&mar.to_string(), &(feb.as_i64().unwrap() - 1).to_string());
    assert_eq!(refused(&shop.app, &path(&schedule), &ended).await[1], "phases[0][end_date]");
}

#[tokio::test]
async fn a_phase_can_end_now_and_the_next_one_begin() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let schedule = shop.schedule(&shop.seat_then_pro()).await;
        shop.app.live_s(11 * DAY).await;
        let form = format!(
            "phases[0][start_date]={}&phases[0][end_date]=now&phases[0][items][0][price]={}\
             &phases[1][start_date]=now&phases[1][items][0][price]={}",
            START.0, shop.seat, shop.pro
        );
        let changed = shop.app.made(&path(&schedule), &form).await;
        assert_eq!(changed["current_phase"]["start_date"], shop.app.now().0);
        assert_eq!(shop.pending().await, [-2_000, 4_000]);
    }
}

#[tokio::test]
async fn a_schedule_to_come_can_be_all_another_or_begin_now() {
    let shop = Shop::open(TestApp::start().await).await;
    let form = format!("{}&start_date={}", shop.seat_then_pro(), START.0 + 10 * DAY);
    let schedule = shop.schedule(&form).await;
    let later = START.0 + 3 * DAY;
    let form = format!("phases[0][start_date]={later}&phases[0][items][0][price]={}", shop.pro);
    let changed = shop.app.made(&path(&schedule), &form).await;
    assert_eq!(
        (&changed["status"], &changed["phases"][0]["start_date"]),
        (&json!("not_started"), &json!(later))
    );
    let form = format!("phases[0][start_date]=now&phases[0][items][0][price]={}", shop.pro);
    let begun = shop.app.made(&path(&schedule), &form).await;
    assert_eq!(begun["status"], "active");
    assert_eq!(amounts(&shop.latest(&schedule).await), [6_200]);
    shop.app.live_s(3 * DAY).await;
    let subs = shop.app.read("/v1/subscriptions?status=all").await;
    assert_eq!(subs["data"].as_array().unwrap().len(), 1, "it began once");
}

#[tokio::test]
async fn the_end_of_a_subscription_follows_its_schedule() {
    let shop = Shop::open(TestApp::start().await).await;
    let schedule = shop.schedule(&shop.seat_then_pro()).await;
    assert_eq!(shop.sub(&schedule).await["cancel_at"], json!(null));
    shop.app.made(&path(&schedule), "end_behavior=cancel").await;
    let end = at("2026-03-15T10:30:00Z");
    assert_eq!(shop.sub(&schedule).await["cancel_at"], end);
    let form = "end_behavior=release&metadata[a]=7";
    let changed = shop.app.made(&path(&schedule), form).await;
    assert_eq!(changed["metadata"], json!({ "a": "7" }));
    assert_eq!(shop.sub(&schedule).await["cancel_at"], json!(null));
}

#[tokio::test]
async fn what_all_phases_have_in_common_changes_the_one_under_way() {
    let shop = Shop::open(TestApp::start().await).await;
    let schedule = shop.schedule(&shop.seat_then_pro()).await;
    let form = "default_settings[description]=Team&default_settings[invoice_settings][footer]=Hi";
    let changed = shop.app.made(&path(&schedule), form).await;
    assert_eq!(changed["default_settings"]["description"], "Team");
    let sub = shop.sub(&schedule).await;
    assert_eq!(
        (&sub["description"], &sub["invoice_settings"]["footer"]),
        (&json!("Team"), &json!("Hi"))
    );
    assert_eq!(shop.pending().await, [0; 0]);
}

#[tokio::test]
async fn a_trial_is_ended_by_the_phase_under_way() {
    let shop = Shop::open(TestApp::start().await).await;
    let form = format!("{}&phases[0][trial]=true", shop.seat_then_pro());
    let schedule = shop.schedule(&form).await;
    shop.app.live_s(DAY).await;
    let form = format!(
        "phases[0][start_date]={}&phases[0][items][0][price]={}&phases[0][trial_end]=now",
        START.0, shop.seat
    );
    shop.app.made(&path(&schedule), &form).await;
    let sub = shop.sub(&schedule).await;
    assert_eq!((&sub["status"], &sub["trial_end"]), (&json!("active"), &json!(START.0 + DAY)));
    assert_eq!(shop.latest(&schedule).await["total"], 3_100);
}
