//! The stream of meter events on an address of its own.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use crate::server::{Server, answer, fail};

const KEY: &str = "sk_test_StreamListener7";

/// An address that was free a moment ago.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn post(address: &str, path: &str, key: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {key}\
         \r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    answer(stream)
}

#[test]
fn the_stream_is_taken_on_the_main_address_and_alone_on_its_own() {
    let temp = tempfile::tempdir().unwrap();
    let own = free_address();
    let args = ["--secret-key", KEY, "--meter-events-listen", &own, "--stream-events-max", "2"];
    let server = Server::start(temp.path(), &args);
    let (status, session) = post(server.address(), "/v2/billing/meter_event_session", KEY, "");
    assert_eq!(status, 200, "{session}");
    let token = session.split('"').find(|word| word.starts_with("mes_token_")).unwrap();
    let event = r#"{"event_name":"e","payload":{}}"#;
    for address in [server.address(), &own] {
        for (events, status) in
            [(format!("{event},{event}"), 200), (format!("{event},{event},{event}"), 400)]
        {
            let body = format!("{{\"events\":[{events}]}}");
            let answer = post(address, "/v2/billing/meter_event_stream", token, &body);
            assert_eq!(answer.0, status, "{address}: {}", answer.1);
        }
    }
    for path in ["/v1/billing/meter_events", "/v1/customers", "/v2/billing/meter_event_session"] {
        assert_eq!(post(&own, path, KEY, "").0, 404, "{path}");
    }
    // It ends with the server.
    let log = server.stop();
    assert!(log.iter().any(|line| line.contains("stopped")), "{log:#?}");
    assert!(TcpStream::connect(&own).is_err());
}

#[test]
fn an_address_of_the_stream_that_is_taken_keeps_the_server_from_starting() {
    let temp = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = taken.local_addr().unwrap().to_string();
    let args = ["serve", "--listen", "127.0.0.1:0", "--meter-events-listen", &own];
    let refusal = fail(temp.path(), &args);
    assert!(refusal.starts_with(&format!("error: cannot listen on {own}\n")), "{refusal}");
    assert!(refusal.contains("take another with --meter-events-listen,"), "{refusal}");
}
