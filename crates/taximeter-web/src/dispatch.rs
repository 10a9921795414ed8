//! What is the same for every endpoint of the control plane.
//!
//! Key → version → parameters → transaction → idempotency → verb → expansion → version → stored
//! answer → commit. The answer to a write is kept under its idempotency key in the transaction of
//! the write.

use axum::body::Body;
use axum::extract::{FromRequestParts as _, RawPathParams, Request};
use axum::http::header::HeaderName;
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use serde_json::Value;
use taximeter_kernel::id::{Id, Request as RequestKind};
use taximeter_kernel::time::Timestamp;
use taximeter_service::ctx::{Caller, Ctx};
use taximeter_service::error::{Error, Result};
use taximeter_service::expand::{self, Expand};
use taximeter_service::idempotency::{self, Fingerprint, Held, Stored};
use taximeter_service::params::{Decode, Node, Path};
use taximeter_service::version;

use crate::answer::Answer;
use crate::app::App;
use crate::batch::EVENTS_PAIRS_MAX;
use crate::endpoint::{Flavor, Spec};
use crate::error;
use crate::head::{Asker, Head, KeySeen};
use crate::request::{
    form_params, is_json, json_params, json_response, params, read_body, read_body_within,
};
use crate::stream::{EVENTS_BODY_BYTES_MAX, EVENTS_VALUES_MAX};

/// The header that names a request so that a retry of it is recognised.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Names the request that was answered first.
pub(crate) const ORIGINAL_REQUEST: HeaderName = HeaderName::from_static("original-request");
/// The header in which a client says what version of the API it speaks.
pub(crate) const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// Laid around an endpoint of the control plane that takes many events at a time: in JSON as well as
/// in a form, and in a body as large as a batch's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ManyEvents;

async fn many_events(content_type: Option<&[u8]>, query: Option<&str>, body: Body) -> Result<Node> {
    let body = read_body_within(body, EVENTS_BODY_BYTES_MAX).await?;
    let query = query.unwrap_or("");
    if body.is_empty() || !is_json(content_type)? {
        return form_params(query, &body, EVENTS_PAIRS_MAX);
    }
    json_params(query, &body, EVENTS_VALUES_MAX)
}

/// A request with its caller known and its parameters parsed, but not yet typed.
pub(crate) struct Admitted {
    pub(crate) caller: Caller,
    pub(crate) now: Timestamp,
    pub(crate) params: Node,
    pub(crate) fingerprint: Fingerprint,
    ids: PathIds,
    method: Method,
}

impl Admitted {
    /// Lets a request in, or says why not.
    pub(crate) async fn admit(app: &App, request: Request, spec: Spec) -> Result<Self> {
        let (mut parts, body) = request.into_parts();
        let now = app.now();
        let keyed = match parts.method {
            Method::POST => true,
            // v2 honours it on DELETE too; v1 gives it no effect there.
            Method::DELETE => spec.flavor == Flavor::V2,
            _ => false,
        };
        let head = Head::of(&parts.headers);
        let asker = head.admit(app, spec, keyed, &mut KeySeen::default(), now).await?;
        let Asker { key, version, idempotency_key } = asker;
        let idempotency_key = idempotency_key.map(str::to_owned);
        let content_type = Head::of(&parts.headers).content_type;
        let params = match parts.extensions.get::<ManyEvents>() {
            Some(ManyEvents) => many_events(content_type, parts.uri.query(), body).await?,
            None => {
                let body = read_body(body).await?;
                params(spec.flavor, content_type, parts.uri.query(), &body)?
            }
        };
        let fingerprint = Fingerprint::of(parts.method.as_str(), parts.uri.path(), &params);
        let ids = path_ids(&mut parts).await;
        if let Some(id) = [&ids.id, &ids.part].into_iter().find(|id| id.contains('\0')) {
            // No text in a database holds it, and one of them refuses to be asked.
            return Err(Error::no_such_path(&spec.resource.replace('_', " "), id));
        }
        let request = parts.extensions.get::<Id<RequestKind>>().cloned();
        let request = request.unwrap_or_else(|| Id::generate((app.services.entropy)()));
        let (scope, key) = (key.scope.clone(), key.key.clone());
        let caller = Caller { scope, key, version, request, idempotency_key, by_time: false };
        Ok(Self { caller, now, params, fingerprint, ids, method: parts.method })
    }
}

/// What the path names, percent-decoded; empty where it names nothing.
#[derive(Debug, Default)]
pub(crate) struct PathIds {
    /// `{id}`: the object.
    pub(crate) id: String,
    /// `{part}`: what of the object.
    pub(crate) part: String,
}

async fn path_ids(parts: &mut axum::http::request::Parts) -> PathIds {
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => {
            let named = |wanted: &str| {
                params.iter().find(|(name, _)| *name == wanted).map_or("", |(_, id)| id).to_owned()
            };
            PathIds { id: named("id"), part: named("part") }
        }
        // A path whose escapes are no UTF-8 names nothing.
        Err(_) => PathIds { id: "\u{fffd}".to_owned(), part: "\u{fffd}".to_owned() },
    }
}

/// A request ready for its verb.
pub(crate) struct Open<I> {
    call: Call,
    ids: PathIds,
    input: I,
}

/// What is left to do once the verb has answered.
pub(crate) struct Call {
    app: App,
    ctx: Ctx,
    asked_at: Timestamp,
    expand: Expand,
    flavor: Flavor,
    writes: bool,
    kept: Option<Kept>,
}

/// Where the answer is to be kept.
struct Kept {
    key: String,
    fingerprint: Fingerprint,
    _held: Held,
}

