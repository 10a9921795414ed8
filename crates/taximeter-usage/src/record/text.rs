//! Texts of a record that may be written shorter than they are.

use std::fmt;

use taximeter_kernel::decimal::Decimal;

use super::uuid;

/// A text that is in the log as it is, or as what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text<'a> {
    Plain(&'a str),
    /// In the usual notation: lower case, with dashes.
    Uuid([u8; 16]),
    /// In plain notation without trailing zeros.
    Number(Decimal),
}

/// Room for a text that is not in the log as it is.
#[derive(Debug)]
pub(crate) struct TextBuffer {
    bytes: [u8; TEXT_BYTES_MAX],
}

impl Default for TextBuffer {
    fn default() -> Self {
        Self { bytes: [0; TEXT_BYTES_MAX] }
    }
}

/// More than a UUID's 36 bytes or a number's sign, point and 39 digits.
const TEXT_BYTES_MAX: usize = 64;

impl<'a> Text<'a> {
    /// The text itself.
    pub(crate) fn as_str<'b>(&self, buffer: &'b mut TextBuffer) -> &'b str
    where
        'a: 'b,
    {
        let bytes = match self {
            Self::Plain(text) => return text,
            Self::Uuid(bytes) => {
                let text = uuid::text(*bytes);
                if let Some(room) = buffer.bytes.first_chunk_mut() {
                    *room = text;
                }
                buffer.bytes.get(..text.len())
            }
            Self::Number(number) => Some(decimal(*number, buffer)),
        };
        // Both notations are ASCII and fit.
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str(&mut TextBuffer::default()))
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        match self {
            Self::Plain(text) => *text == other,
            Self::Uuid(bytes) => uuid::parse(other.as_bytes()) == Some(*bytes),
            Self::Number(_) => self.as_str(&mut TextBuffer::default()) == other,
        }
    }
}

/// The canonical notation of `number`, as its `Display` gives it.
pub(crate) fn decimal(number: Decimal, buffer: &mut TextBuffer) -> &[u8] {
    let mut rest = number.mantissa().unsigned_abs();
    let mut start = TEXT_BYTES_MAX;
    let mut put = |byte: u8, start: &mut usize| {
        *start = start.saturating_sub(1);
        if let Some(room) = buffer.bytes.get_mut(*start) {
            *room = byte;
        }
    };
    let scale = number.scale();
    let mut digits: u8 = 0;
    // Dividing 64 bits is many times faster than 128, and nearly every number has no more.
    while rest > u128::from(u64::MAX) {
        put(digit(u64::try_from(rest % 10).unwrap_or_default()), &mut start);
        digits = digits.saturating_add(1);
        if digits == scale {
            put(b'.', &mut start);
        }
        rest = rest.wrapping_div(10);
    }
    let mut rest = u64::try_from(rest).unwrap_or_default();
    while rest > 0 || digits <= scale {
        put(digit(rest % 10), &mut start);
        digits = digits.saturating_add(1);
        if digits == scale {
            put(b'.', &mut start);
        }
        rest = rest.wrapping_div(10);
    }
    if number.is_negative() {
        put(b'-', &mut start);
    }
    buffer.bytes.get(start..).unwrap_or_default()
}

fn digit(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low.saturating_add(b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_is_written_as_it_displays(
            mantissa in prop_oneof![any::<i128>(), (-1_000_i128..1_000), any::<i64>().prop_map(i128::from)],
            scale in 0_u8..=18,
        ) {
            let number = Decimal::new(mantissa, scale).unwrap();
            prop_assert_eq!(Text::Number(number).to_string(), number.to_string());
        }
    }

    #[test]
    fn the_longest_number_fits() {
        for scale in [0, 1, 18] {
            let number = Decimal::new(i128::MIN, scale).unwrap();
            assert_eq!(Text::Number(number).to_string(), number.to_string());
        }
    }

    #[test]
    fn a_text_equals_what_it_displays() {
        let uuid = "0198c2a4-51e7-7f03-9abc-def012345678";
        let texts = [
            Text::Plain("a"),
            Text::Uuid(uuid::parse(uuid.as_bytes()).unwrap()),
            Text::Number("1.5".parse().unwrap()),
        ];
        for (text, shown) in texts.iter().zip(["a", uuid, "1.5"]) {
            assert_eq!(text.to_string(), shown);
            assert!(*text == *shown);
            assert!(*text != *"1.50");
        }
    }
}
