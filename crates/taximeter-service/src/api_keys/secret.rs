//! Secrets: the text of a key, how it is made, and how much of it may be shown.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};
use taximeter_kernel::id::Mode;

use super::KeyKind;

/// The shortest part after the prefix that is accepted as a secret, in characters.
pub const SECRET_CHARS_MIN: usize = 8;
/// The longest key that is looked at, in bytes.
pub const SECRET_BYTES_MAX: usize = 255;

/// How many characters of a masked key stay readable at its end.
const SHOWN_CHARS: usize = 4;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a key begins with, and what that says.
const PREFIXES: [(&str, KeyKind, Mode); 6] = [
    ("sk_test_", KeyKind::Secret, Mode::Test),
    ("sk_live_", KeyKind::Secret, Mode::Live),
    ("rk_test_", KeyKind::Restricted, Mode::Test),
    ("rk_live_", KeyKind::Restricted, Mode::Live),
    ("pk_test_", KeyKind::Publishable, Mode::Test),
    ("pk_live_", KeyKind::Publishable, Mode::Live),
];

/// The SHA-256 of a secret: what is stored in its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// As it is stored: 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _infallible = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// The text with which a program proves who it is. Debug shows it masked; it has no Display.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    kind: KeyKind,
    mode: Mode,
}

/// A text that cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a key: a key is `sk_test_`, `sk_live_`, `rk_…` or `pk_…` and then at least \
     {SECRET_CHARS_MIN} letters, digits or `_`, {SECRET_BYTES_MAX} bytes in all at most"
)]
pub struct InvalidSecret;

impl Secret {
    /// Makes a new secret out of `entropy`, 32 uniformly random bytes: 32 letters and digits.
    ///
    /// Each takes one byte modulo 62, so the likeliest have a probability of 5/256: 5.67 bits each,
    /// 181 in all.
    #[must_use]
    pub fn generate(kind: KeyKind, mode: Mode, entropy: [u8; 32]) -> Self {
        let mut text = prefix(kind, mode).to_owned();
        for byte in entropy {
            text.push(char::from(BASE62[usize::from(byte) % BASE62.len()]));
        }
        Self { text, kind, mode }
    }

    /// Takes a text as a secret.
    ///
    /// # Errors
    /// [`InvalidSecret`] when it has no known prefix, or is too short, too long or holds other
    /// characters than letters, digits and `_`.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let (rest, kind, mode) = split(text).ok_or(InvalidSecret)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fits = text.len() <= SECRET_BYTES_MAX && rest.len() >= SECRET_CHARS_MIN;
        if !fits || !rest.bytes().all(plain) {
            return Err(InvalidSecret);
        }
        Ok(Self { text: text.to_owned(), kind, mode })
    }

    /// What the key is for.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The dataset it opens.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The text itself: shown to its owner once, and never logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is stored in its place.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.text.as_bytes()).into())
    }

    /// How lists show it: `sk_test_****wxyz`, whatever its length.
    #[must_use]
    pub fn hint(&self) -> String {
        let tail = &self.text[self.text.len() - SHOWN_CHARS..];
        format!("{}****{tail}", prefix(self.kind, self.mode))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.text))
    }
}

/// A key as error messages show it: its prefix, a `*` for each hidden character, its last four.
///
/// A text too short to be a key is hidden but for its prefix, and one too long is cut: it may be
/// anything, a password too.
#[must_use]
pub fn mask(presented: &str) -> String {
    let (rest, prefix) = match split(presented) {
        Some((rest, kind, mode)) => (rest, prefix(kind, mode)),
        None => (presented, ""),
    };
    let rest: Vec<char> = rest.chars().take(SECRET_BYTES_MAX).collect();
    let shown = if rest.len() < SECRET_CHARS_MIN { 0 } else { SHOWN_CHARS };
    let hidden = rest.len() - shown;
    let mut masked = String::with_capacity(prefix.len() + rest.len());
    masked.push_str(prefix);
    masked.extend(std::iter::repeat_n('*', hidden));
    masked.extend(rest.iter().skip(hidden).map(|c| if c.is_ascii_graphic() { *c } else { '*' }));
    masked
}

/// What is after the prefix, and what the prefix says.
fn split(text: &str) -> Option<(&str, KeyKind, Mode)> {
    PREFIXES
        .iter()
        .find_map(|(prefix, kind, mode)| Some((text.strip_prefix(prefix)?, *kind, *mode)))
}

const fn prefix(kind: KeyKind, mode: Mode) -> &'static str {
    match (kind, mode) {
        (KeyKind::Secret, Mode::Test) => "sk_test_",
        (KeyKind::Secret, Mode::Live) => "sk_live_",
        (KeyKind::Restricted, Mode::Test) => "rk_test_",
        (KeyKind::Restricted, Mode::Live) => "rk_live_",
        (KeyKind::Publishable, Mode::Test) => "pk_test_",
        (KeyKind::Publishable, Mode::Live) => "pk_live_",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_secret_says_its_kind_and_mode_and_reads_back() {
        for (text, kind, mode) in PREFIXES {
            let secret = Secret::generate(kind, mode, [61; 32]);
            assert_eq!(secret.expose(), format!("{text}{}", "z".repeat(32)));
            assert_eq!(Secret::parse(secret.expose()), Ok(secret));
        }
    }

    #[test]
    fn each_byte_of_entropy_changes_the_secret() {
        let zero = Secret::generate(KeyKind::Secret, Mode::Test, [0; 32]);
        for place in 0..32 {
            let mut entropy = [0; 32];
            entropy[place] = 7;
            assert_ne!(Secret::generate(KeyKind::Secret, Mode::Test, entropy), zero, "{place}");
        }
    }

    #[test]
    fn a_text_that_cannot_be_a_key_is_refused() {
        let long = format!("sk_test_{}", "a".repeat(248));
        for text in [
            "",
            "sk_test_",
            "sk_test_1234567",
            "sk_prod_12345678",
            "sk_test_1234 5678",
            "sk_test_1234567é",
            "whsec_12345678",
            " sk_test_12345678",
            &long,
        ] {
            assert_eq!(Secret::parse(text), Err(InvalidSecret), "{text}");
        }
        assert!(Secret::parse("sk_test_12345678").is_ok());
    }

    #[test]
    fn a_mask_keeps_the_prefix_and_the_last_four() {
        let rows = [
            ("sk_test_abcdefghwxyz", "sk_test_********wxyz"),
            ("rk_live_12345678", "rk_live_****5678"),
            ("sk_test_1234567", "sk_test_*******"),
            ("sk_test_", "sk_test_"),
            ("hunter2", "*******"),
            ("correct horse", "*********orse"),
            ("sk_test_abcdefgh\u{7}\u{e9}yz", "sk_test_**********yz"),
        ];
        for (presented, masked) in rows {
            assert_eq!(mask(presented), masked, "{presented}");
        }
        assert_eq!(mask(&"x".repeat(100_000)).len(), SECRET_BYTES_MAX);
    }

    #[test]
    fn a_secret_is_not_in_its_hint_its_hash_or_its_debug_output() {
        let secret = Secret::parse("sk_test_abcdefghwxyz").unwrap();
        assert_eq!(secret.hint(), "sk_test_****wxyz");
        assert_eq!(format!("{secret:?}"), "sk_test_********wxyz");
        // `printf %s sk_test_abcdefghwxyz | sha256sum`
        assert_eq!(
            secret.hash().hex(),
            "b155d10e1d46f40dd2686d14444a9dae801d38d53af627b7002bede0443858d5"
        );
    }
}
