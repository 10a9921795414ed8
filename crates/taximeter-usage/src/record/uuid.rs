//! Identifiers that are UUIDs in the usual notation take 16 bytes instead of 37.
//!
//! Eight hexadecimal digits are packed at once, as the bytes of one number. A digit that is not one,
//! or not in lower case, shows in that unpacking gives other text.

/// The length of the usual notation.
pub(crate) const UUID_TEXT_BYTES: usize = 36;

const EACH: u64 = 0x0101_0101_0101_0101;
const DASH: u8 = b'-';

/// The bytes of a UUID written in lower case with dashes; `None` for any other text.
pub(crate) fn parse(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; UUID_TEXT_BYTES] = text.try_into().ok()?;
    let (a, rest) = text.split_first_chunk::<8>()?;
    let (b, rest) = halves(rest)?;
    let (c, rest) = halves(rest)?;
    let d: &[u8; 8] = rest.try_into().ok()?;
    let parts = [u64::from_be_bytes(*a), b, c, u64::from_be_bytes(*d)];
    let mut packed = [0; 16];
    for (four, digits) in packed.as_chunks_mut::<4>().0.iter_mut().zip(parts) {
        *four = pack(digits)?;
    }
    Some(packed)
}

/// Eight digits that have a dash before each four, and what follows them.
fn halves(text: &[u8]) -> Option<(u64, &[u8])> {
    let (high, rest) = text.strip_prefix(b"-")?.split_first_chunk::<4>()?;
    let (low, rest) = rest.strip_prefix(b"-")?.split_first_chunk::<4>()?;
    let digits = u64::from(u32::from_be_bytes(*high)) << 32 | u64::from(u32::from_be_bytes(*low));
    Some((digits, rest))
}

/// The usual notation.
pub(crate) fn text(uuid: [u8; 16]) -> [u8; UUID_TEXT_BYTES] {
    let (parts, _) = uuid.as_chunks::<4>();
    let mut digits = [[0; 8]; 4];
    for (digits, part) in digits.iter_mut().zip(parts) {
        *digits = unpack(*part).to_be_bytes();
    }
    let [a, b, c, d] = digits;
    let [a0, a1, a2, a3, a4, a5, a6, a7] = a;
    let [b0, b1, b2, b3, b4, b5, b6, b7] = b;
    let [c0, c1, c2, c3, c4, c5, c6, c7] = c;
    let [d0, d1, d2, d3, d4, d5, d6, d7] = d;
    [
        a0, a1, a2, a3, a4, a5, a6, a7, DASH, b0, b1, b2, b3, DASH, b4, b5, b6, b7, DASH, c0, c1,
        c2, c3, DASH, c4, c5, c6, c7, d0, d1, d2, d3, d4, d5, d6, d7,
    ]
}

fn pack(letters: u64) -> Option<[u8; 4]> {
    // The low half of '0' to '9' is the digit's value, that of 'a' to 'f' is 9 less.
    let nine = ((letters >> 6) & EACH).wrapping_mul(9);
    let mut values = (letters & EACH.wrapping_mul(0x0f)).wrapping_add(nine);
    if values & EACH.wrapping_mul(0xf0) != 0 {
        return None;
    }
    values = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    values = (values | values >> 8) & 0x0000_ffff_0000_ffff;
    values |= values >> 16;
    let [_, _, _, _, packed @ ..] = values.to_be_bytes();
    (unpack(packed) == letters).then_some(packed)
}

fn unpack(packed: [u8; 4]) -> u64 {
    let mut values = u64::from(u32::from_be_bytes(packed));
    values = (values | values << 16) & 0x0000_ffff_0000_ffff;
    values = (values | values << 8) & 0x00ff_00ff_00ff_00ff;
    values = (values | values << 4) & EACH.wrapping_mul(0x0f);
    // 1 where the value is 10 or more and a letter stands for it.
    let letter = (values.wrapping_add(EACH.wrapping_mul(6)) >> 4) & EACH;
    let to_letters = letter.wrapping_mul(u64::from(b'a' - b'0' - 10));
    values.wrapping_add(EACH.wrapping_mul(u64::from(b'0'))).wrapping_add(to_letters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plainly(uuid: [u8; 16]) -> String {
        let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    proptest! {
        #[test]
        fn a_uuid_is_written_in_the_usual_notation_and_read_back(uuid: [u8; 16]) {
            let written = text(uuid);
            prop_assert_eq!(std::str::from_utf8(&written).unwrap(), plainly(uuid));
            prop_assert_eq!(parse(&written), Some(uuid));
        }

        #[test]
        fn one_other_byte_makes_it_another_text(
            uuid: [u8; 16], at in 0..UUID_TEXT_BYTES, byte: u8,
        ) {
            let mut changed = text(uuid);
            changed[at] = byte;
            if let Some(read) = parse(&changed) {
                prop_assert_eq!(text(read), changed);
            }
        }
    }

    #[test]
    fn other_texts_are_no_uuids() {
        let uuid = "0198c2a4-51e7-7f03-9abc-def012345678";
        assert!(parse(uuid.as_bytes()).is_some());
        for other in [
            &uuid[1..],
            "",
            "0198C2a4-51e7-7f03-9abc-def012345678",
            "0198c2a4-51e7-7f03-9abc-def01234567g",
            "0198c2a4-51e7-7f03-9abc-def01234567`",
            "0198c2a4-51e7-7f03-9abcd-ef012345678",
            "0198c2a4051e7-7f03-9abc-def012345678",
        ] {
            assert_eq!(parse(other.as_bytes()), None, "{other}");
        }
    }
}
