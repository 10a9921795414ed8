//! Exact decimal numbers for quantities and unit prices.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The most digits after the point that a [`Decimal`] holds.
pub const SCALE_MAX: u8 = 18;

/// An exact decimal: `mantissa / 10^scale`, always in lowest terms (no trailing zeros after the
/// point), so equal numbers are equal values. `12.50` is mantissa 125, scale 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

/// Why a text or a computation gave no [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// The text is not `-?digits[.digits]`.
    #[error("not a decimal number")]
    Syntax,
    /// More than [`SCALE_MAX`] digits after the point.
    #[error("more than {SCALE_MAX} digits after the decimal point")]
    TooManyDecimals,
    /// The number does not fit.
    #[error("number too large")]
    Overflow,
}

fn ten_to(power: u8) -> Option<i128> {
    10_i128.checked_pow(u32::from(power))
}

impl Decimal {
    /// 0.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };
    /// 1.
    pub const ONE: Self = Self { mantissa: 1, scale: 0 };

    /// The whole number `n`.
    #[must_use]
    pub const fn from_int(n: i64) -> Self {
        // A widening conversion: `From` is not const.
        #[expect(clippy::as_conversions, clippy::cast_lossless, reason = "i64 always fits i128")]
        let mantissa = n as i128;
        Self { mantissa, scale: 0 }
    }

    /// `mantissa / 10^scale`. `(125, 1)` is 12.5.
    ///
    /// # Errors
    /// [`DecimalError::TooManyDecimals`] when `scale` exceeds [`SCALE_MAX`] in lowest terms.
    pub fn new(mantissa: i128, scale: u8) -> Result<Self, DecimalError> {
        let lowest = Self::lowest_terms(mantissa, scale);
        if lowest.scale > SCALE_MAX { Err(DecimalError::TooManyDecimals) } else { Ok(lowest) }
    }

    const fn lowest_terms(mut mantissa: i128, mut scale: u8) -> Self {
        while scale > 0 && mantissa.wrapping_rem(10) == 0 {
            mantissa = mantissa.wrapping_div(10);
            scale = scale.saturating_sub(1);
        }
        Self { mantissa, scale }
    }

    /// The digits without the point: 125 for 12.5.
    #[must_use]
    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// How many digits stand after the point: 1 for 12.5.
    #[must_use]
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Whether the number is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The two mantissas brought to the larger scale.
    fn aligned(self, other: Self) -> Result<(i128, i128, u8), DecimalError> {
        let scale = self.scale.max(other.scale);
        let widen = |d: Self| {
            ten_to(scale.saturating_sub(d.scale))
                .and_then(|factor| d.mantissa.checked_mul(factor))
                .ok_or(DecimalError::Overflow)
        };
        Ok((widen(self)?, widen(other)?, scale))
    }

    /// The exact sum. 1.5 + 0.25 = 1.75.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when it does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, DecimalError> {
        let (a, b, scale) = self.aligned(other)?;
        Ok(Self::lowest_terms(a.checked_add(b).ok_or(DecimalError::Overflow)?, scale))
    }

    /// The exact difference. 1.5 - 0.25 = 1.25.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when it does not fit.
    pub fn checked_sub(self, other: Self) -> Result<Self, DecimalError> {
        let (a, b, scale) = self.aligned(other)?;
        Ok(Self::lowest_terms(a.checked_sub(b).ok_or(DecimalError::Overflow)?, scale))
    }
}

impl From<i64> for Decimal {
    fn from(n: i64) -> Self {
        Self::from_int(n)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads `-?digits[.digits]`: no exponent, no sign `+`, no grouping, no bare point.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(DecimalError::Syntax);
        }
        let fraction = fraction.trim_end_matches('0');
        let scale = u8::try_from(fraction.len()).map_err(|_| DecimalError::TooManyDecimals)?;
        if scale > SCALE_MAX {
            return Err(DecimalError::TooManyDecimals);
        }
        let mut mantissa: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|m| m.checked_add(i128::from(byte.wrapping_sub(b'0'))))
                .ok_or(DecimalError::Overflow)?;
        }
        if digits.len() != text.len() {
            mantissa = mantissa.checked_neg().ok_or(DecimalError::Overflow)?;
        }
        Ok(Self::lowest_terms(mantissa, scale))
    }
}

impl fmt::Display for Decimal {
    /// Plain notation without trailing zeros: `12.5`, `-0.05`, `3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale.saturating_add(1));
        let (whole, fraction) = padded.split_at(padded.len().saturating_sub(scale));
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(*other) {
            Ok((a, b, _)) => a.cmp(&b),
            // Too far apart to share a scale: the one with the larger whole part is further out.
            Err(_) => self.whole().cmp(&other.whole()),
        }
    }
}

impl Decimal {
    /// The part before the point, towards zero: 12 for 12.5, -12 for -12.5.
    #[must_use]
    pub fn whole(self) -> i128 {
        ten_to(self.scale).and_then(|unit| self.mantissa.checked_div(unit)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_decimal_reads_and_prints_without_trailing_zeros() {
        for (text, printed) in [("12.50", "12.5"), ("-0.050", "-0.05"), ("007", "7"), ("-0", "0")] {
            assert_eq!(dec(text).to_string(), printed);
        }
    }

    #[test]
    fn a_text_that_is_no_decimal_is_refused() {
        for text in ["", "-", ".5", "5.", "1e5", "+1", "1,000", "NaN", " 1", "--1", "0x1"] {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError::Syntax), "{text}");
        }
    }
}
