//! `/v2/billing/meter_events`

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::support::{customer, error, meter};

const EVENTS: &str = "/v2/billing/meter_events";

fn event(customer: &str, value: &str) -> Value {
    json!({ "event_name": "e", "payload": { "stripe_customer_id": customer, "value": value } })
}

/// The event with another member.
fn with(mut event: Value, name: &str, value: Value) -> String {
    event[name] = value;
    event.to_string()
}

#[tokio::test]
async fn an_event_comes_and_goes_as_json_with_rfc_3339_times() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        for (n, (sent, shown)) in [
            ("2026-01-15T10:29:59.000Z", "2026-01-15T10:29:59.000Z"),
            ("2026-01-15T10:29:59Z", "2026-01-15T10:29:59.000Z"),
            ("2026-01-15T12:29:59.25+02:00", "2026-01-15T10:29:59.000Z"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut event = event(&customer, "7");
            event["identifier"] = format!("i{n}").into();
            let answer = app.made(EVENTS, &with(event, "timestamp", sent.into())).await;
            let expected = json!({
                "object": "v2.billing.meter_event",
                "created": "2026-01-15T10:30:00.000Z",
                "event_name": "e",
                "identifier": format!("i{n}"),
                "livemode": false,
                "payload": { "stripe_customer_id": customer, "value": "7" },
                "timestamp": shown,
            });
            assert_eq!(answer, expected);
        }
        let bare = app.made(EVENTS, &event(&customer, "7").to_string()).await;
        assert_eq!(bare["timestamp"], "2026-01-15T10:30:00.000Z");
    }
}

#[tokio::test]
async fn errors_have_the_form_and_the_codes_of_v2() {
    let app = TestApp::start().await;
    meter(&app, "e", "sum", "").await;
    let old = meter(&app, "old", "sum", "").await;
    app.made(&format!("/v1/billing/meters/{old}/deactivate"), "").await;
    let customer = customer(&app).await;
    let good = event(&customer, "7");
    app.made(EVENTS, &with(good.clone(), "identifier", "i".into())).await;
    let payload = |payload: Value| with(good.clone(), "payload", payload);
    let invalid_value = |value: &str| {
        format!(
            "400 payload_invalid_value payload[value]: Invalid value in the event payload: \
             '{value}' is not a decimal number."
        )
    };
    let cases = [
        (
            String::new(),
            "400 parameter_missing event_name: Missing required param: event_name.".to_owned(),
        ),
        (
            with(good.clone(), "event_name", "x".into()),
            "400 no_meter event_name: No active meter found for event name: x.".into(),
        ),
        (
            with(good.clone(), "event_name", "old".into()),
            "400 archived_meter event_name: No active meter found for event name: old.".into(),
        ),
        (
            with(good.clone(), "identifier", "i".into()),
            "400 duplicate_meter_event -: An event already exists with identifier i.".into(),
        ),
        (
            payload(json!({ "value": "7" })),
            "400 payload_no_customer_defined payload[stripe_customer_id]: Customer mapping key \
             stripe_customer_id not found in payload."
                .into(),
        ),
        (
            payload(json!({ "stripe_customer_id": customer })),
            "400 payload_no_value_defined payload[value]: Value key value not found in payload."
                .into(),
        ),
        (event(&customer, "x").to_string(), invalid_value("x")),
        (event(&customer, "").to_string(), invalid_value("")),
        (
            event(&customer, "1234567890123456").to_string(),
            "400 payload_invalid_value payload[value]: The value in the event payload can have at \
             most 15 digits. Received 1234567890123456."
                .into(),
        ),
    ];
    for (body, expected) in cases {
        let answer = app.post(EVENTS, &body).await;
        assert_eq!(error(&answer), expected, "{body}");
        assert_eq!(answer.json()["error"]["doc_url"], Value::Null);
    }
    let gone = app.post("/v2/billing/meters", "{}").await;
    assert!(error(&gone).starts_with("404 not_found -: Unrecognized request URL (POST: /v2/"));
}

#[tokio::test]
async fn what_has_another_type_than_v2_gives_it_is_refused() {
    let app = TestApp::start().await;
    meter(&app, "e", "sum", "").await;
    let customer = customer(&app).await;
    let good = event(&customer, "7");
    let number = json!({ "stripe_customer_id": customer, "value": 7 });
    let cases = [
        (
            with(good.clone(), "payload", number),
            "400 invalid_request payload[value]: Invalid string",
        ),
        (
            with(good.clone(), "timestamp", 1_768_473_000.into()),
            "400 invalid_request timestamp: Invalid string",
        ),
        (
            with(good.clone(), "timestamp", "2025-12-11T10:29:59Z".into()),
            "400 invalid_request timestamp: The event timestamp cannot be more than 35 days in \
             past. Expected a timestamp greater than or equal to 1765449000.",
        ),
        (
            with(good.clone(), "expand", json!(["customer"])),
            "400 parameter_unknown expand: Received unknown parameter: expand",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(error(&app.post(EVENTS, &body).await), expected, "{body}");
    }
}

#[tokio::test]
async fn what_stands_in_the_query_is_taken_or_refused_and_never_twice() {
    let app = TestApp::start().await;
    meter(&app, "e", "sum", "").await;
    let body = event(&customer(&app).await, "7").to_string();
    let unknown = "400 parameter_unknown foo: Received unknown parameter: foo";
    assert_eq!(error(&app.post(&format!("{EVENTS}?foo=1"), &body).await), unknown);
    assert_eq!(app.post(&format!("{EVENTS}?identifier=i"), &body).await.status, 200);
    assert_eq!(
        error(&app.post(&format!("{EVENTS}?event_name=x"), &body).await),
        "400 invalid_request event_name: Invalid parameter event_name: it was sent both in the \
         query and in the body"
    );
}

#[tokio::test]
async fn a_key_replays_its_event_and_conflicts_with_any_other() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let send = async |value: &str| {
            let body = event(&customer, value).to_string();
            app.send("POST", EVENTS, &[("idempotency-key", "k")], &body).await
        };
        let first = send("7").await;
        app.advance_s(60);
        let second = send("7").await;
        assert_eq!(second.header("idempotent-replayed"), "true");
        assert_eq!(String::from_utf8(second.body), String::from_utf8(first.body));
        let other = error(&send("8").await);
        assert!(
            other.starts_with("409 idempotency_error idempotency_error -: Keys for idempotent"),
            "{other}"
        );
    }
}
