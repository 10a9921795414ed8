//! The hot path: one event in, durable, counted, answered, without a transaction of the control
//! plane.

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;
use taximeter_service::api_keys::Access;
use taximeter_service::error::{Error, Result};
use taximeter_service::expand::Expand;
use taximeter_service::meter_events::{self, Create, CreateV2, Recorded};
use taximeter_service::params::{Decode, Path};

use crate::app::App;
use crate::dispatch::{Admitted, mark_replayed};
use crate::endpoint::{Flavor, Spec};
use crate::error;
use crate::request::json_response;

/// What a restricted key needs permission for.
pub(crate) const RESOURCE: &str = "billing_meter_event";

/// `POST /v1/billing/meter_events`
pub(crate) async fn create_v1(State(app): State<App>, request: Request) -> Response {
    let spec = Spec { flavor: Flavor::V1, resource: RESOURCE, access: Access::Write };
    let recorded = record::<Create>(&app, request, spec).await;
    respond(recorded, Flavor::V1, |recorded| meter_events::v1(&recorded.event))
}

/// `POST /v2/billing/meter_events`
pub(crate) async fn create_v2(State(app): State<App>, request: Request) -> Response {
    let spec = Spec { flavor: Flavor::V2, resource: RESOURCE, access: Access::Write };
    let recorded = record::<CreateV2>(&app, request, spec).await;
    respond(recorded, Flavor::V2, |recorded| meter_events::v2(&recorded.event))
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

fn respond(
    recorded: Result<Recorded>,
    flavor: Flavor,
    wire: impl Fn(&Recorded) -> Value,
) -> Response {
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) => return error::response(&error, flavor),
    };
    let text = format!("{:#}", wire(&recorded));
    let mut response = json_response(200, text);
    if recorded.replayed {
        mark_replayed(&mut response, None);
    }
    response
}
