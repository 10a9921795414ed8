//! Regions: stretches of whole frames, the unit in which the log is read back.

use std::sync::{Mutex, PoisonError, RwLock};

use crate::log::frame::Frame;

/// A region of a raw segment holds about so many bytes of frames, and one more frame at most.
pub(crate) const REGION_BYTES: u64 = 64 * 1_024;

/// Where a region begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    /// The place in the order of its first record.
    pub(crate) first_seq: u64,
    /// In its file.
    pub(crate) offset: u64,
    /// The bytes of its frames, as they are in the file.
    pub(crate) bytes: u32,
}

/// The regions of a raw segment, which may still grow.
#[derive(Debug, Default)]
pub(crate) struct Regions(RwLock<Vec<Region>>);

impl Regions {
    /// Adds a frame behind all others.
    pub(crate) fn add(&self, first_seq: u64, offset: u64, bytes: u32) {
        // Nothing panics between two changes that belong together, so a poisoned lock is whole.
        let mut regions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match regions.last_mut() {
            Some(last) if u64::from(last.bytes) < REGION_BYTES => {
                last.bytes = last.bytes.saturating_add(bytes);
            }
            _ => regions.push(Region { first_seq, offset, bytes }),
        }
    }

    pub(crate) fn all(&self) -> Vec<Region> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn fill(&self, regions: Vec<Region>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = regions;
    }

    /// The region that holds `seq`, if it is in one of them.
    pub(crate) fn find(&self, seq: u64) -> Option<Region> {
        find(&self.0.read().unwrap_or_else(PoisonError::into_inner), seq)
    }
}

pub(crate) fn find(regions: &[Region], seq: u64) -> Option<Region> {
    let after = regions.partition_point(|region| region.first_seq <= seq);
    regions.get(after.checked_sub(1)?).copied()
}

/// The frames of a region in order. An error gives where in the region it is damaged.
pub(crate) fn frames(bytes: &[u8]) -> impl Iterator<Item = Result<Frame<'_>, usize>> {
    let mut offset = 0_usize;
    std::iter::from_fn(move || {
        let rest = bytes.get(offset..).filter(|rest| !rest.is_empty())?;
        match Frame::parse(rest) {
            Ok(frame) => {
                offset = offset.saturating_add(frame.bytes);
                Some(Ok(frame))
            }
            Err(_) => {
                let at = offset;
                offset = usize::MAX;
                Some(Err(at))
            }
        }
    })
}

/// Regions read lately, so that neighbours are not read and decompressed again.
#[derive(Debug)]
pub(crate) struct Cache {
    held: Mutex<Held>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Held {
    /// Segment, offset, when it was last asked for, bytes.
    regions: Vec<(u32, u64, u64, std::sync::Arc<Vec<u8>>)>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { held: Mutex::default(), bytes_max }
    }

    pub(crate) fn get(&self, segment: u32, offset: u64) -> Option<std::sync::Arc<Vec<u8>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock = held.clock.saturating_add(1);
        let clock = held.clock;
        let entry =
            held.regions.iter_mut().find(|entry| (entry.0, entry.1) == (segment, offset))?;
        entry.2 = clock;
        Some(std::sync::Arc::clone(&entry.3))
    }

    pub(crate) fn put(&self, segment: u32, offset: u64, bytes: &std::sync::Arc<Vec<u8>>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.bytes.saturating_add(bytes.len()) > self.bytes_max && !held.regions.is_empty() {
            let oldest = held.regions.iter().enumerate().min_by_key(|(_, entry)| entry.2);
            let Some((at, _)) = oldest else { break };
            let (.., dropped) = held.regions.swap_remove(at);
            held.bytes = held.bytes.saturating_sub(dropped.len());
        }
        held.clock = held.clock.saturating_add(1);
        let clock = held.clock;
        held.bytes = held.bytes.saturating_add(bytes.len());
        held.regions.push((segment, offset, clock, std::sync::Arc::clone(bytes)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn small_frames_share_a_region_and_are_found_in_it() {
        let regions = Regions::default();
        regions.add(1, 32, 40_000);
        regions.add(5, 40_032, 40_000);
        regions.add(9, 80_032, 7);
        let [first, second] = regions.all()[..] else { panic!("two regions") };
        assert_eq!((first.first_seq, first.offset, first.bytes), (1, 32, 80_000));
        assert_eq!((second.first_seq, second.offset, second.bytes), (9, 80_032, 7));
        assert_eq!(regions.find(8), Some(first));
        assert_eq!(regions.find(9), Some(second));
        assert_eq!(regions.find(0), None);
    }

    #[test]
    fn the_cache_drops_what_was_not_asked_for_longest() {
        let cache = Cache::new(20);
        let bytes = |byte: u8| Arc::new(vec![byte; 10]);
        cache.put(1, 0, &bytes(1));
        cache.put(1, 10, &bytes(2));
        assert!(cache.get(1, 0).is_some());
        cache.put(2, 0, &bytes(3));
        assert_eq!(cache.get(1, 10), None);
        assert_eq!(cache.get(1, 0), Some(bytes(1)));
        assert_eq!(cache.get(2, 0), Some(bytes(3)));
    }
}
