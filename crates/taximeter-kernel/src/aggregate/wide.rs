//! A sum that cannot overflow while it is kept.

use crate::decimal::{Decimal, DecimalError, SCALE_MAX};

/// An exact sum of decimals: a 256-bit two's complement count of 10^-18ths. It holds 3 × 10^20
/// times the greatest [`Decimal`], so that only making a decimal of it can fail in practice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WideSum {
    // In this order the derived comparison is that of the numbers.
    high: i128,
    low: u128,
}

/// The low and the high half of a product of two halves.
fn halves(product: u128) -> (u128, u128) {
    (product & u128::from(u64::MAX), product >> 64)
}

/// `a × b + c`, which fits whatever they are: its low and its high half.
fn multiply_add(a: u64, b: u64, c: u64) -> (u64, u64) {
    let (low, high) = halves(u128::from(a).saturating_mul(b.into()).saturating_add(c.into()));
    (half(low), half(high))
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "it is a half")]
const fn half(half: u128) -> u64 {
    half as u64
}

impl WideSum {
    /// 0.
    pub const ZERO: Self = Self { high: 0, low: 0 };

    /// Whether the sum is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.high == 0 && self.low == 0
    }

    /// Whether the sum is below 0.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.high < 0
    }

    /// The exact sum. 1.5 + 0.25 = 1.75.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when it does not fit.
    pub const fn checked_add(self, other: Self) -> Result<Self, DecimalError> {
        let (low, carry) = self.low.overflowing_add(other.low);
        let (high, first) = self.high.overflowing_add(other.high);
        let (high, second) = high.overflowing_add(if carry { 1 } else { 0 });
        // Two overflows undo each other: -2^127 - 1 + 1.
        if first != second { Err(DecimalError::Overflow) } else { Ok(Self { high, low }) }
    }

    /// The number with the other sign.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when it does not fit: the least number has no opposite.
    pub const fn checked_neg(self) -> Result<Self, DecimalError> {
        Self::ZERO.checked_sub(self)
    }

    /// The exact difference. 1.5 - 0.25 = 1.25.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when it does not fit.
    pub const fn checked_sub(self, other: Self) -> Result<Self, DecimalError> {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        let (high, first) = self.high.overflowing_sub(other.high);
        let (high, second) = high.overflowing_sub(if borrow { 1 } else { 0 });
        if first != second { Err(DecimalError::Overflow) } else { Ok(Self { high, low }) }
    }

    /// The exact product. 1.5 × -4 = -6.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when it does not fit.
    pub fn checked_mul(self, factor: i64) -> Result<Self, DecimalError> {
        let product = self.small().and_then(|small| small.checked_mul(factor.into()));
        if let Some(product) = product {
            return Ok(Self::from_units(product));
        }
        self.product(factor.unsigned_abs(), self.is_negative() != (factor < 0))
    }

    /// The exact product with a number that is not below 0 and may be twice as large as a signed one:
    /// the seconds of any span of time.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when it does not fit.
    pub(super) fn checked_mul_unsigned(self, factor: u64) -> Result<Self, DecimalError> {
        match i64::try_from(factor) {
            Ok(factor) => self.checked_mul(factor),
            Err(_) => self.product(factor, self.is_negative()),
        }
    }

    fn product(self, factor: u64, negative: bool) -> Result<Self, DecimalError> {
        let (mut limbs, mut carry) = (self.magnitude(), 0);
        for limb in &mut limbs {
            (*limb, carry) = multiply_add(*limb, factor, carry);
        }
        if carry == 0 { Self::signed(limbs, negative) } else { Err(DecimalError::Overflow) }
    }

    /// The sum as a number in lowest terms. 3 × 10^38 does not fit, 3 × 10^38 - 3 × 10^38 + 7 does.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] when it does not fit.
    pub fn to_decimal(self) -> Result<Decimal, DecimalError> {
        self.narrowed(SCALE_MAX)
    }

    /// `self ÷ divisor` to `decimals` digits after the point (at most [`SCALE_MAX`]), rounded once,
    /// a tie away from zero. 2 ÷ 3 to 2 digits is 0.67.
    ///
    /// # Errors
    /// [`DecimalError::DivisionByZero`] when the divisor is 0, [`DecimalError::Overflow`] when the
    /// quotient does not fit.
    pub fn div_round(self, divisor: u64, decimals: u8) -> Result<Decimal, DecimalError> {
        let decimals = decimals.min(SCALE_MAX);
        let unit = 10_u64.saturating_pow(SCALE_MAX.saturating_sub(decimals).into());
        // (|n| + d/2) ÷ d downwards is |n| ÷ d to the nearest; and ÷ (unit × divisor) downwards is
        // ÷ unit downwards and then ÷ divisor downwards.
        let half_of_both = u128::from(unit).saturating_mul(divisor.into()) >> 1_u32;
        let mut limbs = add_to(self.magnitude(), half_of_both)?;
        for divisor in [unit, divisor] {
            (limbs, _) = divided(limbs, divisor).ok_or(DecimalError::DivisionByZero)?;
        }
        Self::signed(limbs, self.is_negative())?.narrowed(decimals)
    }

    /// `units / 10^scale` as a decimal in lowest terms, for the units that this number counts.
    pub(super) fn narrowed(self, scale: u8) -> Result<Decimal, DecimalError> {
        // Also where it fits as it is: a decimal takes its zeros off one by one.
        let (limbs, zeros) = stripped(self.magnitude(), scale);
        let lowest = Self::signed(limbs, self.is_negative())?;
        let mantissa = lowest.small().ok_or(DecimalError::Overflow)?;
        Decimal::new(mantissa, scale.saturating_sub(zeros))
    }

    /// So many 10^-18ths.
    #[must_use]
    pub const fn from_units(units: i128) -> Self {
        #[expect(clippy::as_conversions, clippy::cast_sign_loss, reason = "two's complement")]
        Self { high: if units < 0 { -1 } else { 0 }, low: units as u128 }
    }

    /// Two's complement, lowest byte first.
    pub(super) fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (low, high) = bytes.split_at_mut(16);
        low.copy_from_slice(&self.low.to_le_bytes());
        high.copy_from_slice(&self.high.to_le_bytes());
        bytes
    }

    /// Reads [`Self::to_le_bytes`].
    pub(super) fn from_le_bytes(bytes: [u8; 32]) -> Self {
        let (low, high) = bytes.split_at(16);
        let half = |half: &[u8]| half.try_into().unwrap_or_default();
        Self { high: i128::from_le_bytes(half(high)), low: u128::from_le_bytes(half(low)) }
    }

    /// The 10^-18ths, when they fit: those of 1.5 are 15 × 10^17.
    #[must_use]
    pub const fn to_units(self) -> Option<i128> {
        self.small()
    }

    /// The same.
    #[expect(clippy::as_conversions, clippy::cast_possible_wrap, reason = "two's complement")]
    const fn small(self) -> Option<i128> {
        let small = self.low as i128;
        if (small < 0) == (self.high < 0) && (self.high == 0 || self.high == -1) {
            Some(small)
        } else {
            None
        }
    }

    /// How many 10^-18ths it is away from 0, lowest limb first.
    pub(super) fn magnitude(self) -> [u64; 4] {
        // The least number is its own opposite, and as a magnitude that is right.
        let (high, low) = if self.is_negative() {
            let (low, borrow) = 0_u128.overflowing_sub(self.low);
            (self.high.wrapping_neg().wrapping_sub(i128::from(borrow)), low)
        } else {
            (self.high, self.low)
        };
        #[expect(clippy::as_conversions, clippy::cast_sign_loss, reason = "it is a magnitude")]
        let ((a, b), (c, d)) = (halves(low), halves(high as u128));
        [a, b, c, d].map(half)
    }

    /// The number so far away from 0.
    pub(super) fn signed(limbs: [u64; 4], negative: bool) -> Result<Self, DecimalError> {
        let [a, b, c, d] = limbs.map(u128::from);
        let (low, high) = (a | (b << 64_u32), c | (d << 64_u32));
        if negative && high == 1 << 127_u32 && low == 0 {
            return Ok(Self { high: i128::MIN, low });
        }
        let high = i128::try_from(high).map_err(|_| DecimalError::Overflow)?;
        let positive = Self { high, low };
        if negative { positive.checked_neg() } else { Ok(positive) }
    }
}

