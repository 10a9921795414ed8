//! `/v2/billing/meter_event_session` and `/v2/billing/meter_event_stream`

use serde_json::{Value, json};
use taximeter_service::api_keys::{self, KeyKind};
use taximeter_testkit::{Response, START, TestApp};

use crate::support::{customer, error, meter, total};

pub(crate) const STREAM: &str = "/v2/billing/meter_event_stream";
const SESSION: &str = "/v2/billing/meter_event_session";

/// A token of the test mode.
pub(crate) async fn token(app: &TestApp) -> String {
    let session = app.made(SESSION, "").await;
    session["authentication_token"].as_str().unwrap().to_owned()
}

pub(crate) fn event(customer: &str, value: &str) -> Value {
    json!({ "event_name": "e", "payload": { "stripe_customer_id": customer, "value": value } })
}

pub(crate) fn named(customer: &str, value: &str, identifier: &str) -> Value {
    let mut event = event(customer, value);
    event["identifier"] = identifier.into();
    event
}

pub(crate) async fn send(app: &TestApp, token: &str, events: &[Value]) -> Response {
    app.with_key(token).post(STREAM, &json!({ "events": events }).to_string()).await
}

/// Sends events and asks what became of each.
pub(crate) async fn told(app: &TestApp, token: &str, events: &[Value]) -> Vec<Value> {
    let body = json!({ "events": events }).to_string();
    let headers = [("taximeter-outcomes", "true")];
    let answer = app.with_key(token).send("POST", STREAM, &headers, &body).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["outcomes"].as_array().unwrap().clone()
}

/// How many were recorded, duplicates, and rejected.
fn counts(answer: &Response) -> [&str; 3] {
    ["recorded", "duplicates", "rejected"].map(|name| answer.header(&format!("taximeter-{name}")))
}

#[tokio::test]
async fn a_session_lasts_a_quarter_of_an_hour() {
    for app in TestApp::everywhere().await {
        for body in ["", "{}"] {
            let session = app.made(SESSION, body).await;
            assert_eq!(session["created"], "2026-01-15T10:30:00.000Z");
            assert_eq!(session["expires_at"], "2026-01-15T10:45:00.000Z");
            assert_eq!(session["livemode"], false);
        }
        let token = token(&app).await;
        app.advance_s(15 * 60 - 1);
        assert_eq!(send(&app, &token, &[]).await.status, 200);
        app.advance_s(1);
        assert_eq!(
            error(&send(&app, &token, &[]).await),
            "401 temporary_session_expired billing_meter_event_session_expired -: The meter event \
             session has expired. Create another with POST /v2/billing/meter_event_session."
        );
    }
}

#[tokio::test]
async fn a_token_is_taken_by_every_process_on_the_same_database() {
    for app in TestApp::everywhere().await {
        let token = token(&app).await;
        let app = app.restart().await;
        assert_eq!(send(&app, &token, &[]).await.status, 200);
    }
}

#[tokio::test]
async fn a_key_that_ended_ends_its_sessions() {
    for app in TestApp::everywhere().await {
        let secret = app.key(KeyKind::Restricted, "billing_meter_event=write").await;
        let session = app.with_key(&secret).made(SESSION, "").await;
        let token = session["authentication_token"].as_str().unwrap();
        assert_eq!(send(&app, token, &[]).await.status, 200);
        let mut tx = app.services().db.begin().await.unwrap();
        let key = api_keys::named(&mut tx, &secret).await.unwrap();
        api_keys::revoke(&mut tx, app.now(), &key.id).await.unwrap();
        tx.commit().await.unwrap();
        // As with the key itself, what is remembered of it serves for a few seconds.
        app.advance_s(5);
        let refused = error(&send(&app, token, &[]).await);
        assert!(refused.starts_with("401 temporary_session_expired "), "{refused}");
    }
}

