//! Numbers of a run file: variable-length ones, and the widths of the machine.

/// Bytes that do not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

const LOW_7_BITS: u64 = 0x7f;
const MORE: u8 = 0x80;

/// A length in memory as a length in a file.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A length in a file as one in memory, where what does not fit is more than can be there.
pub(crate) fn narrow(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Appends `number` in as many bytes as it needs, 7 bits in each, low ones first.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
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

/// Appends `bytes` behind their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, wide(bytes.len()));
    out.extend_from_slice(bytes);
}

/// Takes a number from the front of `rest`.
#[inline]
pub(crate) fn take(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let (&first, tail) = rest.split_first().ok_or(Malformed)?;
    *rest = tail;
    if first < MORE {
        return Ok(first.into());
    }
    let mut number = u64::from(first) & LOW_7_BITS;
    for shift in (7_u32..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(Malformed)?;
        *rest = tail;
        let bits = u64::from(byte) & LOW_7_BITS;
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

/// Takes a number that is a length.
#[inline]
pub(crate) fn take_length(rest: &mut &[u8]) -> Result<usize, Malformed> {
    usize::try_from(take(rest)?).map_err(|_| Malformed)
}

/// Takes `length` bytes from the front of `rest`.
#[inline]
pub(crate) fn take_slice<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (head, tail) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = tail;
    Ok(head)
}

/// Takes bytes that stand behind their length.
pub(crate) fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = take_length(rest)?;
    take_slice(rest, length)
}

/// Takes `N` bytes from the front of `rest`.
pub(crate) fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (head, tail) = rest.split_first_chunk().ok_or(Malformed)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(number: u64, shift in 0_u32..64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put(&mut out, number >> shift);
            put_bytes(&mut out, &bytes);
            let mut rest = out.as_slice();
            prop_assert_eq!(take(&mut rest), Ok(number >> shift));
            prop_assert_eq!(take_bytes(&mut rest), Ok(bytes.as_slice()));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_or_without_an_end_is_malformed() {
        let mut widest = Vec::new();
        put(&mut widest, u64::MAX);
        assert_eq!(take(&mut widest.as_slice()), Ok(u64::MAX));
        for length in 0..widest.len() {
            assert_eq!(take(&mut &widest[..length]), Err(Malformed));
        }
        let mut too_wide = widest.clone();
        *too_wide.last_mut().unwrap() = 2;
        assert_eq!(take(&mut too_wide.as_slice()), Err(Malformed));
        assert_eq!(take(&mut [0xff; 11].as_slice()), Err(Malformed));
    }
}
