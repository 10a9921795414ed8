//! The table of names: fixed 64-bit keys in order, each with the position it belongs to.
//!
//! ```text
//! page = checksum 8 | first key 8 | count 2 | positions | keys | zeros to 4,096
//! ```
//!
//! Positions are relative to the run's first and take as many bits as the run's last needs. Each
//! key but the first is its difference to the one before, in 0 to 8 bytes; a byte before every two
//! tells their lengths. A key of a million takes about 9 bytes in all.

use xxhash_rust::xxh3::xxh3_64;

use crate::index::error::IndexError;
use crate::index::numbers::{Malformed, narrow, take_array, wide};
use crate::index::sink::Sink;

/// The bytes of a page. Each begins at a multiple of it, as the pages of the machine do.
pub(crate) const PAGE_BYTES: usize = 4_096;
/// What must be readable behind a page to decode it.
pub(crate) const SLACK_BYTES: usize = 8;
/// A run cannot cover more positions than fit in so many bits.
pub(crate) const SEQ_BITS_MAX: u32 = 56;

const HEAD_BYTES: usize = 18;
const MASKS: [u64; 9] = {
    let mut masks = [u64::MAX; 9];
    masks[0] = 0;
    masks[1] = 0xff;
    masks[2] = 0xffff;
    masks[3] = 0xff_ffff;
    masks[4] = 0xffff_ffff;
    masks[5] = 0xff_ffff_ffff;
    masks[6] = 0xffff_ffff_ffff;
    masks[7] = 0xff_ffff_ffff_ffff;
    masks
};

/// The bits that a position in a run takes.
pub(crate) fn seq_bits(first_seq: u64, last_seq: u64) -> u32 {
    64_u32.saturating_sub(last_seq.saturating_sub(first_seq).leading_zeros())
}

/// Makes pages of names that come in order.
#[derive(Debug)]
pub(crate) struct NamesBuilder {
    first_seq: u64,
    bits: u32,
    /// The names of the page that is being filled: the first key, the positions, and the other
    /// keys as they will be in the page.
    first: u64,
    seqs: Vec<u64>,
    keys: Vec<u8>,
    /// Where in `keys` the lengths of the current two are.
    lengths_at: usize,
    last: (u64, u64),
    count: u64,
    fence: Vec<u64>,
    page: Vec<u8>,
}

impl NamesBuilder {
    pub(crate) fn new(first_seq: u64, last_seq: u64) -> Self {
        Self {
            first_seq,
            bits: seq_bits(first_seq, last_seq),
            first: 0,
            seqs: Vec::new(),
            keys: Vec::new(),
            lengths_at: 0,
            last: (0, 0),
            count: 0,
            fence: Vec::new(),
            page: Vec::new(),
        }
    }

    /// Appends a name. The caller has checked that `seq` is in the run.
    pub(crate) fn push(
        &mut self,
        key: u64,
        seq: u64,
        sink: &mut Sink<'_>,
    ) -> Result<(), IndexError> {
        if (key, seq) < self.last {
            let what = "names out of order";
            return Err(IndexError::Refused { path: sink.path().to_owned(), what });
        }
        let delta = key.wrapping_sub(self.last.0);
        if !self.fits(delta) {
            self.flush(sink)?;
        }
        if self.seqs.is_empty() {
            self.first = key;
        } else {
            self.push_delta(delta);
        }
        self.seqs.push(seq.saturating_sub(self.first_seq));
        self.last = (key, seq);
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// How many names there are so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Writes what is left, and returns how many names there are and the first key of each page.
    pub(crate) fn finish(mut self, sink: &mut Sink<'_>) -> Result<(u64, Vec<u64>), IndexError> {
        if !self.seqs.is_empty() {
            self.flush(sink)?;
        }
        Ok((self.count, self.fence))
    }

    /// Whether the page has room for one more key.
    fn fits(&self, delta: u64) -> bool {
        let seqs = seqs_bytes(self.seqs.len().saturating_add(1), self.bits);
        let bytes = HEAD_BYTES
            .saturating_add(seqs)
            .saturating_add(self.keys.len())
            .saturating_add(1)
            .saturating_add(width(delta).into());
        bytes <= PAGE_BYTES
    }

    fn push_delta(&mut self, delta: u64) {
        let width = width(delta);
        // The first key of a page is apart, so the second begins the first two.
        if self.seqs.len() & 1 == 1 {
            self.lengths_at = self.keys.len();
            self.keys.push(width);
        } else if let Some(lengths) = self.keys.get_mut(self.lengths_at) {
            *lengths |= width << 4;
        }
        let bytes = delta.to_le_bytes();
        self.keys.extend_from_slice(bytes.get(..width.into()).unwrap_or_default());
    }

    fn flush(&mut self, sink: &mut Sink<'_>) -> Result<(), IndexError> {
        let page = &mut self.page;
        page.clear();
        page.extend_from_slice(&[0; 8]);
        page.extend_from_slice(&self.first.to_le_bytes());
        let count = u16::try_from(self.seqs.len()).unwrap_or(u16::MAX);
        page.extend_from_slice(&count.to_le_bytes());
        pack(page, &self.seqs, self.bits);
        page.extend_from_slice(&self.keys);
        page.resize(PAGE_BYTES, 0);
        if let Some((checksum, checked)) = page.split_first_chunk_mut() {
            *checksum = xxh3_64(checked).to_le_bytes();
        }
        self.fence.push(self.first);
        self.seqs.clear();
        self.keys.clear();
        sink.write(page)
    }
}

/// The bytes that a difference of keys takes.
fn width(delta: u64) -> u8 {
    let bits = 64_u32.saturating_sub(delta.leading_zeros());
    u8::try_from(bits.div_ceil(8)).unwrap_or(8)
}

fn seqs_bytes(count: usize, bits: u32) -> usize {
    narrow(wide(count).saturating_mul(bits.into()).div_ceil(8))
}

/// Appends the low `bits` bits of each number, without gaps.
fn pack(out: &mut Vec<u8>, numbers: &[u64], bits: u32) {
    let mut pending: u64 = 0;
    let mut filled: u32 = 0;
    for number in numbers {
        pending |= number << filled;
        filled = filled.saturating_add(bits);
        while filled >= 8 {
            let [low, ..] = pending.to_le_bytes();
            out.push(low);
            pending >>= 8;
            filled = filled.saturating_sub(8);
        }
    }
    if filled > 0 {
        let [low, ..] = pending.to_le_bytes();
        out.push(low);
    }
}

/// A page of names that was read.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    bytes: &'a [u8],
    bits: u32,
    first_seq: u64,
    first: u64,
    count: usize,
}

