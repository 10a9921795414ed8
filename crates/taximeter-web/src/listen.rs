//! The line to `stripe listen`: a websocket on which events are shown.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::response::Response;
use taximeter_service::error::Error;
use taximeter_service::webhooks::{self, Listener};

use crate::app::App;
use crate::endpoint::Flavor;
use crate::error;

/// Where a session is connected to.
pub(crate) const PATH: &str = "/v1/stripecli/subscribe";
/// The header in which a session is named.
const SESSION: &str = "websocket-id";
/// What is spoken on the line.
const PROTOCOL: &str = "stripecli-devproxy-v1";
/// How often it is looked for events.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The largest message that is taken: what a receiver answered comes back whole.
const MESSAGE_BYTES_MAX: usize = 1_048_576;

/// The address of the line, as the client has just called the server.
pub(crate) fn url(app: &App, headers: &HeaderMap) -> String {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let secure = app.over_tls || header("x-forwarded-proto") == Some("https");
    let scheme = if secure { "wss" } else { "ws" };
    let host = header(HOST.as_str()).unwrap_or("127.0.0.1:4242");
    format!("{scheme}://{host}{PATH}")
}

/// `GET /v1/stripecli/subscribe`: whoever names a session has made it with a key.
pub(crate) async fn connect(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let name = headers.get(SESSION).and_then(|name| name.to_str().ok()).unwrap_or("").to_owned();
    let Some(listener) = app.services.webhooks.listeners.find(&name, app.now()) else {
        // In these words the command line makes a new session.
        return error::response(&Error::invalid("Unknown WebSocket ID."), Flavor::V1);
    };
    match upgrade {
        Ok(upgrade) => upgrade
            .protocols([PROTOCOL])
            .max_message_size(MESSAGE_BYTES_MAX)
            .on_upgrade(move |line| show(app, name, listener, line)),
        Err(_) => error::response(&Error::invalid("This is for websockets."), Flavor::V1),
    }
}

/// Shows what happens until the other end goes.
async fn show(app: App, name: String, mut listener: Listener, mut line: WebSocket) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            received = line.recv() => match received {
                // Acknowledgements, and what the receiver answered: the command line shows it.
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            _ = look.tick() => {
                let now = app.now();
                match webhooks::unheard(&app.services, &name, &mut listener, now).await {
                    Ok(messages) => for message in messages {
                        if line.send(Message::Text(message.into())).await.is_err() {
                            return;
                        }
                    },
                    Err(error) => tracing::warn!(%error, "what is listened for is late"),
                }
            }
        }
    }
}
