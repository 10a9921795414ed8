//! Webhooks as they arrive.

pub(crate) mod receiver;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::server::{Server, succeed};
use receiver::Endpoint;

const KEY: &str = "sk_test_Webhooks7";
const ENDPOINTS: &str = "/v1/webhook_endpoints";

fn start(dir: &std::path::Path) -> Server {
    Server::start(dir, &["--secret-key", KEY])
}

fn post(server: &Server, path: &str, form: &str) -> Value {
    let (status, body) = server.post(path, KEY, form);
    assert_eq!(status, 200, "{path} {form}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn get(server: &Server, path: &str) -> Value {
    let (status, body) = server.get(path, KEY);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Has an endpoint told of everything; returns what was answered.
fn register(server: &Server, endpoint: &Endpoint) -> Value {
    post(server, ENDPOINTS, &format!("enabled_events[]=*&url={}", endpoint.url))
}

/// The only delivery to an endpoint, once it has come so far.
fn delivery(server: &Server, endpoint: &Value, status: &str) -> Value {
    let path =
        format!("{ENDPOINTS}/{}/deliveries?status={status}", endpoint["id"].as_str().unwrap());
    let started = std::time::Instant::now();
    loop {
        let list = get(server, &path);
        let attempted = |it: &Value| it["under_way"] == false && it["attempts"][0].is_object();
        if let Some(delivery) = list["data"].as_array().unwrap().iter().find(|it| attempted(it)) {
            return delivery.clone();
        }
        assert!(started.elapsed().as_secs() < 60, "{list}");
        std::thread::yield_now();
    }
}

#[test]
fn an_event_arrives_as_stripe_sends_it() {
    let temp = tempfile::tempdir().unwrap();
    let server = start(temp.path());
    let endpoint = Endpoint::well();
    let registered = register(&server, &endpoint);
    let customer = post(&server, "/v1/customers", "name=J%C3%BCrgen");
    let call = endpoint.next();
    let event = call.event();
    assert_eq!((&event["object"], &event["type"]), (&"event".into(), &"customer.created".into()));
    assert_eq!(event["data"]["object"], customer);
    assert_eq!(event["pending_webhooks"], 1);
    assert!(call.head.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{}", call.head);
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
        ("host", endpoint.url.split('/').nth(2).unwrap()),
    ] {
        assert_eq!(call.header(name), value, "{}", call.head);
    }
    let signature = call.header("stripe-signature");
    assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
    let delivery = delivery(&server, &registered, "succeeded");
    assert_eq!(delivery["event"], event["id"]);
    let attempt = &delivery["attempts"][0];
    assert_eq!(
        (&attempt["response_status"], &attempt["response_body"]),
        (&200.into(), &"ok".into())
    );
    let events = get(&server, "/v1/events?delivery_success=true");
    assert_eq!(
        (&events["data"][0]["id"], &events["data"][0]["pending_webhooks"]),
        (&event["id"], &0.into())
    );
    assert_eq!(endpoint.so_far().len(), 0);
    server.stop();
}

#[test]
fn dead_endpoints_delay_no_other() {
    const DEAD: usize = 7;
    const CUSTOMERS: usize = 41;
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(temp.path(), &["--secret-key", KEY, "--webhooks-timeout", "60s"]);
    let dead: Vec<Endpoint> = (0..DEAD).map(|_| Endpoint::dead()).collect();
    let well = Endpoint::well();
    for endpoint in dead.iter().chain([&well]) {
        register(&server, endpoint);
    }
    let mut made = BTreeSet::new();
    for _ in 0..CUSTOMERS {
        let customer = post(&server, "/v1/customers", "");
        made.insert(customer["id"].as_str().unwrap().to_owned());
    }
    let mut told = BTreeSet::new();
    for _ in 0..CUSTOMERS {
        let event = well.next().event();
        told.insert(event["data"]["object"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(told, made);
    assert_eq!(well.so_far().len(), 0);
    // Seven that hold what they are given would fill the sixteen places twice; none holds more than
    // four, and none was given up, nor given another chance, meanwhile.
    let held: Vec<usize> = dead.iter().map(|endpoint| endpoint.so_far().len()).collect();
    assert!(held.iter().all(|held| *held <= 4), "{held:?}");
    assert!(held.iter().sum::<usize>() >= 16, "{held:?}");
    let events = get(&server, "/v1/events?limit=100");
    let pending: Vec<_> =
        events["data"].as_array().unwrap().iter().map(|it| &it["pending_webhooks"]).collect();
    assert_eq!(pending.len(), CUSTOMERS);
    server.signal("KILL");
}

#[test]
fn a_redirect_is_a_failure_and_is_not_followed() {
    let temp = tempfile::tempdir().unwrap();
    let server = start(temp.path());
    let elsewhere = Endpoint::well();
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url
    );
    let endpoint = Endpoint::answering(&answer);
    let registered = register(&server, &endpoint);
    post(&server, "/v1/customers", "");
    endpoint.next();
    let delivery = delivery(&server, &registered, "pending");
    assert_eq!(delivery["attempts"][0]["response_status"], 307);
    assert!(delivery["next_attempt_at"].as_i64() > delivery["attempts"][0]["at"].as_i64());
    assert_eq!(elsewhere.so_far().len(), 0);
    server.stop();
}

#[test]
fn of_a_long_answer_the_beginning_is_read() {
    let temp = tempfile::tempdir().unwrap();
    let server = start(temp.path());
    // It says that more follows, and it does not.
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{}", "x".repeat(5_000));
    let endpoint = Endpoint::answering(&answer);
    let registered = register(&server, &endpoint);
    post(&server, "/v1/customers", "");
    let delivery = delivery(&server, &registered, "succeeded");
    assert_eq!(delivery["attempts"][0]["response_body"], "x".repeat(1_024));
    server.stop();
}

#[test]
fn what_was_not_delivered_before_a_stop_is_delivered_after_it() {
    let temp = tempfile::tempdir().unwrap();
    let first = start(temp.path());
    let endpoint = Endpoint::dead();
    let registered = register(&first, &endpoint);
    post(&first, "/v1/customers", "");
    let before = endpoint.next().event();
    first.stop();
    let second = start(temp.path());
    assert_eq!(endpoint.next().event()["id"], before["id"]);
    let path = format!("{ENDPOINTS}/{}", registered["id"].as_str().unwrap());
    let doctor = succeed(temp.path(), &["doctor"]);
    let line = doctor.lines().find(|line| line.contains("webhooks")).unwrap_or(&doctor);
    assert!(line.contains("1 to deliver, 0 failing"), "{doctor}");
    post(&second, &path, "disabled=true");
    second.stop();
}
