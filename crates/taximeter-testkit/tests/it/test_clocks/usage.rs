//! Usage of customers of a test clock: when it happened is held against the time of the clock.

use serde_json::{Value, json};
use taximeter_db::Arg;
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use super::{DAY, HOUR, clock, moved_to};
use crate::meter_event_stream::{token, told};
use crate::shop::{customer, id, meter};
use crate::support::error;

const EVENTS: &str = "/v1/billing/meter_events";

/// `2024-03-05T10:00:07Z` as Stripe's seconds.
pub(super) fn at(text: &str) -> i64 {
    Timestamp::from_rfc3339(text).unwrap().0
}

/// A clock, and a customer who lives by it.
pub(super) async fn clocked(app: &TestApp, at: i64) -> (String, String) {
    let clock = clock(app, at).await;
    let customer = customer(app, &format!("test_clock={clock}")).await;
    (clock, customer)
}

/// An event of 7, with whatever follows in the form.
pub(super) fn event(customer: &str, more: &str) -> String {
    format!("event_name=e&payload[stripe_customer_id]={customer}&payload[value]=7{more}")
}

fn json_event(customer: &str, timestamp: Value) -> Value {
    let mut event = json!({
        "event_name": "e",
        "payload": { "stripe_customer_id": customer, "value": "7" },
    });
    if !timestamp.is_null() {
        event["timestamp"] = timestamp;
    }
    event
}

