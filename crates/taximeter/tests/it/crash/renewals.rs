//! Servers that are killed while time brings renewals: each period is billed, paid and told of once.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::SECRET_KEY;
use super::{House, on_postgres};
use crate::server::Server;

/// The customers that renew at the same instant.
const CUSTOMERS: usize = 24;
/// The periods that are lived through.
const PERIODS: usize = 4;
/// How often the server is killed in each of them.
const KILLS_PER_PERIOD: usize = 3;
/// A kill comes so long after the clock was set going, or the server was ready, at most.
const DELAY_MS_MAX: u64 = 250;
/// How long a clock may move.
const MOVING_MAX: Duration = Duration::from_secs(60);

const HOUR_S: i64 = 3_600;
const CLOCKS: &str = "/v1/test_helpers/test_clocks";

#[test]
fn a_kill_in_the_middle_of_renewals_bills_each_period_once_on_sqlite() {
    renew_and_kill(&mut House::on_sqlite());
}

#[test]
fn a_kill_in_the_middle_of_renewals_bills_each_period_once_on_postgres() {
    on_postgres(renew_and_kill);
}

fn post(server: &Server, path: &str, form: &str) -> Value {
    let (status, body) = server.post(path, SECRET_KEY, form);
    assert_eq!(status, 200, "{path} {form}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn get(server: &Server, path: &str) -> Value {
    let (status, body) = server.get(path, SECRET_KEY);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a kill comes at any moment")]
fn renew_and_kill(house: &mut House) {
    let server = house.start();
    let began = 1_775_001_600;
    let clock = id(&post(&server, CLOCKS, &format!("frozen_time={began}")));
    let price = id(&post(
        &server,
        "/v1/prices",
        "currency=usd&unit_amount=1300&product_data[name]=Seat&recurring[interval]=month",
    ));
    let subscriptions: Vec<String> =
        (0..CUSTOMERS).map(|_| subscribe(&server, &clock, &price)).collect();
    let first = get(&server, &format!("/v1/subscriptions/{}", subscriptions[0]));
    let mut boundary = end_of(&first);
    let mut running = Some(server);
    for period in 1..=PERIODS {
        let server = running.take().unwrap_or_else(|| house.start());
        let until = boundary + HOUR_S;
        post(&server, &format!("{CLOCKS}/{clock}/advance"), &format!("frozen_time={until}"));
        let mut server = server;
        for _ in 0..KILLS_PER_PERIOD {
            std::thread::sleep(Duration::from_millis(house.random.below(DELAY_MS_MAX)));
            server.signal("KILL");
            assert_eq!(server.wait(), None, "it ended before it was killed");
            server = house.start();
        }
        wait_until_there(&server, &clock, until);
        for subscription in &subscriptions {
            check(&server, subscription, period, boundary);
        }
        boundary = end_of(&get(&server, &format!("/v1/subscriptions/{}", subscriptions[0])));
        running = Some(server);
    }
}

fn subscribe(server: &Server, clock: &str, price: &str) -> String {
    let customer = id(&post(server, "/v1/customers", &format!("test_clock={clock}")));
    let attach = format!("customer={customer}");
    let card = id(&post(server, "/v1/payment_methods/pm_card_visa/attach", &attach));
    let form = format!("customer={customer}&default_payment_method={card}&items[0][price]={price}");
    id(&post(server, "/v1/subscriptions", &form))
}

fn end_of(subscription: &Value) -> i64 {
    subscription["items"]["data"][0]["current_period_end"].as_i64().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the clock is asked for until it is there")]
fn wait_until_there(server: &Server, clock: &str, until: i64) {
    let waiting = Instant::now();
    loop {
        let seen = get(server, &format!("{CLOCKS}/{clock}"));
        if seen["status"] == "ready" {
            assert_eq!(seen["frozen_time"], until);
            return;
        }
        assert_eq!(seen["status"], "advancing");
        assert!(waiting.elapsed() < MOVING_MAX, "the clock stands still: {seen}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One invoice for each boundary so far, each paid once, and the period after the last one.
fn check(server: &Server, subscription: &str, periods: usize, boundary: i64) {
    let now = get(server, &format!("/v1/subscriptions/{subscription}"));
    assert_eq!(now["status"], "active");
    assert_eq!(now["items"]["data"][0]["current_period_start"], boundary);
    let invoices = get(server, &format!("/v1/invoices?subscription={subscription}&limit=100"));
    let invoices = invoices["data"].as_array().unwrap();
    assert_eq!(invoices.len(), periods + 1, "{subscription}: the first one, and one a period");
    let mut numbers: Vec<&str> = Vec::new();
    for invoice in invoices {
        assert_eq!(
            [&invoice["status"], &invoice["billing_reason"]],
            [
                "paid",
                if numbers.len() < periods { "subscription_cycle" } else { "subscription_create" },
            ]
        );
        assert_eq!([&invoice["total"], &invoice["amount_paid"]], [1_300, 1_300]);
        numbers.push(invoice["number"].as_str().unwrap());
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), periods + 1, "numbers are used once");
    let customer = now["customer"].as_str().unwrap();
    let charges = get(server, &format!("/v1/charges?customer={customer}&limit=100"));
    assert_eq!(charges["data"].as_array().unwrap().len(), periods + 1, "each is paid once");
}
