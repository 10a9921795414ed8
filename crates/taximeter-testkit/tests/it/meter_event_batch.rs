//! `/v1/billing/meter_events/batch`

use serde_json::{Value, json};
use taximeter_testkit::{Response, TestApp};

use crate::support::{customer, error, meter, total};

const BATCH: &str = "/v1/billing/meter_events/batch";
const JSON: (&str, &str) = ("content-type", "application/json");

async fn send(app: &TestApp, headers: &[(&str, &str)], body: &str) -> Response {
    let authorization = format!("Bearer {}", app.test_key());
    let mut all = vec![("authorization", authorization.as_str()), JSON];
    all.extend(headers);
    app.request("POST", BATCH, &all, body.as_bytes()).await
}

fn event(customer: &str, value: &str, identifier: &str) -> Value {
    json!({
        "event_name": "e",
        "identifier": identifier,
        "payload": { "stripe_customer_id": customer, "value": value },
    })
}

#[tokio::test]
async fn each_event_of_a_batch_is_answered_for() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let mut timed = event(&customer, "13", "j");
        timed["timestamp"] = (app.now().0 - 60).into();
        let events = [
            event(&customer, "7", "i"),
            timed,
            event(&customer, "7", "i"),
            event("cus_x", "7", "k"),
        ];
        let answer = send(&app, &[], &json!({ "events": events }).to_string()).await;
        assert_eq!(answer.status, 200);
        let expected = json!({
            "object": "billing.meter_event_batch",
            "created": app.now().0,
            "duplicates": 1,
            "livemode": false,
            "outcomes": [
                { "id": "mevt_1", "identifier": "i", "status": "recorded" },
                { "id": "mevt_2", "identifier": "j", "status": "recorded" },
                { "id": "mevt_1", "identifier": "i", "status": "duplicate" },
                {
                    "id": null,
                    "code": "meter_event_customer_not_found",
                    "identifier": "k",
                    "message": "No such customer: 'cus_x'",
                    "status": "error",
                },
            ],
            "recorded": 2,
            "rejected": 1,
        });
        assert_eq!(answer.json(), expected);
        assert_eq!(total(&app, &meter, &customer).await, 20);
        // What is told at once is not kept as well.
        let errors = app.read("/v1/billing/meter_event_errors").await;
        assert_eq!(errors["data"], json!([]));
    }
}

#[tokio::test]
async fn a_batch_may_be_a_form() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let form: Vec<String> = (0..7)
            .map(|n| {
                format!(
                    "events[{n}][event_name]=e&events[{n}][payload][stripe_customer_id]={customer}\
                     &events[{n}][payload][value]={n}"
                )
            })
            .collect();
        let answer = app.made(BATCH, &form.join("&")).await;
        assert_eq!((&answer["recorded"], &answer["rejected"]), (&json!(7), &json!(0)));
        assert_eq!(total(&app, &meter, &customer).await, 21);
    }
}

#[tokio::test]
async fn a_retry_under_the_same_key_is_replayed_event_by_event() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let mut unnamed = event(&customer, "13", "");
        unnamed.as_object_mut().unwrap().remove("identifier");
        let body = json!({ "events": [event(&customer, "7", "i"), unnamed] }).to_string();
        let key = [("idempotency-key", "k")];
        let first = send(&app, &key, &body).await.json();
        let app = app.restart().await;
        let again = send(&app, &key, &body).await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        let again = again.json();
        for place in [0, 1] {
            let (first, again) = (&first["outcomes"][place], &again["outcomes"][place]);
            assert_eq!(
                (&first["status"], &again["status"]),
                (&json!("recorded"), &json!("replayed"))
            );
            assert_eq!((&first["id"], &first["identifier"]), (&again["id"], &again["identifier"]));
        }
        assert_eq!(total(&app, &meter, &customer).await, 20);
        let other = json!({ "events": [event(&customer, "8", "l")] }).to_string();
        let refused = error(&send(&app, &key, &other).await);
        assert!(refused.starts_with("400 idempotency_error - -: Keys for idempotent"), "{refused}");
        assert_eq!(total(&app, &meter, &customer).await, 20);
    }
}

#[tokio::test]
async fn ten_thousand_events_are_one_batch() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "").await;
    let customer = customer(&app).await;
    let mut events: Vec<Value> =
        (0..10_000).map(|n| event(&customer, "1", &format!("i{n}"))).collect();
    let answer = send(&app, &[], &json!({ "events": events }).to_string()).await;
    assert_eq!(answer.json()["recorded"], 10_000);
    assert_eq!(total(&app, &meter, &customer).await, 10_000);
    events.push(event(&customer, "1", "one too many"));
    let refused = send(&app, &[], &json!({ "events": events }).to_string()).await;
    assert_eq!(error(&refused), "400 - events: Invalid array: at most 10000 events are accepted");
}

#[tokio::test]
async fn what_is_no_batch_is_refused_whole() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "").await;
    let customer = customer(&app).await;
    let good = event(&customer, "7", "i");
    let mut odd = event(&customer, "7", "j");
    odd["timestamp"] = "2026-01-15T10:30:00Z".into();
    let rows = [
        ("{}".to_owned(), "400 parameter_missing events: Missing required param: events."),
        (
            json!({ "events": [good, odd] }).to_string(),
            "400 parameter_invalid_integer events[1][timestamp]: Invalid integer: \
             2026-01-15T10:30:00Z",
        ),
        (
            json!({ "events": [good], "expand": ["x"] }).to_string(),
            "400 - -: This property cannot be expanded because it doesn't exist: x.",
        ),
    ];
    for (body, expected) in rows {
        assert_eq!(error(&send(&app, &[], &body).await), expected, "{body}");
    }
    let text = [("content-type", "text/plain")];
    let authorization = format!("Bearer {}", app.test_key());
    let headers = [("authorization", authorization.as_str()), text[0]];
    let refused = app.request("POST", BATCH, &headers, b"{}").await;
    assert!(error(&refused).starts_with("400 - -: Invalid request Content-Type: text/plain"));
    assert_eq!(total(&app, &meter, &customer).await, 0);
}
