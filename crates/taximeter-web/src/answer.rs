//! What is answered, before it takes the form of an HTTP stack's response.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

/// What tells a client that a retry may succeed. Without the second, Stripe's clients do not send
/// again what was too much.
const RETRY: &[(&str, &str)] = &[("retry-after", "1"), ("stripe-should-retry", "true")];
/// What tells a client that it was answered before.
const REPLAYED: &[(&str, &str)] = &[("idempotent-replayed", "true")];

/// An answer in JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Header fields besides those of every answer.
    pub(crate) fields: &'static [(&'static str, &'static str)],
}

impl Answer {
    /// An answer without header fields of its own.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), fields: &[] }
    }

    /// The same, telling that it was given before.
    pub(crate) fn replayed(self) -> Self {
        Self { fields: REPLAYED, ..self }
    }

    /// The same, telling that a retry may succeed.
    pub(crate) fn retry_later(self) -> Self {
        Self { fields: RETRY, ..self }
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.fields {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }
}
