//! Keys, and the headers that every response has.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use taximeter_service::api_keys::{Authenticator, KeyKind};
use taximeter_testkit::{Response, TestApp};
use taximeter_web::{App, BODY_BYTES_MAX, router};
use tower::ServiceExt as _;

use crate::support::{customer, error, id};

const NO_KEY: &str = "401 - -: You did not provide an API key. You need to provide your API key in the \
     Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See \
     https://stripe.com/docs/api#authentication for details, or we can help at \
     https://support.stripe.com/.";
const MALFORMED: &str = "401 - -: Invalid Authorization header: use Bearer auth (e.g. \
                         'Authorization: Bearer YOUR_SECRET_KEY') or Basic auth with the key as \
                         the user name and no password.";

async fn shown(app: &TestApp, authorization: &str) -> Response {
    app.request("GET", "/v1/customers", &[("authorization", authorization)], b"").await
}

/// `user:` and `user` in Base64, as HTTP Basic has them.
fn base64(text: &str) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let byte = |n: usize| usize::from(chunk.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sign = char::from(SIGNS[bits >> (18 - 6 * place) & 63]);
            out.push(if place <= chunk.len() { sign } else { '=' });
        }
    }
    out
}

#[tokio::test]
async fn a_key_is_shown_as_bearer_or_as_the_user_of_basic() {
    for app in TestApp::everywhere().await {
        let key = app.test_key();
        for authorization in [
            format!("Bearer {key}"),
            format!("bearer {key}"),
            format!("Bearer   {key} "),
            format!("Basic {}", base64(&format!("{key}:"))),
            format!("basic {}", base64(&format!("{key}:ignored"))),
            format!("Basic {}", base64(key)),
        ] {
            assert_eq!(shown(&app, &authorization).await.status, 200, "{authorization}");
        }
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused_without_repeating_it() {
    let app = TestApp::start().await;
    let nothing = app.request("GET", "/v1/customers", &[], b"").await;
    assert_eq!(error(&nothing), NO_KEY);
    let wrong = "401 - -: Invalid API Key provided: sk_test_****************wxyz";
    for (authorization, expected) in [
        ("Bearer ", NO_KEY),
        ("Basic Og==", NO_KEY),
        ("Basic !!!", MALFORMED),
        ("Digest x", MALFORMED),
        ("sk_test_x", MALFORMED),
        ("Bearer sk_test_abcdefghijklmnopwxyz", wrong),
    ] {
        let answer = error(&shown(&app, authorization).await);
        assert_eq!(answer, expected, "{authorization}");
        assert!(!answer.contains("abcdef"));
    }
    assert_eq!(shown(&app, &format!("Bearer {}", app.test_key())).await.status, 200);
}

#[tokio::test]
async fn a_publishable_key_reaches_nothing() {
    let app = TestApp::start().await;
    let key = app.key(KeyKind::Publishable, "").await;
    let refused = error(&app.with_key(&key).get("/v1/customers").await);
    assert!(refused.starts_with("403 secret_key_required -: This API call cannot be made with"));
    let refused = error(&app.with_key(&key).post("/v1/billing/meter_events", "").await);
    assert!(refused.starts_with("403 secret_key_required"), "{refused}");
}

#[tokio::test]
async fn a_restricted_key_does_on_each_resource_what_it_was_given() {
    let app = TestApp::start().await;
    for endpoint in taximeter_web::endpoints() {
        if endpoint.path == crate::meter_event_stream::STREAM {
            // It takes tokens, which only a key with the permission can make.
            continue;
        }
        let method = endpoint.method.as_str();
        let path = endpoint.path.replace("{id}", "x");
        let access = if method == "GET" { "read" } else { "write" };
        let resource = endpoint.resource;
        let needed = format!("'rak_{resource}_{access}'");
        let elsewhere = if resource == "customer" { "price" } else { "customer" };
        let lesser = if access == "write" { resource } else { elsewhere };
        for (permissions, allowed) in [
            (format!("{elsewhere}=write"), false),
            (format!("{lesser}=read"), false),
            (format!("{resource}={access}"), true),
            (format!("{resource}=write"), true),
        ] {
            let key = app.key(KeyKind::Restricted, &permissions).await;
            let answer = app.with_key(&key).send(method, &path, &[], "").await;
            let refused = answer.status == 403;
            assert_eq!(refused, !allowed, "{method} {path} with {permissions}");
            assert!(!refused || error(&answer).contains(&needed), "{}", error(&answer));
        }
    }
}

#[tokio::test]
async fn every_response_names_its_request_and_its_version() {
    let app = TestApp::start().await;
    let auth = format!("Bearer {}", app.test_key());
    let auth = ("authorization", auth.as_str());
    let large = vec![b'a'; BODY_BYTES_MAX + 1];
    let customer = format!("/v1/customers/{}", customer(&app).await);
    let mut seen = Vec::new();
    for (method, path, headers, body, status) in [
        ("GET", "/v1/customers", &[auth][..], &b""[..], 200),
        ("HEAD", "/v1/customers", &[auth], b"", 200),
        ("GET", customer.as_str(), &[auth], b"", 200),
        ("GET", "/v1/customers", &[], b"", 401),
        ("GET", "/v1/customers/x", &[auth], b"", 404),
        ("GET", "/v1/nowhere", &[auth], b"", 404),
        ("GET", "/nowhere", &[], b"", 404),
        ("PUT", "/v1/customers", &[auth], b"", 404),
        ("POST", "/v1/customers", &[auth], &large, 413),
        ("OPTIONS", "/v1/customers", &[], b"", 200),
        ("GET", "/healthz", &[], b"", 200),
    ] {
        let answer = if method == "HEAD" {
            bare(&app, method, path, auth.1).await
        } else {
            app.request(method, path, headers, body).await
        };
        assert_eq!(answer.status, status, "{method} {path}");
        let request = answer.header("request-id").to_owned();
        assert!(request.starts_with("req_"), "{method} {path}: {request}");
        assert_eq!(answer.header("stripe-version"), "2026-10-28.endive");
        assert!(!seen.contains(&request));
        seen.push(request);
    }
}

/// A request whose answer has no body to look at.
async fn bare(app: &TestApp, method: &str, path: &str, authorization: &str) -> Response {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", authorization)
        .body(Body::empty())
        .unwrap();
    sent(router_with_clock(app, || taximeter_testkit::START), request).await
}

fn router_with_clock(
    app: &TestApp,
    clock: impl Fn() -> taximeter_kernel::time::Timestamp + Send + Sync + 'static,
) -> axum::Router {
    let services = app.services().clone();
    let authenticator = Authenticator::new(services.db.clone());
    router(App::new(services, authenticator, Arc::new(clock)))
}

async fn sent(router: axum::Router, request: Request<Body>) -> Response {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Response { status: parts.status.as_u16(), headers: parts.headers, body }
}

#[tokio::test]
async fn a_panic_ends_its_request_with_a_500_that_is_named() {
    let app = TestApp::start().await;
    let broken = router_with_clock(&app, || panic!("a bug"));
    let request = Request::builder().uri("/v1/customers").body(Body::empty()).unwrap();
    let answer = sent(broken, request).await;
    assert_eq!(
        error(&answer),
        "500 api_error - -: An error occurred on our side. It has been logged with this request's \
         id."
    );
    assert!(answer.header("request-id").starts_with("req_"));
}

#[tokio::test]
async fn the_version_and_the_key_of_a_request_are_echoed() {
    let app = TestApp::start().await;
    let headers = [("stripe-version", "2025-09-30.clover"), ("idempotency-key", "k7")];
    let answer = app.send("POST", "/v1/customers", &headers, "name=N").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("stripe-version"), "2025-09-30.clover");
    assert_eq!(answer.header("idempotency-key"), "k7");
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn any_page_may_call_the_api_and_read_its_headers() {
    let app = TestApp::start().await;
    let preflight = [
        ("origin", "https://example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,stripe-version,idempotency-key"),
    ];
    let answer = app.request("OPTIONS", "/v1/customers", &preflight, b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let allowed = answer.header("access-control-allow-headers").to_owned();
    for name in ["authorization", "content-type", "stripe-version", "idempotency-key"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    let answer = app.send("GET", "/v1/customers", &[("origin", "https://example.com")], "").await;
    let exposed = answer.header("access-control-expose-headers").to_owned();
    for name in ["request-id", "stripe-version", "idempotent-replayed", "original-request"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}

#[tokio::test]
async fn objects_outlive_a_restart_and_keys_still_open_them() {
    for app in TestApp::everywhere().await {
        let customer = app.made("/v1/customers", "name=N").await;
        let app = app.restart().await;
        assert_eq!(app.read(&format!("/v1/customers/{}", id(&customer))).await, customer);
    }
}