#[tokio::test]
async fn the_stream_takes_tokens_and_nothing_else() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    let mut other = token.clone();
    other.pop();
    for key in [app.test_key(), "mes_token_x", &other] {
        assert_eq!(
            error(&send(&app, key, &[]).await),
            "401 unauthorized -: Invalid authentication token provided. The meter event stream \
             takes the authentication_token of a meter event session, and no API key."
        );
    }
    let none = app.request("POST", STREAM, &[], b"{\"events\":[]}").await;
    assert!(error(&none).starts_with("401 unauthorized -: You did not provide the authentication"));
    // And a token opens nothing else.
    let refused = app.with_key(&token).get("/v1/customers").await;
    assert_eq!(refused.status, 401);
    let reader = app.key(KeyKind::Restricted, "billing_meter_event=read").await;
    assert_eq!(app.with_key(&reader).post(SESSION, "").await.status, 403);
}

#[tokio::test]
async fn what_the_stream_takes_is_in_the_next_read() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let (one, other) = (customer(&app).await, customer(&app).await);
        let token = token(&app).await;
        let mut late = event(&one, "13");
        late["timestamp"] = "2026-01-15T10:29:59.000Z".into();
        let answer = send(&app, &token, &[event(&one, "7"), event(&other, "2.5"), late]).await;
        assert_eq!((answer.status, answer.json()), (200, json!({})));
        assert_eq!(counts(&answer), ["3", "0", "0"]);
        assert_eq!(total(&app, &meter, &one).await, 20);
        assert_eq!(total(&app, &meter, &other).await, json!(2.5));
    }
}

#[tokio::test]
async fn a_token_brings_events_of_its_own_mode_only() {
    let app = TestApp::start().await;
    let form = "display_name=M&event_name=e&default_aggregation[formula]=sum";
    app.live().made("/v1/billing/meters", form).await;
    let customer = app.live().made("/v1/customers", "").await;
    let customer = customer["id"].as_str().unwrap();
    let rejected = send(&app, &token(&app).await, &[event(customer, "7")]).await;
    assert_eq!(counts(&rejected), ["0", "0", "1"]);
    let session = app.live().made(SESSION, "").await;
    let live = session["authentication_token"].as_str().unwrap();
    assert_eq!(counts(&send(&app, live, &[event(customer, "7")]).await), ["1", "0", "0"]);
}

#[tokio::test]
async fn duplicates_are_dropped_silently_and_counted() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let token = token(&app).await;
        let (first, second) = (named(&customer, "7", "i"), named(&customer, "13", "j"));
        let answer = send(&app, &token, &[first.clone(), first.clone(), second.clone()]).await;
        assert_eq!(counts(&answer), ["2", "1", "0"]);
        assert_eq!(counts(&send(&app, &token, &[second, first]).await), ["0", "2", "0"]);
        assert_eq!(total(&app, &meter, &customer).await, 20);
        let errors = app.read("/v1/billing/meter_event_errors").await;
        assert_eq!(errors["data"], json!([]));
    }
}

#[tokio::test]
async fn a_retry_under_the_same_key_counts_nothing_twice() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let token = token(&app).await;
        let body = json!({ "events": [event(&customer, "7"), event(&customer, "13"), event("cus_x", "1")] });
        let send = async || {
            let headers = [("idempotency-key", "k")];
            app.with_key(&token).send("POST", STREAM, &headers, &body.to_string()).await
        };
        assert_eq!(counts(&send().await), ["2", "0", "1"]);
        assert_eq!(counts(&send().await), ["0", "2", "1"]);
        assert_eq!(total(&app, &meter, &customer).await, 20);
        let errors = app.read("/v1/billing/meter_event_errors").await;
        assert_eq!(errors["data"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn outcomes_are_told_where_they_are_asked_for() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let token = token(&app).await;
        let good = named(&customer, "7", "i");
        let outcomes = told(&app, &token, &[good.clone(), named(&customer, "x", "j"), good]).await;
        assert_eq!(outcomes[0], json!({ "id": "mevt_1", "identifier": "i", "status": "recorded" }));
        assert_eq!(
            outcomes[2],
            json!({ "id": "mevt_1", "identifier": "i", "status": "duplicate" })
        );
        let kept = app.read("/v1/billing/meter_event_errors").await["data"][0].clone();
        let expected = json!({
            "id": kept["id"],
            "code": "meter_event_invalid_value",
            "identifier": "j",
            "message": "Invalid value in the event payload: 'x' is not a decimal number.",
            "status": "error",
        });
        assert_eq!(outcomes[1], expected);
        let odd = [("taximeter-outcomes", "yes")];
        let refused = app.with_key(&token).send("POST", STREAM, &odd, "{\"events\":[]}").await;
        assert_eq!(
            error(&refused),
            "400 invalid_request -: Invalid Taximeter-Outcomes header: must be true or false."
        );
    }
}

