//! Cells in as little memory as they usually need: most of a memtable is cells, and each event looks
//! at one that is seldom in the processor's caches.

use taximeter_kernel::aggregate::{Cell, WideSum};

use super::{Change, wide};

/// A cell as a slot keeps it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    Count {
        count: i64,
    },
    /// A sum that fits: the bytes of its 10^-18ths, which need no alignment.
    Sum {
        count: i64,
        units: [u8; 16],
    },
    /// Any other cell, and each that replaces what was there: its place among the large.
    Large(u32),
}

/// The cells that need more room than most.
#[derive(Debug, Default)]
pub(super) struct Large(Vec<Change>);

impl Large {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len().saturating_mul(size_of::<Change>())
    }

    /// Keeps something new; `None` when no more can be named.
    pub(super) fn keep(&mut self, change: Change) -> Option<Kept> {
        if let Some(kept) = small(&change) {
            return Some(kept);
        }
        let at = u32::try_from(self.0.len()).ok()?;
        self.0.push(change);
        Some(Kept::Large(at))
    }

    pub(super) fn get(&self, kept: Kept) -> Option<Change> {
        let cell = match kept {
            Kept::Count { count } => Cell::Count { count },
            Kept::Sum { count, units } => {
                Cell::Sum { count, sum: WideSum::from_units(i128::from_le_bytes(units)) }
            }
            Kept::Large(at) => return self.0.get(wide(at)).cloned(),
        };
        Some(Change { replaces: false, cell })
    }

    /// Keeps `change` in place of what was kept; `false` when it cannot.
    #[must_use]
    pub(super) fn put(&mut self, kept: &mut Kept, change: Change) -> bool {
        if let Kept::Large(at) = *kept {
            let place = self.0.get_mut(wide(at));
            return place.map(|place| *place = change).is_some();
        }
        let other = self.keep(change);
        other.map(|other| *kept = other).is_some()
    }
}

fn small(change: &Change) -> Option<Kept> {
    match change.cell {
        _ if change.replaces => None,
        Cell::Count { count } => Some(Kept::Count { count }),
        Cell::Sum { count, sum } => {
            let units = sum.to_units()?;
            Some(Kept::Sum { count, units: units.to_le_bytes() })
        }
        Cell::Last { .. }
        | Cell::Max { .. }
        | Cell::Min { .. }
        | Cell::Weighted { .. }
        | Cell::Survivor { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(units: i128) -> Cell {
        Cell::Sum { count: 7, sum: WideSum::from_units(units) }
    }

    #[test]
    fn what_is_kept_is_what_was_put() {
        let largest = WideSum::from_units(i128::MAX);
        let wider = Cell::Sum { count: 13, sum: largest.checked_add(largest).unwrap() };
        let max = Cell::Max { count: -1, value: None };
        let cells =
            [sum(0), sum(-7), sum(i128::MIN), sum(i128::MAX), wider, max, Cell::Count { count: 5 }];
        let changes = || {
            let both = |cell| [false, true].map(|replaces| Change { replaces, cell });
            cells.into_iter().flat_map(both)
        };
        let mut large = Large::default();
        for first in changes() {
            for then in changes() {
                let mut kept = large.keep(first.clone()).unwrap();
                assert_eq!(large.get(kept), Some(first.clone()));
                assert!(large.put(&mut kept, then.clone()));
                assert_eq!(large.get(kept), Some(then));
            }
        }
    }

    #[test]
    fn what_is_looked_at_for_an_event_fits_a_line_of_the_cache() {
        assert_eq!(size_of::<super::super::slots::Slot>(), 64);
    }
}
