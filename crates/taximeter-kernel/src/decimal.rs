//! Exact decimal numbers for quantities and unit prices.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use num_bigint::BigInt;

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
    /// The divisor is 0.
    #[error("division by zero")]
    DivisionByZero,
}

/// How a number becomes whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, a tie away from zero: 1.5 and 2.4 become 2, -1.5 becomes -2. The rule for
    /// money.
    HalfAwayFromZero,
    /// To the next whole number not below: 1.1 becomes 2, -1.9 becomes -1.
    Up,
    /// To the next whole number not above: 1.9 becomes 1, -1.1 becomes -2.
    Down,
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
        #[expect(clippy::as_conversions, reason = "i64 always fits i128")]
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

    /// Whether the number is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Whether nothing stands after the point: true for 12 and 12.0, false for 12.5.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.scale == 0
    }

    /// The number as an integer, when it is exactly one: 12.0 is 12, 12.5 and 10^30 are nothing.
    #[must_use]
    pub fn to_i64(self) -> Option<i64> {
        if self.is_whole() { i64::try_from(self.mantissa).ok() } else { None }
    }

    /// The part before the point, towards zero: 12 for 12.5, -12 for -12.5.
    #[must_use]
    pub fn whole(self) -> i128 {
        self.mantissa.checked_div(self.unit()).unwrap_or(0)
    }

    /// How many digits the number is written with, leading zeros aside: 3 for 12.50 (12.5), 3 for
    /// 100, 1 for 0.001, 1 for 0.
    #[must_use]
    pub const fn significant_digits(self) -> u32 {
        match self.mantissa.unsigned_abs().checked_ilog10() {
            Some(log) => log.saturating_add(1),
            None => 1,
        }
    }

    /// The mantissa of 1 at this number's scale: 100 for 12.75.
    fn unit(self) -> i128 {
        // Never saturates: the scale is at most 18, and 10^38 still fits.
        10_i128.saturating_pow(u32::from(self.scale))
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

    /// The exact product. 0.05 × 30 = 1.5.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when it does not fit, [`DecimalError::TooManyDecimals`] when it has
    /// more than [`SCALE_MAX`] digits after the point.
    pub fn checked_mul(self, other: Self) -> Result<Self, DecimalError> {
        let mut scale = self.scale.saturating_add(other.scale);
        if let Some(mantissa) = self.mantissa.checked_mul(other.mantissa) {
            return Self::new(mantissa, scale);
        }
        // Too wide as it stands, but it may fit in lowest terms: 0.5 × 2×10^37 is 10^37.
        let ten = BigInt::from(10);
        let mut wide = product(&[self.mantissa, other.mantissa]).ok_or(DecimalError::Overflow)?;
        while scale > 0 {
            let tenth = wide.checked_div(&ten).ok_or(DecimalError::Overflow)?;
            if tenth.checked_mul(&ten).as_ref() != Some(&wide) {
                break;
            }
            wide = tenth;
            scale = scale.saturating_sub(1);
        }
        Self::new(i128::try_from(wide).map_err(|_| DecimalError::Overflow)?, scale)
    }

    /// The number made whole. 111.6 to the nearest is 112.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when the result does not fit.
    pub fn round(self, rounding: Rounding) -> Result<i64, DecimalError> {
        mul_div_round(self, Self::ONE, Self::ONE, rounding)
    }
}

/// `a × b` made whole, rounded once after an exact product of any width. 31 × 3.6 = 111.6 to the
/// nearest is 112.
///
/// # Errors
/// [`DecimalError::Overflow`] when the result does not fit.
pub fn mul_round(a: Decimal, b: Decimal, rounding: Rounding) -> Result<i64, DecimalError> {
    mul_div_round(a, b, Decimal::ONE, rounding)
}

/// `a ÷ divisor` made whole, rounded once. 150 ÷ 60 = 2.5 up is 3.
///
/// # Errors
/// [`DecimalError::DivisionByZero`] when the divisor is 0, [`DecimalError::Overflow`] when the result
/// does not fit.
pub fn div_round(a: Decimal, divisor: Decimal, rounding: Rounding) -> Result<i64, DecimalError> {
    mul_div_round(a, Decimal::ONE, divisor, rounding)
}

