//! The hot path: one event in, durable, counted, answered, without a transaction of the control
//! plane.

use axum::extract::{Request, State};
use axum::response::Response;
use taximeter_kernel::id::{Id, Request as RequestKind};
use taximeter_kernel::time::Timestamp;
use taximeter_service::api_keys::Access;
use taximeter_service::ctx::Caller;
use taximeter_service::error::{Error, Result};
use taximeter_service::expand::Expand;
use taximeter_service::idempotency::Fingerprint;
use taximeter_service::meter_events::{
    self, Create, CreateV2, Plain, Recorded, RequestKey, request_key,
};
use taximeter_service::params::{Decode, Node, Path};

use crate::answer::Answer;
use crate::app::App;
use crate::dispatch::Admitted;
use crate::endpoint::{Flavor, Spec};
use crate::head::{Head, KeySeen};
use crate::request::check_form;
use crate::{error, form};

/// What a restricted key needs permission for.
pub(crate) const RESOURCE: &str = "billing_meter_event";
/// Where v1 takes events.
pub(crate) const PATH_V1: &str = "/v1/billing/meter_events";
/// Where v2 takes events.
pub(crate) const PATH_V2: &str = "/v2/billing/meter_events";

const SPEC_V1: Spec = Spec { flavor: Flavor::V1, resource: RESOURCE, access: Access::Write };
const SPEC_V2: Spec = Spec { flavor: Flavor::V2, resource: RESOURCE, access: Access::Write };

/// `POST /v1/billing/meter_events`
pub(crate) async fn create_v1(State(app): State<App>, request: Request) -> Response {
    let recorded = record::<Create>(&app, request, SPEC_V1).await;
    answer(recorded, Flavor::V1).into_response()
}

/// `POST /v2/billing/meter_events`
pub(crate) async fn create_v2(State(app): State<App>, request: Request) -> Response {
    let recorded = record::<CreateV2>(&app, request, SPEC_V2).await;
    answer(recorded, Flavor::V2).into_response()
}

async fn record<I: Decode + Into<Create>>(
    app: &App,
    request: Request,
    spec: Spec,
) -> Result<Recorded<'static>> {
    let mut admitted = Admitted::admit(app, request, spec).await?;
    // An event has nothing to expand, and asking for something is an error.
    if spec.flavor == Flavor::V1 {
        let expand = Expand::take(&mut admitted.params)?;
        expand.refuse_all()?;
    }
    let input = I::decode(Some(admitted.params), Path::ROOT).map_err(Error::before_execution)?;
    let Admitted { caller, now, fingerprint, .. } = admitted;
    let key = caller.idempotency_key.as_deref();
    let request = key.map(|key| request_key(key, &fingerprint));
    meter_events::record(&app.services, &caller, now, request, input.into().into()).await
}

/// Answers `POST /v1/billing/meter_events` to whoever has read the request already.
pub(crate) async fn event(
    app: &App,
    head: &Head<'_>,
    body: &[u8],
    id: &Id<RequestKind>,
    seen: &mut KeySeen,
    now: Timestamp,
) -> Answer {
    answer(record_read(app, head, body, id, seen, now).await, Flavor::V1)
}

async fn record_read<'a>(
    app: &App,
    head: &Head<'_>,
    body: &'a [u8],
    id: &Id<RequestKind>,
    seen: &mut KeySeen,
    now: Timestamp,
) -> Result<Recorded<'a>> {
    let asker = head.admit(app, SPEC_V1, true, seen, now).await?;
    let (input, request) = read(head.content_type, body, asker.idempotency_key)?;
    let caller = Caller {
        scope: asker.key.scope.clone(),
        key: asker.key.key.clone(),
        version: asker.version,
        request: id.clone(),
        idempotency_key: asker.idempotency_key.map(str::to_owned),
        by_time: false,
    };
    meter_events::record(&app.services, &caller, now, request, input).await
}

/// The event in a body of v1, and what names a request with this idempotency key.
fn read<'a>(
    content_type: Option<&[u8]>,
    body: &'a [u8],
    key: Option<&str>,
) -> Result<(Plain<'a>, Option<RequestKey>)> {
    if !body.is_empty() {
        check_form(content_type)?;
    }
    let named =
        |params: &Node| key.map(|key| request_key(key, &Fingerprint::of("POST", PATH_V1, params)));
    if let Some(plain) = Plain::read(form::plain::pairs(body)) {
        let request = if key.is_some() { named(&plain.to_node()) } else { None };
        return Ok((plain, request));
    }
    let mut params = form::parse(body)?;
    let request = named(&params);
    Expand::take(&mut params)?.refuse_all()?;
    let input = Create::decode(Some(params), Path::ROOT).map_err(Error::before_execution)?;
    Ok((input.into(), request))
}

fn answer(recorded: Result<Recorded<'_>>, flavor: Flavor) -> Answer {
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) => return error::answer(&error, flavor),
    };
    let text = match flavor {
        Flavor::V1 => meter_events::v1_text(&recorded),
        Flavor::V2 => meter_events::v2_text(&recorded),
    };
    let answer = Answer::new(200, text);
    if recorded.replayed { answer.replayed() } else { answer }
}
