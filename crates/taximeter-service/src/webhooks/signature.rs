//! Secrets of endpoints, and what is signed with them.

use std::fmt;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use taximeter_db::{Cell, Unfit, Value};
use taximeter_kernel::time::Timestamp;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What an endpoint and this server know, and nobody else does: `whsec_…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes a secret of 32 letters and digits out of 32 uniformly random bytes: 181 bits.
    #[must_use]
    pub fn generate(entropy: [u8; 32]) -> Self {
        let mut text = PREFIX.to_owned();
        text.extend(entropy.map(|byte| char::from(BASE62[usize::from(byte) % BASE62.len()])));
        Self(text)
    }

    /// The text itself: shown once, and never logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// HMAC-SHA256 of `1700000000.{body}` in hexadecimal, under the whole text as the key, `whsec_`
    /// included.
    #[expect(clippy::expect_used, reason = "a key of any length is taken")]
    fn sign(&self, at: Timestamp, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("any length");
        mac.update(at.0.to_string().as_bytes());
        mac.update(b".");
        mac.update(body.as_bytes());
        mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _infallible = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_****")
    }
}

impl Cell for Secret {
    const WANTED: &'static str = "a signing secret";

    fn from_value(value: Value) -> Result<Self, Unfit> {
        String::from_value(value).map(Self)
    }
}

/// The `Stripe-Signature` header: `t=1700000000,v1=…`, with a `v1` for each secret.
#[must_use]
pub(super) fn header<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    at: Timestamp,
    body: &str,
) -> String {
    let mut header = format!("t={}", at.0);
    for secret in secrets {
        header.push_str(",v1=");
        header.push_str(&secret.sign(at, body));
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_thirty_two_letters_and_digits_and_is_not_logged() {
        let secret = Secret::generate([61; 32]);
        assert_eq!(secret.expose(), format!("whsec_{}", "z".repeat(32)));
        assert_eq!(format!("{secret:?}"), "whsec_****");
    }

    #[test]
    fn a_signature_is_what_openssl_makes_of_it() {
        // printf '1700000000.{"id":"evt_7"}' | openssl dgst -sha256 -hmac whsec_test
        let secret = Secret("whsec_test".to_owned());
        let other = Secret("whsec_other".to_owned());
        assert_eq!(
            header([&secret, &other], Timestamp(1_700_000_000), r#"{"id":"evt_7"}"#),
            "t=1700000000,\
             v1=92ccda8f59ac14a6d50b0ed378ccbc847d73a6982994780110f8ae23252ee2b7,\
             v1=127d60e5863b2c22d17bb948bfd11f8466d52500edd0f7c5a9361a441e0c6dc8"
        );
    }
}
