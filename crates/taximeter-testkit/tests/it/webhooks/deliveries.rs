//! What is sent, when it is tried again, and when no more.

use serde_json::{Value, json};
use taximeter_service::webhooks;
use taximeter_testkit::{START, TestApp};

use super::{Sender, answered, endpoint, event, path};
use crate::support::{customer, error, id, subscription};

/// The newest delivery to an endpoint.
async fn newest(app: &TestApp, endpoint: &Value) -> Value {
    app.read(&format!("{}/deliveries?limit=1", path(endpoint))).await["data"][0].clone()
}

#[tokio::test]
async fn what_is_sent_is_the_event_signed_with_the_secret() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["*"]).await;
        customer(&app).await;
        app.advance_s(7);
        let posts = Sender::new(&app).turn(&[]).await;
        let read = app.read("/v1/events").await["data"][0].clone();
        assert_eq!(posts.len(), 1);
        assert_eq!(event(&posts[0]), read);
        assert_eq!((&read["pending_webhooks"], &read["created"]), (&json!(1), &json!(START.0)));
        assert_eq!(posts[0].url, "https://example.com/hook");
        let secret = made["secret"].as_str().unwrap();
        let expected = signed(&[secret], START.0 + 7, &posts[0].body);
        assert_eq!(posts[0].signature, expected);
    }
}

/// The header that these secrets make, worked out by another implementation than the server's.
fn signed(secrets: &[&str], at: i64, body: &str) -> String {
    let of = |secret: &&str| {
        let mut command = std::process::Command::new("openssl");
        command.args(["dgst", "-sha256", "-hmac", secret, "-r"]);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("openssl");
        let text = format!("{at}.{body}");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        format!(",v1={}", output.split(' ').next().unwrap())
    };
    format!("t={at}{}", secrets.iter().map(of).collect::<String>())
}

#[tokio::test]
async fn a_rolled_secret_signs_beside_the_new_one_until_it_ends() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["*"]).await;
        let first = made["secret"].as_str().unwrap().to_owned();
        let rotate = format!("{}/rotate_secret", path(&made));
        let rolled = app.made(&rotate, "expires_in=3600").await;
        let second = rolled["secret"].as_str().unwrap().to_owned();
        assert_ne!(first, second);
        assert_eq!(id(&rolled), id(&made));
        customer(&app).await;
        let mut sender = Sender::new(&app);
        for (later_s, secrets) in
            [(0, vec![&second, &first]), (3_599, vec![&second, &first]), (1, vec![&second])]
        {
            app.advance_s(later_s);
            let posts = sender.turn(&[]).await;
            let post = posts.into_iter().next().unwrap();
            let secrets: Vec<&str> = secrets.into_iter().map(String::as_str).collect();
            assert_eq!(post.signature, signed(&secrets, app.now().0, &post.body), "{later_s}");
            sender.turn(&[answered(post, 500)]).await;
            app.made(
                &resend(&newest(&app, &made).await),
                &format!("webhook_endpoint={}", id(&made)),
            )
            .await;
        }
        // At once, and with that the one before it, too.
        let rolled = app.made(&rotate, "expires_in=86400").await;
        let last = app.made(&rotate, "").await;
        assert_ne!(rolled["secret"], last["secret"]);
        let post = sender.turn(&[]).await.remove(0);
        let secret = last["secret"].as_str().unwrap();
        assert_eq!(post.signature, signed(&[secret], app.now().0, &post.body));
        for wrong in ["86401", "-1"] {
            let answer = app.post(&rotate, &format!("expires_in={wrong}")).await;
            let message =
                "400 - expires_in: Invalid expires_in: must be between 0 and 86400 seconds.";
            assert_eq!(error(&answer), message);
        }
    }
}

fn resend(delivery: &Value) -> String {
    format!("/v1/events/{}/resend", delivery["event"].as_str().unwrap())
}

