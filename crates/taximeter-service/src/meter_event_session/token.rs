//! The token of a session: what it claims, and the signature under it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use taximeter_kernel::id::{ApiKey, Id, MeterEventSession, Mode, Scope};
use taximeter_kernel::time::Timestamp;

/// What a token begins with, so that it is known for what it is.
pub(super) const PREFIX: &str = "mes_token_";
/// The longest token that is looked at, in bytes.
pub(super) const TOKEN_BYTES_MAX: usize = 1_024;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    /// Whose data.
    pub(super) scope: Scope,
    /// The key that made the session.
    pub(super) key: Id<ApiKey>,
    /// The session.
    pub(super) session: Id<MeterEventSession>,
    /// From when on it is refused.
    pub(super) expires_at: Timestamp,
}

/// A token whose signature has not been looked at.
#[derive(Debug)]
pub(super) struct Unverified {
    claims: Claims,
    text: String,
    signature: Vec<u8>,
}

impl Claims {
    /// The token.
    pub(super) fn seal(&self, secret: &[u8]) -> String {
        let text = format!(
            "{}:{}:{}:{}:{}",
            self.scope.account,
            self.scope.mode.as_str(),
            self.key,
            self.session,
            self.expires_at.0
        );
        let signature = mac(secret, &text).finalize().into_bytes();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{PREFIX}{}.{}", encode(text.as_bytes()), encode(&signature))
    }
}

impl Unverified {
    /// Reads a token, if the text is one.
    pub(super) fn read(token: &str) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (text, signature) = token.strip_prefix(PREFIX)?.split_once('.')?;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let mut parts = text.split(':');
        let account = Id::parse(parts.next()?).ok()?;
        let mode = match parts.next()? {
            "test" => Mode::Test,
            "live" => Mode::Live,
            _ => return None,
        };
        let key = Id::parse(parts.next()?).ok()?;
        let session = Id::parse(parts.next()?).ok()?;
        let expires_at = Timestamp(parts.next()?.parse().ok()?);
        if parts.next().is_some() {
            return None;
        }
        let claims = Claims { scope: Scope { account, mode }, key, session, expires_at };
        Some(Self { claims, text, signature })
    }

    /// Whose secret is to verify it.
    pub(super) const fn scope(&self) -> &Scope {
        &self.claims.scope
    }

    /// What it says, if `secret` signed it.
    pub(super) fn verify(self, secret: &[u8]) -> Option<Claims> {
        // Compares in constant time.
        mac(secret, &self.text).verify_slice(&self.signature).ok()?;
        Some(self.claims)
    }
}

/// Bytes of the secret for another purpose. No token says the same: it begins with an account.
pub(super) fn derived(secret: &[u8], purpose: &str) -> [u8; 32] {
    mac(secret, &format!("derived:{purpose}")).finalize().into_bytes().into()
}

#[expect(clippy::expect_used, reason = "a key of any length is taken")]
fn mac(secret: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = &[7; 32];

    fn claims() -> Claims {
        Claims {
            scope: Scope { account: Id::parse("acct_7").unwrap(), mode: Mode::Live },
            key: Id::parse("key_13").unwrap(),
            session: Id::parse("mes_101").unwrap(),
            expires_at: Timestamp(1_768_473_900),
        }
    }

    #[test]
    fn a_token_says_what_was_sealed_in_it() {
        let token = claims().seal(SECRET);
        assert_eq!(Unverified::read(&token).unwrap().verify(SECRET), Some(claims()));
        assert_eq!(Unverified::read(&token).unwrap().scope(), &claims().scope);
    }

    #[test]
    fn a_token_of_another_secret_or_with_a_letter_changed_is_none() {
        let token = claims().seal(SECRET);
        assert_eq!(Unverified::read(&token).unwrap().verify(&[8; 32]), None);
        for place in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let read = Unverified::read(&changed).and_then(|token| token.verify(SECRET));
            assert_eq!(read, None, "{place}");
        }
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        let long = format!("{PREFIX}{}", "a".repeat(TOKEN_BYTES_MAX));
        for text in ["", "sk_test_12345678", PREFIX, "mes_token_YQ.YQ", &long] {
            assert!(Unverified::read(text).is_none(), "{text}");
        }
    }
}
