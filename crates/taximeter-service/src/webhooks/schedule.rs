//! When a delivery that failed is tried again.

use taximeter_kernel::id::Mode;
use taximeter_kernel::time::{HOUR_S, Timestamp};

/// How long after each try the next one comes, at most, in seconds: three days in all.
pub const RETRY_AFTER_S: [i64; 8] =
    [5 * 60, 30 * 60, 2 * HOUR_S, 4 * HOUR_S, 8 * HOUR_S, 16 * HOUR_S, 24 * HOUR_S, 17 * HOUR_S];
/// How often a delivery is tried, unless test mode has a bound of its own.
pub const TRIES_MAX: i64 = 9;
/// A wait is shorter than its time by so much at most, in thousandths: those whose endpoint was down
/// do not all come at once.
const JITTER_MILLI: i64 = 100;

/// When the next try is due, `tries` of which have failed; nothing when that was the last.
///
/// After the first try at 1000 with a jitter of nothing: 1300.
#[must_use]
pub(super) fn next(
    tries: i64,
    mode: Mode,
    test_tries_max: i64,
    now: Timestamp,
    entropy: [u8; 32],
) -> Option<Timestamp> {
    if !mode.is_live() && tries >= test_tries_max {
        return None;
    }
    let after_s = RETRY_AFTER_S.get(usize::try_from(tries).ok()?.checked_sub(1)?)?;
    let random = i64::from(u16::from_le_bytes([entropy[0], entropy[1]]));
    // Up to a tenth: random / 65,536 of it.
    let shorter_s = after_s.saturating_mul(JITTER_MILLI).saturating_mul(random) / 65_536_000;
    Some(Timestamp(now.0.saturating_add(after_s - shorter_s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(mode: Mode, test_tries_max: i64, entropy: [u8; 32]) -> Vec<i64> {
        let next = |tries| next(tries, mode, test_tries_max, Timestamp(1_000), entropy);
        (1..).map_while(|tries| next(tries).map(|at| at.0 - 1_000)).collect()
    }

    #[test]
    fn tries_come_ever_more_rarely_for_three_days() {
        let hours = [2, 4, 8, 16, 24, 17].map(|hours| hours * HOUR_S);
        let expected = [vec![300, 1_800], hours.to_vec()].concat();
        assert_eq!(waits(Mode::Live, TRIES_MAX, [0; 32]), expected);
        assert_eq!(waits(Mode::Test, TRIES_MAX, [0; 32]), expected);
        let tries = i64::try_from(expected.len()).unwrap() + 1;
        assert_eq!(tries, TRIES_MAX);
        assert!(expected.iter().sum::<i64>() <= 72 * HOUR_S);
    }

    #[test]
    fn a_wait_is_shorter_by_up_to_a_tenth() {
        assert_eq!(waits(Mode::Live, TRIES_MAX, [255; 32])[..3], [271, 1_621, 6_481]);
    }

    #[test]
    fn test_mode_may_give_up_sooner() {
        assert_eq!(waits(Mode::Test, 3, [0; 32]), [300, 1_800]);
        assert_eq!(waits(Mode::Test, 1, [0; 32]), [0; 0]);
        assert_eq!(waits(Mode::Live, 3, [0; 32]).len(), 8);
    }
}
