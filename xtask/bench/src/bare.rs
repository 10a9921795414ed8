//! The floor: the same HTTP stack, with a handler that reads its body and looks at nothing.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use bytes::Bytes;

/// Answers every event with a JSON text of so many bytes, until it is killed.
pub(crate) fn serve(bytes: &str) -> Result<(), String> {
    let bytes: usize = bytes.parse().map_err(|error| format!("`{bytes}`: {error}"))?;
    // As in the product: a runtime of as many threads as there are cores.
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(answer(text_of(bytes))).map_err(|error| error.to_string())
}

async fn answer(text: Bytes) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}\nReady in 0 ms.", listener.local_addr()?);
    let handler = move |_body: Bytes| {
        let text = text.clone();
        async move { ([(CONTENT_TYPE, "application/json")], text) }
    };
    let router = Router::new().route(crate::api::EVENTS, post(handler));
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
}
