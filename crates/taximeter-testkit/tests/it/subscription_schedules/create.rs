//! How schedules begin: now, later, earlier, and of subscriptions that are there.

use serde_json::json;
use taximeter_testkit::{START, TestApp};

use super::{DAY, HOUR, PATH, Shop, amounts, at};
use crate::shop::{happened, id, ids, latest_event, subscribe};

#[tokio::test]
async fn a_schedule_from_now_on_has_its_subscription_and_a_draft_of_its_first_invoice() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let seen = latest_event(&shop.app).await;
        let form = format!("{}&start_date=now&metadata[tier]=7", shop.seat_then_pro());
        let schedule = shop.schedule(&form).await;
        let (feb, mar) = (at("2026-02-15T10:30:00Z"), at("2026-03-15T10:30:00Z"));
        assert_eq!(schedule["status"], "active");
        assert_eq!(schedule["current_phase"], json!({ "start_date": START.0, "end_date": feb }));
        assert_eq!(schedule["end_behavior"], "release");
        assert_eq!(schedule["metadata"], json!({ "tier": "7" }));
        assert_eq!(schedule["billing_mode"]["type"], "flexible");
        let phases = schedule["phases"].as_array().unwrap();
        assert_eq!((&phases[1]["start_date"], &phases[1]["end_date"]), (&json!(feb), &json!(mar)));
        let item = &phases[0]["items"][0];
        assert_eq!((&item["price"], &item["quantity"]), (&json!(shop.seat), &json!(1)));
        assert_eq!(phases[0]["proration_behavior"], "create_prorations");

        let sub = shop.sub(&schedule).await;
        assert_eq!(sub["schedule"], json!(id(&schedule)));
        assert_eq!((&sub["status"], &sub["start_date"]), (&json!("active"), &json!(START.0)));
        let first = shop.latest(&schedule).await;
        assert_eq!(first["billing_reason"], "subscription_create");
        assert_eq!((&first["status"], &amounts(&first)), (&json!("draft"), &vec![3_100]));
        assert_eq!(first["automatically_finalizes_at"], START.0 + HOUR);
        assert_eq!(
            happened(&shop.app, Some(&seen)).await,
            [
                "customer.subscription.created",
                "customer.updated",
                "invoice.created",
                "subscription_schedule.created"
            ]
        );
        shop.app.live_s(HOUR).await;
        assert_eq!(shop.latest(&schedule).await["status"], "paid");
    }
}

#[tokio::test]
async fn a_schedule_to_come_has_no_subscription_until_its_very_second() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let start = START.0 + 10 * DAY;
        let form = format!("{}&start_date={start}&end_behavior=cancel", shop.seat_then_pro());
        let schedule = shop.schedule(&form).await;
        assert_eq!(schedule["status"], "not_started");
        assert_eq!(
            (&schedule["subscription"], &schedule["current_phase"]),
            (&json!(null), &json!(null))
        );
        let to_come = shop.app.read(&format!("{PATH}?scheduled=true")).await;
        assert_eq!(ids(&to_come), [id(&schedule)]);

        shop.app.live_s(10 * DAY - 1).await;
        assert_eq!(shop.read(&schedule).await["status"], "not_started");
        let seen = latest_event(&shop.app).await;
        shop.app.live_s(1).await;
        assert_eq!(shop.read(&schedule).await["status"], "active");
        let sub = shop.sub(&schedule).await;
        assert_eq!((&sub["created"], &sub["billing_cycle_anchor"]), (&json!(start), &json!(start)));
        assert_eq!(sub["cancel_at"], at("2026-03-25T10:30:00Z"));
        assert_eq!(
            happened(&shop.app, Some(&seen)).await,
            ["customer.subscription.created", "invoice.created", "subscription_schedule.updated"]
        );
        assert_eq!(ids(&shop.app.read(&format!("{PATH}?scheduled=true")).await), [""; 0]);
    }
}

#[tokio::test]
async fn a_server_that_stood_still_begins_it_as_of_its_start() {
    let shop = Shop::open(TestApp::start().await).await;
    let start = START.0 + 10 * DAY;
    let schedule = shop.schedule(&format!("{}&start_date={start}", shop.seat_then_pro())).await;
    // Until 2026-03-26: a renewal with the second phase, and one after the schedule.
    shop.app.live_s(70 * DAY).await;
    let sub = shop.sub(&schedule).await;
    assert_eq!((&sub["created"], &sub["schedule"]), (&json!(start), &json!(null)));
    let cycle = |amount| ("subscription_cycle".to_owned(), vec![amount]);
    assert_eq!(
        shop.billed(&schedule).await,
        [("subscription_create".to_owned(), vec![3_100]), cycle(6_200), cycle(6_200)]
    );
    assert_eq!(shop.read(&schedule).await["status"], "released");
}

#[tokio::test]
async fn a_schedule_from_the_past_bills_the_time_since() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let start = at("2026-01-05T10:30:00Z");
        let form = format!("{}&start_date={start}", shop.seat_then_pro());
        let schedule = shop.schedule(&form).await;
        assert_eq!(schedule["status"], "active");
        assert_eq!(schedule["current_phase"]["start_date"], start);
        let sub = shop.sub(&schedule).await;
        assert_eq!(
            (&sub["start_date"], &sub["billing_cycle_anchor"]),
            (&json!(start), &json!(start))
        );
        assert_eq!(amounts(&shop.latest(&schedule).await), [3_100]);
        // Its second phase begins on 5 February.
        shop.app.live_s(21 * DAY).await;
        assert_eq!(amounts(&shop.latest(&schedule).await), [6_200]);
    }
}

