//! `/v1/billing/meter_event_errors`: what was accepted and could not be counted.

use serde_json::{Value, json};
use taximeter_db::Arg;
use taximeter_testkit::TestApp;

use crate::meter_event_stream::{STREAM, event, named, send, token};
use crate::support::{customer, error, id, ids, meter, refused, total, unreadable};

const ERRORS: &str = "/v1/billing/meter_event_errors";
const EVENTS: &str = "/v1/billing/meter_events";

fn form(customer: &str, value: &str) -> String {
    format!("event_name=e&payload[stripe_customer_id]={customer}&payload[value]={value}")
}

/// The only error that there is.
async fn only(app: &TestApp) -> Value {
    let list = app.read(ERRORS).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    list["data"][0].clone()
}

#[tokio::test]
async fn an_event_of_an_unknown_customer_is_answered_as_if_it_were_counted_and_kept() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let sent = form("cus_x", "7");
        let answer = app.made(EVENTS, &format!("{sent}&identifier=i&timestamp=1768472940")).await;
        let expected = json!({
            "object": "billing.meter_event",
            "created": app.now().0,
            "event_name": "e",
            "identifier": "i",
            "livemode": false,
            "payload": { "stripe_customer_id": "cus_x", "value": "7" },
            "timestamp": 1_768_472_940,
        });
        assert_eq!(answer, expected);
        let kept = only(&app).await;
        let expected = json!({
            "id": kept["id"],
            "object": "billing.meter_event_error",
            "code": "meter_event_customer_not_found",
            "created": app.now().0,
            "customer": "cus_x",
            "event": null,
            "event_name": "e",
            "identifier": "i",
            "livemode": false,
            "message": "No such customer: 'cus_x'",
            "meter": meter,
            "payload": { "stripe_customer_id": "cus_x", "value": "7" },
            "report": null,
            "request": kept["request"],
            "resolved_at": null,
            "status": "open",
            "timestamp": 1_768_472_940,
        });
        assert_eq!(kept, expected);
        assert_eq!(app.read(&format!("{ERRORS}/{}", id(&kept))).await, kept);
        let app = app.restart().await;
        assert_eq!(only(&app).await, kept);
    }
}

#[tokio::test]
async fn a_retry_of_a_kept_event_is_the_same_event() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let send = async |customer: &str, value: &str| {
            let key = [("idempotency-key", "k")];
            app.send("POST", EVENTS, &key, &form(customer, value)).await
        };
        assert_eq!(app.delete(&format!("/v1/customers/{customer}")).await.status, 200);
        let first = send(&customer, "7").await;
        app.advance_s(60);
        let again = send(&customer, "7").await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.json()["identifier"], first.json()["identifier"]);
        assert_eq!(again.json()["created"], first.json()["created"]);
        only(&app).await;
        let other = error(&send(&customer, "8").await);
        assert!(other.starts_with("400 idempotency_error - -: Keys for idempotent"), "{other}");
        only(&app).await;
    }
}

#[tokio::test]
async fn an_event_is_replayed_once_its_customer_is_there() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let timestamp = app.now().0 - 35 * 86_400;
        app.made(EVENTS, &format!("{}&timestamp={timestamp}", form("cus_x", "7"))).await;
        let kept = only(&app).await;
        let replay = format!("{ERRORS}/{}/replay", id(&kept));
        let still = "400 - payload[stripe_customer_id]: No such customer: 'cus_x'";
        assert_eq!(error(&app.post(&replay, "").await), still);
        let customer = customer(&app).await;
        // Late only as it was when it came in.
        app.advance_s(7 * 86_400);
        let correction = format!("payload[stripe_customer_id]={customer}&payload[value]=13");
        let done = app.made(&replay, &correction).await;
        assert_eq!((&done["status"], &done["event"]), (&json!("replayed"), &json!("mevt_1")));
        assert_eq!(done["resolved_at"], app.now().0);
        assert_eq!(total(&app, &meter, &customer).await, 13);
        let over = "400 - -: This meter event error was replayed already.";
        for verb in ["replay", "dismiss"] {
            let path = format!("{ERRORS}/{}/{verb}", id(&kept));
            assert_eq!(error(&app.post(&path, "").await), over);
        }
        assert_eq!(total(&app, &meter, &customer).await, 13);
    }
}

