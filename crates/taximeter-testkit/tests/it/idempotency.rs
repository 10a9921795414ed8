//! `Idempotency-Key`: one answer per key, whatever is retried.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use taximeter_service::api_keys::Authenticator;
use taximeter_service::ctx::Services;
use taximeter_service::idempotency::KEPT_S;
use taximeter_testkit::{Client, Response, START, TestApp};
use taximeter_web::{App, router};
use tower::ServiceExt as _;

use crate::meter_events::event;
use crate::support::{customer, error, id, ids, meter, written};

const CUSTOMERS: &str = "/v1/customers";

async fn keyed(client: Client<'_>, key: &str, path: &str, form: &str) -> Response {
    client.send("POST", path, &[("idempotency-key", key)], form).await
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

fn mismatch(key: &str) -> String {
    format!(
        "400 idempotency_error - -: Keys for idempotent requests can only be used with the same \
         parameters they were first used with. Try using a key other than '{key}' if you meant to \
         execute a different request."
    )
}

/// That `second` is `first` again, and says so.
fn is_replay(first: &Response, second: &Response) {
    assert_eq!(second.status, first.status);
    assert_eq!(text(second), text(first));
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.header("original-request"), first.header("request-id"));
    assert_ne!(second.header("request-id"), first.header("request-id"));
}

#[tokio::test]
async fn a_retry_is_answered_as_the_first_request_was_and_does_nothing() {
    for app in TestApp::everywhere().await {
        let client = app.with_key(app.test_key());
        let first = keyed(client, "k", CUSTOMERS, "name=N&metadata[a]=1&metadata[b]=2").await;
        assert_eq!(first.status, 200);
        app.advance_s(7);
        // The order of the parameters is no difference.
        let second = keyed(client, "k", CUSTOMERS, "metadata[b]=2&name=N&metadata[a]=1").await;
        is_replay(&first, &second);
        let app = app.restart().await;
        let client = app.with_key(app.test_key());
        let third = keyed(client, "k", CUSTOMERS, "name=N&metadata[a]=1&metadata[b]=2").await;
        is_replay(&first, &third);
        assert_eq!(ids(&app.read(CUSTOMERS).await).len(), 1);
        let written = written(&app).await;
        assert_eq!(written.len(), 1);
        assert_eq!(written[0].idempotency_key.as_deref(), Some("k"));
    }
}

#[tokio::test]
async fn a_key_is_for_one_request_only() {
    for app in TestApp::everywhere().await {
        let client = app.with_key(app.test_key());
        let made = keyed(client, "k", CUSTOMERS, "name=N").await.json();
        let path = format!("{CUSTOMERS}/{}", id(&made));
        for (path, form) in [
            (CUSTOMERS, "name=M"),
            (CUSTOMERS, ""),
            (CUSTOMERS, "name=N&expand[]=sources"),
            (path.as_str(), "name=N"),
            ("/v1/products", "name=N"),
        ] {
            assert_eq!(
                error(&keyed(client, "k", path, form).await),
                mismatch("k"),
                "{path} {form}"
            );
        }
        assert_eq!(keyed(client, "K", CUSTOMERS, "name=M").await.status, 200);
    }
}

#[tokio::test]
async fn what_execution_refused_is_refused_again() {
    for app in TestApp::everywhere().await {
        let client = app.with_key(app.test_key());
        app.made("/v1/products", "id=gold&name=Gold").await;
        for (key, path, form, status) in [
            ("a", "/v1/products", "id=gold&name=Gold", 400),
            ("b", "/v1/prices", "currency=usd&unit_amount=7&product=prod_x", 400),
            ("c", "/v1/customers/cus_x", "name=N", 404),
        ] {
            let first = keyed(client, key, path, form).await;
            assert_eq!(first.status, status, "{}", text(&first));
            is_replay(&first, &keyed(client, key, path, form).await);
            let other = keyed(client, key, CUSTOMERS, "").await;
            assert_eq!(error(&other), mismatch(key));
        }
        // Kept even when the reason is gone.
        app.delete("/v1/products/gold").await;
        assert_eq!(keyed(client, "a", "/v1/products", "id=gold&name=Gold").await.status, 400);
    }
}

#[tokio::test]
async fn what_was_refused_before_execution_leaves_the_key_unused() {
    for app in TestApp::everywhere().await {
        let client = app.with_key(app.test_key());
        for (path, form) in [
            ("/v1/products", ""),
            (CUSTOMERS, "nme=N"),
            (CUSTOMERS, "balance=abc"),
            (CUSTOMERS, "name=%ff"),
            (CUSTOMERS, "expand[]=a.b.c.d.e"),
            (CUSTOMERS, "expand[]=name"),
        ] {
            assert_eq!(keyed(client, "k", path, form).await.status, 400, "{form}");
        }
        let headers = [("idempotency-key", "k"), ("stripe-version", "latest")];
        assert_eq!(client.send("POST", CUSTOMERS, &headers, "").await.status, 400);
        let wrong = app.with_key("sk_test_abcdefghijklmnopwxyz");
        assert_eq!(keyed(wrong, "k", CUSTOMERS, "").await.status, 401);
        assert_eq!(ids(&app.read(CUSTOMERS).await).len(), 0);
        assert_eq!(keyed(client, "k", CUSTOMERS, "name=N").await.status, 200);
    }
}

