//! Errors as clients see them.

use axum::response::Response;
use serde_json::{Map, Value};
use taximeter_service::error::{Error, Kind, RefusedPayment};

use crate::answer::Answer;
use crate::endpoint::Flavor;

/// The body of an error. Members that say nothing are left out, as Stripe does.
pub(crate) fn body(error: &Error, flavor: Flavor) -> Value {
    let mut members = Map::new();
    match (flavor, error.code) {
        (Flavor::V1, Some(code)) => {
            let page = code.replace('_', "-");
            let url = format!("https://stripe.com/docs/error-codes/{page}");
            members.insert("code".into(), code.into());
            members.insert("doc_url".into(), url.into());
        }
        (Flavor::V1, None) => {}
        (Flavor::V2, code) => {
            let code = error.v2_code.or(code).unwrap_or_else(|| v2_code(error.kind));
            members.insert("code".into(), code.into());
        }
    }
    members.insert("message".into(), error.message.clone().into());
    if let Some(param) = &error.param {
        let name = if flavor == Flavor::V1 { "param" } else { "invalid_param" };
        members.insert(name.into(), param.clone().into());
    }
    if let Some(payment) = &error.payment {
        let RefusedPayment { decline_code, charge, payment_intent, payment_method, setup_intent } =
            &**payment;
        let told: [(&str, Option<Value>); 5] = [
            ("decline_code", decline_code.map(Into::into)),
            ("charge", charge.clone().map(Into::into)),
            ("payment_intent", payment_intent.clone()),
            ("payment_method", payment_method.clone()),
            ("setup_intent", setup_intent.clone()),
        ];
        let told = told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        members.extend(told);
    }
    members.insert("type".into(), wire_type(error.kind, flavor).into());
    let mut body = Map::new();
    body.insert("error".into(), Value::Object(members));
    Value::Object(body)
}

/// The class that clients raise: v2 has one of its own for what comes too fast.
const fn wire_type(kind: Kind, flavor: Flavor) -> &'static str {
    match (kind, flavor) {
        (Kind::RateLimit, Flavor::V2) => "rate_limit",
        (kind, _) => kind.wire_type(),
    }
}

/// v2 errors always have a code.
const fn v2_code(kind: Kind) -> &'static str {
    match kind {
        Kind::Authentication | Kind::SessionExpired => "unauthorized",
        Kind::Permission => "forbidden",
        Kind::NotFound | Kind::UnknownRoute => "not_found",
        Kind::IdempotencyMismatch | Kind::IdempotencyInFlight => "idempotency_error",
        Kind::RateLimit => "rate_limit",
        Kind::Internal | Kind::Unavailable => "internal_error",
        Kind::InvalidRequest | Kind::Card | Kind::Conflict | Kind::TooLarge => "invalid_request",
    }
}

/// The status of an error. v2 answers a reused idempotency key with 409 where v1 has 400.
pub(crate) const fn status(error: &Error, flavor: Flavor) -> u16 {
    match (error.kind, flavor) {
        (Kind::IdempotencyMismatch, Flavor::V2) => 409,
        (kind, _) => kind.status(),
    }
}

/// The answer to a request that failed, logged when it is our fault.
pub(crate) fn answer(error: &Error, flavor: Flavor) -> Answer {
    if matches!(error.kind, Kind::Internal | Kind::Unavailable) {
        tracing::error!(error = %chain(error), "request failed");
    }
    let answer = Answer::new(status(error, flavor), body(error, flavor).to_string());
    if matches!(error.kind, Kind::RateLimit | Kind::Unavailable) {
        return answer.retry_later();
    }
    answer
}

/// The same as a response.
pub(crate) fn response(error: &Error, flavor: Flavor) -> Response {
    answer(error, flavor).into_response()
}

/// An error and what lies under it, in one line.
fn chain(error: &Error) -> String {
    let mut text = error.message.clone();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
