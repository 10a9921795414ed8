//! A sealed segment: the chunks of a full one, compressed in blocks, with an index of the blocks.
//!
//! ```text
//! file:   magic 8 | version 4 | number 4 | first seq 8 | end seq 8 | checksum 8 | blocks | index | end
//! block:  raw bytes 4 | compressed bytes 4 | first seq 8 | records 4 | 0 4 | checksum 8 | compressed
//! index:  of each block: first seq 8 | offset 8 | bytes 4
//! end:    offset of the index 8 | checksum 8 | magic 8
//! ```
//! Numbers are little-endian; the end seq is the place in the order behind the last record. The
//! checksum of a block covers what it holds compressed, seeded with that of its own numbers; that of
//! the end covers the index in the same way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::block::{BLOCK_DOES_NOT_FOLLOW, BlockPlace};
use super::fault::{Fault, narrow, wide};
use super::frame::FRAME_PAYLOAD_BYTES_MAX;
use crate::codec::{Malformed, Reader};

/// The bytes before the first block.
pub(super) const SEALED_HEADER_BYTES: usize = 40;
const HEADER_CHECKED_BYTES: usize = 32;
const MAGIC: [u8; 8] = *b"TXMTRZLG";
const VERSION: u32 = 1;

const BLOCK_HEADER_BYTES: usize = 32;
const BLOCK_CHECKED_BYTES: usize = 24;
/// A block holds a chunk at least, and no chunk is larger than a frame's payload.
const BLOCK_RAW_BYTES_MAX: usize = FRAME_PAYLOAD_BYTES_MAX;

const INDEX_ENTRY_BYTES: usize = 20;
const END_BYTES: usize = 24;
const END_MAGIC: [u8; 8] = *b"TXMTREND";

/// Fast, and no worse than half as small as the slow ones.
const LEVEL: i32 = 1;

/// What a sealed segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealedHeader {
    pub(crate) number: u32,
    pub(crate) first_seq: u64,
    pub(crate) end_seq: u64,
}

impl SealedHeader {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEALED_HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.first_seq.to_le_bytes());
        bytes.extend_from_slice(&self.end_seq.to_le_bytes());
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn read(file: &File) -> Result<Self, Fault> {
        let bytes = read(file, 0, SEALED_HEADER_BYTES)?;
        let parse = || {
            let mut reader = Reader::new(&bytes);
            let checked = reader.bytes(HEADER_CHECKED_BYTES)?;
            let checksum = u64::from_le_bytes(reader.array()?);
            let mut header = Reader::new(checked);
            if header.array::<8>()? != MAGIC || xxh3_64(checked) != checksum {
                return Err(Malformed);
            }
            let version = u32::from_le_bytes(header.array()?);
            let number = u32::from_le_bytes(header.array()?);
            let first_seq = u64::from_le_bytes(header.array()?);
            let end_seq = u64::from_le_bytes(header.array()?);
            Ok((version, Self { number, first_seq, end_seq }))
        };
        match parse() {
            Ok((VERSION, header)) => Ok(header),
            Ok((version, _)) => Err(Fault::UnknownFormat(version)),
            Err(Malformed) => Err(Fault::damaged(0, "segment header is unreadable")),
        }
    }
}

/// Compresses blocks.
pub(super) struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    compressed: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { zstd: zstd::bulk::Compressor::new(LEVEL)?, compressed: Vec::new() })
    }

    /// Writes a block of `records` in `raw` behind what `out` holds, and gives its length.
    pub(super) fn put_block(
        &mut self,
        out: &mut Vec<u8>,
        first_seq: u64,
        records: u32,
        raw: &[u8],
    ) -> io::Result<u32> {
        let length = |bytes: usize| {
            u32::try_from(bytes).map_err(|_| io::Error::other("a block outgrew its limit"))
        };
        if raw.len() > BLOCK_RAW_BYTES_MAX {
            return Err(io::Error::other("a block outgrew its limit"));
        }
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.zstd.compress_to_buffer(raw, &mut self.compressed)?;
        let mut header = Vec::with_capacity(BLOCK_HEADER_BYTES);
        header.extend_from_slice(&length(raw.len())?.to_le_bytes());
        header.extend_from_slice(&length(self.compressed.len())?.to_le_bytes());
        header.extend_from_slice(&first_seq.to_le_bytes());
        header.extend_from_slice(&records.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        let checksum = xxh3_64_with_seed(&self.compressed, xxh3_64(&header));
        header.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.compressed);
        length(BLOCK_HEADER_BYTES.saturating_add(self.compressed.len()))
    }
}

