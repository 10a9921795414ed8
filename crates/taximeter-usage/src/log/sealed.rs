//! A sealed segment, compressed.
//!
//! ```text
//! magic 8 | version 4 | number 4 | first seq 8 | checksum 8
//! | block…
//! | table: for each block first seq 8 | offset 8 | bytes 4 | raw bytes 4 | checksum 8
//! | table offset 8 | blocks 4 | version 4 | last seq 8 | checksum of table and this 8
//! ```
//! A block is a region, compressed with zstd; its checksum is of the compressed bytes. The frames in
//! it keep checksums of their own.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{Malformed, Reader};
use crate::error::OpenError;
use crate::log::disk::Disk;
use crate::log::region::{Region, frames};
use crate::log::segment::SegmentHeader;

const MAGIC: [u8; 8] = *b"TXMTRSEG";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
const ENTRY_BYTES: usize = 32;
const TAIL_BYTES: usize = 32;
/// The raw bytes that are compressed together, and one more frame at most.
const BLOCK_BYTES: usize = 256 * 1_024;
/// How hard to compress: fast, since it runs beside the commits.
const LEVEL: i32 = 1;
const SUFFIX: &str = "zlog";

/// A compressed segment and where its blocks are.
#[derive(Debug)]
pub(crate) struct Sealed {
    path: PathBuf,
    file: File,
    pub(crate) header: SegmentHeader,
    pub(crate) last_seq: u64,
    blocks: Vec<Block>,
    pub(crate) regions: Vec<Region>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    region: Region,
    raw_bytes: u32,
    checksum: u64,
}

pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}.{SUFFIX}"))
}

/// Why a block was not read.
#[derive(Debug)]
pub(crate) enum BlockError {
    Damaged(u64),
    Io(io::Error),
}

impl Sealed {
    pub(crate) fn open(path: PathBuf) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let damaged = |what| OpenError::Damaged { path: path.clone(), offset: 0, what };
        let tail_at = length.saturating_sub(wide(TAIL_BYTES));
        let mut tail = vec![0; TAIL_BYTES];
        let mut head = vec![0; HEADER_BYTES];
        if length < wide(TAIL_BYTES.saturating_add(HEADER_BYTES)) {
            return Err(damaged("sealed segment is cut short"));
        }
        file.read_exact_at(&mut tail, tail_at).map_err(failed)?;
        file.read_exact_at(&mut head, 0).map_err(failed)?;
        let parsed = Tail::decode(&tail).map_err(|Malformed| damaged("its end is unreadable"))?;
        let table_bytes = tail_at.checked_sub(parsed.table_offset);
        let wanted = u64::from(parsed.blocks).saturating_mul(wide(ENTRY_BYTES));
        if table_bytes != Some(wanted) {
            return Err(damaged("its table has another length"));
        }
        let mut table = vec![0; usize::try_from(wanted).unwrap_or_default()];
        file.read_exact_at(&mut table, parsed.table_offset).map_err(failed)?;
        if checksum(&table, &tail) != parsed.checksum {
            return Err(damaged("its table does not match its checksum"));
        }
        if parsed.version != VERSION {
            return Err(OpenError::UnknownFormat { path: path.clone(), version: parsed.version });
        }
        let header =
            decode_header(&head).map_err(|Malformed| damaged("its header is unreadable"))?;
        let blocks: Vec<Block> = table
            .chunks_exact(ENTRY_BYTES)
            .map(Block::decode)
            .collect::<Result<_, _>>()
            .map_err(|Malformed| damaged("its table is unreadable"))?;
        let regions = blocks.iter().map(|block| block.region).collect();
        Ok(Self { file, header, last_seq: parsed.last_seq, blocks, regions, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The frames of a region.
    pub(crate) fn read(&self, region: Region) -> Result<Vec<u8>, BlockError> {
        let damaged = || BlockError::Damaged(region.offset);
        let block = self.blocks.iter().find(|block| block.region == region).ok_or_else(damaged)?;
        let mut bytes = vec![0; usize::try_from(region.bytes).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, region.offset).map_err(BlockError::Io)?;
        if xxh3_64(&bytes) != block.checksum {
            return Err(damaged());
        }
        let raw_bytes = usize::try_from(block.raw_bytes).unwrap_or(usize::MAX);
        zstd::bulk::decompress(&bytes, raw_bytes).map_err(|_| damaged())
    }
}

/// Writes the frames of `raw`, a whole segment without its header, as a compressed segment of that
/// name, and returns once it is durable.
pub(crate) fn write(
    dir: &Path,
    header: SegmentHeader,
    raw: &[u8],
    disk: &dyn Disk,
) -> Result<Sealed, OpenError> {
    let path = path(dir, header.number);
    let failed = |source| OpenError::Io { path: path.clone(), source };
    let unfinished = path.with_extension("new");
    let mut bytes = encode_header(header);
    let mut table = Vec::new();
    let mut blocks: u32 = 0;
    let mut last_seq = header.first_seq.saturating_sub(1);
    for block in blocks_of(raw) {
        let (first_seq, range, end_seq) = block.map_err(|offset| OpenError::Damaged {
            path: super::segment::path(dir, header.number),
            offset: wide(offset.saturating_add(HEADER_BYTES)),
            what: "frame is damaged",
        })?;
        last_seq = end_seq;
        let raw_block = raw.get(range).unwrap_or_default();
        let compressed = zstd::bulk::compress(raw_block, LEVEL).map_err(failed)?;
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        table.extend_from_slice(&first_seq.to_le_bytes());
        table.extend_from_slice(&wide(bytes.len()).to_le_bytes());
        table.extend_from_slice(&number(compressed.len()).to_le_bytes());
        table.extend_from_slice(&number(raw_block.len()).to_le_bytes());
        table.extend_from_slice(&xxh3_64(&compressed).to_le_bytes());
        bytes.extend_from_slice(&compressed);
        blocks = blocks.saturating_add(1);
    }
    let mut tail = Vec::with_capacity(TAIL_BYTES);
    tail.extend_from_slice(&wide(bytes.len()).to_le_bytes());
    tail.extend_from_slice(&blocks.to_le_bytes());
    tail.extend_from_slice(&VERSION.to_le_bytes());
    tail.extend_from_slice(&last_seq.to_le_bytes());
    let sum = checksum(&table, &tail);
    tail.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(&table);
    bytes.extend_from_slice(&tail);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&unfinished);
    let file = file.map_err(failed)?;
    disk.write_all_at(&file, &bytes, 0).map_err(failed)?;
    disk.sync_all(&file).map_err(failed)?;
    fs::rename(&unfinished, &path).map_err(failed)?;
    File::open(dir).and_then(|dir| disk.sync_all(&dir)).map_err(failed)?;
    Sealed::open(path)
}

/// The blocks that frames are compressed in: first place, where they are, last place.
fn blocks_of(
    raw: &[u8],
) -> impl Iterator<Item = Result<(u64, std::ops::Range<usize>, u64), usize>> + '_ {
    let mut frames = frames(raw).peekable();
    let mut offset = 0_usize;
    std::iter::from_fn(move || {
        let start = offset;
        let mut first_seq = None;
        let mut end_seq = 0;
        while offset.saturating_sub(start) < BLOCK_BYTES {
            match frames.next() {
                None => break,
                Some(Err(at)) => return Some(Err(at)),
                Some(Ok(frame)) => {
                    offset = offset.saturating_add(frame.bytes);
                    first_seq.get_or_insert(frame.first_seq);
                    let behind = frame.first_seq.saturating_add(frame.records.into());
                    end_seq = behind.saturating_sub(1);
                }
            }
        }
        first_seq.map(|first_seq| Ok((first_seq, start..offset, end_seq)))
    })
}

