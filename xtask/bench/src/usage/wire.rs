//! As much of PostgreSQL's protocol (version 3.0) as one prepared statement needs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Where a server is and which database is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    address: String,
    user: String,
    database: String,
}

impl Place {
    /// Reads `postgres://user@host:port/database`, of a server that asks for no password.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let parts = || {
            let rest = url.strip_prefix("postgres://")?;
            let (user, rest) = rest.split_once('@')?;
            let (address, database) = rest.split_once('/')?;
            let [user, address, database] = [user, address, database].map(str::to_owned);
            Some(Self { address, user, database })
        };
        parts().ok_or_else(|| format!("`{url}` is not postgres://user@host:port/database"))
    }
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    body: Vec<u8>,
    /// The process that serves it.
    pub(crate) process: u32,
}

/// Types of parameters, by the numbers that PostgreSQL gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Numeric,
    TimestampTz,
    Jsonb,
}

impl Type {
    const fn number(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Numeric => 1_700,
            Self::TimestampTz => 1_184,
            Self::Jsonb => 3_802,
        }
    }
}

impl Session {
    pub(crate) fn open(place: &Place) -> Result<Self, String> {
        let stream = TcpStream::connect(&place.address).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut session = Self { stream, body: Vec::new(), process: 0 };
        let mut hello = vec![0, 0, 0, 0, 0, 3, 0, 0];
        for word in ["user", &place.user, "database", &place.database, ""] {
            text(&mut hello, word);
        }
        let length = u32::try_from(hello.len()).unwrap_or(0);
        hello[..4].copy_from_slice(&length.to_be_bytes());
        session.send(&hello)?;
        session.until_ready(&mut |_| ())?;
        Ok(session)
    }

    /// Runs statements without parameters, and gives the rows of texts.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let mut rows = Vec::new();
        let mut out = Vec::new();
        message(&mut out, b'Q', |body| text(body, sql));
        self.send(&out)?;
        self.until_ready(&mut |row| rows.push(cells(row)))?;
        Ok(rows)
    }

    /// Prepares the statement without a name.
    pub(crate) fn prepare(&mut self, sql: &str, types: &[Type]) -> Result<(), String> {
        let mut out = Vec::new();
        message(&mut out, b'P', |body| {
            text(body, "bench");
            text(body, sql);
            count(body, types.len());
            for one in types {
                body.extend_from_slice(&one.number().to_be_bytes());
            }
        });
        message(&mut out, b'S', |_| ());
        self.send(&out)?;
        self.until_ready(&mut |_| ())
    }

    /// Runs a call that [`call`] wrote.
    pub(crate) fn run(&mut self, call: &[u8]) -> Result<(), String> {
        self.send(call)?;
        self.until_ready(&mut |_| ())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|error| error.to_string())
    }

    /// Reads messages until the server is ready for the next, and gives its rows.
    fn until_ready(&mut self, row: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let mut problem = None;
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).map_err(|error| error.to_string())?;
            let [kind, length @ ..] = head;
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(0);
            self.body.resize(length.saturating_sub(4), 0);
            self.stream.read_exact(&mut self.body).map_err(|error| error.to_string())?;
            match kind {
                b'Z' => return problem.map_or(Ok(()), Err),
                b'D' => row(&self.body),
                b'E' => problem = Some(String::from_utf8_lossy(&self.body).replace('\0', " ")),
                b'K' => self.process = number(&self.body),
                b'R' if number(&self.body) != 0 => {
                    return Err("the server asks for a password".to_owned());
                }
                _ => {}
            }
        }
    }
}

/// Writes a call of the prepared statement, in a transaction of its own.
pub(crate) fn call(parameters: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, b'B', |body| {
        text(body, "");
        text(body, "bench");
        count(body, 0);
        count(body, parameters.len());
        for parameter in parameters {
            let length = u32::try_from(parameter.len()).unwrap_or(0);
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(parameter.as_bytes());
        }
        count(body, 0);
    });
    message(&mut out, b'E', |body| {
        text(body, "");
        body.extend_from_slice(&[0; 4]);
    });
    message(&mut out, b'S', |_| ());
    out
}

fn message(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - at).unwrap_or(0);
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn text(out: &mut Vec<u8>, word: &str) {
    out.extend_from_slice(word.as_bytes());
    out.push(0);
}

fn count(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u16::try_from(number).unwrap_or(0).to_be_bytes());
}

fn number(body: &[u8]) -> u32 {
    body.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// The texts of a row; no text where there is NULL.
fn cells(row: &[u8]) -> Vec<String> {
    let mut cells = Vec::new();
    let mut rest = row.get(2..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(0);
        let (cell, after) = after.split_at_checked(length).unwrap_or((&[], after));
        cells.push(String::from_utf8_lossy(cell).into_owned());
        rest = after;
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_its_url() {
        let place = Place::parse("postgres://postgres@127.0.0.1:7/bench").unwrap();
        assert_eq!((place.address.as_str(), place.database.as_str()), ("127.0.0.1:7", "bench"));
        assert!(Place::parse("postgres://127.0.0.1:7/bench").is_err());
    }

    #[test]
    fn a_call_binds_executes_and_syncs() {
        let call = call(&["7", "13"]);
        let bind = b"B\0\0\0\x1c\0bench\0\0\0\0\x02\0\0\0\x017\0\0\0\x0213\0\0";
        assert_eq!(&call[..bind.len()], bind);
        assert_eq!(&call[bind.len()..], b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04");
    }

    #[test]
    fn a_row_is_texts() {
        assert_eq!(cells(b"\0\x02\0\0\0\x02ab\xff\xff\xff\xff"), ["ab", ""]);
    }
}
