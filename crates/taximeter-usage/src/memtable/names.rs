//! The names of recent events: what a second copy of an event is recognised by.

use hashbrown::HashTable;

/// Hashes of names and the places of the events that hold them. A hash may stand for several
/// events; whoever asks compares the names themselves.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Places in `entries`.
    table: HashTable<u32>,
    entries: Vec<(u64, u64)>,
}

impl Names {
    pub(crate) fn with_capacity(entries: usize) -> Self {
        Self { table: HashTable::with_capacity(entries), entries: Vec::with_capacity(entries) }
    }

    /// Empties it, and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.entries.clear();
    }

    pub(crate) fn insert(&mut self, hash: u64, seq: u64) {
        let Ok(at) = u32::try_from(self.entries.len()) else { return };
        self.entries.push((hash, seq));
        let entries = &self.entries;
        self.table.insert_unique(hash, at, |at| hash_at(entries, *at));
    }

    /// The events that hold the name, or another of the same hash; in no order.
    pub(crate) fn get(&self, hash: u64) -> impl Iterator<Item = u64> + '_ {
        let entries = self.table.iter_hash(hash);
        entries.filter_map(move |at| match self.entry(*at) {
            Some((other, seq)) if other == hash => Some(seq),
            _ => None,
        })
    }

    /// Whether [`Self::get`] gives some.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        self.get(hash).next().is_some()
    }

    /// The events whose name's hash has these upper 32 bits. Looks at all.
    pub(crate) fn with_prefix(&self, prefix: u32) -> impl Iterator<Item = u64> + '_ {
        let is_it = move |hash: u64| hash >> 32 == u64::from(prefix);
        self.entries.iter().filter(move |(hash, _)| is_it(*hash)).map(|(_, seq)| *seq)
    }

    /// Every hash and event, in the order of arrival.
    pub(crate) fn entries(&self) -> &[(u64, u64)] {
        &self.entries
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        // An entry, and its slot in a table that is at most half empty.
        let entry_bytes = size_of::<(u64, u64)>().saturating_add(10);
        self.entries.len().saturating_mul(entry_bytes)
    }

    fn entry(&self, at: u32) -> Option<(u64, u64)> {
        self.entries.get(usize::try_from(at).ok()?).copied()
    }
}

fn hash_at(entries: &[(u64, u64)], at: u32) -> u64 {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    entries.get(at).map_or(0, |(hash, _)| *hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_gives_all_its_events_and_no_others() {
        let mut names = Names::default();
        for (hash, seq) in [(7, 1), (13, 2), (7, 3), (1 << 32 | 7, 4)] {
            names.insert(hash, seq);
        }
        let mut seqs: Vec<u64> = names.get(7).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, [1, 3]);
        assert_eq!(names.get(8).count(), 0);
        assert_eq!(names.with_prefix(1).collect::<Vec<_>>(), [4]);
        assert_eq!(names.with_prefix(0).count(), 3);
    }

    #[test]
    fn many_names_are_all_found() {
        let mut names = Names::default();
        for seq in 0..10_000_u64 {
            names.insert(seq.wrapping_mul(0x9e37_79b9_7f4a_7c15), seq);
        }
        for seq in 0..10_000_u64 {
            let hash = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert_eq!(names.get(hash).collect::<Vec<_>>(), [seq]);
        }
    }
}
