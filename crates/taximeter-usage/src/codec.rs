//! Bytes of the log: numbers and texts, written compactly and read without trust.
//!
//! Unsigned numbers are LEB128, signed ones zigzag before it, texts are their length and their
//! UTF-8. Reading returns [`Malformed`] for whatever the writing could not have produced in shape;
//! it never panics and never allocates more than it was given bytes.

/// Bytes that do not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

const LOW_7_BITS: u128 = 0x7f;
const MORE: u8 = 0x80;

/// Writes what [`put_unsigned`] writes, faster.
pub(crate) fn put_u64(out: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(MORE) {
        let [low, ..] = number.to_le_bytes();
        out.push(low | MORE);
        number >>= 7;
    }
    let [low, ..] = number.to_le_bytes();
    out.push(low);
}

/// Writes what [`put_signed`] writes, faster.
pub(crate) fn put_i64(out: &mut Vec<u8>, number: i64) {
    put_u64(out, (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
}

pub(crate) fn put_unsigned(out: &mut Vec<u8>, mut number: u128) {
    if let Ok(number) = u64::try_from(number) {
        return put_u64(out, number);
    }
    loop {
        let [low, ..] = (number & LOW_7_BITS).to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | MORE);
    }
}

pub(crate) fn put_signed(out: &mut Vec<u8>, number: i128) {
    let zigzag = (number.cast_unsigned() << 1) ^ (number >> 127).cast_unsigned();
    put_unsigned(out, zigzag);
}

pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    put_u64(out, u64::try_from(length).unwrap_or(u64::MAX));
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// What is still to be read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        if let [byte, rest @ ..] = self.rest
            && *byte < MORE
        {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut number: u64 = 0;
        for shift in (0_u32..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & !MORE);
            let placed = bits << shift;
            if placed >> shift != bits {
                return Err(Malformed);
            }
            number |= placed;
            if byte < MORE {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        let zigzag = self.u64()?;
        let sign = if zigzag & 1 == 0 { 0 } else { u64::MAX };
        Ok(((zigzag >> 1) ^ sign).cast_signed())
    }

    pub(crate) fn unsigned(&mut self) -> Result<u128, Malformed> {
        let mut short = Self { rest: self.rest };
        if let Ok(number) = short.u64() {
            self.rest = short.rest;
            return Ok(number.into());
        }
        let mut number: u128 = 0;
        for shift in (0_u32..128).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte) & LOW_7_BITS;
            let placed = bits << shift;
            if placed >> shift != bits {
                return Err(Malformed);
            }
            number |= placed;
            if byte & MORE == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    pub(crate) fn signed(&mut self) -> Result<i128, Malformed> {
        let zigzag = self.unsigned()?;
        let sign = if zigzag & 1 == 0 { 0 } else { u128::MAX };
        Ok(((zigzag >> 1) ^ sign).cast_signed())
    }

    pub(crate) fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.u64()?).map_err(|_| Malformed)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.length()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_numbers_are_written_the_same_both_ways(u: u64, s: i64) {
            let mut short = Vec::new();
            put_u64(&mut short, u);
            put_i64(&mut short, s);
            let mut reader = Reader::new(&short);
            prop_assert_eq!(reader.unsigned(), Ok(u.into()));
            prop_assert_eq!(reader.signed(), Ok(s.into()));
            let mut wide = Vec::new();
            put_unsigned(&mut wide, u.into());
            put_signed(&mut wide, s.into());
            prop_assert_eq!(&short, &wide);
            let mut reader = Reader::new(&short);
            prop_assert_eq!(reader.u64(), Ok(u));
            prop_assert_eq!(reader.i64(), Ok(s));
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn what_was_written_is_read(u: u128, s: i128, text in ".*") {
            let mut bytes = Vec::new();
            put_unsigned(&mut bytes, u);
            put_signed(&mut bytes, s);
            put_text(&mut bytes, &text);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.unsigned(), Ok(u));
            prop_assert_eq!(reader.signed(), Ok(s));
            prop_assert_eq!(reader.text(), Ok(text.as_str()));
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn the_ends_of_the_number_range_survive() {
        for number in [i128::MIN, -1, 0, 1, i128::MAX] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            assert_eq!(Reader::new(&bytes).signed(), Ok(number));
        }
    }

    #[test]
    fn small_numbers_take_one_byte() {
        for number in [-64, 0, 63] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            assert_eq!(bytes.len(), 1, "{number}");
        }
    }

    #[test]
    fn a_number_beyond_128_bits_or_a_length_beyond_the_bytes_is_malformed() {
        assert_eq!(Reader::new(&[0xff; 19]).unsigned(), Err(Malformed));
        assert_eq!(Reader::new(&[0xff; 10]).u64(), Err(Malformed));
        let mut too_long = [0xff; 10];
        too_long[9] = 0x02;
        assert_eq!(Reader::new(&too_long).u64(), Err(Malformed));
        let mut too_wide = [0xff; 19];
        too_wide[18] = 0x04;
        assert_eq!(Reader::new(&too_wide).unsigned(), Err(Malformed));
        assert_eq!(Reader::new(&[5, b'a']).text(), Err(Malformed));
        assert_eq!(Reader::new(&[1, 0xff]).text(), Err(Malformed));
    }
}