impl<I: Decode> Open<I> {
    /// Lets a request in and types its parameters. What comes back as an error is the response.
    pub(crate) async fn open(app: App, request: Request, spec: Spec) -> Result<Self, Response> {
        match Self::try_open(app, request, spec).await {
            Ok(Ok(open)) => Ok(open),
            Ok(Err(stored)) => Err(replay(stored)),
            Err(error) => Err(error::response(&error, spec.flavor)),
        }
    }

    async fn try_open(app: App, request: Request, spec: Spec) -> Result<Result<Self, Stored>> {
        let mut admitted = Admitted::admit(&app, request, spec).await?;
        let expand = match spec.flavor {
            Flavor::V1 => Expand::take(&mut admitted.params).map_err(Error::before_execution)?,
            Flavor::V2 => Expand::default(),
        };
        let input =
            I::decode(Some(admitted.params), Path::ROOT).map_err(Error::before_execution)?;
        let Admitted { caller, now, fingerprint, ids, method, .. } = admitted;
        let flavor = spec.flavor;
        if method == Method::GET || method == Method::HEAD {
            let ctx = Ctx::begin_read(&app.services, caller, now).await?;
            let asked_at = now;
            let call = Call { app, ctx, asked_at, expand, flavor, writes: false, kept: None };
            return Ok(Ok(Self { call, ids, input }));
        }
        let held = match &caller.idempotency_key {
            Some(key) => Some(app.services.in_flight.hold(&caller.scope, key)?),
            None => None,
        };
        let key = caller.idempotency_key.clone();
        let mut ctx = Ctx::begin(&app.services, caller, now).await?;
        let mut kept = None;
        if let (Some(key), Some(held)) = (key, held) {
            if let Some(stored) = idempotency::find(&mut ctx, &key, &fingerprint).await? {
                return Ok(Err(stored));
            }
            kept = Some(Kept { key, fingerprint, _held: held });
        }
        let call = Call { app, ctx, asked_at: now, expand, flavor, writes: true, kept };
        Ok(Ok(Self { call, ids, input }))
    }

    /// The call, the ids in the path, and the input.
    pub(crate) fn into_parts(self) -> (Call, PathIds, I) {
        (self.call, self.ids, self.input)
    }
}

impl Call {
    /// What the verb works with.
    pub(crate) const fn ctx(&mut self) -> &mut Ctx {
        &mut self.ctx
    }

    /// Renders what the verb answered, keeps it, commits, responds.
    pub(crate) async fn finish(self, answer: Result<Value>) -> Response {
        let flavor = self.flavor;
        match self.conclude(answer).await {
            Ok((status, text)) => json_response(status, text),
            Err(error) => error::response(&error, flavor),
        }
    }

    async fn conclude(mut self, answer: Result<Value>) -> Result<(u16, String)> {
        // The verb may have followed a test clock. How long an answer is kept is counted in the
        // time in which it is asked for again.
        self.ctx.now = self.asked_at;
        let rendered = match answer {
            Ok(value) => self.render(value).await,
            Err(error) => Err(error),
        };
        match rendered {
            Ok(text) => {
                if let Some(kept) = &self.kept {
                    let Kept { key, fingerprint, .. } = kept;
                    idempotency::keep(&mut self.ctx, key, fingerprint, 200, &text).await?;
                }
                if self.writes {
                    self.ctx.commit().await?;
                }
                Ok((200, text))
            }
            Err(error) => self.fail(error).await,
        }
    }

    /// Undoes the work, unless the error says that it lasts. What execution itself decided is kept
    /// as the answer of its key.
    async fn fail(mut self, error: Error) -> Result<(u16, String)> {
        if self.writes && error.keeps_work() {
            if let (Some(kept), Flavor::V1) = (&self.kept, self.flavor) {
                let text = error::body(&error, self.flavor).to_string();
                let status = error::status(&error, self.flavor);
                let Kept { key, fingerprint, .. } = kept;
                idempotency::keep(&mut self.ctx, key, fingerprint, status, &text).await?;
            }
            self.ctx.commit().await?;
            return Err(error);
        }
        // A v2 request that failed may be run again under its key.
        let (Some(kept), true, Flavor::V1) = (self.kept, error.is_outcome(), self.flavor) else {
            return Err(error);
        };
        let (caller, now) = (self.ctx.caller.clone(), self.ctx.now);
        drop(self.ctx);
        let text = error::body(&error, self.flavor).to_string();
        let status = error::status(&error, self.flavor);
        let mut ctx = Ctx::begin(&self.app.services, caller, now).await?;
        idempotency::keep(&mut ctx, &kept.key, &kept.fingerprint, status, &text).await?;
        ctx.commit().await?;
        Err(error)
    }

    async fn render(&mut self, value: Value) -> Result<String> {
        let version = self.ctx.caller.version.clone();
        // What cannot be expanded is a fault of the parameters: nothing of the work remains.
        let expanded = expand::apply(&mut self.ctx, value, &self.expand).await;
        let mut value = expanded.map_err(Error::before_execution)?;
        version::render(&mut value, &version);
        serde_json::to_string_pretty(&value).map_err(Error::internal)
    }
}

/// The answer that was given before, marked as such.
fn replay(stored: Stored) -> Response {
    let mut response = Answer::new(stored.status, stored.body).replayed().into_response();
    if let Ok(original) = HeaderValue::from_str(&stored.request) {
        response.headers_mut().insert(ORIGINAL_REQUEST, original);
    }
    response
}

/// Marks a response as one that was given before.
pub(crate) fn mark_replayed(response: &mut Response) {
    response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
}