/// `a × b ÷ divisor` made whole, rounded once after an exact quotient of any width. A third of 2000
/// twice, 2000 × 2 ÷ 3 = 1333.33…, to the nearest is 1333.
///
/// # Errors
/// [`DecimalError::DivisionByZero`] when the divisor is 0, [`DecimalError::Overflow`] when the result
/// does not fit.
pub fn mul_div_round(
    a: Decimal,
    b: Decimal,
    divisor: Decimal,
    rounding: Rounding,
) -> Result<i64, DecimalError> {
    if divisor.is_zero() {
        return Err(DecimalError::DivisionByZero);
    }
    let numerator = product(&[a.mantissa, b.mantissa, divisor.unit()]);
    let denominator = product(&[divisor.mantissa, a.unit(), b.unit()]);
    let whole = numerator.zip(denominator).and_then(|(n, d)| quotient(&n, &d, rounding));
    whole.and_then(|w| i64::try_from(w).ok()).ok_or(DecimalError::Overflow)
}

/// The exact product. Nothing only where the arithmetic of [`BigInt`] gives nothing, which the
/// bounded factors here never bring about.
fn product(factors: &[i128]) -> Option<BigInt> {
    let mut product = BigInt::from(1);
    for factor in factors {
        product = product.checked_mul(&BigInt::from(*factor))?;
    }
    Some(product)
}

/// `numerator ÷ denominator` made whole; nothing when the denominator is 0. The one place where a
/// fraction is dropped.
pub(crate) fn quotient(
    numerator: &BigInt,
    denominator: &BigInt,
    rounding: Rounding,
) -> Option<BigInt> {
    let towards_zero = numerator.checked_div(denominator)?;
    let rest = numerator.checked_sub(&towards_zero.checked_mul(denominator)?)?;
    if rest == BigInt::ZERO {
        return Some(towards_zero);
    }
    let negative = rest.sign() != denominator.sign();
    let away_from_zero = match rounding {
        Rounding::HalfAwayFromZero => {
            let twice = rest.checked_mul(&BigInt::from(2))?;
            twice.magnitude() >= denominator.magnitude()
        }
        Rounding::Up => !negative,
        Rounding::Down => negative,
    };
    if away_from_zero {
        towards_zero.checked_add(&BigInt::from(if negative { -1 } else { 1 }))
    } else {
        Some(towards_zero)
    }
}

/// The digits before and after the point of `mantissa / 10^places`: `("0", "036")` for 36 and 3.
pub(crate) fn digits(mantissa: u128, places: usize) -> (String, String) {
    let mut whole = format!("{mantissa:0>width$}", width = places.saturating_add(1));
    let fraction = whole.split_off(whole.len().saturating_sub(places));
    (whole, fraction)
}

impl Decimal {
    /// Reads plain notation or one power of ten, as some languages print decimals: `7E-12` is
    /// 0.000000000007, `1.5e3` is 1500.
    ///
    /// # Errors
    /// [`DecimalError`] when the text is neither, or the number does not fit.
    pub fn from_scientific(text: &str) -> Result<Self, DecimalError> {
        let Some((coefficient, exponent)) = text.split_once(['e', 'E']) else {
            return text.parse();
        };
        let coefficient: Self = coefficient.parse()?;
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DecimalError::Syntax);
        }
        let power: u8 = digits.parse().map_err(|_| DecimalError::Overflow)?;
        if exponent.starts_with('-') {
            let scale =
                coefficient.scale.checked_add(power).ok_or(DecimalError::TooManyDecimals)?;
            return Self::new(coefficient.mantissa, scale);
        }
        let shift = power.saturating_sub(coefficient.scale);
        let mantissa = ten_to(shift).and_then(|unit| coefficient.mantissa.checked_mul(unit));
        let scale = coefficient.scale.saturating_sub(power);
        Ok(Self::lowest_terms(mantissa.ok_or(DecimalError::Overflow)?, scale))
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
        let sign = if self.is_negative() { "-" } else { "" };
        let (whole, fraction) = digits(self.mantissa.unsigned_abs(), usize::from(self.scale));
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Whole parts first: two numbers may be too far apart to share a scale, two fractions never.
        let fraction = |d: &Self| {
            let below_one = d.mantissa.checked_rem(d.unit()).unwrap_or(0);
            let widened = ten_to(SCALE_MAX.saturating_sub(d.scale)).unwrap_or(1);
            below_one.saturating_mul(widened)
        };
        self.whole().cmp(&other.whole()).then_with(|| fraction(self).cmp(&fraction(other)))
    }
}

#[cfg(test)]
mod tests;
