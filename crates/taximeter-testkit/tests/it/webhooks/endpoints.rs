//! Endpoints themselves.

use serde_json::{Value, json};
use taximeter_testkit::{START, TestApp};

use super::{ENDPOINTS, HOOK, endpoint, path};
use crate::support::{error, id, ids, refused};

#[tokio::test]
async fn an_endpoint_shows_its_secret_when_it_is_made_and_never_again() {
    for app in TestApp::everywhere().await {
        let form = format!(
            "{HOOK}&enabled_events[]=customer.created&enabled_events[]=invoice.paid&description=D\
             &metadata[a]=1&api_version=2025-02-24.acacia&connect=false"
        );
        let mut made = app.made(ENDPOINTS, &form).await;
        let secret = made["secret"].as_str().unwrap().to_owned();
        assert!(secret.starts_with("whsec_") && secret.len() == 38, "{secret}");
        made.as_object_mut().unwrap().remove("secret");
        assert_eq!(
            made,
            json!({
                "id": id(&made),
                "object": "webhook_endpoint",
                "api_version": "2025-02-24.acacia",
                "application": null,
                "created": START.0,
                "description": "D",
                "enabled_events": ["customer.created", "invoice.paid"],
                "livemode": false,
                "metadata": { "a": "1" },
                "status": "enabled",
                "url": "https://example.com/hook",
            })
        );
        assert!(id(&made).starts_with("we_"));
        assert_eq!(app.read(&path(&made)).await, made);
        assert_eq!(app.read(ENDPOINTS).await["data"], json!([made]));
        assert_eq!(app.made(&path(&made), "").await, made);
    }
}

#[tokio::test]
async fn what_of_an_endpoint_can_change_does() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["*"]).await;
        let form = "url=http://127.0.0.1:7/x&enabled_events[]=price.created&disabled=true\
                    &description=D&metadata[a]=1";
        let changed = app.made(&path(&made), form).await;
        assert_eq!(changed["url"], "http://127.0.0.1:7/x");
        assert_eq!(changed["enabled_events"], json!(["price.created"]));
        assert_eq!(changed["status"], "disabled");
        assert_eq!(
            (&changed["description"], &changed["metadata"]["a"]),
            (&json!("D"), &json!("1"))
        );
        let changed = app.made(&path(&made), "disabled=false&description=&metadata=").await;
        assert_eq!(changed["status"], "enabled");
        assert_eq!((&changed["description"], &changed["metadata"]), (&Value::Null, &json!({})));
        assert_eq!(app.read(&path(&made)).await, changed);
    }
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone() {
    for app in TestApp::everywhere().await {
        let (gone, kept) = (endpoint(&app, &["*"]).await, endpoint(&app, &["*"]).await);
        let stub = json!({ "id": id(&gone), "object": "webhook_endpoint", "deleted": true });
        assert_eq!(app.delete(&path(&gone)).await.json(), stub);
        let missing = format!("404 resource_missing id: No such webhook endpoint: '{}'", id(&gone));
        assert_eq!(error(&app.get(&path(&gone)).await), missing);
        assert_eq!(error(&app.post(&path(&gone), "disabled=true").await), missing);
        assert_eq!(error(&app.delete(&path(&gone)).await), missing);
        let rotate = format!("{}/rotate_secret", path(&gone));
        assert_eq!(error(&app.post(&rotate, "").await), missing);
        assert_eq!(ids(&app.read(ENDPOINTS).await), [id(&kept)]);
        assert_eq!(error(&app.live().get(&path(&gone)).await), missing);
        let elsewhere = error(&app.live().get(&path(&kept)).await);
        assert!(elsewhere.contains("a similar object exists in test mode"), "{elsewhere}");
    }
}

#[tokio::test]
async fn there_are_sixteen_endpoints_in_a_mode_at_most() {
    for app in TestApp::everywhere().await {
        let first = endpoint(&app, &["*"]).await;
        for _ in 1..16 {
            endpoint(&app, &["*"]).await;
        }
        let form = format!("{HOOK}&enabled_events[]=*");
        let full = "400 - -: You have reached the maximum of 16 test webhook endpoints.";
        assert_eq!(error(&app.post(ENDPOINTS, &form).await), full);
        app.live().made(ENDPOINTS, &form).await;
        app.delete(&path(&first)).await;
        app.made(ENDPOINTS, &form).await;
        assert_eq!(error(&app.post(ENDPOINTS, &form).await), full);
    }
}

#[tokio::test]
async fn what_is_no_endpoint_is_refused() {
    let app = TestApp::start().await;
    let made = path(&endpoint(&app, &["*"]).await);
    let not_public = "400 url_invalid url: Invalid URL: URL must be publicly accessible. Consider \
                      using a tool like the Stripe CLI to test webhooks locally.";
    let no_scheme = "400 url_invalid url: Invalid URL: An explicit scheme (such as https) must be \
                     provided.";
    let missing = "400 parameter_missing enabled_events: Missing required param: enabled_events.";
    refused(
        &app,
        &[
            (ENDPOINTS, "enabled_events[]=*", "400 parameter_missing url: Missing required param: url."),
            (ENDPOINTS, HOOK, missing),
            (ENDPOINTS, "url=example.com&enabled_events[]=*", no_scheme),
            (ENDPOINTS, "url=http://10.0.0.1&enabled_events[]=*", not_public),
            (ENDPOINTS, "url=http://169.254.169.254/latest&enabled_events[]=*", not_public),
            (ENDPOINTS, "url=http://[::ffff:a9fe:a9fe]&enabled_events[]=*", not_public),
            (&made, "url=http://192.168.7.13", not_public),
            (
                ENDPOINTS,
                "url=https://me:pw@example.com&enabled_events[]=*",
                "400 url_invalid url: Invalid URL: it must not hold a user name or password.",
            ),
            (
                ENDPOINTS,
                "url=https://example.com&enabled_events[]=customer.created&enabled_events[]=x",
                "400 - enabled_events[1]: Invalid enabled_events[1]: 'x' is not the name of an event.",
            ),
            (
                &made,
                "enabled_events[]=customer.*",
                "400 - enabled_events[0]: Invalid enabled_events[0]: 'customer.*' is not the name of \
                 an event.",
            ),
            (
                &made,
                "enabled_events[]=price.created&enabled_events[]=price.created",
                "400 - enabled_events[1]: Invalid enabled_events[1]: 'price.created' is there twice.",
            ),
            (
                &made,
                "enabled_events[]=price.created&enabled_events[]=*",
                "400 - enabled_events: Invalid enabled_events: '*' stands for all events, so it \
                 stands alone.",
            ),
            (
                ENDPOINTS,
                "url=https://example.com&enabled_events[]=*&api_version=latest",
                "400 - api_version: Invalid Stripe API version: latest",
            ),
            (
                ENDPOINTS,
                "url=https://example.com&enabled_events[]=*&connect=true",
                "400 - connect: Invalid connect: there are no connected accounts here.",
            ),
            (
                &made,
                "api_version=2025-02-24.acacia",
                "400 parameter_unknown api_version: Received unknown parameter: api_version",
            ),
        ],
    )
    .await;
    let form = "url=http://example.com&enabled_events[]=*";
    assert_eq!(
        error(&app.live().post(ENDPOINTS, form).await),
        "400 url_invalid url: Invalid URL: it must begin with https:// in live mode."
    );
    let form = "url=https://127.0.0.1&enabled_events[]=*";
    assert_eq!(error(&app.live().post(ENDPOINTS, form).await), not_public);
}
