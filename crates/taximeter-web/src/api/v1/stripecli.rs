//! `/v1/stripecli/sessions`

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::post;
use taximeter_service::api_keys::Access;
use taximeter_service::params::Decode as _;
use taximeter_service::webhooks::{self, Listen};

use crate::app::App;
use crate::dispatch::Open;
use crate::endpoint::{Endpoint, Flavor, Spec};
use crate::listen;

const SPEC: Spec = Spec { flavor: Flavor::V1, resource: "webhook", access: Access::Write };

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint {
        method: Method::POST,
        path: "/v1/stripecli/sessions",
        schema: Listen::schema(),
        resource: SPEC.resource,
        handler: post(create),
    }]
}

/// Not a line of a table, since the answer says where this server is.
async fn create(State(app): State<App>, request: Request) -> Response {
    let url = listen::url(&app, request.headers());
    let (mut call, _, input) = match Open::<Listen>::open(app, request, SPEC).await {
        Ok(open) => open.into_parts(),
        Err(response) => return response,
    };
    let answer = webhooks::listen(call.ctx(), input).await;
    call.finish(answer.map(|mut session| {
        session["websocket_url"] = url.into();
        session
    }))
    .await
}
