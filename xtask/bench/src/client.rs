//! A client with one connection that stays open, for questions whose time counts.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::api::KEY;
use crate::load::whole;

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(at: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(at).map_err(|error| format!("{at}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// The bytes of the answer, which must be 200.
    pub(crate) fn get(&mut self, path: &str) -> Result<&[u8], String> {
        self.ask("GET", path, "")
    }

    /// The object that a form makes.
    pub(crate) fn post(&mut self, path: &str, form: &str) -> Result<Value, String> {
        json(self.ask("POST", path, form)?)
    }

    fn ask(&mut self, method: &str, path: &str, form: &str) -> Result<&[u8], String> {
        let kind = if path.starts_with("/v2") { "json" } else { "x-www-form-urlencoded" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Type: application/{kind}\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let failed = |error: std::io::Error| format!("{method} {path}: {error}");
        self.stream.write_all(request.as_bytes()).map_err(failed)?;
        self.answer.clear();
        let mut piece = [0; 64 * 1_024];
        loop {
            let read = self.stream.read(&mut piece).map_err(failed)?;
            self.answer.extend_from_slice(&piece[..read]);
            match whole(&self.answer) {
                Some(true) => break,
                None if read > 0 => {}
                _ => {
                    let answer = String::from_utf8_lossy(&self.answer);
                    return Err(format!("{method} {path}: {answer}"));
                }
            }
        }
        let head = self.answer.windows(4).position(|it| it == b"\r\n\r\n");
        Ok(&self.answer[head.map_or(0, |it| it + 4)..])
    }
}

/// The bytes of an answer as an object.
pub(crate) fn json(text: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(text)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(text)))
}
