//! How a row is written, and what it becomes.
//!
//! ```text
//! = a parameter that does not exist is named, with the one that was meant
//! > POST /v1/customers
//! ? limit=10
//! Stripe-Version: 2026-10-28.endive
//! | nmae=Ada
//! < 400 invalid_request_error parameter_unknown param=nmae
//! Received unknown parameter: nmae. Did you mean name?
//! ```
//!
//! `=` names the row. `>` is the request. Each `?` line is a pair of the query, whose value is
//! percent-encoded here. `Name: value` is a header, and `Name: -` takes one away that is sent
//! unless told otherwise: the test key, the content type of a body, and for `/v2` the version. `|`
//! lines are the body: joined by `&` for `/v1`, by line breaks for `/v2`; `\xFF` in them is that
//! byte. `<` is the status, the type, the code if there is one and the parameter if there is one;
//! what follows it up to the empty line is the message. A line that begins with `#` is a remark.
//!
//! `{{cus}}` stands for what [`super::fixtures`] made, `{{now-60}}` for the second a minute ago,
//! `{{ab*3}}` for `ababab`, and `{{nul}}` for the null character.

use serde_json::{Map, Value, json};

use super::fixtures::Places;

/// A request, and all of the answer to it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) method: String,
    /// With the query.
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) status: u16,
    /// The whole body of the answer.
    pub(super) answer: Value,
}

/// The rows of a table.
///
/// # Panics
/// When a row cannot be read.
pub(super) fn rows(text: &str, places: &Places) -> Vec<Row> {
    let mut out = Vec::new();
    for block in text.split("\n\n") {
        let lines = block.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let lines: Vec<&str> = lines.collect();
        if !lines.is_empty() {
            out.push(row(&lines, places));
        }
    }
    out
}

fn row(lines: &[&str], places: &Places) -> Row {
    let name = lines[0].strip_prefix("= ").unwrap_or_else(|| panic!("no name: {}", lines[0]));
    let answer_at = lines.iter().position(|line| line.starts_with("< "));
    let answer_at = answer_at.unwrap_or_else(|| panic!("{name}: no answer"));
    let (request, answer) = lines.split_at(answer_at);
    let mut row = Row {
        name: name.to_owned(),
        method: String::new(),
        path: String::new(),
        headers: Vec::new(),
        body: Vec::new(),
        status: 0,
        answer: Value::Null,
    };
    let mut body: Vec<Vec<u8>> = Vec::new();
    for line in &request[1..] {
        let line = places.fill(line);
        let (sign, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        match sign {
            ">" => {
                let (method, path) = rest.split_once(' ').expect("a method and a path");
                (row.method, row.path) = (method.to_owned(), path.to_owned());
            }
            "?" => {
                let joint = if row.path.contains('?') { '&' } else { '?' };
                let (name, value) = rest.split_once('=').expect("a name and a value");
                row.path.push_str(&format!("{joint}{name}={}", escape(value)));
            }
            "|" => body.push(bytes(rest)),
            header => {
                let header = header.strip_suffix(':').unwrap_or_else(|| panic!("{name}: {line}"));
                row.headers.push((header.to_owned(), rest.to_owned()));
            }
        }
    }
    let v2 = row.path.starts_with("/v2/");
    row.body = body.join(if v2 { &b"\n"[..] } else { b"&" });
    add_headers(&mut row, v2, places);
    let message = places.fill(&answer[1..].join(" "));
    (row.status, row.answer) = expected(name, &places.fill(answer[0]), message, v2);
    row
}

/// Adds what every request has unless its row says otherwise.
fn add_headers(row: &mut Row, v2: bool, places: &Places) {
    let content_type = if v2 { "application/json" } else { "application/x-www-form-urlencoded" };
    let mut usual = vec![("Authorization", places.fill("Bearer {{test_key}}"))];
    if !row.body.is_empty() {
        usual.push(("Content-Type", content_type.to_owned()));
    }
    // v2 wants it of every client.
    if v2 {
        usual.push(("Stripe-Version", taximeter_service::version::NEWEST.to_owned()));
    }
    for (name, value) in usual {
        if !row.headers.iter().any(|(own, _)| own == name) {
            row.headers.push((name.to_owned(), value));
        }
    }
    row.headers.retain(|(_, value)| value != "-");
}

/// `400 invalid_request_error parameter_unknown param=foo`, and the message below it, as JSON.
fn expected(row: &str, line: &str, message: String, v2: bool) -> (u16, Value) {
    let line = line.strip_prefix("< ").unwrap_or(line);
    let (words, param) = match line.split_once(" param=") {
        Some((words, param)) => (words, Some(param)),
        None => (line, None),
    };
    let mut words = words.split(' ');
    let status = words.next().and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{row}: no status"));
    let kind = words.next().unwrap_or_else(|| panic!("{row}: no type"));
    assert!(!message.is_empty(), "{row}: no message");
    let mut error = Map::new();
    error.insert("type".into(), kind.into());
    error.insert("message".into(), message.into());
    if let Some(code) = words.next() {
        error.insert("code".into(), code.into());
        if !v2 {
            let page = code.replace('_', "-");
            error.insert(
                "doc_url".into(),
                format!("https://stripe.com/docs/error-codes/{page}").into(),
            );
        }
    }
    assert_eq!(words.next(), None, "{row}: too many words");
    if let Some(param) = param {
        error.insert(if v2 { "invalid_param" } else { "param" }.into(), param.into());
    }
    (status, json!({ "error": error }))
}

/// Percent-encodes all that is not a letter, a digit or one of `-._~`.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The bytes of a body's line, where `\xFF` is one byte.
fn bytes(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\\x") {
        out.extend_from_slice(before.as_bytes());
        let digits = after.get(..2).expect("two digits after \\x");
        out.push(u8::from_str_radix(digits, 16).expect("a hexadecimal number after \\x"));
        rest = &after[2..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}