#[tokio::test]
async fn a_key_is_fresh_again_after_24_hours_and_not_a_second_before() {
    for app in TestApp::everywhere().await {
        let client = app.with_key(app.test_key());
        let first = keyed(client, "k", CUSTOMERS, "name=N").await;
        app.advance_s(KEPT_S - 1);
        is_replay(&first, &keyed(client, "k", CUSTOMERS, "name=N").await);
        app.advance_s(1);
        let fresh = keyed(client, "k", CUSTOMERS, "name=M").await;
        assert_eq!(fresh.status, 200);
        is_replay(&fresh, &keyed(client, "k", CUSTOMERS, "name=M").await);
    }
}

#[tokio::test]
async fn reading_and_deleting_take_no_notice_of_a_key() {
    for app in TestApp::everywhere().await {
        let key = [("idempotency-key", "k")];
        let client = app.with_key(app.test_key());
        let made = keyed(client, "k", CUSTOMERS, "name=N").await.json();
        let path = format!("{CUSTOMERS}/{}", id(&made));
        let read = client.send("GET", &path, &key, "").await;
        assert_eq!((read.status, read.header("idempotent-replayed")), (200, ""));
        assert_eq!(client.send("DELETE", &path, &key, "").await.json()["deleted"], true);
        assert_eq!(client.send("DELETE", &path, &key, "").await.status, 404);
    }
}

#[tokio::test]
async fn a_key_belongs_to_an_account_and_a_mode() {
    for app in TestApp::everywhere().await {
        let [other, _] = app.another_account("Other").await;
        let clients = [app.with_key(app.test_key()), app.live(), app.with_key(&other)];
        let mut made = Vec::new();
        for (client, name) in clients.iter().zip(["a", "b", "c"]) {
            let answer = keyed(*client, "k", CUSTOMERS, &format!("name={name}")).await;
            assert_eq!(answer.status, 200);
            made.push(id(&answer.json()).to_owned());
        }
        made.dedup();
        assert_eq!(made.len(), 3);
    }
}

#[tokio::test]
async fn the_form_of_a_key_is_checked() {
    let app = TestApp::start().await;
    let client = app.with_key(app.test_key());
    let bad = "400 - -: Invalid Idempotency-Key: must be 1 to 255 characters.";
    for key in [String::new(), "k".repeat(256)] {
        assert_eq!(error(&keyed(client, &key, CUSTOMERS, "").await), bad);
    }
    assert_eq!(keyed(client, &"k".repeat(255), CUSTOMERS, "").await.status, 200);
}

const IN_FLIGHT: &str = "409 idempotency_error idempotency_key_in_use -: There is currently another in-progress \
     request using this Idempotent Key (that probably means you submitted twice, and the other \
     request is still going through)";

#[tokio::test]
async fn a_second_request_while_the_first_is_answered_is_told_so() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let path = format!("{CUSTOMERS}/{customer}");
        // Hold the row, so that the first request has to wait in the middle of its work.
        let mut held = app.services().db.begin().await.unwrap();
        let lock = "SELECT id FROM customers WHERE id = $1";
        let _row: Option<String> =
            held.optional_for_update(lock, vec![customer.as_str().into()]).await.unwrap();
        let client = app.with_key(app.test_key());
        let mut first = Box::pin(keyed(client, "k", &path, "name=N"));
        let second = tokio::select! {
            biased;
            answer = &mut first => panic!("it did not wait: {}", text(&answer)),
            answer = async {
                // The first has been polled by now, and holds its key.
                keyed(client, "k", &path, "name=N").await
            } => answer,
        };
        assert_eq!(error(&second), IN_FLIGHT);
        // Another request under the key is told the same, whatever it asks for.
        let other = tokio::select! {
            biased;
            answer = &mut first => panic!("it did not wait: {}", text(&answer)),
            answer = keyed(client, "k", CUSTOMERS, "") => answer,
        };
        assert_eq!(error(&other), IN_FLIGHT);
        held.rollback().await.unwrap();
        let first = first.await;
        assert_eq!(first.status, 200);
        is_replay(&first, &keyed(client, "k", &path, "name=N").await);
    }
}

