//! How many combinations of dimension values the series seen lately have, so that an event seldom has
//! to ask the index whether its customer may have another one.

use hashbrown::{HashMap, HashSet};

use crate::error::ReadError;
use crate::state::State;
use crate::totals::keys::RowHash;
use crate::totals::layers::Needs;

/// How much of the engine's memory this may take: one part of so many.
const MEMORY_PART: usize = 16;
/// What a series takes, and what a combination takes, in tables that are half empty.
const SERIES_BYTES: usize = 36;
const VALUES_BYTES: usize = 18;

/// How many combinations a series has, or more than it has.
#[derive(Debug, Clone, Copy)]
struct Bound {
    count: u32,
    /// It is exact while this is the current epoch.
    epoch: u32,
}

/// What is known of series by hashes.
///
/// Of each series seen a bound is kept, of which 16 bytes suffice; of combinations those seen lately.
/// When they become too many they are forgotten, and an *epoch* ends. From then on a combination that
/// was forgotten counts twice in its series' bound, until the bound reaches the maximum: only then the
/// index is asked for the exact number again.
#[derive(Debug)]
pub(crate) struct KnownValues {
    bounds: HashMap<u64, Bound>,
    /// Of a series together with its values.
    values: HashSet<u64>,
    epoch: u32,
    /// Series and combination of what the current group adds, which no reading finds yet.
    of_group: Vec<RowHash>,
    series_max: usize,
    values_max: usize,
    /// Which half of the series is kept when they become too many.
    keeps_odd: bool,
}

impl KnownValues {
    /// Knows nothing yet. `memory_bytes` is what the whole engine may take.
    pub(crate) fn new(memory_bytes: usize) -> Self {
        let half = Self::bytes_max(memory_bytes).div_euclid(2);
        Self {
            bounds: HashMap::new(),
            values: HashSet::new(),
            epoch: 0,
            of_group: Vec::new(),
            series_max: half.div_euclid(SERIES_BYTES),
            values_max: half.div_euclid(VALUES_BYTES),
            keeps_odd: false,
        }
    }

    /// How much memory it takes at most, of what the whole engine may take.
    pub(crate) fn bytes_max(memory_bytes: usize) -> usize {
        memory_bytes.div_euclid(MEMORY_PART)
    }

    /// Begins a group, when all groups before it are published. Forgets what is too much.
    pub(crate) fn begin_group(&mut self) {
        self.of_group.clear();
        if self.bounds.len() > self.series_max {
            // One half, then the other: were all forgotten at once, each would be counted anew.
            let half = u64::from(self.keeps_odd);
            self.bounds.retain(|series, _| series & 1 == half);
            self.keeps_odd = !self.keeps_odd;
        }
        if self.values.len() > self.values_max {
            self.values.clear();
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    /// Whether the series is known to have the combination.
    pub(crate) fn has(&self, hash: RowHash) -> bool {
        self.values.contains(&hash.row)
    }

    /// Whether the series has the combination already or may have one more than it has; it has it
    /// from then on.
    pub(crate) fn has_room(
        &mut self,
        state: &State,
        series: &[u8],
        hash: RowHash,
        max: usize,
    ) -> Result<bool, ReadError> {
        if self.has(hash) {
            return Ok(true);
        }
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        let known = self.bounds.get(&hash.series);
        let suffices = |bound: &Bound| bound.count < max || bound.epoch == self.epoch;
        let bound = match known.copied().filter(suffices) {
            Some(bound) => bound,
            None => {
                let exact = self.count(state, series, hash)?;
                if self.has(hash) {
                    self.bounds.insert(hash.series, exact);
                    return Ok(true);
                }
                exact
            }
        };
        let has_room = bound.count < max;
        let count = bound.count.saturating_add(u32::from(has_room));
        self.bounds.insert(hash.series, Bound { count, ..bound });
        if has_room {
            self.values.insert(hash.row);
            self.of_group.push(hash);
        }
        Ok(has_room)
    }

    /// Counts the combinations of a series, and knows them from then on.
    fn count(&mut self, state: &State, series: &[u8], hash: RowHash) -> Result<Bound, ReadError> {
        let needs =
            Needs { series: series.to_vec(), cells: None, by_values: true, postings: Vec::new() };
        let read = state.read(&needs, |layers| layers.values(series))?;
        let of_group = self.of_group.iter().filter(|of| of.series == hash.series);
        let rows: HashSet<u64> = read
            .iter()
            .map(|values| RowHash::of(series, values).row)
            .chain(of_group.map(|of| of.row))
            .collect();
        self.values.extend(&rows);
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        Ok(Bound { count, epoch: self.epoch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Index;
    use crate::log::disk::OsDisk;
    use std::sync::Arc;

    fn hash(series: u64, row: u64) -> RowHash {
        RowHash { series, row }
    }

    #[test]
    fn a_combination_of_the_same_group_counts_though_it_was_not_published_yet() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::new(Index::open(dir.path(), Arc::new(OsDisk)).unwrap());
        let mut known = KnownValues::new(0);
        known.begin_group();
        for (row, has_room) in [(1, true), (2, true), (3, false), (1, true), (4, false)] {
            assert_eq!(known.has_room(&state, b"s", hash(7, row), 2).unwrap(), has_room, "{row}");
        }
    }

    #[test]
    fn too_many_series_are_forgotten_by_halves() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::new(Index::open(dir.path(), Arc::new(OsDisk)).unwrap());
        let mut known = KnownValues::new(16 * 2 * 3 * SERIES_BYTES);
        for series in 0..7 {
            assert!(known.has_room(&state, b"s", hash(series, series), 10).unwrap());
        }
        let kept = |known: &KnownValues| {
            let mut kept: Vec<u64> = known.bounds.keys().copied().collect();
            kept.sort_unstable();
            kept
        };
        known.begin_group();
        assert_eq!(kept(&known), [0, 2, 4, 6]);
        known.begin_group();
        assert!(kept(&known).is_empty());
    }

    #[test]
    fn what_was_forgotten_is_counted_anew_only_at_the_maximum() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::new(Index::open(dir.path(), Arc::new(OsDisk)).unwrap());
        // Room for three series and for six combinations.
        let mut known = KnownValues::new(16 * 2 * 3 * SERIES_BYTES);
        known.begin_group();
        for row in 0..7 {
            assert!(known.has_room(&state, b"s", hash(7, row), 10).unwrap());
        }
        // Nothing was published in truth, so an exact count would find none.
        known.begin_group();
        assert!(!known.has(hash(7, 0)), "forgotten");
        for row in 0..3 {
            assert!(known.has_room(&state, b"s", hash(7, row), 10).unwrap());
        }
        assert_eq!(known.bounds.get(&7).map(|bound| bound.count), Some(10), "three counted twice");
        assert!(known.has_room(&state, b"s", hash(7, 13), 10).unwrap());
        // The three of this group, and the one that was let in after the count.
        assert_eq!(known.bounds.get(&7).map(|bound| bound.count), Some(4));
    }
}
