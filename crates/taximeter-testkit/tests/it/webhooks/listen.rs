//! What `stripe listen` is shown.

use serde_json::{Value, json};
use taximeter_service::webhooks::{self, Listener};
use taximeter_testkit::TestApp;

use crate::support::{customer, error};

const SESSIONS: &str = "/v1/stripecli/sessions";
const FORM: &str = "device_name=desk&websocket_features[]=webhooks&websocket_features[]=v2_events";

/// What a session has not been shown yet.
async fn unheard(app: &TestApp, session: &Value) -> Vec<Value> {
    let (services, name) = (app.services(), session["websocket_id"].as_str().unwrap());
    let listener = services.webhooks.listeners.find(name, app.now());
    let mut listener: Listener = listener.expect("a session");
    let messages = webhooks::unheard(services, name, &mut listener, app.now()).await.unwrap();
    messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect()
}

/// The objects that messages for one version tell of.
fn objects(messages: &[Value], version: &Value) -> Vec<String> {
    let of = messages.iter().filter(|it| it["endpoint"]["api_version"] == *version);
    of.map(|it| {
        let event: Value = serde_json::from_str(it["event_payload"].as_str().unwrap()).unwrap();
        event["data"]["object"]["id"].as_str().unwrap().to_owned()
    })
    .collect()
}

#[tokio::test]
async fn a_listener_is_shown_what_happens_once_and_for_either_version() {
    for app in TestApp::everywhere().await {
        customer(&app).await;
        let headers = [("host", "taximeter.example:7")];
        let session = app.send("POST", SESSIONS, &headers, FORM).await.json();
        assert_eq!(session["websocket_url"], "ws://taximeter.example:7/v1/stripecli/subscribe");
        let headers = [("host", "taximeter.example"), ("x-forwarded-proto", "https")];
        let secure = app.send("POST", SESSIONS, &headers, FORM).await.json();
        assert_eq!(secure["websocket_url"], "wss://taximeter.example/v1/stripecli/subscribe");
        assert_eq!(
            (&secure["secret"], secure["secret"].as_str().unwrap().len()),
            (&session["secret"], 38)
        );
        assert_ne!(secure["websocket_id"], session["websocket_id"]);

        let made = [customer(&app).await, customer(&app).await];
        app.live().made("/v1/customers", "").await;
        let [theirs, _] = app.another_account("theirs").await;
        app.with_key(&theirs).made("/v1/customers", "").await;
        let messages = unheard(&app, &session).await;
        for version in [Value::Null, json!("2026-10-28.endive")] {
            assert_eq!(objects(&messages, &version), made);
        }
        assert_eq!(messages.len(), 4);
        let signature = messages[0]["http_headers"]["Stripe-Signature"].as_str().unwrap();
        assert!(signature.starts_with(&format!("t={},v1=", app.now().0)), "{signature}");
        assert_eq!(unheard(&app, &session).await.len(), 0);
        let other = app.made(SESSIONS, &FORM.replace("desk", "laptop")).await;
        assert_ne!(other["secret"], session["secret"]);
        assert_eq!(unheard(&app, &other).await.len(), 0);
    }
}

#[tokio::test]
async fn an_event_is_shown_again_to_those_who_listen() {
    for app in TestApp::everywhere().await {
        let made = customer(&app).await;
        let event = app.read("/v1/events").await["data"][0].clone();
        let retry = format!("/v1/events/{}/retry", event["id"].as_str().unwrap());
        assert_eq!(
            error(&app.post(&retry, "for_stripecli=true").await),
            "400 - for_stripecli: Nobody is listening: run `stripe listen`, or name a \
             webhook_endpoint."
        );
        let session = app.made(SESSIONS, FORM).await;
        assert_eq!(app.made(&retry, "for_stripecli=true").await, event);
        assert_eq!(objects(&unheard(&app, &session).await, &Value::Null), [made]);
        assert_eq!(unheard(&app, &session).await.len(), 0);
        assert_eq!(
            error(&app.post(&retry, "for_stripecli=true&webhook_endpoint=we_x").await),
            "400 parameters_exclusive webhook_endpoint: You may only specify one of these \
             parameters: webhook_endpoint, for_stripecli."
        );
    }
}

#[tokio::test]
async fn a_session_ends_after_a_day_and_is_for_webhooks() {
    let app = TestApp::start().await;
    let session = app.made(SESSIONS, FORM).await;
    let name = session["websocket_id"].as_str().unwrap();
    let listeners = &app.services().webhooks.listeners;
    app.advance_s(86_399);
    assert!(listeners.find(name, app.now()).is_some());
    app.advance_s(1);
    assert!(listeners.find(name, app.now()).is_none());
    let answer = app.post(SESSIONS, "device_name=desk&websocket_features[]=request_logs").await;
    assert_eq!(
        error(&answer),
        "400 - websocket_features: Invalid websocket_features: only webhooks can be listened for \
         here."
    );
    let headers = [("websocket-id", name)];
    let answer = app.request("GET", "/v1/stripecli/subscribe", &headers, b"").await;
    assert_eq!(error(&answer), "400 - -: Unknown WebSocket ID.");
}
