//! Cells as bytes: small, stable, and harmless when they are not a cell's.
//!
//! A cell is a byte for its kind (the highest bit says whether it holds an event or a value), its
//! count, and what it holds. Counts, places and instants are LEB128, those that may be below 0 in
//! zigzag. A number is its mantissa in lowest terms, in as few bytes as two's complement takes
//! (lowest first), after a head that says its scale and how many bytes these are.

use super::wide::stripped;
use super::{Cell, Counted, Measure, WideSum};
use crate::decimal::{Decimal, SCALE_MAX};
use crate::time::Timestamp;

const SUM: u8 = 1;
const COUNT: u8 = 2;
const LAST: u8 = 3;
const MAX: u8 = 4;
const MIN: u8 = 5;
const WEIGHTED: u8 = 6;
const SURVIVOR: u8 = 7;
const HOLDS: u8 = 0x80;

/// Heads below `19 × 13` are `scale × 13 + bytes`.
const SHORT: u8 = 13;
/// The head before a member's 16 bytes.
const MEMBER: u8 = 254;
/// The head before a scale, a number of bytes, and the bytes.
const LONG: u8 = 255;

impl Cell {
    /// Appends the cell's bytes. The sum 7 of 3 events is `1 6 1 7`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Sum { count, sum } => {
                head(out, SUM, false, *count);
                put_sum(out, *sum);
            }
            Self::Count { count } => head(out, COUNT, false, *count),
            Self::Last { count, last } => {
                head(out, LAST, last.is_some(), *count);
                last.iter().for_each(|event| put_event(out, event));
            }
            Self::Max { count, value } => {
                head(out, MAX, value.is_some(), *count);
                value.iter().for_each(|value| put_decimal(out, *value));
            }
            Self::Min { count, value } => {
                head(out, MIN, value.is_some(), *count);
                value.iter().for_each(|value| put_decimal(out, *value));
            }
            Self::Weighted { count, sum, moment } => {
                head(out, WEIGHTED, false, *count);
                put_sum(out, *sum);
                put_sum(out, *moment);
            }
            Self::Survivor { latest } => {
                out.push(if latest.is_some() { SURVIVOR | HOLDS } else { SURVIVOR });
                latest.iter().for_each(|event| put_event(out, event));
            }
        }
    }

    /// Reads the cell that `bytes` begin with, and how many of them it takes; nothing when they do
    /// not begin with a cell.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut rest = bytes;
        let cell = Self::read(&mut rest)?;
        Some((cell, bytes.len().checked_sub(rest.len())?))
    }

    fn read(rest: &mut &[u8]) -> Option<Self> {
        let kind = take_byte(rest)?;
        let holds = kind & HOLDS != 0;
        let kind = kind & !HOLDS;
        if kind == SURVIVOR {
            let latest = if holds { Some(take_event(rest)?) } else { None };
            return Some(Self::Survivor { latest });
        }
        let count = take_signed(rest)?;
        Some(match (kind, holds) {
            (SUM, false) => Self::Sum { count, sum: take_sum(rest)? },
            (COUNT, false) => Self::Count { count },
            (LAST, false) => Self::Last { count, last: None },
            (LAST, true) => Self::Last { count, last: Some(take_event(rest)?) },
            (MAX, false) => Self::Max { count, value: None },
            (MAX, true) => Self::Max { count, value: Some(take_decimal(rest)?) },
            (MIN, false) => Self::Min { count, value: None },
            (MIN, true) => Self::Min { count, value: Some(take_decimal(rest)?) },
            (WEIGHTED, false) => {
                Self::Weighted { count, sum: take_sum(rest)?, moment: take_sum(rest)? }
            }
            _ => return None,
        })
    }
}

impl WideSum {
    /// Appends the sum's bytes: 7 is `1 7`, 0 is `0`, 0.25 is `27 25`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_sum(out, *self);
    }

    /// Reads the sum that `bytes` begin with, and how many of them it takes; nothing when they do
    /// not begin with a sum.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut rest = bytes;
        let sum = take_sum(&mut rest)?;
        Some((sum, bytes.len().checked_sub(rest.len())?))
    }
}

fn head(out: &mut Vec<u8>, kind: u8, holds: bool, count: i64) {
    out.push(if holds { kind | HOLDS } else { kind });
    put_signed(out, count);
}

fn put_unsigned(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        let [low, ..] = number.to_le_bytes();
        out.push(low | 0x80);
        number >>= 7_u32;
    }
    let [low, ..] = number.to_le_bytes();
    out.push(low);
}