struct Tail {
    table_offset: u64,
    blocks: u32,
    version: u32,
    last_seq: u64,
    checksum: u64,
}

impl Tail {
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            table_offset: u64::from_le_bytes(reader.array()?),
            blocks: u32::from_le_bytes(reader.array()?),
            version: u32::from_le_bytes(reader.array()?),
            last_seq: u64::from_le_bytes(reader.array()?),
            checksum: u64::from_le_bytes(reader.array()?),
        })
    }
}

impl Block {
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let first_seq = u64::from_le_bytes(reader.array()?);
        let offset = u64::from_le_bytes(reader.array()?);
        let bytes = u32::from_le_bytes(reader.array()?);
        let raw_bytes = u32::from_le_bytes(reader.array()?);
        let checksum = u64::from_le_bytes(reader.array()?);
        Ok(Self { region: Region { first_seq, offset, bytes }, raw_bytes, checksum })
    }
}

/// Of the table and of the tail as far as its own checksum.
fn checksum(table: &[u8], tail: &[u8]) -> u64 {
    let tail = tail.get(..TAIL_BYTES.saturating_sub(8)).unwrap_or_default();
    xxh3_64(&[table, tail].concat())
}

fn encode_header(header: SegmentHeader) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&header.number.to_le_bytes());
    bytes.extend_from_slice(&header.first_seq.to_le_bytes());
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode_header(bytes: &[u8]) -> Result<SegmentHeader, Malformed> {
    let mut reader = Reader::new(bytes);
    let checked = reader.bytes(HEADER_BYTES.saturating_sub(8))?;
    if u64::from_le_bytes(reader.array()?) != xxh3_64(checked) {
        return Err(Malformed);
    }
    let mut fields = Reader::new(checked);
    if fields.array::<8>()? != MAGIC {
        return Err(Malformed);
    }
    fields.array::<4>()?;
    let number = u32::from_le_bytes(fields.array()?);
    Ok(SegmentHeader { number, first_seq: u64::from_le_bytes(fields.array()?) })
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
