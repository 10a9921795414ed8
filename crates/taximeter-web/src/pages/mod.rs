//! Pages for people. So far one: that the server runs, and what to do next.

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use taximeter_service::version::NEWEST;

use crate::app::App;

const WELCOME: &str = include_str!("welcome.html");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// `GET /`
pub(crate) async fn root() -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static("/dashboard"))]).into_response()
}

/// `GET /dashboard`
pub(crate) async fn dashboard(State(app): State<App>, headers: HeaderMap) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:4242");
    let database = app.services.db.ping().await.is_ok();
    let usage = app.services.usage.is_running();
    let word = |ok: bool| if ok { "answering" } else { "failing" };
    let class = |ok: bool| if ok { "good" } else { "bad" };
    let page = WELCOME
        .replace("{{database_class}}", class(database))
        .replace("{{database}}", word(database))
        .replace("{{usage_class}}", class(usage))
        .replace("{{usage}}", word(usage))
        .replace("{{version}}", NEWEST)
        .replace("{{origin}}", &escape(&format!("http://{host}")));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, page).into_response()
}

/// A text that a client sent, as harmless HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_cannot_become_markup() {
        assert_eq!(escape("<b a=\"&\">"), "&lt;b a=&quot;&amp;&quot;&gt;");
    }
}