/// 0, -1, 1, -2, 2 … become 0, 1, 2, 3, 4 …
fn put_signed(out: &mut Vec<u8>, number: i64) {
    let folded = (number << 1_u32) ^ (number >> 63_u32);
    put_unsigned(out, u64::from_le_bytes(folded.to_le_bytes()));
}

fn put_event(out: &mut Vec<u8>, event: &Counted) {
    put_unsigned(out, event.seq);
    put_signed(out, event.timestamp.0);
    match event.measure {
        Measure::Number(number) => put_decimal(out, number),
        Measure::Member(hash) => {
            out.push(MEMBER);
            out.extend_from_slice(&hash.to_le_bytes());
        }
    }
}

fn put_decimal(out: &mut Vec<u8>, number: Decimal) {
    put_number(out, WideSum::from_units(number.mantissa()), number.scale());
}

fn put_sum(out: &mut Vec<u8>, sum: WideSum) {
    let (limbs, zeros) = stripped(sum.magnitude(), SCALE_MAX);
    // What was stripped is not farther away from 0 than it was.
    let mantissa = WideSum::signed(limbs, sum.is_negative()).unwrap_or(sum);
    put_number(out, mantissa, SCALE_MAX.saturating_sub(zeros));
}

fn put_number(out: &mut Vec<u8>, mantissa: WideSum, scale: u8) {
    let bytes = mantissa.to_le_bytes();
    let fill = if mantissa.is_negative() { 0xff } else { 0 };
    let unlike = bytes.iter().rposition(|byte| *byte != fill);
    // One byte more when the highest of them does not show the sign.
    let short = unlike.map_or(0, |index| index.saturating_add(1));
    let shown = bytes.get(..short).and_then(|bytes| bytes.last()).copied().unwrap_or(0);
    let length = if (shown ^ fill) & 0x80 == 0 { short } else { short.saturating_add(1) };
    // 0 to 32.
    let short = u8::try_from(length).unwrap_or(u8::MAX);
    if short < SHORT {
        out.push(scale.saturating_mul(SHORT).saturating_add(short));
    } else {
        out.extend_from_slice(&[LONG, scale, short]);
    }
    out.extend_from_slice(bytes.get(..length).unwrap_or(&bytes));
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    take(rest, 1)?.first().copied()
}

fn take_unsigned(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64_u32).step_by(7) {
        let byte = take_byte(rest)?;
        let bits = u64::from(byte & 0x7f);
        let placed = bits.checked_shl(shift)?;
        if placed.checked_shr(shift)? != bits {
            return None;
        }
        number |= placed;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_signed(rest: &mut &[u8]) -> Option<i64> {
    let folded = take_unsigned(rest)?;
    let number = i64::from_le_bytes((folded >> 1_u32).to_le_bytes());
    Some(if folded & 1 == 0 { number } else { !number })
}

fn take_event(rest: &mut &[u8]) -> Option<Counted> {
    let seq = take_unsigned(rest)?;
    let timestamp = Timestamp(take_signed(rest)?);
    let measure = if rest.first() == Some(&MEMBER) {
        take_byte(rest)?;
        Measure::Member(u128::from_le_bytes(take(rest, 16)?.try_into().ok()?))
    } else {
        Measure::Number(take_decimal(rest)?)
    };
    Some(Counted { seq, timestamp, measure })
}

fn take_decimal(rest: &mut &[u8]) -> Option<Decimal> {
    let (mantissa, scale) = take_number(rest)?;
    mantissa.narrowed(scale).ok()
}

fn take_sum(rest: &mut &[u8]) -> Option<WideSum> {
    let (mantissa, scale) = take_number(rest)?;
    let unit = 10_i64.checked_pow(SCALE_MAX.checked_sub(scale)?.into())?;
    mantissa.checked_mul(unit).ok()
}

/// A mantissa and a scale of at most [`SCALE_MAX`].
fn take_number(rest: &mut &[u8]) -> Option<(WideSum, u8)> {
    let (scale, length) = match take_byte(rest)? {
        LONG => (take_byte(rest)?, take_byte(rest)?),
        head => (head.checked_div(SHORT)?, head.checked_rem(SHORT)?),
    };
    if scale > SCALE_MAX {
        return None;
    }
    let taken = take(rest, length.into())?;
    let negative = taken.last().is_some_and(|highest| highest & 0x80 != 0);
    let mut bytes = [if negative { 0xff } else { 0 }; 32];
    bytes.get_mut(..taken.len())?.copy_from_slice(taken);
    Some((WideSum::from_le_bytes(bytes), scale))
}
