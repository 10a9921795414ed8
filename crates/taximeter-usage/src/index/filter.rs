//! A filter of keys: it knows for certain that a key is not there, and costs one line of the cache.
//!
//! A blocked Bloom filter. A key is mixed first, since callers' keys may be skewed; a part of the
//! mixture chooses a line of 512 bits, seven other parts of 9 bits choose bits in it. At 12 bits a
//! key, about 6 in 1,000 keys that are not there seem to be.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::Xxh3;

use crate::index::numbers::{narrow, wide};

/// The bytes of a line, in memory and in the file.
pub(crate) const LINE_BYTES: u64 = 64;

const KEYS_PER_LINE: u64 = 42;
const PROBES: u32 = 7;
/// How many lines are read or written at a time.
const LINES_PER_IO: usize = 4_096;
/// How many keys are put into a filter at a time.
const PENDING: usize = 64;

#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line([u64; 8]);

/// Which keys may be there.
#[derive(Debug)]
pub(crate) struct Filter {
    lines: Box<[Line]>,
}

impl Filter {
    /// Whether `key` may be there; if not, it certainly is not.
    #[inline]
    pub(crate) fn may_hold(&self, key: u64) -> bool {
        let (line, bits) = self.place(key);
        let Some(Line(words)) = self.lines.get(line) else { return false };
        let mut missing = 0;
        for (word, bit) in probes(bits) {
            missing |= bit & !words.get(word).copied().unwrap_or_default();
        }
        missing == 0
    }

    pub(crate) fn lines(&self) -> u64 {
        wide(self.lines.len())
    }

    /// How many bytes of memory it takes, and of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.lines().saturating_mul(LINE_BYTES)
    }

    /// Gives its bytes to `write`, a part at a time, and returns their checksum.
    pub(crate) fn write<E>(&self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<u64, E> {
        let mut digest = Xxh3::new();
        let mut part = Vec::new();
        for lines in self.lines.chunks(LINES_PER_IO) {
            part.clear();
            for word in lines.iter().flat_map(|Line(words)| words) {
                part.extend_from_slice(&word.to_le_bytes());
            }
            digest.update(&part);
            write(&part)?;
        }
        Ok(digest.digest())
    }

    /// Reads a filter of `lines` lines at `offset`, and the checksum of its bytes. The caller knows
    /// that the file has them.
    pub(crate) fn read(file: &File, mut offset: u64, lines: u64) -> io::Result<(Self, u64)> {
        let mut filter = Self { lines: vec![Line::default(); narrow(lines)].into_boxed_slice() };
        let mut digest = Xxh3::new();
        let mut part = Vec::new();
        for lines in filter.lines.chunks_mut(LINES_PER_IO) {
            part.resize(lines.len().saturating_mul(narrow(LINE_BYTES)), 0);
            file.read_exact_at(&mut part, offset)?;
            digest.update(&part);
            let words = lines.iter_mut().flat_map(|Line(words)| words);
            for (word, bytes) in words.zip(part.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            offset = offset.saturating_add(wide(part.len()));
        }
        Ok((filter, digest.digest()))
    }

    /// The line of `key`, and 64 bits of which its probes are made.
    #[inline]
    fn place(&self, key: u64) -> (usize, u64) {
        let mixed = mix(key);
        let line = (u128::from(mixed).wrapping_mul(self.lines().into())) >> 64;
        (usize::try_from(line).unwrap_or(usize::MAX), mix(mixed))
    }
}

/// Makes a filter.
#[derive(Debug)]
pub(crate) struct FilterBuilder {
    filter: Filter,
    /// Keys that are not in the filter yet.
    pending: Vec<u64>,
}

impl FilterBuilder {
    /// A filter for up to `keys` keys; with more it is right too often.
    pub(crate) fn for_keys(keys: u64) -> Self {
        let lines = narrow(keys.div_ceil(KEYS_PER_LINE));
        let filter = Filter { lines: vec![Line::default(); lines].into_boxed_slice() };
        Self { filter, pending: Vec::with_capacity(PENDING) }
    }

    #[inline]
    pub(crate) fn insert(&mut self, key: u64) {
        self.pending.push(key);
        if self.pending.len() >= PENDING {
            self.insert_pending();
        }
    }

    pub(crate) fn finish(mut self) -> Filter {
        self.insert_pending();
        self.filter
    }

    /// The lines of a large filter are far away. Asking for all of them before the first is changed
    /// lets the machine fetch many at a time, which is about twice as fast.
    fn insert_pending(&mut self) {
        let mut fetched = 0;
        for key in &self.pending {
            let (line, _) = self.filter.place(*key);
            fetched ^= self.filter.lines.get(line).map_or(0, |Line([first, ..])| *first);
        }
        std::hint::black_box(fetched);
        for key in self.pending.drain(..) {
            let (line, bits) = self.filter.place(key);
            let Some(Line(words)) = self.filter.lines.get_mut(line) else { continue };
            for (word, bit) in probes(bits) {
                if let Some(word) = words.get_mut(word) {
                    *word |= bit;
                }
            }
        }
    }
}

/// The word and the bit in it of each probe.
#[inline]
fn probes(bits: u64) -> impl Iterator<Item = (usize, u64)> {
    (0..PROBES).map(move |probe| {
        let bits = bits >> probe.wrapping_mul(9);
        (narrow((bits >> 6) & 7), 1_u64 << (bits & 63))
    })
}

/// Splitmix64: every bit of the key changes every bit of the mixture.
#[inline]
fn mix(key: u64) -> u64 {
    let key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a filter with `keys`, asks for `others`, and returns how many of 200,000 seem there.
    fn wrong_of_200_000(keys: impl Fn(u64) -> u64, others: impl Fn(u64) -> u64) -> u64 {
        let mut filter = FilterBuilder::for_keys(100_003);
        (0..100_003).for_each(|number| filter.insert(keys(number)));
        let filter = filter.finish();
        assert!((0..100_003).all(|number| filter.may_hold(keys(number))));
        wide((0..200_000).filter(|number| filter.may_hold(others(*number))).count())
    }

    #[test]
    fn at_most_one_in_a_hundred_keys_that_are_not_there_seems_to_be() {
        let uniform = |seed: u64| move |number: u64| mix(seed ^ mix(number));
        let wrong = wrong_of_200_000(uniform(7), uniform(13));
        assert!((200..=2_000).contains(&wrong), "{wrong}");
    }

    #[test]
    fn skewed_keys_are_told_apart_as_well() {
        let even = |number: u64| number << 33;
        let odd = |number: u64| (number << 33) | (1 << 32);
        let wrong = wrong_of_200_000(even, odd);
        assert!((200..=2_000).contains(&wrong), "{wrong}");
    }

    #[test]
    fn a_filter_of_nothing_holds_nothing() {
        let filter = FilterBuilder::for_keys(0).finish();
        assert!(!filter.may_hold(0));
        assert_eq!(filter.bytes(), 0);
    }
}
