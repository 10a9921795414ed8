//! Every address, and what is done around every request.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use std::collections::BTreeMap;
use taximeter_kernel::id::{Id, Request as RequestKind};
use taximeter_service::error::{Error, Kind};
use taximeter_service::version::NEWEST;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any, CorsLayer};

use crate::app::App;
use crate::dispatch::{IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED, ORIGINAL_REQUEST, STRIPE_VERSION};
use crate::endpoint::{Flavor, endpoints};
use crate::{error, health, ingest, listen, pages, stream};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The whole application.
pub fn router(app: App) -> Router {
    let mut paths: BTreeMap<&'static str, MethodRouter<App>> = BTreeMap::new();
    for endpoint in endpoints() {
        let methods = paths.remove(endpoint.path).unwrap_or_default();
        paths.insert(endpoint.path, methods.merge(endpoint.handler));
    }
    let mut router = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/", get(pages::root))
        .route("/dashboard", get(pages::dashboard))
        .route(listen::PATH, get(listen::connect));
    for (path, methods) in paths {
        router = router.route(path, methods);
    }
    finished(router, app)
}

/// The stream of meter events and nothing else, for an address of its own.
pub fn stream_router(app: App) -> Router {
    let router = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route(stream::PATH, post(stream::create));
    finished(router, app)
}

/// What is done around every request.
fn finished(router: Router<App>, app: App) -> Router {
    router
        .method_not_allowed_fallback(unknown_route)
        .fallback(unknown_route)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(cors())
        .layer(from_fn_with_state(app.clone(), around))
        .with_state(app)
}

/// The API may be called from any page: its protection is the key, not the origin.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IDEMPOTENCY_KEY,
            STRIPE_VERSION,
            stream::OUTCOMES,
        ])
        .expose_headers([
            REQUEST_ID,
            STRIPE_VERSION,
            IDEMPOTENCY_KEY,
            IDEMPOTENT_REPLAYED,
            ORIGINAL_REQUEST,
            stream::RECORDED,
            stream::DUPLICATES,
            stream::REJECTED,
        ])
}

async fn unknown_route(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let flavor = if path.starts_with("/v2/") { Flavor::V2 } else { Flavor::V1 };
    let error = Error::new(
        Kind::UnknownRoute,
        format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or \
             we can help at https://support.stripe.com/."
        ),
    );
    error::response(&error, flavor)
}

/// A bug in a handler ends its request, not the process.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The panic itself was reported by the hook of the process.
    error::response(&Error::internal("the handler panicked"), Flavor::V1)
}

/// Names the request, answers with what Stripe's clients look for, logs one line.
async fn around(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id: Id<RequestKind> = Id::generate((app.services.entropy)());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let version = request.headers().get(STRIPE_VERSION).cloned();
    let key = request.headers().get(IDEMPOTENCY_KEY).cloned();
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(STRIPE_VERSION, version.unwrap_or(HeaderValue::from_static(NEWEST)));
    if let Some(key) = key {
        headers.insert(IDEMPOTENCY_KEY, key);
    }
    log(&id, &method, &path, response.status().as_u16(), started.elapsed());
    response
}

/// One line of the log per request. Of an event that was taken there is a line only when the log is
/// to be that long: there are too many of them.
pub(crate) fn log(
    id: &Id<RequestKind>,
    method: &Method,
    path: &str,
    status: u16,
    duration: Duration,
) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request.id = %id,
                http.method = %method,
                http.path = path,
                http.status = status,
                duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
                "request"
            )
        };
    }
    let takes_events = [ingest::PATH_V1, ingest::PATH_V2].contains(&path);
    if status == 200 && takes_events && method == Method::POST {
        line!(debug);
    } else {
        line!(info);
    }
}
