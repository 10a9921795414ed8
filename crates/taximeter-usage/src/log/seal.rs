//! Writing a full segment anew as a sealed one.

use std::fs::File;
use std::path::Path;

use super::block::BlockPlace;
use super::fault::{Fault, wide};
use super::sealed::{self, Compressor, SEALED_HEADER_BYTES, SealedHeader};
use super::segment::{self, Form};
use super::segments::Full;
use crate::codec::Malformed;
use crate::log::disk::Disk;
use crate::record::{ChunkParts, Chunks, Group, put_groups};

/// About how much a block holds before it is compressed. More compresses better, less is read
/// faster.
const BLOCK_BYTES: usize = 128 * 1_024;
/// A chunk is not parted when its shapes, which each part repeats, are larger.
const SHAPES_BYTES_MAX: usize = 16 * 1_024;
/// After so many bytes they are made durable, so that the log never waits for long behind them.
const SYNC_BYTES: usize = 8 * 1_024 * 1_024;
const BUFFER_BYTES: usize = 1_024 * 1_024;

/// Writes the sealed form of the raw segment `full`, durably, beside it.
pub(super) fn seal(dir: &Path, full: &Full, disk: &dyn Disk) -> Result<Full, Fault> {
    let Full { number, first_seq, end_seq, .. } = *full;
    let header = SealedHeader { number, first_seq, end_seq };
    let path = Form::Sealed.path(dir, number);
    let (file, unfinished) = segment::create_unfinished(&path)?;
    let mut sealing = Sealing {
        sink: Sink { file, disk, buffer: header.encode(), written: 0, unsynced: 0 },
        compressor: Compressor::new()?,
        places: Vec::new(),
        block: Vec::new(),
        first_seq,
        records: 0,
    };
    let result = sealing.write(dir, full).and_then(|()| {
        segment::rename(&unfinished, &path, dir, disk)?;
        Ok(())
    });
    if let Err(fault) = result {
        // What is left is removed at the next start at the latest.
        disk.remove_file(&unfinished).ok();
        return Err(fault);
    }
    Ok(Full::new(number, Form::Sealed, first_seq, end_seq).with_places(sealing.places))
}

struct Sealing<'a> {
    sink: Sink<'a>,
    compressor: Compressor,
    places: Vec<BlockPlace>,
    /// The chunks of the block that is being filled.
    block: Vec<u8>,
    first_seq: u64,
    records: u32,
}

impl Sealing<'_> {
    fn write(&mut self, dir: &Path, full: &Full) -> Result<(), Fault> {
        full.read(dir, &mut |records| match self.put_chunks(records.payload) {
            Ok(()) if self.next_seq() == records.end_seq() => Ok(()),
            Ok(()) | Err(SealFault::Malformed) => Err(records.unreadable()),
            Err(SealFault::Fault(fault)) => Err(fault),
        })?;
        self.end_block()?;
        let offset = self.sink.offset();
        sealed::put_index(&mut self.sink.buffer, offset, &self.places);
        self.sink.finish()
    }

    /// The place in the order of the next record to be put.
    fn next_seq(&self) -> u64 {
        self.first_seq.saturating_add(self.records.into())
    }

    fn put_chunks(&mut self, payload: &[u8]) -> Result<(), SealFault> {
        let mut chunks = Chunks::new(payload);
        while let Some(chunk) = chunks.next()? {
            if chunk.bytes().len() > BLOCK_BYTES && chunk.shapes().len() <= SHAPES_BYTES_MAX {
                self.put_parts(chunk)?;
            } else {
                if self.block.len().saturating_add(chunk.bytes().len()) > BLOCK_BYTES {
                    self.end_block()?;
                }
                self.block.extend_from_slice(chunk.bytes());
                self.records = self.records.saturating_add(chunk.records());
            }
        }
        Ok(())
    }

    /// Puts a large chunk as several, which works between groups.
    fn put_parts(&mut self, mut chunk: ChunkParts<'_>) -> Result<(), SealFault> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut bytes = chunk.shapes().len();
        self.end_block()?;
        while let Some(group) = chunk.next_group()? {
            bytes = bytes.saturating_add(group.bytes.len());
            if bytes > BLOCK_BYTES && !groups.is_empty() {
                self.put_groups(&groups)?;
                groups.clear();
                bytes = chunk.shapes().len().saturating_add(group.bytes.len());
            }
            groups.push(group);
        }
        self.put_groups(&groups)
    }

    /// Makes groups of one chunk a chunk and a block.
    fn put_groups(&mut self, groups: &[Group<'_>]) -> Result<(), SealFault> {
        let records = put_groups(&mut self.block, groups);
        self.records = self.records.saturating_add(records);
        Ok(self.end_block()?)
    }

    fn end_block(&mut self) -> Result<(), Fault> {
        if self.records == 0 {
            return Ok(());
        }
        let Self { first_seq, records, .. } = *self;
        let offset = self.sink.offset();
        let out = &mut self.sink.buffer;
        let bytes = self.compressor.put_block(out, first_seq, records, &self.block)?;
        self.places.push(BlockPlace { first_seq, offset, bytes });
        self.first_seq = self.next_seq();
        self.records = 0;
        self.block.clear();
        self.sink.flush_if_full()
    }
}

enum SealFault {
    Malformed,
    Fault(Fault),
}

impl From<Malformed> for SealFault {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Fault> for SealFault {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A file that grows.
struct Sink<'a> {
    file: File,
    disk: &'a dyn Disk,
    buffer: Vec<u8>,
    /// Where in the file the buffer goes.
    written: u64,
    unsynced: usize,
}

impl Sink<'_> {
    /// Where in the file the next byte goes.
    fn offset(&self) -> u64 {
        self.written.saturating_add(wide(self.buffer.len()))
    }

    fn flush_if_full(&mut self) -> Result<(), Fault> {
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        if self.unsynced >= SYNC_BYTES {
            self.disk.sync_data(&self.file)?;
            self.unsynced = 0;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.disk.write_all_at(&self.file, &self.buffer, self.written)?;
        self.written = self.offset();
        self.unsynced = self.unsynced.saturating_add(self.buffer.len());
        self.buffer.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.flush()?;
        Ok(self.disk.sync_all(&self.file)?)
    }
}

const _: () = assert!(SHAPES_BYTES_MAX * 4 < BLOCK_BYTES && SEALED_HEADER_BYTES < BUFFER_BYTES);
