//! The cells of the totals in memory, and the postings of each.

use hashbrown::HashTable;
use taximeter_kernel::aggregate::{Cell, CellError};

use super::kept::{Kept, Large};
use super::rows::TABLE_BYTES;
use super::{CellNo, NONE, RowNo, wide};
use crate::memtable::postings::{self, Posting};
use crate::totals::keys::Hour;

/// An hour of a row.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) row: RowNo,
    pub(super) hour: Hour,
    /// The slot of the same row that was made before.
    pub(super) before: CellNo,
    /// Where the latest posting is.
    last_posting: u32,
    /// How many bytes all of its postings take.
    posting_bytes: u32,
    /// The place in the order of the latest posting.
    last_seq: u64,
    cell: Kept,
}

/// A cell as a flush and a read see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whether the cell stands in place of what was there before, instead of adding to it.
    pub(crate) replaces: bool,
    pub(crate) cell: Cell,
}

#[derive(Debug, Default)]
pub(super) struct Slots {
    table: HashTable<CellNo>,
    slots: Vec<Slot>,
    large: Large,
    /// Postings in the order of arrival: the place of the one before of the same slot (4), the slot
    /// (4), how many bytes follow (1), the posting as it is behind the one before.
    postings: Vec<u8>,
}

/// The bytes before a posting.
const POSTING_HEAD_BYTES: usize = 9;
/// The bytes of a place in the order.
const ROW_HEAD_BYTES_MAX: usize = 10;
/// So much is left of what a place of a posting can name that no group of events fills it.
const POSTINGS_BYTES_MAX: usize = 1 << 31;

impl Slots {
    pub(super) fn with_capacity(events: usize) -> Self {
        let cells = events.div_euclid(2);
        Self {
            table: HashTable::with_capacity(cells),
            slots: Vec::with_capacity(cells),
            large: Large::default(),
            postings: Vec::with_capacity(
                events.saturating_mul(POSTING_HEAD_BYTES.saturating_mul(2)),
            ),
        }
    }

    pub(super) fn clear(&mut self) {
        let Self { table, slots, large, postings } = self;
        table.clear();
        slots.clear();
        large.clear();
        postings.clear();
    }

    /// How much memory it takes; all there is when it must take in nothing more.
    pub(super) fn bytes(&self) -> usize {
        if self.postings.len() > POSTINGS_BYTES_MAX {
            return usize::MAX;
        }
        let slot_bytes = size_of::<Slot>().saturating_add(TABLE_BYTES);
        let slots = self.slots.len().saturating_mul(slot_bytes);
        slots.saturating_add(self.large.bytes()).saturating_add(self.postings.len())
    }

