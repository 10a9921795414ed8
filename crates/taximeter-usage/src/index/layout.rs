//! A run file: what is where in it.
//!
//! ```text
//! header page 4,096 | names: pages, fence, filter | cells: blocks, fence | postings | dims
//!   | footer | length of the footer 8 | checksum of both 8 | magic 8
//! ```
//!
//! The parts follow each other without gaps and each is under a checksum, so no bit of the file can
//! change unnoticed. Numbers of fixed width are little-endian.

use xxhash_rust::xxh3::xxh3_64;

use crate::index::Table;
use crate::index::filter::LINE_BYTES;
use crate::index::numbers::{
    Malformed, put, put_bytes, take, take_array, take_bytes, take_slice, wide,
};
use crate::index::pages::{PAGE_BYTES, SEQ_BITS_MAX, seq_bits};

/// The bytes of the header.
pub(crate) const HEADER_BYTES: u64 = 4_096;
/// The bytes at the very end, by which the footer is found.
pub(crate) const TAIL_BYTES: usize = 24;
/// The largest footer.
pub(crate) const FOOTER_BYTES_MAX: u64 = 1 << 24;

const MAGIC: [u8; 8] = *b"TXMTRIDX";
const END_MAGIC: [u8; 8] = *b"TXMTREND";
const VERSION: u32 = 1;

/// Why a header says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged,
    UnknownFormat(u32),
}

/// The header of run `number`.
pub(crate) fn encode_header(number: u32) -> Vec<u8> {
    let mut page = vec![0; 8];
    page.extend_from_slice(&MAGIC);
    page.extend_from_slice(&VERSION.to_le_bytes());
    page.extend_from_slice(&number.to_le_bytes());
    page.resize(PAGE_BYTES, 0);
    if let Some((checksum, checked)) = page.split_first_chunk_mut() {
        *checksum = xxh3_64(checked).to_le_bytes();
    }
    page
}

/// The number of the run whose header `page` is.
pub(crate) fn decode_header(page: &[u8]) -> Result<u32, HeaderFault> {
    let read = || {
        let (checksum, checked) = page.split_first_chunk().ok_or(Malformed)?;
        let mut rest = checked;
        if take_array(&mut rest)? != MAGIC || xxh3_64(checked) != u64::from_le_bytes(*checksum) {
            return Err(Malformed);
        }
        let version = u32::from_le_bytes(take_array(&mut rest)?);
        Ok((version, u32::from_le_bytes(take_array(&mut rest)?)))
    };
    match read() {
        Ok((VERSION, number)) => Ok(number),
        Ok((version, _)) => Err(HeaderFault::UnknownFormat(version)),
        Err(Malformed) => Err(HeaderFault::Damaged),
    }
}

/// What a run says of itself, and how long its parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) level: u8,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) names: NamesPart,
    pub(crate) tables: [TablePart; Table::ALL.len()],
    pub(crate) meta: Vec<u8>,
}

/// The names, the first key of each of their pages, and the filter of them all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NamesPart {
    pub(crate) count: u64,
    pub(crate) pages: u64,
    pub(crate) fence_checksum: u64,
    pub(crate) filter_lines: u64,
    pub(crate) filter_checksum: u64,
}

/// The blocks of a table, and their fence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TablePart {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) fence_bytes: u64,
    pub(crate) fence_checksum: u64,
}

/// Where the parts of a file begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offsets {
    pub(crate) names_fence: u64,
    pub(crate) filter: u64,
    /// Each table, and its fence.
    pub(crate) tables: [(u64, u64); Table::ALL.len()],
    pub(crate) footer: u64,
}