#[tokio::test]
async fn an_event_that_was_sent_again_meanwhile_is_counted_once() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let token = token(&app).await;
        send(&app, &token, &[named(&customer, "seven", "i")]).await;
        send(&app, &token, &[named(&customer, "7", "i")]).await;
        let replay = format!("{ERRORS}/{}/replay", id(&only(&app).await));
        let correction = format!("payload[stripe_customer_id]={customer}&payload[value]=7");
        let done = app.made(&replay, &correction).await;
        assert_eq!((&done["status"], &done["event"]), (&json!("replayed"), &json!("mevt_1")));
        assert_eq!(total(&app, &meter, &customer).await, 7);
    }
}

#[tokio::test]
async fn an_event_of_a_request_with_a_key_is_counted_once_whether_replayed_or_retried() {
    for app in TestApp::everywhere().await {
        let token = token(&app).await;
        let customer = customer(&app).await;
        let send = async || {
            let body = json!({ "events": [event(&customer, "7")] }).to_string();
            let key = [("idempotency-key", "k")];
            app.with_key(&token).send("POST", STREAM, &key, &body).await
        };
        assert_eq!(send().await.header("taximeter-rejected"), "1");
        let meter = meter(&app, "e", "sum", "").await;
        // The client tries again, and so does the operator.
        assert_eq!(send().await.header("taximeter-recorded"), "1");
        let all = app.made(&format!("{ERRORS}/replay"), "").await;
        assert_eq!(all["succeeded"], 1);
        assert_eq!(total(&app, &meter, &customer).await, 7);
    }
}

#[tokio::test]
async fn all_errors_of_a_filter_are_replayed_at_once() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let token = token(&app).await;
        let mut events: Vec<Value> =
            (0..60).map(|n| named(&customer, "1", &format!("i{n}"))).collect();
        events.push(named("cus_x", "1", "j"));
        events.push(named(&customer, "x", "k"));
        send(&app, &token, &events).await;
        let meter = meter(&app, "e", "sum", "").await;
        let replay = format!("{ERRORS}/replay");
        let none = app.made(&replay, "event_name=f").await;
        assert_eq!((&none["succeeded"], &none["last"]), (&json!(0), &Value::Null));
        let all = app.made(&replay, "code=no_meter&event_name=e").await;
        assert_eq!((&all["succeeded"], &all["failed"]), (&json!(60), &json!(2)));
        assert_eq!(all["has_more"], false);
        assert_eq!(total(&app, &meter, &customer).await, 60);
        let open = app.read(&format!("{ERRORS}?status=open")).await;
        let codes: Vec<&str> =
            open["data"].as_array().unwrap().iter().map(|e| e["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["meter_event_invalid_value", "meter_event_customer_not_found"]);
        // Nothing is left of the first reason, so nothing is tried again.
        assert_eq!(app.made(&replay, "code=no_meter").await["failed"], 0);
    }
}