    pub(super) fn all(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn get(&self, at: CellNo) -> Option<&Slot> {
        self.slots.get(wide(at))
    }

    /// Changes the total of a slot.
    pub(super) fn change<T>(
        &mut self,
        at: CellNo,
        change: impl FnOnce(&mut Change) -> Result<T, CellError>,
    ) -> Result<T, CellError> {
        let slot = self.slots.get_mut(wide(at)).ok_or(CellError::Kind)?;
        let mut kept = self.large.get(slot.cell).ok_or(CellError::Kind)?;
        let changed = change(&mut kept)?;
        if self.large.put(&mut slot.cell, kept) { Ok(changed) } else { Err(CellError::Kind) }
    }

    /// What a slot says about its total; nothing when a mark alone touched it.
    pub(super) fn said(&self, slot: &Slot) -> Option<Change> {
        self.large.get(slot.cell).filter(|change| change.replaces || !change.is_nothing())
    }

    pub(super) fn find(&self, row: RowNo, hour: Hour) -> Option<CellNo> {
        let is_it =
            |no: &CellNo| self.get(*no).is_some_and(|slot| slot.row == row && slot.hour == hour);
        self.table.find(hash(row, hour), is_it).copied()
    }

    /// Makes the slot of an hour, which is not there; `before` is the one made last of the same row.
    pub(super) fn make(
        &mut self,
        row: RowNo,
        hour: Hour,
        before: CellNo,
        cell: Cell,
    ) -> Result<CellNo, CellError> {
        let cell = self.large.keep(Change { replaces: false, cell }).ok_or(CellError::Kind)?;
        let no = u32::try_from(self.slots.len()).unwrap_or(NONE);
        self.slots.push(Slot {
            row,
            hour,
            before,
            last_posting: NONE,
            posting_bytes: 0,
            last_seq: 0,
            cell,
        });
        let slots = &self.slots;
        self.table.insert_unique(hash(row, hour), no, |no| {
            slots.get(wide(*no)).map_or(0, |slot| hash(slot.row, slot.hour))
        });
        Ok(no)
    }

    /// Adds the latest posting of a slot.
    pub(super) fn post(&mut self, cell: CellNo, posting: &Posting) {
        let Ok(at) = u32::try_from(self.postings.len()) else { return };
        let Some(slot) = self.slots.get_mut(wide(cell)) else { return };
        self.postings.extend_from_slice(&slot.last_posting.to_le_bytes());
        self.postings.extend_from_slice(&cell.to_le_bytes());
        self.postings.push(0);
        let start = self.postings.len();
        postings::put(&mut self.postings, slot.last_seq, posting);
        let bytes = u8::try_from(self.postings.len().saturating_sub(start)).unwrap_or(u8::MAX);
        if let Some(length) = self.postings.get_mut(start.saturating_sub(1)) {
            *length = bytes;
        }
        slot.last_posting = at;
        slot.posting_bytes = slot.posting_bytes.saturating_add(bytes.into());
        slot.last_seq = posting.seq();
    }

    /// The postings of a slot, in order.
    pub(super) fn postings(&self, slot: &Slot) -> Vec<Posting> {
        let mut chain: Vec<&[u8]> = Vec::new();
        let mut at = slot.last_posting;
        while at != NONE {
            let Some(stored) = self.stored_at(wide(at)) else { break };
            chain.push(stored.posting);
            at = stored.before;
        }
        let mut postings = Vec::with_capacity(chain.len());
        let mut before = 0;
        for bytes in chain.into_iter().rev() {
            let Ok(posting) = postings::read_one(bytes, before) else { break };
            before = posting.seq();
            postings.push(posting);
        }
        postings
    }

    /// The rows of postings of the slots that have some, one behind another in the order of `slots`.
    pub(super) fn posting_rows(&self, slots: impl Iterator<Item = CellNo>) -> PostingRows {
        let (with_postings, bytes) = self.slots.iter().filter(|slot| slot.posting_bytes > 0).fold(
            (0_usize, 0_usize),
            |(slots, bytes), slot| {
                let row = wide(slot.posting_bytes).saturating_add(ROW_HEAD_BYTES_MAX);
                (slots.saturating_add(1), bytes.saturating_add(row))
            },
        );
        let mut rows = PostingRows {
            bytes: Vec::with_capacity(bytes),
            rows: Vec::with_capacity(with_postings),
        };
        // Where the next posting of each slot goes.
        let mut ends: Vec<usize> = vec![0; self.slots.len()];
        for at in slots {
            let Some(slot) = self.get(at).filter(|slot| slot.posting_bytes > 0) else {
                continue;
            };
            let start = rows.bytes.len();
            postings::put_row_head(&mut rows.bytes, slot.last_seq);
            if let Some(end) = ends.get_mut(wide(at)) {
                *end = rows.bytes.len();
            }
            let end = rows.bytes.len().saturating_add(wide(slot.posting_bytes));
            rows.bytes.resize(end, 0);
            rows.rows.push((at, start));
        }
        // They are taken in the order of arrival, which is how they lie in memory.
        let mut at = 0;
        while let Some(stored) = self.stored_at(at) {
            let length = stored.posting.len();
            if let Some(start) = ends.get_mut(wide(stored.cell)) {
                let end = start.saturating_add(length);
                if let Some(place) = rows.bytes.get_mut(*start..end) {
                    place.copy_from_slice(stored.posting);
                }
                *start = end;
            }
            at = at.saturating_add(POSTING_HEAD_BYTES).saturating_add(length);
        }
        rows
    }

    fn stored_at(&self, at: usize) -> Option<Stored<'_>> {
        let bytes = self.postings.get(at..)?;
        let (before, bytes) = bytes.split_first_chunk::<4>()?;
        let (cell, bytes) = bytes.split_first_chunk::<4>()?;
        let (length, bytes) = bytes.split_first()?;
        Some(Stored {
            before: u32::from_le_bytes(*before),
            cell: u32::from_le_bytes(*cell),
            posting: bytes.get(..usize::from(*length))?,
        })
    }
}

/// A posting in the order of arrival.
struct Stored<'a> {
    before: u32,
    cell: CellNo,
    posting: &'a [u8],
}

/// Rows of postings as the index has them.
#[derive(Debug)]
pub(super) struct PostingRows {
    bytes: Vec<u8>,
    /// The slot of each, and where it begins.
    rows: Vec<(CellNo, usize)>,
}

impl PostingRows {
    /// Slot and row.
    pub(super) fn iter(&self) -> impl Iterator<Item = (CellNo, &[u8])> {
        let ends = self.rows.iter().skip(1).map(|(_, start)| *start);
        let ends = ends.chain(std::iter::once(self.bytes.len()));
        self.rows
            .iter()
            .zip(ends)
            .map(|((slot, start), end)| (*slot, self.bytes.get(*start..end).unwrap_or_default()))
    }
}

impl Change {
    /// Whether it says nothing: adding it changes nothing, or it says that nothing is there.
    pub(crate) fn is_nothing(&self) -> bool {
        is_nothing(&self.cell)
    }
}

/// Whether merging the cell changes nothing.
fn is_nothing(cell: &Cell) -> bool {
    let nothing = match *cell {
        Cell::Sum { sum, .. } => sum.is_zero(),
        Cell::Count { .. } => true,
        Cell::Last { last, .. } => last.is_none(),
        Cell::Max { value, .. } | Cell::Min { value, .. } => value.is_none(),
        Cell::Weighted { sum, moment, .. } => sum.is_zero() && moment.is_zero(),
        Cell::Survivor { latest } => latest.is_none(),
    };
    nothing && cell.count() == 0
}

fn hash(row: RowNo, hour: Hour) -> u64 {
    // Odd multipliers spread the low bits over the high ones, which the table looks at, too.
    let row = u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hour = hour.cast_unsigned().wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    let mixed = row.rotate_left(29) ^ hour;
    mixed ^ mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(23)
}