#[tokio::test]
async fn an_endpoint_is_shown_events_in_its_own_version() {
    for app in TestApp::everywhere().await {
        let kinds = "&enabled_events[]=customer.subscription.created\
                     &enabled_events[]=customer.subscription.updated";
        for version in ["", "&api_version=2025-02-24.acacia"] {
            let form = format!("{}{kinds}{version}", super::HOOK);
            app.made(super::ENDPOINTS, &form).await;
        }
        let made = subscription(&app).await;
        app.made(&format!("/v1/subscriptions/{}", id(&made)), "metadata[a]=1").await;
        let sent = Sender::new(&app).send_all(200).await;
        let of = |version: &str, kind: &str| {
            let mut events = sent.iter().map(event);
            events.find(|it| it["api_version"] == version && it["type"] == kind).unwrap()
        };
        let kind = "customer.subscription.created";
        let (newest, older) = (of("2026-10-28.endive", kind), of("2025-02-24.acacia", kind));
        let period = &newest["data"]["object"]["items"]["data"][0]["current_period_start"];
        assert_eq!(newest["data"]["object"]["current_period_start"], Value::Null);
        assert_eq!(older["data"]["object"]["current_period_start"], *period);
        assert_eq!(newest["id"], older["id"]);
        let older = of("2025-02-24.acacia", "customer.subscription.updated");
        assert_eq!(older["data"]["previous_attributes"], json!({ "metadata": { "a": null } }));
        // The event itself tells whoever reads it what it told when it happened.
        let headers = [("stripe-version", "2025-02-24.acacia")];
        let path = format!("/v1/events/{}", newest["id"].as_str().unwrap());
        let read = app.send("GET", &path, &headers, "").await.json();
        assert_eq!(read["data"]["object"]["current_period_start"], Value::Null);
        assert_eq!(read["api_version"], "2026-10-28.endive");
    }
}

#[tokio::test]
async fn a_delivery_that_fails_is_tried_nine_times_in_three_days() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["*"]).await;
        customer(&app).await;
        let mut sender = Sender::new(&app);
        let mut tries = 0;
        loop {
            let sent = sender.send_all(if tries % 2 == 0 { 500 } else { 0 }).await;
            assert_eq!(sent.len(), 1);
            tries += 1;
            let delivery = newest(&app, &made).await;
            let Some(next) = delivery["next_attempt_at"].as_i64() else { break };
            assert_eq!(delivery["status"], "pending");
            app.advance_s(next - app.now().0 - 1);
            assert_eq!(sender.turn(&[]).await.len(), 0, "before it is due");
            app.advance_s(1);
        }
        let after_s = app.now().0 - START.0;
        assert_eq!(tries, 9);
        assert!((2 * 86_400..=3 * 86_400).contains(&after_s), "{after_s}");
        let delivery = newest(&app, &made).await;
        assert_eq!(
            (&delivery["status"], &delivery["under_way"]),
            (&json!("failed"), &json!(false))
        );
        assert_eq!(delivery["attempts"].as_array().unwrap().len(), 9);
        assert_eq!(app.read("/v1/events").await["data"][0]["pending_webhooks"], 1);
        app.advance_s(86_400);
        assert_eq!(sender.send_all(200).await.len(), 0);
    }
}

#[tokio::test]
async fn what_a_dead_process_had_is_sent_again_when_its_lease_ends() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["*"]).await;
        customer(&app).await;
        let lost = Sender::new(&app).turn(&[]).await.remove(0);
        let mut sender = Sender::new(&app);
        assert_eq!(sender.turn(&[]).await.len(), 0);
        app.advance_s(44);
        assert_eq!(sender.turn(&[]).await.len(), 0);
        app.advance_s(1);
        let again = sender.turn(&[]).await.remove(0);
        assert_eq!(event(&again)["id"], event(&lost)["id"]);
        assert_ne!(again.signature, lost.signature);
        // It was not dead, only late: what it says is kept, and decides nothing.
        Sender::new(&app).turn(&[answered(lost, 200)]).await;
        let delivery = newest(&app, &made).await;
        assert_eq!(
            (&delivery["status"], &delivery["under_way"]),
            (&json!("pending"), &json!(true))
        );
        sender.turn(&[answered(again, 204)]).await;
        let delivery = newest(&app, &made).await;
        assert_eq!(
            (&delivery["status"], &delivery["under_way"]),
            (&json!("succeeded"), &json!(false))
        );
    }
}

#[tokio::test]
async fn a_start_on_the_embedded_database_takes_back_what_was_claimed() {
    let app = TestApp::start().await;
    endpoint(&app, &["*"]).await;
    customer(&app).await;
    assert_eq!(Sender::new(&app).turn(&[]).await.len(), 1);
    let app = app.restart().await;
    assert_eq!(Sender::new(&app).turn(&[]).await.len(), 0);
    assert_eq!(webhooks::release(app.services(), app.now()).await.unwrap(), 1);
    assert_eq!(Sender::new(&app).turn(&[]).await.len(), 1);
}

