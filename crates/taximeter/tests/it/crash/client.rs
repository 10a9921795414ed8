//! A client that keeps its connection and expects to lose it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take before the server counts as hung.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The key of every request.
pub(crate) const SECRET_KEY: &str = "sk_test_crashcrashcrash";

/// The server is gone: what was under way was done or was not.
#[derive(Debug)]
pub(crate) struct Broken;

/// A POST, the same at every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) path: &'static str,
    pub(crate) form: String,
    pub(crate) idempotency_key: Option<String>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether it says that it was given before.
    pub(crate) replayed: bool,
    pub(crate) body: String,
}

/// A connection that is kept for one request after the other.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(address: &str) -> Result<Self, Broken> {
        let stream = TcpStream::connect(address).map_err(broken)?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn post(&mut self, post: &Post) -> Result<Answer, Broken> {
        self.send(post)?;
        self.receive()
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Answer, Broken> {
        self.write("GET", path, "", "")?;
        self.receive()
    }

    /// Sends without waiting for the answer.
    pub(crate) fn send(&mut self, post: &Post) -> Result<(), Broken> {
        let key = post.idempotency_key.as_ref();
        let key = key.map_or_else(String::new, |key| format!("Idempotency-Key: {key}\r\n"));
        self.write("POST", post.path, &key, &post.form)
    }

    fn write(&mut self, method: &str, path: &str, more: &str, form: &str) -> Result<(), Broken> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET_KEY}\r\n{more}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).map_err(broken)
    }

    /// The answer to the oldest request that has none yet.
    pub(crate) fn receive(&mut self) -> Result<Answer, Broken> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).expect("a status").parse().unwrap();
        let (mut length, mut replayed) = (None, false);
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            match line.split_once(": ").expect("a header") {
                ("content-length", value) => length = Some(value.parse().unwrap()),
                ("idempotent-replayed", value) => replayed = value == "true",
                _ => {}
            }
        }
        let mut body = vec![0; length.expect("a content-length")];
        self.0.read_exact(&mut body).map_err(broken)?;
        Ok(Answer { status, replayed, body: String::from_utf8(body).unwrap() })
    }

    fn line(&mut self) -> Result<String, Broken> {
        let mut line = String::new();
        self.0.read_line(&mut line).map_err(broken)?;
        // What ends without an end of line ended with the server.
        line.strip_suffix("\r\n").map(str::to_owned).ok_or(Broken)
    }
}

/// A lost connection; everything else is a server that does not do its part.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: io::Error) -> Broken {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof,
    };
    let kinds = [BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof];
    assert!(kinds.contains(&error.kind()), "the server neither answers nor is gone: {error}");
    Broken
}