impl<'a> Page<'a> {
    /// The page at the start of `bytes`, which go on for [`SLACK_BYTES`] or more behind it.
    pub(crate) fn open(bytes: &'a [u8], first_seq: u64, bits: u32) -> Result<Self, Malformed> {
        let page = bytes.get(..PAGE_BYTES).ok_or(Malformed)?;
        let (checksum, checked) = page.split_first_chunk().ok_or(Malformed)?;
        if xxh3_64(checked) != u64::from_le_bytes(*checksum) {
            return Err(Malformed);
        }
        let mut rest = checked;
        let first = u64::from_le_bytes(take_array(&mut rest)?);
        let count = u16::from_le_bytes(take_array(&mut rest)?).into();
        Ok(Self { bytes, bits, first_seq, first, count })
    }

    /// The keys, in order.
    #[inline]
    pub(crate) fn keys(&self) -> Keys<'a> {
        Keys {
            bytes: self.bytes,
            at: HEAD_BYTES.saturating_add(seqs_bytes(self.count, self.bits)),
            key: self.first,
            lengths: 0,
            index: 0,
            count: self.count,
        }
    }

    /// The position of the key at `index`.
    #[inline]
    pub(crate) fn seq(&self, index: usize) -> Result<u64, Malformed> {
        let bit = wide(index).wrapping_mul(self.bits.into());
        let at = HEAD_BYTES.wrapping_add(narrow(bit >> 3));
        let word = word(self.bytes, at)? >> (bit & 7);
        let mask = u64::MAX.checked_shr(64_u32.wrapping_sub(self.bits)).unwrap_or(0);
        Ok(self.first_seq.wrapping_add(word & mask))
    }
}

/// The keys of a page.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    bytes: &'a [u8],
    at: usize,
    key: u64,
    lengths: u8,
    index: usize,
    count: usize,
}

impl Iterator for Keys<'_> {
    type Item = Result<u64, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return None;
        }
        if self.index > 0
            && let Err(malformed) = self.advance()
        {
            self.index = self.count;
            return Some(Err(malformed));
        }
        self.index = self.index.wrapping_add(1);
        Some(Ok(self.key))
    }
}

impl Keys<'_> {
    #[inline]
    fn advance(&mut self) -> Result<(), Malformed> {
        if self.index & 1 == 1 {
            self.lengths = *self.bytes.get(self.at).ok_or(Malformed)?;
            self.at = self.at.wrapping_add(1);
        } else {
            self.lengths >>= 4;
        }
        let width = usize::from(self.lengths & 0xf);
        let mask = MASKS.get(width).ok_or(Malformed)?;
        let delta = word(self.bytes, self.at)? & mask;
        self.at = self.at.wrapping_add(width);
        self.key = self.key.checked_add(delta).ok_or(Malformed)?;
        Ok(())
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> Result<u64, Malformed> {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(Malformed)?;
    Ok(u64::from_le_bytes(*word))
}
