//! Choices that follow from a seed.

/// A source of choices: the same seed makes the same ones.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Seeds that are near each other must not lead to the same choices a little later, so the seed
    /// is mixed, too.
    pub(super) const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5851_f42d_4c95_7f2d))
    }

    /// A number from 0 to below `sides`.
    pub(super) fn below(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let sides = u64::try_from(sides).expect("a die has sides");
        i64::try_from(mix(self.0) % sides).expect("small")
    }

    /// Whether something of so many per cent happens.
    pub(super) fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let last = i64::try_from(from.len()).expect("few");
        &from[usize::try_from(self.below(last)).expect("small")]
    }

    pub(super) fn word(&mut self, from: &[&'static str]) -> &'static str {
        self.pick::<&str>(from)
    }
}

/// The finalizer of SplitMix64.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
