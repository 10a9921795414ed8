//! Names for events that were sent without one.
//!
//! An event of a request with an idempotency key gets a name that the key, the parameters and its
//! place determine: a retry names it alike, and the second one is recognised whatever became of the
//! first.

use taximeter_usage::RequestKey;

/// Keeps the names of neighbouring places far apart.
const STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// The source of the names of one request's events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    seed: u128,
}

impl Names {
    /// Names that nobody else has: `random` is 32 uniformly random bytes.
    pub(super) fn random(random: [u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&random[..16]);
        Self { seed: u128::from_be_bytes(bytes) }
    }

    /// Names that a retry of the same request has again.
    pub(super) fn of(request: RequestKey) -> Self {
        let params = u128::from(request.fingerprint).wrapping_mul(STEP);
        Self { seed: mixed(request.key) ^ params }
    }

    /// The name of the event at `place`, in the form of a UUID, version 4.
    pub(super) fn at(self, place: usize) -> Name {
        let place = u128::try_from(place).unwrap_or(u128::MAX);
        let bits = mixed(self.seed.wrapping_add(place.wrapping_mul(STEP)));
        Name::of(bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62))
    }
}

/// Spreads each bit over all; no two inputs become one.
const fn mixed(mut bits: u128) -> u128 {
    bits ^= bits >> 67;
    bits = bits.wrapping_mul(0xd605_1f2b_bb67_ae85_84ca_a73b_2f8f_3c6b);
    bits ^= bits >> 71;
    bits = bits.wrapping_mul(0xa54f_f53a_5f1d_36f1_510e_527f_ade6_82d1);
    bits ^ (bits >> 64)
}

/// The text of a UUID.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name([u8; 36]);

impl Name {
    fn of(bits: u128) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = bits.to_be_bytes();
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (place, byte) in bytes.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 0xf)];
            at += 2;
        }
        Self(text)
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        // Hexadecimal digits and hyphens are always text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_form_of_a_uuid() {
        for bits in [0, u128::MAX] {
            let name = Name::of(bits);
            assert_eq!(name.as_str().len(), 36);
        }
        let name = Names::random([7; 32]).at(13);
        let text = name.as_str();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!((&text[14..15], "89ab".contains(&text[19..20])), ("4", true));
    }

    #[test]
    fn places_have_names_of_their_own_and_a_retry_has_them_again() {
        let request = RequestKey { key: 7, fingerprint: 13 };
        let mut names: Vec<String> =
            (0..1_000).map(|place| Names::of(request).at(place).as_str().to_owned()).collect();
        assert_eq!(Names::of(request).at(101).as_str(), names[101]);
        let other = RequestKey { key: 7, fingerprint: 14 };
        names.push(Names::of(other).at(0).as_str().to_owned());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 1_001);
    }
}