#[tokio::test]
async fn every_fault_of_an_event_has_the_code_that_stripe_reports() {
    for app in TestApp::everywhere().await {
        let dimensions = "&dimension_payload_keys[]=region";
        meter(&app, "d", "sum", dimensions).await;
        meter(&app, "e", "sum", "").await;
        let old = meter(&app, "old", "sum", "").await;
        app.made(&format!("/v1/billing/meters/{old}/deactivate"), "").await;
        let customer = customer(&app).await;
        let token = token(&app).await;
        let with = |name: &str, value: &str| {
            let mut event = event(&customer, "7");
            event[name] = value.into();
            event
        };
        let payload = |payload: Value| json!({ "event_name": "e", "payload": payload });
        let rows = [
            (with("event_name", "x"), "no_meter"),
            (with("event_name", "old"), "archived_meter"),
            (with("event_name", "d"), "missing_dimension_payload_keys"),
            (payload(json!({ "value": "7" })), "meter_event_no_customer_defined"),
            (
                payload(json!({ "stripe_customer_id": "", "value": "7" })),
                "meter_event_no_customer_defined",
            ),
            (event("cus_x", "7"), "meter_event_customer_not_found"),
            (event("no id", "7"), "meter_event_customer_not_found"),
            (payload(json!({ "stripe_customer_id": customer })), "meter_event_invalid_value"),
            (event(&customer, "1e3"), "meter_event_invalid_value"),
            (event(&customer, "1234567890123456"), "meter_event_value_too_many_digits"),
            (with("timestamp", "2025-12-11T10:29:59Z"), "timestamp_too_far_in_past"),
            (with("timestamp", "2026-01-15T10:35:01Z"), "timestamp_in_future"),
        ];
        let events: Vec<Value> = rows.iter().map(|(event, _)| event.clone()).collect();
        let outcomes = told(&app, &token, &events).await;
        let codes: Vec<&str> = outcomes.iter().map(|each| each["code"].as_str().unwrap()).collect();
        assert_eq!(codes, rows.map(|(_, code)| code));
        let kept = app.read("/v1/billing/meter_event_errors?limit=100").await;
        let kept: Vec<&Value> = kept["data"].as_array().unwrap().iter().rev().collect();
        assert_eq!(kept.len(), codes.len());
        for (kept, code) in kept.iter().zip(codes) {
            assert_eq!((&kept["code"], &kept["status"]), (&json!(code), &json!("open")));
            assert_eq!(kept["meter"].is_null(), code == "no_meter", "{kept}");
        }
    }
}

#[tokio::test]
async fn more_combinations_of_dimension_values_than_there_may_be_are_kept_as_errors() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "&dimension_payload_keys[]=region").await;
    let customer = customer(&app).await;
    let token = token(&app).await;
    let events: Vec<Value> = (0..100)
        .map(|n| {
            let mut event = event(&customer, "1");
            event["payload"]["region"] = format!("r{n}").into();
            event
        })
        .collect();
    let mut sent = 0;
    for round in 0..11 {
        let events: Vec<Value> = events
            .iter()
            .map(|event| {
                let mut event = event.clone();
                event["payload"]["region"] =
                    format!("{round} {}", event["payload"]["region"]).into();
                event
            })
            .collect();
        let answer = send(&app, &token, &events).await;
        sent += answer.header("taximeter-recorded").parse::<i64>().unwrap();
    }
    assert_eq!(total(&app, &meter, &customer).await, sent);
    let errors = app.read("/v1/billing/meter_event_errors?limit=100").await;
    assert_eq!(errors["data"].as_array().unwrap().len(), 100, "1,100 sent, 1,000 may be");
    assert_eq!(errors["data"][0]["code"], "meter_event_dimension_count_too_high");
    assert_eq!(errors["data"][0]["customer"], json!(customer));
}