#[tokio::test]
async fn months_are_counted_from_where_the_first_of_them_began() {
    let shop = Shop::open(TestApp::start().await).await;
    let start = at("2026-01-31T10:30:00Z");
    let form = format!("{}&start_date={start}", shop.seat_then_pro());
    let schedule = shop.schedule(&form).await;
    assert_eq!(schedule["phases"][0]["end_date"], at("2026-02-28T10:30:00Z"));
    assert_eq!(schedule["phases"][1]["end_date"], at("2026-03-31T10:30:00Z"));
    // So each begins with a period, and nothing is billed in part.
    shop.app.live_s(80 * DAY).await;
    let cycle = |amount| ("subscription_cycle".to_owned(), vec![amount]);
    assert_eq!(
        shop.billed(&schedule).await,
        [("subscription_create".to_owned(), vec![3_100]), cycle(6_200), cycle(6_200)]
    );
}

#[tokio::test]
async fn a_schedule_of_a_subscription_is_the_period_that_it_is_in() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let sub = subscribe(&shop.app, &shop.customer, &[&shop.seat], "items[0][quantity]=3").await;
        let seen = latest_event(&shop.app).await;
        let schedule = shop.app.made(PATH, &format!("from_subscription={}", id(&sub))).await;
        assert_eq!(
            (&schedule["status"], &schedule["subscription"]),
            (&json!("active"), &sub["id"])
        );
        let end = at("2026-02-15T10:30:00Z");
        assert_eq!(schedule["current_phase"], json!({ "start_date": START.0, "end_date": end }));
        let phases = schedule["phases"].as_array().unwrap();
        assert_eq!(phases.len(), 1);
        assert_eq!(phases[0]["items"][0]["quantity"], 3);
        assert_eq!(shop.sub(&schedule).await["schedule"], schedule["id"]);
        assert_eq!(
            happened(&shop.app, Some(&seen)).await,
            ["subscription_schedule.created", "customer.subscription.updated"]
        );
        // It is left to itself with the period, and renews as it did.
        shop.app.live_s(31 * DAY).await;
        assert_eq!(shop.read(&schedule).await["status"], "released");
        assert_eq!(amounts(&shop.latest(&schedule).await), [9_300]);
    }
}

#[tokio::test]
async fn schedules_are_listed_by_what_became_of_them() {
    let shop = Shop::open(TestApp::start().await).await;
    let later = format!("{}&start_date={}", shop.seat_then_pro(), START.0 + DAY);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(id(&shop.schedule(&later).await));
    }
    shop.app.advance_s(7);
    let now = shop.app.now().0;
    shop.app.made(&format!("{PATH}/{}/cancel", made[0]), "").await;
    shop.app.made(&format!("{PATH}/{}/release", made[1]), "").await;
    for (query, expected) in [
        (String::new(), vec![2, 1, 0]),
        (format!("customer={}", shop.customer), vec![2, 1, 0]),
        (format!("canceled_at={now}"), vec![0]),
        (format!("released_at[gte]={now}"), vec![1]),
        (format!("completed_at[lt]={now}"), vec![]),
        (format!("created[lt]={}", START.0), vec![]),
        ("scheduled=true".to_owned(), vec![2]),
        (format!("starting_after={}", made[2]), vec![1, 0]),
    ] {
        let listed = shop.app.read(&format!("{PATH}?{query}")).await;
        let expected: Vec<_> =
            expected.into_iter().map(|place: usize| made[place].clone()).collect();
        assert_eq!(ids(&listed), expected, "{query}");
    }
}

#[tokio::test]
async fn what_a_schedule_names_can_be_shown_whole() {
    let shop = Shop::open(TestApp::start().await).await;
    let schedule = shop.schedule(&shop.seat_then_pro()).await;
    let whole = shop
        .app
        .read(&format!(
            "{PATH}/{}?expand[]=customer&expand[]=subscription.schedule&expand[]=phases.items.price",
            id(&schedule)
        ))
        .await;
    assert_eq!(whole["customer"]["object"], "customer");
    assert_eq!(whole["subscription"]["schedule"]["object"], "subscription_schedule");
    assert_eq!(whole["phases"][1]["items"][0]["price"]["unit_amount"], 6_200);
}

#[tokio::test]
async fn older_clients_say_iterations_and_newer_ones_durations() {
    let shop = Shop::open(TestApp::start().await).await;
    let form = format!(
        "customer={}&phases[0][items][0][price]={}&phases[0][iterations]=3",
        shop.customer, shop.seat
    );
    let older = [("stripe-version", "2025-03-31.basil")];
    let made = shop.app.send("POST", PATH, &older, &form).await;
    assert_eq!(made.status, 200);
    assert_eq!(made.json()["phases"][0]["end_date"], at("2026-04-15T10:30:00Z"));
    assert_eq!(made.json()["billing_mode"]["type"], "classic");
    let refused = crate::shop::refused(&shop.app, PATH, &form).await;
    assert_eq!((&*refused[0], &*refused[1]), ("parameter_unknown", "phases[0][iterations]"));
}