#[tokio::test]
async fn a_client_that_went_away_leaves_nothing_behind_and_may_try_again() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let path = format!("{CUSTOMERS}/{customer}");
        let client = app.with_key(app.test_key());
        let mut held = app.services().db.begin().await.unwrap();
        let lock = "SELECT id FROM customers WHERE id = $1";
        let _row: Option<String> =
            held.optional_for_update(lock, vec![customer.as_str().into()]).await.unwrap();
        let mut first = Box::pin(keyed(client, "k", &path, "name=N"));
        tokio::select! {
            biased;
            answer = &mut first => panic!("it did not wait: {}", text(&answer)),
            _ = app.get(CUSTOMERS) => {}
        }
        drop(first);
        held.rollback().await.unwrap();
        let again = keyed(client, "k", &path, "name=N").await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, ""));
    }
}

#[tokio::test]
async fn a_meter_events_key_replays_the_event_that_was_counted() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let path = "/v1/billing/meter_events";
        let client = app.with_key(app.test_key());
        let first = keyed(client, "k", path, &event(&customer, "7")).await;
        assert_eq!(first.status, 200);
        app.advance_s(60);
        // Its generated identifier and the time of its receipt come again, in a new process too.
        let second = keyed(client, "k", path, &event(&customer, "7")).await;
        assert_eq!((text(&second), second.header("idempotent-replayed")), (text(&first), "true"));
        assert_eq!(error(&keyed(client, "k", path, &event(&customer, "8")).await), mismatch("k"));
        let app = app.restart().await;
        let client = app.with_key(app.test_key());
        let third = keyed(client, "k", path, &event(&customer, "7")).await;
        assert_eq!((text(&third), third.header("idempotent-replayed")), (text(&first), "true"));
        app.advance_s(KEPT_S);
        let fresh = keyed(client, "k", path, &event(&customer, "7")).await;
        assert_eq!((fresh.status, fresh.header("idempotent-replayed")), (200, ""));
    }
}

/// The same request as another process on the same database would answer it: nothing in memory is
/// shared that tells of requests in flight.
async fn elsewhere(app: &TestApp, key: &str, path: &str, form: &'static str) -> Response {
    let services = Services { in_flight: Arc::default(), ..app.services().clone() };
    let authenticator = Authenticator::new(services.db.clone());
    let request = Request::post(path)
        .header("authorization", format!("Bearer {}", app.test_key()))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("idempotency-key", key)
        .body(Body::from(form))
        .unwrap();
    let other = router(App::new(services, authenticator, Arc::new(|| START)));
    let (parts, body) = other.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Response { status: parts.status.as_u16(), headers: parts.headers, body }
}

#[tokio::test]
async fn of_two_processes_only_one_does_the_work_of_a_key() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let path = format!("{CUSTOMERS}/{customer}");
        let mut held = app.services().db.begin().await.unwrap();
        let lock = "SELECT id FROM customers WHERE id = $1";
        let _row: Option<String> =
            held.optional_for_update(lock, vec![customer.as_str().into()]).await.unwrap();
        let release = async {
            // Both have had their turns to come as far as the row.
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
            held.rollback().await.unwrap();
        };
        let (one, other, ()) = tokio::join!(
            keyed(app.with_key(app.test_key()), "k", &path, "name=N"),
            elsewhere(&app, "k", &path, "name=N"),
            release,
        );
        // The second finds the answer of the first, or is told that there is one under way.
        let (done, again) = if one.status == 200 { (one, other) } else { (other, one) };
        assert_eq!(done.status, 200, "{}", text(&done));
        if again.status == 200 {
            assert_eq!(text(&again), text(&done));
        } else {
            assert_eq!(error(&again), IN_FLIGHT);
        }
        let updates = written(&app).await.into_iter().filter(|e| e.kind == "customer.updated");
        assert_eq!(updates.count(), 1);
    }
}

#[tokio::test]
async fn a_key_of_usage_and_a_key_of_the_rest_never_answer_for_each_other() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let client = app.with_key(app.test_key());
        let (path, form) = ("/v1/billing/meter_events", event(&customer, "7"));
        // Usage keeps its keys with its events and asks no database, so it cannot know the others'.
        let made = keyed(client, "k", CUSTOMERS, "name=N").await;
        let used = keyed(client, "k", path, &form).await;
        assert_eq!((made.status, used.status), (200, 200));
        assert_eq!(used.json()["object"], "billing.meter_event");
        is_replay(&made, &keyed(client, "k", CUSTOMERS, "name=N").await);
        assert_eq!(text(&keyed(client, "k", path, &form).await), text(&used));
        assert_eq!(error(&keyed(client, "k", CUSTOMERS, "name=M").await), mismatch("k"));
        // The two dialects of usage share theirs.
        let v2 = format!(
            r#"{{"event_name":"e","payload":{{"stripe_customer_id":"{customer}","value":"7"}}}}"#
        );
        let v2 = client.send("POST", "/v2/billing/meter_events", &[("idempotency-key", "k")], &v2);
        assert_eq!(v2.await.status, 409);
    }
}