impl Footer {
    /// The footer and what follows it to the end of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.level];
        put(&mut out, self.first_seq);
        put(&mut out, self.last_seq);
        let NamesPart { count, pages, fence_checksum, filter_lines, filter_checksum } = self.names;
        for number in [count, pages, fence_checksum, filter_lines, filter_checksum] {
            put(&mut out, number);
        }
        for TablePart { count, bytes, fence_bytes, fence_checksum } in self.tables {
            for number in [count, bytes, fence_bytes, fence_checksum] {
                put(&mut out, number);
            }
        }
        put_bytes(&mut out, &self.meta);
        let length = wide(out.len());
        out.extend_from_slice(&length.to_le_bytes());
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&END_MAGIC);
        out
    }

    /// The length of the footer, from the last [`TAIL_BYTES`] of the file.
    pub(crate) fn length(mut tail: &[u8]) -> Result<u64, Malformed> {
        let length = u64::from_le_bytes(take_array(&mut tail)?);
        let _checksum = take_slice(&mut tail, 8)?;
        let fits = take_array(&mut tail)? == END_MAGIC && length <= FOOTER_BYTES_MAX;
        if fits { Ok(length) } else { Err(Malformed) }
    }

    /// The footer, from it and what follows it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let length = bytes.len().checked_sub(TAIL_BYTES).ok_or(Malformed)?;
        let (checked, mut end) =
            bytes.split_at_checked(length.saturating_add(8)).ok_or(Malformed)?;
        if xxh3_64(checked) != u64::from_le_bytes(take_array(&mut end)?) {
            return Err(Malformed);
        }
        let mut rest = checked.get(..length).ok_or(Malformed)?;
        let [level] = take_array(&mut rest)?;
        let (first_seq, last_seq) = (take(&mut rest)?, take(&mut rest)?);
        let names = NamesPart {
            count: take(&mut rest)?,
            pages: take(&mut rest)?,
            fence_checksum: take(&mut rest)?,
            filter_lines: take(&mut rest)?,
            filter_checksum: take(&mut rest)?,
        };
        let mut tables = [TablePart::default(); Table::ALL.len()];
        for table in &mut tables {
            table.count = take(&mut rest)?;
            table.bytes = take(&mut rest)?;
            table.fence_bytes = take(&mut rest)?;
            table.fence_checksum = take(&mut rest)?;
        }
        let meta = take_bytes(&mut rest)?.to_vec();
        if rest.is_empty() && covers(first_seq, last_seq) {
            Ok(Self { level, first_seq, last_seq, names, tables, meta })
        } else {
            Err(Malformed)
        }
    }

    /// Where the parts begin.
    pub(crate) fn offsets(&self) -> Result<Offsets, Malformed> {
        let mut next = HEADER_BYTES;
        let mut part = |bytes: Option<u64>| {
            let start = next;
            next = start.checked_add(bytes?)?;
            Some(start)
        };
        let mut parts = || {
            part(self.names.pages.checked_mul(wide(PAGE_BYTES)))?;
            let names_fence = part(self.names.pages.checked_mul(8))?;
            let filter = part(self.names.filter_lines.checked_mul(LINE_BYTES))?;
            let mut tables = [(0, 0); Table::ALL.len()];
            for (offsets, table) in tables.iter_mut().zip(&self.tables) {
                *offsets = (part(Some(table.bytes))?, part(Some(table.fence_bytes))?);
            }
            Some(Offsets { names_fence, filter, tables, footer: part(Some(0))? })
        };
        parts().ok_or(Malformed)
    }
}

/// Whether a run can cover these positions.
pub(crate) fn covers(first_seq: u64, last_seq: u64) -> bool {
    first_seq > 0 && first_seq <= last_seq && seq_bits(first_seq, last_seq) <= SEQ_BITS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_or_foreign_header_is_refused() {
        let page = encode_header(13);
        assert_eq!(decode_header(&page), Ok(13));
        for at in 0..page.len() {
            let mut changed = page.clone();
            changed[at] ^= 0x20;
            assert_eq!(decode_header(&changed), Err(HeaderFault::Damaged), "{at}");
        }
        let mut newer = page.clone();
        newer[16] = 7;
        let checksum = xxh3_64(&newer[8..]).to_le_bytes();
        newer[..8].copy_from_slice(&checksum);
        assert_eq!(decode_header(&newer), Err(HeaderFault::UnknownFormat(7)));
    }

    #[test]
    fn a_footer_reads_back_and_none_of_its_bits_can_change() {
        let footer = Footer {
            level: 3,
            first_seq: 101,
            last_seq: 700,
            names: NamesPart { count: 7, pages: 1, filter_lines: 1, ..NamesPart::default() },
            tables: [TablePart { count: 1, bytes: 13, fence_bytes: 2, fence_checksum: u64::MAX };
                3],
            meta: b"meta".to_vec(),
        };
        let bytes = footer.encode();
        let length = bytes.len() - TAIL_BYTES;
        assert_eq!(Footer::length(&bytes[length..]), Ok(wide(length)));
        assert_eq!(Footer::decode(&bytes), Ok(footer));
        for at in 0..bytes.len() - 8 {
            let mut changed = bytes.clone();
            changed[at] ^= 0x04;
            assert_eq!(Footer::decode(&changed), Err(Malformed), "{at}");
        }
    }
}
