//! From an HTTP request to the untyped tree of its parameters.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use taximeter_service::error::{Error, Kind, Result};
use taximeter_service::params::Node;

use crate::answer::Answer;
use crate::endpoint::Flavor;
use crate::head::visible;
use crate::{form, json};

/// The largest body taken, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Reads a body, but not more than the limit.
pub(crate) async fn read_body(body: Body) -> Result<Bytes> {
    read_body_within(body, BODY_BYTES_MAX).await
}

/// Reads a body, but not more than `bytes_max`.
pub(crate) async fn read_body_within(body: Body, bytes_max: usize) -> Result<Bytes> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::new(
            Kind::TooLarge,
            format!("The request body is larger than {bytes_max} bytes."),
        )
        .before_execution()),
        Err(error) => Err(Error::invalid("The request body could not be read.")
            .because(error)
            .before_execution()),
    }
}

/// The parameters of a request: those of its query and those of its body.
pub(crate) fn params(
    flavor: Flavor,
    content_type: Option<&[u8]>,
    query: Option<&str>,
    body: &[u8],
) -> Result<Node> {
    let query = query.unwrap_or("");
    match flavor {
        Flavor::V1 => {
            if !body.is_empty() {
                check_form(content_type)?;
            }
            form_params(query, body, form::PAIRS_MAX)
        }
        Flavor::V2 => json_params(query, body, json::VALUES_MAX),
    }
}

/// The parameters of a form, of at most `pairs_max` pairs.
pub(crate) fn form_params(query: &str, body: &[u8], pairs_max: usize) -> Result<Node> {
    if query.is_empty() {
        return form::parse_within(body, pairs_max);
    }
    form::parse_within(&[query.as_bytes(), body].join(&b'&'), pairs_max)
}

/// The parameters of a JSON object, of at most `values_max` values.
pub(crate) fn json_params(query: &str, body: &[u8], values_max: usize) -> Result<Node> {
    match body {
        [] => form::parse(query.as_bytes()),
        body => {
            let mut params = json::parse_within(body, values_max)?;
            // What the query says must be taken or refused like the rest.
            if let (Node::Map(members), Node::Map(more)) =
                (&mut params, form::parse(query.as_bytes())?)
            {
                if let Some((name, _)) =
                    more.iter().find(|(n, _)| members.iter().any(|(m, _)| m == n))
                {
                    return Err(twice(name));
                }
                members.extend(more);
            }
            Ok(params)
        }
    }
}

fn twice(name: &str) -> Error {
    let message =
        format!("Invalid parameter {name}: it was sent both in the query and in the body");
    Error::invalid(message).param(name).before_execution()
}

/// The type of a body without its parameters.
fn essence(content_type: &[u8]) -> &str {
    visible(content_type).unwrap_or("").split(';').next().unwrap_or("").trim()
}

/// Whether the body of an endpoint that takes both is JSON, and no form.
pub(crate) fn is_json(content_type: Option<&[u8]>) -> Result<bool> {
    if content_type.map(essence).is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Ok(true);
    }
    check_form(content_type).map(|()| false)
}

/// The type of a form's body.
const FORM: &str = "application/x-www-form-urlencoded";

/// v1 takes forms only; a body without a type is taken for one.
pub(crate) fn check_form(content_type: Option<&[u8]>) -> Result<()> {
    let Some(value) = content_type else { return Ok(()) };
    if value == FORM.as_bytes() {
        return Ok(());
    }
    let essence = essence(value);
    if essence.eq_ignore_ascii_case(FORM) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Invalid request Content-Type: {essence}. Send the parameters of /v1 as \
         application/x-www-form-urlencoded."
    ))
    .before_execution())
}

/// A JSON response.
pub(crate) fn json_response(status: u16, text: String) -> Response {
    Answer::new(status, text).into_response()
}
