//! Connections that begin in the lane for events.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use tempfile::TempDir;

use crate::server::Server;

const KEY: &str = "sk_test_LaneLane7";
const EVENTS: &str = "/v1/billing/meter_events";

/// A server with a meter of the events `e`, and a customer.
fn server() -> (TempDir, Server, String) {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(temp.path(), &["--secret-key", KEY]);
    let meter = "display_name=E&event_name=e&default_aggregation[formula]=sum";
    assert_eq!(server.post("/v1/billing/meters", KEY, meter).0, 200);
    let (_, body) = server.post("/v1/customers", KEY, "");
    let id = body.split('"').find(|word| word.starts_with("cus_")).unwrap().to_owned();
    (temp, server, id)
}

fn request(method: &str, path: &str, form: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

fn event(customer: &str, identifier: &str) -> String {
    let form = format!(
        "event_name=e&identifier={identifier}&payload[stripe_customer_id]={customer}\
         &payload[value]=7"
    );
    request("POST", EVENTS, &form)
}

/// Reads one answer: its status and its body.
fn read(stream: &mut BufReader<TcpStream>) -> (u16, String) {
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the connection ended");
        let line = line.trim_end();
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap();
        } else if let Some(rest) = line.strip_prefix("content-length: ") {
            length = rest.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, String::from_utf8(body).unwrap())
}

#[test]
fn one_connection_brings_events_and_then_anything_else() {
    let (_temp, server, customer) = server();
    let mut stream = BufReader::new(server.connect());
    for (text, status, part) in [
        (event(&customer, "a"), 200, "\"identifier\": \"a\""),
        (event(&customer, "b"), 200, "\"identifier\": \"b\""),
        (event(&customer, "b"), 400, "already exists with identifier b"),
        (request("POST", EVENTS, "event_name=f&payload[v]=7"), 400, "No active meter"),
        (request("GET", &format!("/v1/customers/{customer}"), ""), 200, customer.as_str()),
        (event(&customer, "d"), 200, "\"identifier\": \"d\""),
        (request("GET", "/v1/nothing", ""), 404, "Unrecognized request URL"),
    ] {
        stream.get_mut().write_all(text.as_bytes()).unwrap();
        let (found, body) = read(&mut stream);
        assert_eq!(found, status, "{text}: {body}");
        assert!(body.contains(part), "{text}: {body}");
    }
}

#[test]
fn requests_come_in_pieces_of_any_size_and_several_at_once() {
    let (_temp, server, customer) = server();
    let mut stream = BufReader::new(server.connect());
    stream.get_ref().set_nodelay(true).unwrap();
    for byte in event(&customer, "a").as_bytes() {
        stream.get_mut().write_all(&[*byte]).unwrap();
    }
    assert_eq!(read(&mut stream).0, 200);
    let last = request("GET", "/healthz", "");
    let many: String = ["b", "c", "d"].map(|name| event(&customer, name)).concat() + &last;
    stream.get_mut().write_all(many.as_bytes()).unwrap();
    for name in ["b", "c", "d"] {
        let (status, body) = read(&mut stream);
        assert_eq!(status, 200);
        assert!(body.contains(&format!("\"identifier\": \"{name}\"")), "{body}");
    }
    assert_eq!(read(&mut stream).0, 200);
}

#[test]
fn a_server_that_stops_ends_connections_that_wait() {
    let (_temp, server, customer) = server();
    let (mut silent, mut used) = (server.connect(), BufReader::new(server.connect()));
    used.get_mut().write_all(event(&customer, "a").as_bytes()).unwrap();
    assert_eq!(read(&mut used).0, 200);
    server.signal("TERM");
    assert_eq!(silent.read(&mut [0; 7]).unwrap(), 0);
    assert_eq!(used.read(&mut [0; 7]).unwrap(), 0);
    assert_eq!(server.wait(), Some(0));
}
