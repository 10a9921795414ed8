//! Whether the process lives, and whether it can serve.

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::app::App;
use crate::request::json_response;

/// The process runs.
pub(crate) async fn healthz() -> Response {
    json_response(200, json!({ "status": "ok" }).to_string())
}

/// The database answers and the usage engine takes events.
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    let database = app.services.db.ping().await.is_ok();
    let usage = app.services.usage.is_running();
    let word = |ok: bool| if ok { "ok" } else { "failing" };
    let status = if database && usage { 200 } else { 503 };
    let body = json!({ "database": word(database), "usage": word(usage) });
    json_response(status, body.to_string())
}
