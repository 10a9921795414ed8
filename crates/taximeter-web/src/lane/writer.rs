//! The bytes of an answer.

use axum::http::StatusCode;
use taximeter_service::version::NEWEST;

use crate::answer::Answer;
use crate::head::Head;

/// What every answer has: the general way gives the same.
const FIELDS: &[u8] = b"content-type: application/json\r\n\
    access-control-allow-origin: *\r\n\
    access-control-expose-headers: request-id,stripe-version,idempotency-key,idempotent-replayed,\
    original-request,taximeter-recorded,taximeter-duplicates,taximeter-rejected\r\n";

/// Writes an answer to a request with this head at the end of `out`.
pub(super) fn write(
    out: &mut Vec<u8>,
    answer: &Answer,
    head: &Head<'_>,
    request_id: &str,
    date: &str,
) {
    out.reserve(FIELDS.len() + answer.body.len() + 512);
    if answer.status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        let status = StatusCode::from_u16(answer.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reason = status.canonical_reason().unwrap_or("");
        for part in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(FIELDS);
    field(out, "request-id", request_id.as_bytes());
    field(out, "stripe-version", head.version.unwrap_or(NEWEST.as_bytes()));
    if let Some(key) = head.idempotency_key {
        field(out, "idempotency-key", key);
    }
    for (name, value) in answer.fields {
        field(out, name, value.as_bytes());
    }
    out.extend_from_slice(b"content-length: ");
    digits(out, answer.body.len());
    out.extend_from_slice(b"\r\ndate: ");
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(&answer.body);
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn digits(out: &mut Vec<u8>, number: usize) {
    // Enough for any number of 64 bits.
    let (mut text, mut at, mut rest) = ([b'0'; 20], 20, number);
    while at > 0 {
        at -= 1;
        // One digit: the remainder is less than ten.
        text[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}