#[tokio::test]
async fn errors_are_listed_by_what_they_are_and_dismissed() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let token = token(&app).await;
        meter(&app, "e", "sum", "").await;
        let mut other = event(&customer, "1");
        other["event_name"] = "f".into();
        send(&app, &token, &[event(&customer, "x"), event("cus_x", "1"), other]).await;
        let all = ids(&app.read(ERRORS).await);
        assert_eq!(all.len(), 3);
        for (query, expected) in [
            ("code=no_meter".to_owned(), &all[..1]),
            ("customer=cus_x".to_owned(), &all[1..2]),
            (format!("customer={customer}"), &all[2..]),
            ("event_name=e".to_owned(), &all[1..]),
            ("status=dismissed".to_owned(), &[]),
            (format!("limit=1&starting_after={}", all[0]), &all[1..2]),
        ] {
            assert_eq!(ids(&app.read(&format!("{ERRORS}?{query}")).await), expected, "{query}");
        }
        let gone = app.made(&format!("{ERRORS}/{}/dismiss", all[1]), "").await;
        assert_eq!(
            (&gone["status"], &gone["resolved_at"]),
            (&json!("dismissed"), &json!(app.now().0))
        );
        assert_eq!(ids(&app.read(&format!("{ERRORS}?status=dismissed")).await), &all[1..2]);
        assert_eq!(ids(&app.read(&format!("{ERRORS}?status=open")).await).len(), 2);
        refused(
            &app,
            &[
                (
                    &format!("{ERRORS}/{}/replay", all[1]),
                    "",
                    "400 - -: This meter event error was dismissed already.",
                ),
                (
                    &format!("{ERRORS}/mevterr_x/dismiss"),
                    "",
                    "404 resource_missing id: No such meter event error: 'mevterr_x'",
                ),
                (
                    &format!("{ERRORS}/replay"),
                    "starting_after=mevterr_x",
                    "400 resource_missing starting_after: No such meter event error: 'mevterr_x'",
                ),
            ],
        )
        .await;
        unreadable(
            &app,
            &[(
                &format!("{ERRORS}?code=bad"),
                "400 - code: Invalid code: must be one of archived_meter, \
                 meter_event_customer_not_found, meter_event_dimension_count_too_high, \
                 meter_event_invalid_value, meter_event_no_customer_defined, \
                 meter_event_value_too_many_digits, missing_dimension_payload_keys, no_meter, \
                 timestamp_in_future, or timestamp_too_far_in_past",
            )],
        )
        .await;
    }
}

#[tokio::test]
async fn another_account_sees_and_replays_nothing_of_it() {
    let app = TestApp::start().await;
    meter(&app, "e", "sum", "").await;
    app.made(EVENTS, &form("cus_x", "7")).await;
    let kept = only(&app).await;
    let [test, _] = app.another_account("other").await;
    for client in [app.with_key(&test), app.live()] {
        assert_eq!(client.read(ERRORS).await["data"], json!([]));
        assert_eq!(client.get(&format!("{ERRORS}/{}", id(&kept))).await.status, 404);
        assert_eq!(client.post(&format!("{ERRORS}/{}/replay", id(&kept)), "").await.status, 404);
        assert_eq!(client.made(&format!("{ERRORS}/replay"), "").await["failed"], 0);
    }
}

#[tokio::test]
async fn where_there_is_no_room_for_errors_nothing_of_a_request_is_done() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let token = token(&app).await;
        send(&app, &token, &[event("cus_x", "1")]).await;
        let mut tx = app.services().db.begin().await.unwrap();
        let sql = "UPDATE meter_event_error_counts SET open = 99999 WHERE account = $1";
        tx.execute(sql, vec![Arg::from(app.account())]).await.unwrap();
        tx.commit().await.unwrap();
        let full = "429 rate_limit rate_limit -: There are 100000 open meter event errors, as many \
                    as are kept. Replay or dismiss some of them: see /v1/billing/meter_event_errors.";
        let two = [event(&customer, "7"), event("cus_x", "1"), event("cus_y", "1")];
        let answer = send(&app, &token, &two).await;
        assert_eq!(error(&answer), full);
        assert_eq!(
            (answer.header("retry-after"), answer.header("stripe-should-retry")),
            ("1", "true")
        );
        assert_eq!(total(&app, &meter, &customer).await, 0);
        // One fits, and what is no error always does.
        assert_eq!(send(&app, &token, &two[..2]).await.status, 200);
        assert_eq!(send(&app, &token, &two[..1]).await.status, 200);
        assert_eq!(total(&app, &meter, &customer).await, 14);
        let single = app.post(EVENTS, &form("cus_x", "7")).await;
        assert!(error(&single).starts_with("429 rate_limit -: There are 100000 open"));
        let dismiss = format!("{ERRORS}/{}/dismiss", ids(&app.read(ERRORS).await)[0]);
        app.made(&dismiss, "").await;
        assert_eq!(app.post(EVENTS, &form("cus_x", "7")).await.status, 200);
    }
}
