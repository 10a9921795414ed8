//! Requests through the lane for events, as a connection brings them.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use taximeter_web::Lane;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use crate::app::Response;

/// More than any request or answer of a test.
const PIPE_BYTES: usize = 4 * 1_024 * 1_024;

/// A request as it is on the wire.
pub(crate) fn written(request: &Request<Body>, body: &[u8]) -> Vec<u8> {
    let mut out = format!("{} {} HTTP/1.1\r\nHost: t\r\n", request.method(), request.uri());
    out.push_str(&format!("Content-Length: {}\r\n", body.len()));
    let mut out = out.into_bytes();
    for (name, value) in request.headers() {
        out.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    out.extend([b"\r\n", body].concat());
    out
}

/// What the lane answers to it; nothing when it hands the request on.
pub(crate) async fn answer(lane: &Lane, request: &[u8]) -> Option<Response> {
    let (mut client, server) = duplex(PIPE_BYTES);
    client.write_all(request).await.expect("a pipe");
    client.shutdown().await.expect("a pipe");
    if lane.drive(server).await.is_some() {
        return None;
    }
    let mut text = Vec::new();
    client.read_to_end(&mut text).await.expect("an answer");
    Some(read(&text))
}

/// Both ways refuse with the same body and the same fields, but for the name of the request and
/// those that the HTTP stack adds.
pub(crate) fn assert_same(quick: &Response, general: &Response) {
    let shown = |response: &Response| {
        let mut fields: Vec<(String, String)> = (response.headers.iter())
            .map(|(name, value)| (name.to_string(), format!("{value:?}")))
            .filter(|(name, _)| !["content-length", "date", "request-id"].contains(&name.as_str()))
            .collect();
        fields.sort();
        (response.status, fields, String::from_utf8_lossy(&response.body).into_owned())
    };
    assert_eq!(shown(quick), shown(general));
}

fn read(text: &[u8]) -> Response {
    let end = text.windows(4).position(|part| part == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&text[..end]).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status");
    let status = status.split(' ').next().and_then(|code| code.parse().ok()).expect("a status");
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a field");
        let name: HeaderName = name.parse().expect("a field's name");
        headers.append(name, HeaderValue::from_str(value).expect("a field's value"));
    }
    let body = text[end + 4..].to_vec();
    assert_eq!(headers["content-length"], body.len().to_string().as_str());
    Response { status, headers, body }
}
