//! What a request's head says of who asks, and how.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use taximeter_kernel::time::Timestamp;
use taximeter_service::api_keys::Shown;
use taximeter_service::error::{Error, Result};
use taximeter_service::idempotency;
use taximeter_service::version::ApiVersion;

use crate::app::App;
use crate::auth::presented_key;
use crate::dispatch::{IDEMPOTENCY_KEY, STRIPE_VERSION};
use crate::endpoint::Spec;

/// The header fields that matter to every endpoint, as they were sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) authorization: Option<&'a [u8]>,
    pub(crate) version: Option<&'a [u8]>,
    pub(crate) idempotency_key: Option<&'a [u8]>,
    pub(crate) content_type: Option<&'a [u8]>,
}

/// A key that was shown before, so that showing the same again costs no look at what all share.
///
/// Each connection has its own, and it serves for as long as the shared one would.
#[derive(Debug, Default)]
pub(crate) struct KeySeen(Option<(Vec<u8>, Arc<Shown>)>);

/// Who asks, and how.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) key: Arc<Shown>,
    pub(crate) version: ApiVersion,
    pub(crate) idempotency_key: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// The fields of `headers`: of one that comes twice, the first.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let field = |name: &HeaderName| headers.get(name).map(HeaderValue::as_bytes);
        Self {
            authorization: field(&AUTHORIZATION),
            version: field(&STRIPE_VERSION),
            idempotency_key: field(&IDEMPOTENCY_KEY),
            content_type: field(&CONTENT_TYPE),
        }
    }

    /// Lets a request in, or says why not. `keyed` tells whether its `Idempotency-Key` counts.
    pub(crate) async fn admit(
        &self,
        app: &App,
        spec: Spec,
        keyed: bool,
        seen: &mut KeySeen,
        now: Timestamp,
    ) -> Result<Asker<'a>> {
        let key = self.key(app, seen, now).await?;
        key.require(spec.resource, spec.access)?;
        let (version, idempotency_key) = self.manner(keyed)?;
        Ok(Asker { key, version, idempotency_key })
    }

    /// In which version the client speaks, and how a retry is recognised.
    pub(crate) fn manner(&self, keyed: bool) -> Result<(ApiVersion, Option<&'a str>)> {
        let version = match text(self.version, &STRIPE_VERSION)? {
            Some(text) => ApiVersion::parse(text)?,
            None => ApiVersion::newest(),
        };
        let idempotency_key =
            if keyed { text(self.idempotency_key, &IDEMPOTENCY_KEY)? } else { None };
        if let Some(key) = idempotency_key {
            idempotency::check_key(key)?;
        }
        Ok((version, idempotency_key))
    }

    async fn key(&self, app: &App, seen: &mut KeySeen, now: Timestamp) -> Result<Arc<Shown>> {
        if let (Some(sent), Some((before, key))) = (self.authorization, &seen.0)
            && same(sent, before)
            && key.serves(now)
        {
            return Ok(Arc::clone(key));
        }
        let presented = self.authorization.map(presented_key).transpose()?.flatten();
        let key = app.authenticator.authenticate(presented.as_deref(), now).await?;
        seen.0 = self.authorization.map(|sent| (sent.to_owned(), Arc::clone(&key)));
        Ok(key)
    }
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differ = one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b));
    one.len() == other.len() && differ == 0
}

fn text<'a>(value: Option<&'a [u8]>, name: &HeaderName) -> Result<Option<&'a str>> {
    let Some(value) = value else { return Ok(None) };
    visible(value).map(Some).ok_or_else(|| {
        Error::invalid(format!("Invalid {name} header: only visible ASCII is accepted."))
            .before_execution()
    })
}

/// The text of a field in which all is visible ASCII, spaces or tabs.
pub(crate) fn visible(value: &[u8]) -> Option<&str> {
    let plain = value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    if plain { std::str::from_utf8(value).ok() } else { None }
}