/// How many records the block at `place` has, and its chunks.
pub(super) fn read_block(bytes: &[u8], place: BlockPlace) -> Result<(u32, Vec<u8>), Fault> {
    let damaged = |what| Fault::Damaged { offset: place.offset, what };
    let parse = || {
        let mut reader = Reader::new(bytes);
        let checked = reader.bytes(BLOCK_CHECKED_BYTES)?;
        let checksum = u64::from_le_bytes(reader.array()?);
        let compressed = reader.rest();
        if xxh3_64_with_seed(compressed, xxh3_64(checked)) != checksum {
            return Err(Malformed);
        }
        let mut header = Reader::new(checked);
        let raw_bytes = u32::from_le_bytes(header.array()?);
        let compressed_bytes = u32::from_le_bytes(header.array()?);
        let first_seq = u64::from_le_bytes(header.array()?);
        let records = u32::from_le_bytes(header.array()?);
        if narrow(compressed_bytes.into()) != compressed.len() {
            return Err(Malformed);
        }
        Ok((first_seq, records, narrow(raw_bytes.into()), compressed))
    };
    let (first_seq, records, raw_bytes, compressed) =
        parse().map_err(|Malformed| damaged("block checksum does not match"))?;
    if first_seq != place.first_seq {
        return Err(damaged(BLOCK_DOES_NOT_FOLLOW));
    }
    if raw_bytes > BLOCK_RAW_BYTES_MAX {
        return Err(damaged("block length is beyond the limit"));
    }
    let raw = zstd::bulk::decompress(compressed, raw_bytes)
        .map_err(|_| damaged("block cannot be decompressed"))?;
    if raw.len() == raw_bytes {
        Ok((records, raw))
    } else {
        Err(damaged("block is not as long as it says"))
    }
}

/// Writes the index and the end behind what `out` holds; the index begins at `offset` in the file.
pub(super) fn put_index(out: &mut Vec<u8>, offset: u64, blocks: &[BlockPlace]) {
    let start = out.len();
    for block in blocks {
        out.extend_from_slice(&block.first_seq.to_le_bytes());
        out.extend_from_slice(&block.offset.to_le_bytes());
        out.extend_from_slice(&block.bytes.to_le_bytes());
    }
    let checksum = index_checksum(offset, out.get(start..).unwrap_or_default());
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&END_MAGIC);
}

fn index_checksum(offset: u64, index: &[u8]) -> u64 {
    xxh3_64_with_seed(index, xxh3_64(&offset.to_le_bytes()))
}

/// The blocks of the segment that begins like `header`.
fn read_index(file: &File, header: SealedHeader) -> Result<Vec<BlockPlace>, Fault> {
    let length = file.metadata()?.len();
    let end = length.checked_sub(wide(END_BYTES)).ok_or(Malformed);
    let end = end.map_err(|Malformed| Fault::damaged(0, "segment is cut short"))?;
    let damaged = |offset| Fault::Damaged { offset, what: "index of the segment is unreadable" };
    let bytes = read(file, end, END_BYTES)?;
    let mut reader = Reader::new(&bytes);
    let mut parse_end = || Ok((reader.array()?, reader.array()?, reader.array::<8>()?));
    let (offset, checksum, magic) = parse_end().map_err(|Malformed| damaged(end))?;
    let offset = u64::from_le_bytes(offset);
    if magic != END_MAGIC || offset > end {
        return Err(damaged(end));
    }
    let index = read(file, offset, narrow(end.saturating_sub(offset)))?;
    if index_checksum(offset, &index) != u64::from_le_bytes(checksum) {
        return Err(damaged(offset));
    }
    parse_index(&index, offset, header).map_err(|Malformed| damaged(offset))
}

/// Reads the index and makes sure that the blocks fill the file up to it.
fn parse_index(
    index: &[u8],
    offset: u64,
    header: SealedHeader,
) -> Result<Vec<BlockPlace>, Malformed> {
    let (entries, rest) = index.as_chunks::<INDEX_ENTRY_BYTES>();
    let mut places = Vec::with_capacity(entries.len());
    let mut next_offset = wide(SEALED_HEADER_BYTES);
    let mut least_seq = header.first_seq;
    for (number, entry) in entries.iter().enumerate() {
        let mut reader = Reader::new(entry);
        let place = BlockPlace {
            first_seq: u64::from_le_bytes(reader.array()?),
            offset: u64::from_le_bytes(reader.array()?),
            bytes: u32::from_le_bytes(reader.array()?),
        };
        let follows = place.offset == next_offset
            && place.first_seq >= least_seq
            && (number > 0 || place.first_seq == header.first_seq);
        if !follows {
            return Err(Malformed);
        }
        next_offset = next_offset.saturating_add(place.bytes.into());
        least_seq = place.first_seq.saturating_add(1);
        places.push(place);
    }
    let is_whole = rest.is_empty() && next_offset == offset && least_seq <= header.end_seq;
    if is_whole || places.is_empty() && header.first_seq == header.end_seq {
        Ok(places)
    } else {
        Err(Malformed)
    }
}

/// The header and the blocks of the segment at `path`.
pub(crate) fn open(path: &Path) -> Result<(SealedHeader, Vec<BlockPlace>), Fault> {
    let file = File::open(path)?;
    let header = SealedHeader::read(&file)?;
    let places = read_index(&file, header)?;
    Ok((header, places))
}

fn read(file: &File, offset: u64, bytes: usize) -> Result<Vec<u8>, Fault> {
    let mut buffer = vec![0; bytes];
    match file.read_exact_at(&mut buffer, offset) {
        Ok(()) => Ok(buffer),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Fault::Damaged { offset, what: "segment is cut short" })
        }
        Err(error) => Err(Fault::Io(error)),
    }
}