#[tokio::test]
async fn a_disabled_endpoint_is_not_called_and_what_was_due_meanwhile_never_is() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["*"]).await;
        let mut sender = Sender::new(&app);
        customer(&app).await;
        sender.send_all(500).await;
        // Disabled and enabled again between two tries: nothing has happened.
        app.made(&path(&made), "disabled=true").await;
        assert_eq!(sender.turn(&[]).await.len(), 0);
        app.made(&path(&made), "disabled=false").await;
        app.advance_s(300);
        assert_eq!(sender.send_all(500).await.len(), 1);
        app.made(&path(&made), "disabled=true").await;
        app.advance_s(1_800);
        assert_eq!(sender.turn(&[]).await.len(), 0);
        let delivery = newest(&app, &made).await;
        assert_eq!(
            (&delivery["status"], &delivery["next_attempt_at"]),
            (&json!("canceled"), &json!(null))
        );
        app.made(&path(&made), "disabled=false").await;
        app.advance_s(86_400);
        assert_eq!(sender.turn(&[]).await.len(), 0);
    }
}

#[tokio::test]
async fn a_deleted_endpoint_is_not_called_and_leaves_nothing() {
    for app in TestApp::everywhere().await {
        let gone = endpoint(&app, &["*"]).await;
        customer(&app).await;
        let mut sender = Sender::new(&app);
        let posts = sender.turn(&[]).await;
        customer(&app).await;
        app.delete(&path(&gone)).await;
        // What comes back of a call that was under way hurts nobody.
        let reports: Vec<_> = posts.into_iter().map(|post| answered(post, 500)).collect();
        assert_eq!(sender.turn(&reports).await.len(), 0);
        app.advance_s(86_400);
        assert_eq!(sender.turn(&[]).await.len(), 0);
        let mut sweeps = 0;
        while webhooks::sweep(app.services()).await.unwrap() > 0 {
            sweeps += 1;
        }
        assert_eq!(sweeps, 2);
        let mut tx = app.services().db.begin_read().await.unwrap();
        for sql in [
            "SELECT COUNT(*) AS n FROM webhook_endpoints",
            "SELECT COUNT(*) AS n FROM webhook_deliveries",
        ] {
            assert_eq!(tx.one::<i64>(sql, vec![]).await.unwrap(), 0, "{sql}");
        }
    }
}

#[tokio::test]
async fn an_event_is_sent_again_to_whom_it_is_asked_for() {
    for app in TestApp::everywhere().await {
        let asked = endpoint(&app, &["*"]).await;
        let never = endpoint(&app, &["price.created"]).await;
        customer(&app).await;
        let mut sender = Sender::new(&app);
        assert_eq!(sender.send_all(200).await.len(), 1);
        let event_id = app.read("/v1/events").await["data"][0]["id"].as_str().unwrap().to_owned();
        for (verb, endpoint) in [("resend", &asked), ("retry", &never)] {
            let path = format!("/v1/events/{event_id}/{verb}");
            let answer = app.made(&path, &format!("webhook_endpoint={}", id(endpoint))).await;
            assert_eq!((id(&answer), &answer["pending_webhooks"]), (event_id.as_str(), &json!(1)));
            let sent = sender.send_all(200).await;
            assert_eq!(sent.len(), 1);
            assert_eq!(event(&sent[0])["id"], json!(event_id));
        }
        let path = format!("/v1/events/{event_id}/resend");
        app.made(&super::path(&never), "disabled=true").await;
        let of = |endpoint: &str| format!("webhook_endpoint={endpoint}");
        for (path, form, expected) in [
            (
                &path,
                String::new(),
                "400 parameter_missing webhook_endpoint: Missing required param: webhook_endpoint."
                    .to_owned(),
            ),
            (
                &path,
                of("we_x"),
                "400 resource_missing webhook_endpoint: No such webhook endpoint: 'we_x'"
                    .to_owned(),
            ),
            (
                &path,
                of(id(&never)),
                format!(
                    "400 - webhook_endpoint: The webhook endpoint '{}' is disabled.",
                    id(&never)
                ),
            ),
            (
                &"/v1/events/evt_x/resend".to_owned(),
                of(id(&asked)),
                "404 resource_missing id: No such event: 'evt_x'".to_owned(),
            ),
        ] {
            assert_eq!(error(&app.post(path, &form).await), expected, "{path} {form}");
        }
        assert_eq!(sender.send_all(200).await.len(), 0);
    }
}

#[tokio::test]
async fn a_call_under_way_does_not_undo_that_an_event_is_to_be_sent_again() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["*"]).await;
        customer(&app).await;
        let mut sender = Sender::new(&app);
        let under_way = sender.turn(&[]).await.remove(0);
        let path = resend(&newest(&app, &made).await);
        app.made(&path, &format!("webhook_endpoint={}", id(&made))).await;
        let again = sender.turn(&[answered(under_way, 200)]).await.remove(0);
        sender.turn(&[answered(again, 200)]).await;
        let delivery = newest(&app, &made).await;
        assert_eq!(
            (&delivery["status"], delivery["attempts"].as_array().unwrap().len()),
            (&json!("succeeded"), 2)
        );
    }
}
