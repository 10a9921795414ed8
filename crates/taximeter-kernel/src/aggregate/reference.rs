//! The quantity as plainly as it can be said: what every other way to it must equal.

use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigInt;

use super::{Aggregation, Counted, Formula, Measure, Percentile, QUOTIENT_DECIMALS, Usage};
use crate::decimal::{Decimal, DecimalError, Rounding, SCALE_MAX, quotient};
use crate::time::{HOUR_S, Period};

/// The usage in `period`, from all `events` of a series in any order: also from those before the
/// period, which `weighted_sum` carries over and which may survive a window that the period covers
/// in part. Of 2 at 0:10 and 5 at 0:50 the sum from 0:30 to 1:00 is 5, and with a window of an hour
/// from 0:00 to 0:30 it is 0, because 5 survived. Always exact, whatever it takes.
///
/// # Errors
/// [`DecimalError::Overflow`] when the quantity does not fit, [`DecimalError::Syntax`] when a
/// formula that needs numbers is given a member.
pub fn usage_of(
    aggregation: Aggregation,
    period: Period,
    events: &[Counted],
) -> Result<Usage, DecimalError> {
    let counting = survivors(aggregation, events);
    let inside: Vec<Counted> =
        counting.iter().filter(|event| period.contains(event.timestamp)).copied().collect();
    let count = u64::try_from(inside.len()).map_err(|_| DecimalError::Overflow)?;
    let quantity = match aggregation.formula {
        Formula::Sum => narrow(&sum(&inside)?, SCALE_MAX)?,
        Formula::Count => Decimal::new(i128::from(count), 0)?,
        Formula::Last => match inside.iter().max_by_key(|event| (event.timestamp, event.seq)) {
            Some(last) => number(last)?,
            None => Decimal::ZERO,
        },
        Formula::Max => numbers(&inside)?.into_iter().max().unwrap_or(Decimal::ZERO),
        Formula::Min => numbers(&inside)?.into_iter().min().unwrap_or(Decimal::ZERO),
        Formula::UniqueCount => {
            let distinct: BTreeSet<Measure> = inside.iter().map(|event| event.measure).collect();
            let distinct = i128::try_from(distinct.len()).map_err(|_| DecimalError::Overflow)?;
            Decimal::new(distinct, 0)?
        }
        Formula::Average if count == 0 => Decimal::ZERO,
        Formula::Average => rounded(&sum(&inside)?, &BigInt::from(count))?,
        Formula::Percentile(percentile) => nearest_rank(percentile, numbers(&inside)?),
        Formula::WeightedSum => rounded(&level_seconds(&counting, period)?, &HOUR_S.into())?,
    };
    Ok(Usage { quantity, events: count, approximate: false })
}

/// The events that count: with a window, of each the one that arrived last.
fn survivors(aggregation: Aggregation, events: &[Counted]) -> Vec<Counted> {
    let Some(window) = aggregation.window else { return events.to_vec() };
    let mut by_window: BTreeMap<_, Counted> = BTreeMap::new();
    for event in events {
        let survivor = by_window.entry(window.start_of(event.timestamp)).or_insert(*event);
        if event.seq > survivor.seq {
            *survivor = *event;
        }
    }
    by_window.into_values().collect()
}

fn number(event: &Counted) -> Result<Decimal, DecimalError> {
    match event.measure {
        Measure::Number(number) => Ok(number),
        Measure::Member(_) => Err(DecimalError::Syntax),
    }
}

fn numbers(events: &[Counted]) -> Result<Vec<Decimal>, DecimalError> {
    events.iter().map(number).collect()
}

/// `value × 10^18`, which is whole.
fn wide(value: Decimal) -> Option<BigInt> {
    let unit = BigInt::from(10).pow(u32::from(SCALE_MAX.checked_sub(value.scale())?));
    BigInt::from(value.mantissa()).checked_mul(&unit)
}

/// The sum × 10^18.
fn sum(events: &[Counted]) -> Result<BigInt, DecimalError> {
    let mut sum = BigInt::ZERO;
    for event in events {
        sum =
            wide(number(event)?).and_then(|w| sum.checked_add(&w)).ok_or(DecimalError::Overflow)?;
    }
    Ok(sum)
}

/// The level × 10^18, times the seconds it stood, over the period: each change counts from when it
/// happened, or from the start of the period, to the end of the period.
fn level_seconds(events: &[Counted], period: Period) -> Result<BigInt, DecimalError> {
    let mut area = BigInt::ZERO;
    for event in events {
        let from = i128::from(event.timestamp.max(period.start).0);
        let seconds = i128::from(period.end.0).saturating_sub(from).max(0);
        let term = wide(number(event)?).and_then(|w| w.checked_mul(&seconds.into()));
        area = term.and_then(|t| area.checked_add(&t)).ok_or(DecimalError::Overflow)?;
    }
    Ok(area)
}

/// The smallest value that at least so many percent of the values do not exceed. The 50th of 2, 3,
/// 5 and 7 is 3: the second of four.
fn nearest_rank(percentile: Percentile, mut values: Vec<Decimal>) -> Decimal {
    values.sort_unstable();
    let tenths = usize::from(percentile.as_tenths());
    let rank = values.len().saturating_mul(tenths).div_ceil(1_000);
    rank.checked_sub(1).and_then(|index| values.get(index)).copied().unwrap_or(Decimal::ZERO)
}

/// `wide ÷ 10^18 ÷ divisor`, rounded to [`QUOTIENT_DECIMALS`].
fn rounded(wide: &BigInt, divisor: &BigInt) -> Result<Decimal, DecimalError> {
    let unit = BigInt::from(10).pow(u32::from(SCALE_MAX.saturating_sub(QUOTIENT_DECIMALS)));
    let whole = divisor
        .checked_mul(&unit)
        .and_then(|divisor| quotient(wide, &divisor, Rounding::HalfAwayFromZero))
        .ok_or(DecimalError::Overflow)?;
    narrow(&whole, QUOTIENT_DECIMALS)
}

/// `mantissa ÷ 10^scale`, in lowest terms before it must fit.
pub(super) fn narrow(mantissa: &BigInt, mut scale: u8) -> Result<Decimal, DecimalError> {
    let ten = BigInt::from(10);
    let mut mantissa = mantissa.clone();
    while scale > 0 {
        let tenth = mantissa.checked_div(&ten).ok_or(DecimalError::Overflow)?;
        if tenth.checked_mul(&ten).as_ref() != Some(&mantissa) {
            break;
        }
        mantissa = tenth;
        scale = scale.saturating_sub(1);
    }
    Decimal::new(i128::try_from(mantissa).map_err(|_| DecimalError::Overflow)?, scale)
}
