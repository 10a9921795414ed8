//! The other end of webhooks: takes calls, and answers as a test wishes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;

/// How long a call may keep a test waiting.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A call that came in.
#[derive(Debug)]
pub(crate) struct Call {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).expect("an event")
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> &str {
        let of = |line: &&str| line.split_once(": ").is_some_and(|(it, _)| it == name);
        self.head.lines().find(of).map_or("", |line| &line[name.len() + 2..])
    }
}

/// A server that answers every call alike.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    calls: Receiver<Call>,
}

impl Endpoint {
    /// Answers with this text; nothing is no answer, for as long as the caller waits.
    pub(crate) fn answering(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?a=1", listener.local_addr().unwrap());
        let (sender, calls) = channel();
        let answer = answer.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, answer) = (sender.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &answer, &sender));
            }
        });
        Self { url, calls }
    }

    /// Answers each call with 200.
    pub(crate) fn well() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    }

    /// Takes calls and never answers.
    pub(crate) fn dead() -> Self {
        Self::answering("")
    }

    /// The next call.
    pub(crate) fn next(&self) -> Call {
        self.calls.recv_timeout(CALL_TIMEOUT).expect("a call")
    }

    /// The calls that came in since.
    pub(crate) fn so_far(&self) -> Vec<Call> {
        self.calls.try_iter().collect()
    }
}

fn serve(stream: TcpStream, answer: &str, calls: &Sender<Call>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        // A server that is killed calls no more.
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let call = Call { head: head.to_lowercase(), body: String::new() };
    let length = call.header("content-length").trim().parse().expect("a content-length");
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = String::from_utf8(body).expect("UTF-8");
    // The test may be over.
    let _told = calls.send(Call { head, body });
    let mut stream = reader.into_inner();
    if answer.is_empty() {
        // Until the caller goes.
        let _gone = stream.read(&mut [0]);
    } else {
        let _written = stream.write_all(answer.as_bytes());
    }
}
