//! Starting, stopping, and starting again.

use std::io::Write as _;

use crate::server::{Server, answer, fail, taximeter};

#[test]
fn the_first_start_prints_a_key_of_each_mode_once_and_never_again() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let first = Server::start(&dir, &[]);
    println!("ready after {:?}", first.ready_after);
    let keys = first.keys();
    assert_eq!(keys.len(), 2, "{}", first.banner);
    assert!(keys[0].starts_with("sk_test_") && keys[1].starts_with("sk_live_"));
    assert_eq!(first.get("/v1/customers", &keys[0]).0, 200);
    assert_eq!(first.get("/v1/customers", &keys[1]).0, 200);
    first.stop();

    let second = Server::start(&dir, &[]);
    assert_eq!(second.keys(), [""; 0]);
    assert!(second.banner.contains("taximeter keys list"), "{}", second.banner);
    assert_eq!(second.get("/v1/customers", &keys[0]).0, 200);
}

#[test]
fn what_was_stored_is_there_after_a_restart_and_after_a_kill() {
    let temp = tempfile::tempdir().unwrap();
    let args = ["--secret-key", "sk_test_Lifecycle7"];
    let first = Server::start(temp.path(), &args);
    let (status, body) = first.post("/v1/customers", "sk_test_Lifecycle7", "name=Jenny");
    assert_eq!(status, 200, "{body}");
    first.stop();

    let second = Server::start(temp.path(), &args);
    let id = body.split('"').find(|word| word.starts_with("cus_")).unwrap();
    let path = format!("/v1/customers/{id}");
    assert_eq!(second.get(&path, "sk_test_Lifecycle7").0, 200);
    let (status, _) = second.post("/v1/customers", "sk_test_Lifecycle7", "name=Kim");
    assert_eq!(status, 200);
    second.signal("KILL");
    assert_eq!(second.wait(), None);

    let third = Server::start(temp.path(), &args);
    assert_eq!(third.get(&path, "sk_test_Lifecycle7").0, 200);
    assert!(third.get("/v1/customers", "sk_test_Lifecycle7").1.contains("Kim"));
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_told_by_whom() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(temp.path(), &[]);
    let refusal = fail(temp.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(
        refusal,
        format!(
            "error: another taximeter (process {}, http://{}) is using {}\n  try: stop it first, or \
             give this one a directory of its own with --data-dir\n",
            server.pid(),
            server.address(),
            temp.path().display()
        )
    );
    assert_eq!(server.get("/healthz", "").0, 200);
}

#[test]
fn a_signal_lets_the_request_under_way_finish() {
    for signal in ["TERM", "INT"] {
        let temp = tempfile::tempdir().unwrap();
        let server = Server::start(temp.path(), &["--secret-key", "sk_test_Lifecycle7"]);
        let mut stream = server.connect();
        let form = "name=Jenny";
        write!(
            stream,
            "POST /v1/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_Lifecycle7\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Expect: 100-continue\r\n\r\n",
            form.len()
        )
        .unwrap();
        // The server asks for the body, so the request has begun.
        let mut begun = [0; 25];
        std::io::Read::read_exact(&mut stream, &mut begun).unwrap();
        assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
        server.signal(signal);
        refuses_connections(&server);
        stream.write_all(form.as_bytes()).unwrap();
        let (status, body) = answer(stream);
        assert_eq!(status, 200, "{body}");
        assert_eq!(server.wait(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(temp.path(), &[]);
    let mut stream = server.connect();
    write!(stream, "POST /v1/customers HTTP/1.1\r\nHost: x\r\n").unwrap();
    assert_eq!(server.get("/healthz", "").0, 200);
    server.signal("TERM");
    refuses_connections(&server);
    server.signal("INT");
    assert_eq!(server.wait(), Some(130));
    drop(stream);
}

#[test]
fn an_address_that_is_taken_is_named_and_nothing_is_made() {
    let temp = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refusal = fail(temp.path(), &["serve", "--listen", &address]);
    assert!(refusal.starts_with(&format!("error: cannot listen on {address}\n")), "{refusal}");
    assert!(refusal.contains("try: another program has that address"), "{refusal}");
    assert!(!temp.path().join("taximeter.db").exists());
}

#[test]
fn a_database_that_does_not_answer_is_named_without_its_password() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().to_str().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://me:hunter2@{nobody}/billing");
    let args = ["--listen", "127.0.0.1:0", "--data-dir", dir, "--database-url", &url];
    let outcome = taximeter(&args);
    assert_eq!(outcome.code, Some(1));
    let expected = format!("error: cannot use the database postgres://{nobody}/billing\n");
    assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
}

/// Waits until the server has seen the signal: then it takes no connection any more.
fn refuses_connections(server: &Server) {
    let started = std::time::Instant::now();
    while std::net::TcpStream::connect(server.address()).is_ok() {
        assert!(started.elapsed().as_secs() < 8, "it still takes connections");
        std::thread::yield_now();
    }
}
