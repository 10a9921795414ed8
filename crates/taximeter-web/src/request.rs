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
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::new(
            Kind::TooLarge,
            format!("The request body is larger than {BODY_BYTES_MAX} bytes."),
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
    let query = query.unwrap_or("").as_bytes();
    match flavor {
        Flavor::V1 => {
            if !body.is_empty() {
                check_form(content_type)?;
            }
            if query.is_empty() {
                return form::parse(body);
            }
            form::parse(&[query, body].join(&b'&'))
        }
        Flavor::V2 if body.is_empty() => form::parse(query),
        Flavor::V2 => {
            let mut params = json::parse(body)?;
            // What the query says must be taken or refused like the rest.
            if let (Node::Map(members), Node::Map(more)) = (&mut params, form::parse(query)?) {
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

/// v1 takes forms only; a body without a type is taken for one.
fn check_form(content_type: Option<&[u8]>) -> Result<()> {
    let Some(value) = content_type else { return Ok(()) };
    let essence = visible(value).unwrap_or("").split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
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
