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
use taximeter_service::meter_events::{self, Create, CreateV2, Recorded};
use taximeter_service::params::{Decode, Path};

use crate::answer::Answer;
use crate::app::App;
use crate::dispatch::Admitted;
use crate::endpoint::{Flavor, Spec};
use crate::error;
use crate::head::{Head, KeySeen};
use crate::request::params;

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
) -> Result<Recorded> {
    let mut admitted = Admitted::admit(app, request, spec).await?;
    // An event has nothing to expand, and asking for something is an error.
    if spec.flavor == Flavor::V1 {
        let expand = Expand::take(&mut admitted.params)?;
        expand.refuse_all()?;
    }
    let input = I::decode(Some(admitted.params), Path::ROOT).map_err(Error::before_execution)?;
    let Admitted { caller, now, fingerprint, .. } = admitted;
    meter_events::record(&app.services, &caller, now, &fingerprint, input.into()).await
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

async fn record_read(
    app: &App,
    head: &Head<'_>,
    body: &[u8],
    id: &Id<RequestKind>,
    seen: &mut KeySeen,
    now: Timestamp,
) -> Result<Recorded> {
    let asker = head.admit(app, SPEC_V1, true, seen, now).await?;
    let mut params = params(Flavor::V1, head.content_type, None, body)?;
    let fingerprint = Fingerprint::of("POST", PATH_V1, &params);
    Expand::take(&mut params)?.refuse_all()?;
    let input = Create::decode(Some(params), Path::ROOT).map_err(Error::before_execution)?;
    let caller = Caller {
        scope: asker.key.scope.clone(),
        key: asker.key.key.clone(),
        version: asker.version,
        request: id.clone(),
        idempotency_key: asker.idempotency_key.map(str::to_owned),
    };
    meter_events::record(&app.services, &caller, now, &fingerprint, input).await
}

fn answer(recorded: Result<Recorded>, flavor: Flavor) -> Answer {
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) => return error::answer(&error, flavor),
    };
    let object = match flavor {
        Flavor::V1 => meter_events::v1(&recorded),
        Flavor::V2 => meter_events::v2(&recorded),
    };
    let answer = Answer::new(200, format!("{object:#}"));
    if recorded.replayed { answer.replayed() } else { answer }
}
