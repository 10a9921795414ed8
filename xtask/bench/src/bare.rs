//! The floors: the same HTTP stack without the product. One handler reads its body and looks at
//! nothing; the other parses the form and answers what Taximeter would, but checks and stores
//! nothing.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use axum::serve::ListenerExt as _;
use axum::{Form, Router};
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Answers every event with a JSON text of so many bytes, until it is killed.
pub(crate) fn serve(bytes: &str) -> Result<(), String> {
    let bytes: usize = bytes.parse().map_err(|error| format!("`{bytes}`: {error}"))?;
    let text = text_of(bytes);
    run(post(move |_body: Bytes| {
        let text = text.clone();
        async move { ([(CONTENT_TYPE, "application/json")], text) }
    }))
}

/// Answers every event with what Taximeter answers, until it is killed.
///
/// The form is read by axum's `Form` (`serde_urlencoded`) into pairs and the answer is written by
/// `serde_json`: what a service of few lines would do.
pub(crate) fn serve_parsing() -> Result<(), String> {
    run(post(parsing))
}

async fn parsing(Form(pairs): Form<Vec<(String, String)>>) -> Response {
    let answer = serde_json::to_string_pretty(&Answer::of(&pairs));
    match answer {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => error.to_string().into_response(),
    }
}

/// The object `billing.meter_event`, with an identifier and times that are always the same.
#[derive(serde::Serialize)]
struct Answer<'a> {
    object: &'static str,
    created: i64,
    event_name: &'a str,
    identifier: &'static str,
    livemode: bool,
    payload: Payload<'a>,
    timestamp: i64,
}

/// The pairs that are named `payload[…]`.
struct Payload<'a>(&'a [(String, String)]);

impl<'a> Answer<'a> {
    fn of(pairs: &'a [(String, String)]) -> Self {
        let name = pairs.iter().find(|(name, _)| name == "event_name");
        Self {
            object: "billing.meter_event",
            created: 1_700_000_007,
            event_name: name.map_or("", |(_, value)| value),
            identifier: "01234567-89ab-4cde-8f01-23456789abcd",
            livemode: false,
            payload: Payload(pairs),
            timestamp: 1_700_000_007,
        }
    }
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0 {
            if let Some(key) = name.strip_prefix("payload[").and_then(|key| key.strip_suffix(']')) {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

fn run(handler: MethodRouter) -> Result<(), String> {
    // As in the product: a runtime of as many threads as there are cores.
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(answer(handler)).map_err(|error| error.to_string())
}

async fn answer(handler: MethodRouter) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}\nReady in 0 ms.", listener.local_addr()?);
    let router = Router::new().route(crate::api::EVENTS, handler);
    let listener = listener.tap_io(|stream| {
        // Without it answers would wait for the acknowledgement of the ones before.
        let _slower = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}

/// A JSON text of that length: `{"x": "…"}`.
fn text_of(bytes: usize) -> Bytes {
    const AROUND: usize = r#"{"x": ""}"#.len();
    format!(r#"{{"x": "{}"}}"#, "x".repeat(bytes.saturating_sub(AROUND))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_should_be() {
        assert_eq!(text_of(13), r#"{"x": "xxxx"}"#);
        assert_eq!(text_of(245).len(), 245);
    }

    #[test]
    fn the_parsed_form_is_answered_in_stripes_words() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let pairs = [pair("event_name", "calls"), pair("payload[value]", "7")];
        let answer = serde_json::to_string(&Answer::of(&pairs)).unwrap();
        assert_eq!(
            answer,
            r#"{"object":"billing.meter_event","created":1700000007,"event_name":"calls","#
                .to_owned()
                + r#""identifier":"01234567-89ab-4cde-8f01-23456789abcd","livemode":false,"#
                + r#""payload":{"value":"7"},"timestamp":1700000007}"#
        );
    }
}
