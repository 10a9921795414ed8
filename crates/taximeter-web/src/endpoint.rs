//! The table of endpoints: what each takes, who may call it, which verb answers.

use axum::http::Method;
use axum::routing::MethodRouter;
use serde_json::Value;
use taximeter_service::api_keys::Access;
use taximeter_service::page::List;
use taximeter_service::params::Schema;

use crate::app::App;

/// Which of the two dialects of the API an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Forms, `expand`, v1 errors.
    V1,
    /// JSON bodies, v2 errors.
    V2,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The HTTP method.
    pub method: Method,
    /// The path, `/v1/customers/{id}`.
    pub path: &'static str,
    /// The parameters it honours. Any other is refused.
    pub schema: Schema,
    /// What a restricted key needs permission for.
    pub resource: &'static str,
    pub(crate) handler: MethodRouter<App>,
}

/// What dispatching a request needs to know of its endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) flavor: Flavor,
    pub(crate) resource: &'static str,
    pub(crate) access: Access,
}

/// Every endpoint of the API.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    crate::api::endpoints()
}

/// What a verb returns, as JSON.
pub(crate) trait Answer {
    fn answer(self) -> Value;
}

impl Answer for Value {
    fn answer(self) -> Value {
        self
    }
}

impl Answer for List {
    fn answer(self) -> Value {
        self.into()
    }
}

macro_rules! answers {
    ($($type:ty),* $(,)?) => {$(
        impl Answer for $type {
            fn answer(self) -> Value {
                self.wire()
            }
        }
    )*};
}

answers! {
    taximeter_service::balance_transactions::BalanceTransaction,
    taximeter_service::coupons::Coupon,
    taximeter_service::charges::Charge,
    taximeter_service::credit_notes::CreditNote,
    taximeter_service::customers::Customer,
    taximeter_service::events::Event,
    taximeter_service::invoice_payments::InvoicePayment,
    taximeter_service::invoice_items::InvoiceItem,
    taximeter_service::invoices::Invoice,
    taximeter_service::meter_event_backfills::Backfill,
    taximeter_service::meter_errors::MeterEventError,
    taximeter_service::meter_errors::reports::Report,
    taximeter_service::meters::Meter,
    taximeter_service::payment_intents::PaymentIntent,
    taximeter_service::payment_methods::PaymentMethod,
    taximeter_service::prices::Price,
    taximeter_service::products::Product,
    taximeter_service::promotion_codes::PromotionCode,
    taximeter_service::refunds::Refund,
    taximeter_service::setup_intents::SetupIntent,
    taximeter_service::subscription_schedules::Schedule,
    taximeter_service::subscriptions::Subscription,
    taximeter_service::subscriptions::Item,
    taximeter_service::tax_rates::TaxRate,
    taximeter_service::test_clocks::TestClock,
    taximeter_service::usage_audit::Entry,
    taximeter_service::webhooks::WebhookEndpoint,
}

/// Declares the endpoints of one resource:
///
/// ```text
/// resource! { "customer":
///     POST "/v1/customers" => customers::create(customers::Create);
///     GET "/v1/customers/{id}" => customers::retrieve_any(id);
/// }
/// ```
///
/// `name(Input)` calls `name(ctx, input)`, `name(id)` calls `name(ctx, id)`, `name(id, Input)`
/// calls `name(ctx, id, input)`; with `part` after `id`, what stands as `{part}` in the path follows
/// the id. A GET reads in a snapshot; all else runs in a transaction.
macro_rules! resource {
    ($resource:literal: $($lines:tt)*) => {
        $crate::endpoint::resource! { V1 $resource: $($lines)* }
    };
    ($flavor:ident $resource:literal:
     $( $method:ident $path:literal => $module:ident :: $verb:ident $args:tt; )*) => {
        pub(super) fn endpoints() -> Vec<$crate::endpoint::Endpoint> {
            vec![$( $crate::endpoint::route!($flavor $resource, $method, $path, $module, $verb, $args) ),*]
        }
    };
}