async fn batch(app: &TestApp, events: &[Value]) -> Vec<Value> {
    let authorization = format!("Bearer {}", app.test_key());
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let body = json!({ "events": events }).to_string();
    let path = format!("{EVENTS}/batch");
    let answer = app.request("POST", &path, &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    answer.json()["outcomes"].as_array().unwrap().clone()
}

/// When the events of a customer happened, in the order in which they came in.
async fn happened(app: &TestApp, customer: &str) -> Vec<i64> {
    let list = app.read(&format!("{EVENTS}?customer={customer}&limit=100")).await;
    let events = list["data"].as_array().unwrap().iter().rev();
    events.map(|event| event["timestamp"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn an_event_without_a_timestamp_happens_at_the_time_of_its_customer() {
    for app in TestApp::everywhere().await {
        meter(&app, "e").await;
        let token = token(&app).await;
        let (past, future) = (at("2024-03-05T10:00:07Z"), at("2031-11-29T23:59:13Z"));
        let ada = clocked(&app, past).await.1;
        let bob = clocked(&app, future).await.1;
        let eve = customer(&app, "").await;
        let who = [(&ada, past), (&bob, future), (&eve, START.0)];
        for (customer, now) in who {
            let v1 = app.made(EVENTS, &event(customer, "")).await;
            assert_eq!((&v1["timestamp"], &v1["created"]), (&json!(now), &json!(START.0)));
            let body = json_event(customer, Value::Null).to_string();
            let v2 = app.made("/v2/billing/meter_events", &body).await;
            assert_eq!(v2["timestamp"], json!(Timestamp(now).to_rfc3339()));
        }
        // All of them at once.
        let events = who.map(|(customer, _)| json_event(customer, Value::Null));
        for outcomes in [told(&app, &token, &events).await, batch(&app, &events).await] {
            assert!(outcomes.iter().all(|outcome| outcome["status"] == "recorded"), "{outcomes:?}");
        }
        let app = app.restart().await;
        for (customer, now) in who {
            assert_eq!(happened(&app, customer).await, [now; 4]);
        }
    }
}

#[tokio::test]
async fn how_late_and_how_far_ahead_an_event_may_be_is_counted_from_the_time_of_its_customer() {
    for app in TestApp::everywhere().await {
        meter(&app, "e").await;
        let token = token(&app).await;
        for now in [at("2024-03-05T10:00:07Z"), at("2031-11-29T23:59:13Z")] {
            let ada = clocked(&app, now).await.1;
            let (oldest, newest) = (now - 35 * DAY, now + 300);
            let send =
                async |at: i64| app.post(EVENTS, &event(&ada, &format!("&timestamp={at}"))).await;
            for at in [oldest, newest] {
                assert_eq!(send(at).await.json()["timestamp"], at);
            }
            let late = format!(
                "400 - timestamp: The event timestamp cannot be more than 35 days in past. Expected \
                 a timestamp greater than or equal to {oldest}."
            );
            let early = format!(
                "400 - timestamp: The event timestamp cannot be more than 5 minutes in the future. \
                 Expected a timestamp less than or equal to {newest}."
            );
            for (at, refusal) in [
                (oldest - 1, &late),
                (newest + 1, &early),
                (START.0, &{ if START.0 < now { late.clone() } else { early.clone() } }),
            ] {
                assert_eq!(error(&send(at).await), *refusal);
                let at = Timestamp(at).to_rfc3339();
                let body = json_event(&ada, json!(at)).to_string();
                let v2 = error(&app.post("/v2/billing/meter_events", &body).await);
                assert_eq!(v2.split_once(": ").unwrap().1, refusal.split_once(": ").unwrap().1);
            }
            let all = [oldest, oldest - 1, newest, newest + 1];
            let word = |outcome: &Value| {
                outcome["code"].as_str().or(outcome["status"].as_str()).unwrap().to_owned()
            };
            let expected =
                ["recorded", "timestamp_too_far_in_past", "recorded", "timestamp_in_future"];
            let seconds = all.map(|at| json_event(&ada, json!(at)));
            let outcomes = batch(&app, &seconds).await;
            assert_eq!(outcomes.iter().map(word).collect::<Vec<_>>(), expected);
            let texts = all.map(|at| json_event(&ada, json!(Timestamp(at).to_rfc3339())));
            let outcomes = told(&app, &token, &texts).await;
            assert_eq!(outcomes.iter().map(word).collect::<Vec<_>>(), expected);
            assert_eq!(
                happened(&app, &ada).await,
                [oldest, newest, oldest, newest, oldest, newest]
            );
        }
    }
}

#[tokio::test]
async fn while_a_clock_moves_events_are_taken_at_the_time_it_has_reached() {
    for app in TestApp::everywhere().await {
        meter(&app, "e").await;
        let began = at("2031-11-29T23:59:13Z");
        let (clock, ada) = clocked(&app, began).await;
        assert_eq!(app.made(EVENTS, &event(&ada, "")).await["timestamp"], began);
        let path = format!("/v1/test_helpers/test_clocks/{clock}");
        let to = began + 40 * DAY;
        app.made(&format!("{path}/advance"), &format!("frozen_time={to}")).await;
        assert_eq!(app.read(&path).await["status"], "advancing");
        assert_eq!(app.made(EVENTS, &event(&ada, "")).await["timestamp"], began);
        app.work().await;
        assert_eq!(app.made(EVENTS, &event(&ada, "")).await["timestamp"], to);
        let late = app.post(EVENTS, &event(&ada, &format!("&timestamp={began}"))).await;
        assert_eq!(late.status, 400, "40 days late by the clock, and not a second by the world's");
    }
}

#[tokio::test]
async fn a_clock_that_another_process_moves_is_known_with_the_next_event() {
    for app in TestApp::everywhere().await {
        meter(&app, "e").await;
        let began = at("2024-03-05T10:00:07Z");
        let (clock, ada) = clocked(&app, began).await;
        let token = token(&app).await;
        for now in [began, began + 7 * DAY, began + 8 * DAY] {
            let mut tx = app.services().db.begin().await.unwrap();
            let sql = "UPDATE test_clocks SET frozen_time = $1 WHERE id = $2";
            tx.execute(sql, vec![Arg::from(now), Arg::from(clock.as_str())]).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(app.made(EVENTS, &event(&ada, "")).await["timestamp"], now);
            told(&app, &token, &[json_event(&ada, Value::Null)]).await;
            assert_eq!(happened(&app, &ada).await[..].last(), Some(&now));
        }
    }
}

#[tokio::test]
async fn an_identifier_stays_taken_however_far_a_clock_moves() {
    for app in TestApp::everywhere().await {
        meter(&app, "e").await;
        let mut now = at("2024-03-05T10:00:07Z");
        let (clock, ada) = clocked(&app, now).await;
        app.made(EVENTS, &event(&ada, "&identifier=i")).await;
        let mut app = app;
        for days in [1, 36, 400, 700] {
            now += days * DAY;
            moved_to(&app, &clock, now).await;
            app = app.restart().await;
            let again = error(&app.post(EVENTS, &event(&ada, "&identifier=i")).await);
            assert_eq!(again, "400 - -: An event already exists with identifier i.");
        }
        // A retry is answered as the first attempt was, by whichever time that was.
        let key = [("idempotency-key", "k")];
        let first = app.send("POST", EVENTS, &key, &event(&ada, "")).await;
        assert_eq!(first.json()["timestamp"], now);
        moved_to(&app, &clock, now + 7 * DAY).await;
        let again = app.send("POST", EVENTS, &key, &event(&ada, "")).await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.json(), first.json());
        assert_eq!(happened(&app, &ada).await.len(), 2);
    }
}

#[tokio::test]
async fn an_event_is_corrected_as_long_after_its_receipt_as_its_clock_says() {
    for app in TestApp::everywhere().await {
        meter(&app, "e").await;
        let began = at("2031-11-29T23:59:13Z");
        let (clock, ada) = clocked(&app, began).await;
        // Of three days ago, and of now.
        let old = format!("&identifier=old&timestamp={}", began - 3 * DAY);
        app.made(EVENTS, &event(&ada, &old)).await;
        for identifier in ["i", "j"] {
            app.made(EVENTS, &event(&ada, &format!("&identifier={identifier}"))).await;
        }
        moved_to(&app, &clock, began + HOUR).await;
        let path = format!("{EVENTS}/j");
        let to = format!("timestamp={}", began + HOUR);
        assert_eq!(app.made(&format!("{path}/amend"), &to).await["timestamp"], began + HOUR);
        let app = app.restart().await;
        moved_to(&app, &clock, began + DAY).await;
        app.made(EVENTS, &event(&ada, "&identifier=new")).await;
        for identifier in ["old", "j"] {
            app.made(&format!("{EVENTS}/{identifier}/cancel"), "").await;
        }
        moved_to(&app, &clock, began + DAY + 1).await;
        let told = "400 - -: A meter event can be canceled for 24 hours after it was received. 'i' was \
                    received at 2031-11-29T23:59:13.000Z.";
        assert_eq!(error(&app.post(&format!("{EVENTS}/i/cancel"), "").await), told);
        // What was amended since came in when it first did.
        let restored = error(&app.post(&format!("{path}/restore"), "").await);
        assert!(restored.contains("'j' was received at 2031-11-29T23:59:13.000Z"), "{restored}");
        let adjustment = "event_name=e&type=cancel&cancel[identifier]=new";
        app.made("/v1/billing/meter_event_adjustments", adjustment).await;
        // By the world's time, everything came in a second ago.
        app.advance_s(7 * DAY);
        app.made(&format!("{EVENTS}/new/restore"), "").await;
        // Moved to a time that its customer has not seen yet.
        let ahead = format!("timestamp={}", began + DAY + 302);
        let ahead = error(&app.post(&format!("{EVENTS}/new/amend"), &ahead).await);
        assert!(ahead.contains("more than 5 minutes in the future"), "{ahead}");
    }
}

#[tokio::test]
async fn what_could_not_be_counted_is_as_late_as_it_was_by_its_clock() {
    for app in TestApp::everywhere().await {
        meter(&app, "e").await;
        let token = token(&app).await;
        let began = at("2024-03-05T10:00:07Z");
        let (clock, ada) = clocked(&app, began).await;
        let faulty = |timestamp: Value| {
            let mut event = json_event(&ada, timestamp);
            event["payload"]["value"] = json!("seven");
            event
        };
        let oldest = began - 35 * DAY;
        let dated = json!(Timestamp(oldest).to_rfc3339());
        let outcomes = told(&app, &token, &[faulty(Value::Null), faulty(dated)]).await;
        // And one of nobody: when it happened is not known by any clock.
        app.made(EVENTS, &event("cus_x", "")).await;
        let errors = "/v1/billing/meter_event_errors";
        let kept = app.read(&format!("{errors}?customer={ada}")).await;
        assert_eq!([&kept["data"][0]["timestamp"], &kept["data"][1]["timestamp"]], [oldest, began]);
        let to = began + 40 * DAY;
        moved_to(&app, &clock, to).await;
        let payload = format!("payload[stripe_customer_id]={ada}&payload[value]=13");
        for outcome in &outcomes {
            app.made(&format!("{errors}/{}/replay", id(outcome)), &payload).await;
        }
        let of_nobody = app.read(&format!("{errors}?customer=cus_x")).await;
        let replay = format!("{errors}/{}/replay", id(&of_nobody["data"][0]));
        let ahead = error(&app.post(&replay, &format!("{payload}&timestamp={}", to + 301)).await);
        assert!(ahead.contains("more than 5 minutes in the future"), "{ahead}");
        app.made(&replay, &payload).await;
        assert_eq!(happened(&app, &ada).await, [began, oldest, to]);
    }
}

#[tokio::test]
async fn the_past_that_a_backfill_fills_is_that_of_its_customer() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e").await;
        let (past, future) = (at("2024-03-05T10:00:00Z"), at("2031-11-29T23:00:00Z"));
        let ada = clocked(&app, past).await.1;
        let bob = clocked(&app, future).await.1;
        let backfills = "/v1/billing/meter_event_backfills";
        let open = async |start: i64, end: i64, more: &str| {
            let span = format!("meter={meter}&timeframe_start={start}&timeframe_end={end}{more}");
            app.post(backfills, &span).await
        };
        let refusal = "400 - timeframe_end: Invalid timeframe_end: must be in the past.";
        let of_bob = format!("&customer={bob}");
        let of_ada = format!("&customer={ada}");
        assert_eq!(error(&open(future - DAY, future + 1, &of_bob).await), refusal);
        assert_eq!(error(&open(future - DAY, future, "").await), refusal);
        assert_eq!(error(&open(past - DAY, past + 1, &of_ada).await), refusal);
        let opened = open(future - DAY, future, &of_bob).await.json();
        let path = format!("{backfills}/{}", id(&opened));
        let staged = |customer: &str, at: i64| {
            format!(
                "events[0][payload][stripe_customer_id]={customer}&events[0][payload][value]=101\
                 &events[0][timestamp]={at}"
            )
        };
        app.made(&format!("{path}/events"), &staged(&bob, future - 1)).await;
        app.made(&format!("{path}/apply"), "").await;
        assert_eq!(happened(&app, &bob).await, [future - 1]);
        // One of everybody goes as far as the world, and for each no further than its clock.
        let opened = open(past - DAY, past + DAY, "").await.json();
        let path = format!("{backfills}/{}", id(&opened));
        assert_eq!(
            error(&app.post(&format!("{path}/events"), &staged(&ada, past + 1)).await),
            "400 - events[0][timestamp]: Invalid timestamp: must not be after the time of the \
             customer's test clock."
        );
        for customer in [&ada, &bob] {
            app.made(&format!("{path}/events"), &staged(customer, past)).await;
        }
        app.made(&format!("{path}/apply"), "").await;
        assert_eq!(happened(&app, &ada).await, [past]);
    }
}
