//! Blocks that were read lately.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::block::Block;
use super::segment::Form;
use super::segments::Found;

/// Holds the blocks used last, up to so many bytes.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    blocks: BTreeMap<Key, (Arc<Block>, u64)>,
    bytes: usize,
    /// Counts the uses, so that the block used longest ago is known.
    uses: u64,
}

type Key = (u32, Form, u64);

fn key(found: &Found) -> Key {
    (found.number, found.form, found.place.offset)
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    pub(crate) fn get(&self, found: &Found) -> Option<Arc<Block>> {
        let mut kept = self.lock();
        let now = kept.now();
        let (block, used) = kept.blocks.get_mut(&key(found))?;
        *used = now;
        Some(Arc::clone(block))
    }

    pub(crate) fn put(&self, found: &Found, block: &Arc<Block>) {
        if found.grows || block.bytes() > self.bytes_max {
            return;
        }
        let mut kept = self.lock();
        let now = kept.now();
        kept.bytes = kept.bytes.saturating_add(block.bytes());
        if let Some((old, _)) = kept.blocks.insert(key(found), (Arc::clone(block), now)) {
            kept.bytes = kept.bytes.saturating_sub(old.bytes());
        }
        while kept.bytes > self.bytes_max {
            kept.forget_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A poisoned cache counts a block too many or too few at worst.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn now(&mut self) -> u64 {
        self.uses = self.uses.saturating_add(1);
        self.uses
    }

    fn forget_one(&mut self) {
        let oldest = self.blocks.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
        match oldest.and_then(|oldest| self.blocks.remove(&oldest)) {
            Some((block, _)) => self.bytes = self.bytes.saturating_sub(block.bytes()),
            None => self.bytes = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::BlockPlace;
    use super::*;

    fn found(number: u32, grows: bool) -> Found {
        let place = BlockPlace { first_seq: 7, offset: 13, bytes: 101 };
        Found { number, form: Form::Raw, place, grows }
    }

    #[test]
    fn the_block_used_longest_ago_is_forgotten_first() {
        let cache = Cache::new(250);
        let block = Arc::new(Block::of_bytes(100));
        cache.put(&found(1, false), &block);
        cache.put(&found(2, false), &block);
        assert!(cache.get(&found(1, false)).is_some());
        cache.put(&found(3, false), &block);
        assert!(cache.get(&found(1, false)).is_some());
        assert!(cache.get(&found(2, false)).is_none());
        assert!(cache.get(&found(3, false)).is_some());
        let sealed = Found { form: Form::Sealed, ..found(1, false) };
        assert!(cache.get(&sealed).is_none());
    }

    #[test]
    fn what_grows_or_is_too_large_is_not_kept() {
        let cache = Cache::new(250);
        cache.put(&found(1, true), &Arc::new(Block::of_bytes(100)));
        cache.put(&found(2, false), &Arc::new(Block::of_bytes(251)));
        assert!(cache.get(&found(1, false)).is_none());
        assert!(cache.get(&found(2, false)).is_none());
    }

    #[test]
    fn a_block_put_twice_counts_once() {
        let cache = Cache::new(250);
        for _ in 0..7 {
            cache.put(&found(1, false), &Arc::new(Block::of_bytes(100)));
        }
        cache.put(&found(2, false), &Arc::new(Block::of_bytes(100)));
        assert!(cache.get(&found(1, false)).is_some());
        assert!(cache.get(&found(2, false)).is_some());
    }
}
