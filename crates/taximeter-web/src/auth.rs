//! The key that a request shows: `Authorization: Bearer sk_…`, or HTTP Basic with the key as the
//! user and no password.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use taximeter_service::error::{Error, Kind, Result};

use crate::head::visible;

/// The key in an `Authorization` header, if there is one.
pub(crate) fn presented_key(value: &[u8]) -> Result<Option<Cow<'_, str>>> {
    let value = visible(value).ok_or_else(malformed)?;
    let (scheme, rest) = value.split_once(' ').ok_or_else(malformed)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(rest.into()).filter(|key: &Cow<'_, str>| !key.is_empty()));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let bytes = STANDARD.decode(rest).map_err(|_| malformed())?;
        let text = String::from_utf8(bytes).map_err(|_| malformed())?;
        let user = text.split_once(':').map_or(text.as_str(), |(user, _)| user);
        return Ok(Some(user.to_owned().into()).filter(|key: &Cow<'_, str>| !key.is_empty()));
    }
    Err(malformed())
}

fn malformed() -> Error {
    Error::new(
        Kind::Authentication,
        "Invalid Authorization header: use Bearer auth (e.g. 'Authorization: Bearer \
         YOUR_SECRET_KEY') or Basic auth with the key as the user name and no password.",
    )
    .before_execution()
}
