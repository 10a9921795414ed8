//! The totals in memory in the order in which a flush writes them.

use taximeter_kernel::aggregate::{Cell, CellError};

use super::{CellNo, Change, NONE, RowNo, Totals, wide};
use crate::totals::keys::Hour;

/// The slots of a memtable in the order in which a flush writes them.
#[derive(Debug)]
pub(crate) struct Sorted<'a> {
    totals: &'a Totals,
    /// In the order of series and values.
    rows: Vec<RowNo>,
    slots: Vec<Ranked>,
}

#[derive(Debug, Clone, Copy)]
struct Ranked {
    /// The place of its row.
    rank: u32,
    slot: CellNo,
    hour: Hour,
}

/// Whose total something is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) series: &'a [u8],
    /// Its dimension values; empty for all together.
    pub(crate) values: &'a [u8],
}

impl<'a> Sorted<'a> {
    /// Gives the totals to `each` in the order of their keys, without what holds only postings.
    /// `failed` says that totals do not go together.
    pub(crate) fn changes<E>(
        &self,
        failed: impl Fn(CellError) -> E,
        mut each: impl FnMut(Key<'_>, Hour, Change) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut hours = Vec::new();
        for of_series in self.slots.chunk_by(|one, next| self.all_of(one) == self.all_of(next)) {
            let all = of_series.first().and_then(|of| self.all_of(of)).unwrap_or(NONE);
            let added_up = !self.totals.rows.is_whole(all);
            if added_up {
                hours.clear();
                hours.extend(of_series.iter().map(|of| (of.hour, of.slot)));
                self.add_up(all, &mut hours, &failed, &mut each)?;
            }
            for of in of_series {
                let Some(slot) = self.totals.slots.get(of.slot) else { continue };
                let said = self.totals.slots.said(slot).filter(|_| !added_up || slot.row != all);
                if let (Some(change), Some(key)) = (said, self.key(of.rank)) {
                    each(key, slot.hour, change)?;
                }
            }
        }
        Ok(())
    }

    /// Gives the totals of a series of which these are all slots to `each`.
    fn add_up<E>(
        &self,
        all: RowNo,
        slots: &mut [(Hour, CellNo)],
        failed: &impl Fn(CellError) -> E,
        each: &mut impl FnMut(Key<'_>, Hour, Change) -> Result<(), E>,
    ) -> Result<(), E> {
        slots.sort_unstable();
        let key = Key { series: self.totals.rows.series_at(all), values: &[] };
        for of_hour in slots.chunk_by(|(one, _), (next, _)| one == next) {
            let kept = &self.totals.slots;
            let mut sum: Option<(Hour, Cell)> = None;
            for slot in of_hour.iter().filter_map(|(_, at)| kept.get(*at)) {
                let Some(Change { cell, .. }) = kept.said(slot) else { continue };
                match &mut sum {
                    Some((_, sum)) => sum.merge(&cell).map_err(failed)?,
                    None => sum = Some((slot.hour, cell)),
                }
            }
            if let Some((hour, cell)) = sum {
                each(key, hour, Change { replaces: false, cell })?;
            }
        }
        Ok(())
    }

    /// The row of all of a slot's series.
    fn all_of(&self, of: &Ranked) -> Option<RowNo> {
        self.rows.get(wide(of.rank)).map(|row| self.totals.rows.all_of(*row))
    }

    /// Each series with each of its dimension values, in order.
    pub(crate) fn with_values(&self) -> impl Iterator<Item = Key<'a>> {
        let used = self.slots.chunk_by(|one, next| one.rank == next.rank).filter_map(<[_]>::first);
        used.filter_map(|slot| self.key(slot.rank)).filter(|key| !key.values.is_empty())
    }

    /// Gives the rows of postings to `each`, in the order of series, hour, values.
    pub(crate) fn postings<E>(
        mut self,
        mut each: impl FnMut(Key<'_>, Hour, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { totals, rows, slots } = &mut self;
        let all_of = |of: &Ranked| rows.get(wide(of.rank)).map(|row| totals.rows.all_of(*row));
        for of_series in slots.chunk_by_mut(|one, next| all_of(one) == all_of(next)) {
            of_series.sort_unstable_by_key(|slot| (slot.hour, slot.rank));
        }
        let mut slots = self.slots.iter();
        let rows = self.totals.slots.posting_rows(self.slots.iter().map(|slot| slot.slot));
        for (at, row) in rows.iter() {
            let Some(slot) = slots.find(|slot| slot.slot == at) else { break };
            let Some(key) = self.key(slot.rank) else { break };
            each(key, slot.hour, row)?;
        }
        Ok(())
    }

    fn key(&self, rank: u32) -> Option<Key<'a>> {
        let row = *self.rows.get(wide(rank))?;
        let rows = &self.totals.rows;
        Some(Key { series: rows.series_at(row), values: rows.values_at(row) })
    }
}

impl Totals {
    /// Every slot in the order of series, dimension values, hour.
    pub(crate) fn sorted(&self) -> Sorted<'_> {
        let rows = self.rows.sorted();
        let mut ranks: Vec<u32> = vec![0; self.rows.len()];
        for (rank, row) in (0..).zip(&rows) {
            if let Some(of_row) = ranks.get_mut(wide(*row)) {
                *of_row = rank;
            }
        }
        let rank_of = |row: RowNo| ranks.get(wide(row)).copied().unwrap_or_default();
        let slots = (0..).zip(self.slots.all());
        let mut slots: Vec<Ranked> = slots
            .map(|(at, slot)| Ranked { rank: rank_of(slot.row), slot: at, hour: slot.hour })
            .collect();
        slots.sort_unstable_by_key(|slot| (slot.rank, slot.hour));
        Sorted { totals: self, rows, slots }
    }
}