#[tokio::test]
async fn what_is_no_body_of_events_is_refused_whole() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "").await;
    let customer = customer(&app).await;
    let token = token(&app).await;
    let good = event(&customer, "7");
    let beside = |name: &str, value: Value| {
        let mut event = good.clone();
        event[name] = value;
        json!({ "events": [good, event] }).to_string()
    };
    let long = "a".repeat(101);
    let many = json!({ "events": vec![good.clone(); 101] }).to_string();
    let rows = [
        ("", "400 parameter_missing events: Missing required param: events."),
        ("{}", "400 parameter_missing events: Missing required param: events."),
        ("{\"events\":7}", "400 invalid_request events: Invalid array"),
        ("{\"events\":[7]}", "400 invalid_request events[0]: Invalid object"),
        ("{\"events\":[],\"x\":1}", "400 parameter_unknown x: Received unknown parameter: x"),
        (&many, "400 invalid_request events: Invalid array: at most 100 events are accepted"),
        (
            &beside("payload", json!({ "value": 7 })),
            "400 invalid_request events[1][payload][value]: Invalid string",
        ),
        (
            &beside("timestamp", "yesterday".into()),
            "400 invalid_request events[1][timestamp]: Invalid events[1][timestamp]: not an RFC \
             3339 timestamp such as 2024-06-01T12:10:00.000Z.",
        ),
        (
            &beside("identifier", "".into()),
            "400 parameter_invalid_empty events[1][identifier]: You passed an empty string for \
             'events[1][identifier]'. We assume empty values are an attempt to unset a parameter; \
             however 'events[1][identifier]' cannot be unset. You should remove \
             'events[1][identifier]' from your request or supply a non-empty value.",
        ),
        (
            &beside("event_nam", "e".into()),
            "400 parameter_unknown events[1][event_nam]: Received unknown parameter: \
             events[1][event_nam]. Did you mean event_name?",
        ),
        (
            &beside("event_name", long.as_str().into()),
            &format!(
                "400 invalid_request events[1][event_name]: Invalid string: {}…; must be at most \
                 100 characters",
                "a".repeat(60)
            ),
        ),
    ];
    for (body, expected) in rows {
        assert_eq!(error(&app.with_key(&token).post(STREAM, body).await), expected, "{body}");
    }
    for body in ["{\"events\":[", "[]", "{\"events\":[],\"events\":[]}"] {
        let refused = error(&app.with_key(&token).post(STREAM, body).await);
        assert!(refused.starts_with("400 invalid_request -: Invalid JSON: "), "{refused}");
    }
    assert_eq!(total(&app, &meter, &customer).await, 0);
}

#[tokio::test]
async fn a_body_is_read_alike_however_it_is_written() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "").await;
    let token = token(&app).await;
    let customer = customer(&app).await;
    let body = format!(
        "\n{{ \"events\" : [\t{{\"payload\":{{\"v\\u0061lue\":\"7\",\"stripe_customer_id\":\
         \"{customer}\",\"note\":\"\\\"\\n\\u00e9 é\"}},\"event_name\":\"\\u0065\",\
         \"identifier\":null}} ]\r\n}} "
    );
    let answer = app.with_key(&token).post(STREAM, &body).await;
    assert_eq!(counts(&answer), ["1", "0", "0"]);
    let in_query = app.with_key(&token).post(&format!("{STREAM}?x=1"), "{\"events\":[]}").await;
    assert!(error(&in_query).starts_with("400 parameter_unknown x: "));
    assert_eq!(total(&app, &meter, &customer).await, 7);
    assert_eq!(app.now(), START);
}