/// `limbs + term`.
fn add_to(limbs: [u64; 4], term: u128) -> Result<[u64; 4], DecimalError> {
    let (low, high) = halves(term);
    let mut terms = [half(low), half(high), 0, 0];
    let mut carry = false;
    for (term, limb) in terms.iter_mut().zip(limbs) {
        let (sum, first) = limb.overflowing_add(*term);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        (*term, carry) = (sum, first || second);
    }
    if carry { Err(DecimalError::Overflow) } else { Ok(terms) }
}

/// The quotient downwards and the rest; nothing when the divisor is 0.
pub(super) fn divided(mut limbs: [u64; 4], divisor: u64) -> Option<([u64; 4], u64)> {
    let divisor = u128::from(divisor);
    if divisor == 0 {
        return None;
    }
    let mut rest = 0_u128;
    for limb in limbs.iter_mut().rev() {
        if rest == 0 && *limb == 0 {
            continue;
        }
        let part = (rest << 64_u32) | u128::from(*limb);
        *limb = half(part.checked_div(divisor)?);
        rest = part.checked_rem(divisor)?;
    }
    Some((limbs, half(rest)))
}

/// Without the zeros at the end, as many as there are and at most `most`; and how many these were.
pub(super) fn stripped(mut limbs: [u64; 4], most: u8) -> ([u64; 4], u8) {
    let mut zeros = 0_u8;
    // However many there are up to 31, they are a sum of some of these, largest first.
    for step in [16_u8, 8, 4, 2, 1] {
        let stripped = zeros.saturating_add(step);
        // A multiple of 10^k is one of 2^k, which is quicker to see.
        let [lowest, ..] = limbs;
        if stripped > most || lowest.trailing_zeros() < step.into() {
            continue;
        }
        if let Some((quotient, 0)) = divided(limbs, 10_u64.saturating_pow(step.into())) {
            (limbs, zeros) = (quotient, stripped);
        }
    }
    (limbs, zeros)
}

impl From<Decimal> for WideSum {
    fn from(number: Decimal) -> Self {
        let unit = 10_u64.saturating_pow(SCALE_MAX.saturating_sub(number.scale()).into());
        let fits = number.mantissa().checked_mul(unit.into());
        if let Some(units) = fits {
            return Self::from_units(units);
        }
        let (low, high) = halves(number.mantissa().unsigned_abs());
        let (a, carry) = multiply_add(half(low), unit, 0);
        let (b, c) = multiply_add(half(high), unit, carry);
        // 2^127 × 10^18 is far below 2^255.
        Self::signed([a, b, c, 0], number.is_negative()).unwrap_or(Self::ZERO)
    }
}

#[cfg(test)]
mod tests;
