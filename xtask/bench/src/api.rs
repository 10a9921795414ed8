//! What is asked of the server besides the load: to make what events name, and to say its totals.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

/// The test key that the server is given.
pub(crate) const KEY: &str = "sk_test_benchbenchbench";
/// Where events are sent.
pub(crate) const EVENTS: &str = "/v1/billing/meter_events";
/// How much one event uses: a number that no other number of events can make up for by chance.
pub(crate) const VALUE: u64 = 7;
const EVENT_NAME: &str = "bench_requests";
const HOUR_S: i64 = 3_600;

/// The form of an event.
pub(crate) fn event(customer: &str) -> String {
    format!("event_name={EVENT_NAME}&payload[stripe_customer_id]={customer}&payload[value]={VALUE}")
}

/// Makes a meter and customers, and returns their ids.
pub(crate) fn prepare(at: SocketAddr, customers: usize) -> Result<(String, Vec<String>), String> {
    let form =
        format!("display_name=Bench&event_name={EVENT_NAME}&default_aggregation[formula]=sum");
    let meter = id(&ask(at, "POST", "/v1/billing/meters", &form)?)?;
    let make = |_| id(&ask(at, "POST", "/v1/customers", "")?);
    Ok((meter, (0..customers).map(make).collect::<Result<_, _>>()?))
}

/// The bytes of the answer to an event.
pub(crate) fn answer_bytes(at: SocketAddr, customer: &str) -> Result<usize, String> {
    ask(at, "POST", EVENTS, &event(customer)).map(|answer| answer.len())
}

/// The customer's total from an hour before now to an hour after.
pub(crate) fn total(at: SocketAddr, meter: &str, customer: &str) -> Result<u64, String> {
    let made = json(&ask(at, "GET", &format!("/v1/customers/{customer}"), "")?)?;
    let made = made["created"].as_i64().ok_or("a customer without `created`")?;
    let minute = made - made % 60;
    let (start, end) = (minute - HOUR_S, minute + HOUR_S);
    let path = format!(
        "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={start}\
         &end_time={end}"
    );
    let summaries = json(&ask(at, "GET", &path, "")?)?;
    let total = &summaries["data"][0]["aggregated_value"];
    total.as_u64().ok_or_else(|| format!("no whole total: {summaries}"))
}

fn id(answer: &str) -> Result<String, String> {
    let object = json(answer)?;
    object["id"].as_str().map(str::to_owned).ok_or_else(|| format!("no id: {answer}"))
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

/// The body of an answer of 200.
fn ask(at: SocketAddr, method: &str, path: &str, form: &str) -> Result<String, String> {
    let asked = || {
        let mut stream = TcpStream::connect(at)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Authorization: Bearer {KEY}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = asked().map_err(|error: std::io::Error| format!("{method} {path}: {error}"))?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(format!("{method} {path}: {answer}")),
    }
}
