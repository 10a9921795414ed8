//! Test clocks: time that is moved by hand, for some customers.

mod invoices;
mod usage;

use serde_json::json;
use taximeter_testkit::{START, TestApp};

use crate::shop::{customer, id, ids, monthly, refused, subscribe};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

async fn clock(app: &TestApp, at: i64) -> String {
    let form = format!("frozen_time={at}&name=Year");
    id(&app.made("/v1/test_helpers/test_clocks", &form).await)
}

async fn moved_to(app: &TestApp, clock: &str, at: i64) {
    let path = format!("/v1/test_helpers/test_clocks/{clock}");
    let under_way = app.made(&format!("{path}/advance"), &format!("frozen_time={at}")).await;
    assert_eq!(under_way["status"], "advancing");
    assert_eq!(under_way["status_details"]["advancing"]["target_frozen_time"], at);
    app.work().await;
    let there = app.read(&path).await;
    assert_eq!((&there["status"], &there["frozen_time"]), (&json!("ready"), &json!(at)));
}

#[tokio::test]
async fn what_belongs_to_a_clock_happens_by_it_and_nothing_else_does() {
    for app in TestApp::everywhere().await {
        // A year before the world's time.
        let began = START.0 - 365 * DAY;
        let clock = clock(&app, began).await;
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let theirs = customer(&app, &format!("test_clock={clock}")).await;
        let other = customer(&app, "").await;
        let sent = "collection_method=send_invoice&days_until_due=30";
        let sub = subscribe(&app, &theirs, &[&seat], sent).await;
        subscribe(&app, &other, &[&seat], sent).await;
        assert_eq!((&sub["created"], &sub["test_clock"]), (&json!(began), &json!(clock)));

        // The draft of the first invoice is an hour old at its end, and not before.
        moved_to(&app, &clock, began + HOUR - 1).await;
        let first = format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap());
        assert_eq!(app.read(&first).await["status"], "draft");
        moved_to(&app, &clock, began + HOUR).await;
        let open = app.read(&first).await;
        assert_eq!(open["status"], "open");
        assert_eq!(open["status_transitions"]["finalized_at"], began + HOUR);
        assert_eq!(open["test_clock"], json!(clock));

        // 2025-02-15: exactly at the boundary the new invoice is a draft.
        moved_to(&app, &clock, began + 31 * DAY).await;
        let sub = app.read(&format!("/v1/subscriptions/{}", id(&sub))).await;
        let renewed = format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap());
        let draft = app.read(&renewed).await;
        assert_eq!(
            (&draft["status"], &draft["created"]),
            (&json!("draft"), &json!(began + 31 * DAY))
        );
        let others = app.read(&format!("/v1/invoices?customer={other}")).await;
        assert_eq!(ids(&others).len(), 1, "the world's time did not move");
    }
}

#[tokio::test]
async fn customers_of_a_clock_are_listed_by_it_and_go_with_it() {
    let app = TestApp::start().await;
    let clock = clock(&app, START.0).await;
    let theirs = customer(&app, &format!("test_clock={clock}")).await;
    let other = customer(&app, "").await;
    assert_eq!(ids(&app.read("/v1/customers").await), *std::slice::from_ref(&other));
    let of_clock = app.read(&format!("/v1/customers?test_clock={clock}")).await;
    assert_eq!(ids(&of_clock), *std::slice::from_ref(&theirs));
    let gone = app.delete(&format!("/v1/test_helpers/test_clocks/{clock}")).await.json();
    assert_eq!((&gone["deleted"], &gone["id"]), (&json!(true), &json!(clock)));
    assert_eq!(app.read(&format!("/v1/customers/{theirs}")).await["deleted"], true);
    assert_eq!(app.read(&format!("/v1/customers/{other}")).await["id"], json!(other));
}

#[tokio::test]
async fn a_clock_goes_forward_only_and_at_most_two_intervals_at_a_time() {
    let app = TestApp::start().await;
    let clock = clock(&app, START.0).await;
    let advance = format!("/v1/test_helpers/test_clocks/{clock}/advance");
    let back = refused(&app, &advance, &format!("frozen_time={}", START.0)).await;
    assert_eq!(back[1], "frozen_time");
    let far = refused(&app, &advance, &format!("frozen_time={}", START.0 + 730 * DAY + 1)).await;
    assert_eq!(far[1], "frozen_time", "without a subscription, two years");
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let theirs = customer(&app, &format!("test_clock={clock}")).await;
    let sent = "collection_method=send_invoice&days_until_due=30";
    subscribe(&app, &theirs, &[&seat], sent).await;
    // Until 2026-03-15T10:30:00Z.
    let far = refused(&app, &advance, &format!("frozen_time={}", START.0 + 59 * DAY + 1)).await;
    assert_eq!(far[1], "frozen_time");
    moved_to(&app, &clock, START.0 + 59 * DAY).await;
    let none = app.live().post("/v1/test_helpers/test_clocks", "frozen_time=5").await;
    assert_eq!(none.status, 400, "live data has no clocks");
}

#[tokio::test]
async fn while_a_clock_moves_its_objects_stand_still() {
    let app = TestApp::start().await;
    let clock = clock(&app, START.0).await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let theirs = customer(&app, &format!("test_clock={clock}")).await;
    let advance = format!("/v1/test_helpers/test_clocks/{clock}/advance");
    app.made(&advance, &format!("frozen_time={}", START.0 + DAY)).await;
    let form = format!("customer={theirs}&items[0][price]={seat}");
    assert_eq!(app.post("/v1/subscriptions", &form).await.status, 429);
    assert_eq!(app.post(&advance, &format!("frozen_time={}", START.0 + 2 * DAY)).await.status, 400);
    app.work().await;
    let form = format!("{form}&collection_method=send_invoice&days_until_due=3");
    assert_eq!(app.made("/v1/subscriptions", &form).await["created"], START.0 + DAY);
}