macro_rules! route {
    ($flavor:ident $resource:literal, $method:ident, $path:literal, $module:ident, $verb:ident, (id)) => {
        $crate::endpoint::route!(
            @$method $flavor $resource, $path, taximeter_service::params::Nothing,
            |ctx, ids, _input| $module::$verb(ctx, &ids.id)
        )
    };
    ($flavor:ident $resource:literal, $method:ident, $path:literal, $module:ident, $verb:ident, ($input:ty)) => {
        $crate::endpoint::route!(
            @$method $flavor $resource, $path, $input,
            |ctx, _ids, input| $module::$verb(ctx, input)
        )
    };
    ($flavor:ident $resource:literal, $method:ident, $path:literal, $module:ident, $verb:ident, (id, part)) => {
        $crate::endpoint::route!(
            @$method $flavor $resource, $path, taximeter_service::params::Nothing,
            |ctx, ids, _input| $module::$verb(ctx, &ids.id, &ids.part)
        )
    };
    ($flavor:ident $resource:literal, $method:ident, $path:literal, $module:ident, $verb:ident, (id, part, $input:ty)) => {
        $crate::endpoint::route!(
            @$method $flavor $resource, $path, $input,
            |ctx, ids, input| $module::$verb(ctx, &ids.id, &ids.part, input)
        )
    };
    ($flavor:ident $resource:literal, $method:ident, $path:literal, $module:ident, $verb:ident, (id, $input:ty)) => {
        $crate::endpoint::route!(
            @$method $flavor $resource, $path, $input,
            |ctx, ids, input| $module::$verb(ctx, &ids.id, input)
        )
    };
    (@GET $flavor:ident $resource:literal, $path:literal, $input:ty, |$ctx:ident, $id:ident, $args:ident| $call:expr) => {
        $crate::endpoint::route!(
            @@ GET, get, Read, $flavor, $resource, $path, $input, |$ctx, $id, $args| $call
        )
    };
    (@POST $flavor:ident $resource:literal, $path:literal, $input:ty, |$ctx:ident, $id:ident, $args:ident| $call:expr) => {
        $crate::endpoint::route!(
            @@ POST, post, Write, $flavor, $resource, $path, $input, |$ctx, $id, $args| $call
        )
    };
    (@DELETE $flavor:ident $resource:literal, $path:literal, $input:ty, |$ctx:ident, $id:ident, $args:ident| $call:expr) => {
        $crate::endpoint::route!(
            @@ DELETE, delete, Write, $flavor, $resource, $path, $input, |$ctx, $id, $args| $call
        )
    };
    (@@ $method:ident, $route:ident, $access:ident, $flavor:ident, $resource:literal, $path:literal, $input:ty,
     |$ctx:ident, $id:ident, $args:ident| $call:expr) => {{
        const SPEC: $crate::endpoint::Spec = $crate::endpoint::Spec {
            flavor: $crate::endpoint::Flavor::$flavor,
            resource: $resource,
            access: taximeter_service::api_keys::Access::$access,
        };
        let handler = axum::routing::$route(
            |axum::extract::State(app): axum::extract::State<$crate::app::App>,
             request: axum::extract::Request| async move {
                let open = $crate::dispatch::Open::<$input>::open(app, request, SPEC).await;
                let (mut call, $id, $args) = match open {
                    Ok(open) => open.into_parts(),
                    Err(response) => return response,
                };
                let answer = {
                    let $ctx = call.ctx();
                    $call.await.map($crate::endpoint::Answer::answer)
                };
                call.finish(answer).await
            },
        );
        $crate::endpoint::Endpoint {
            method: axum::http::Method::$method,
            path: $path,
            schema: <$input as taximeter_service::params::Decode>::schema(),
            resource: $resource,
            handler,
        }
    }};
}

pub(crate) use {resource, route};
