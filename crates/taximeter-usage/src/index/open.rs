//! Opening a run: what is read of its file at once, and checked.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::index::Table;
use crate::index::error::IndexError;
use crate::index::fence::Fence;
use crate::index::filter::Filter;
use crate::index::layout::{Footer, HEADER_BYTES, HeaderFault, Offsets, TAIL_BYTES, decode_header};
use crate::index::numbers::{Malformed, narrow, wide};

/// All of a run but its pages and blocks.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) bytes: u64,
    pub(crate) footer: Footer,
    pub(crate) filter: Filter,
    pub(crate) names: Box<[u64]>,
    pub(crate) tables: [Fence; Table::ALL.len()],
}

/// Opens run `number`, whose file is at `path`.
pub(crate) fn open(path: &Path, number: u32) -> Result<Opened, IndexError> {
    let failed = |source| IndexError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let source = Source { path, file: &file, bytes };
    source.check_header(number)?;
    let (footer, offsets) = source.footer()?;
    let names = source.names_fence(&footer, offsets)?;
    let filter = source.filter(&footer, offsets)?;
    let [cells, postings, dims] = Table::ALL;
    let tables = [
        source.fence(cells, &footer, &offsets)?,
        source.fence(postings, &footer, &offsets)?,
        source.fence(dims, &footer, &offsets)?,
    ];
    Ok(Opened { file, bytes, footer, filter, names, tables })
}

/// The file that is being opened.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    path: &'a Path,
    file: &'a File,
    bytes: u64,
}

impl Source<'_> {
    fn check_header(&self, number: u32) -> Result<(), IndexError> {
        let page = self.read(0, HEADER_BYTES)?;
        match decode_header(&page) {
            Ok(found) if found == number => Ok(()),
            Ok(_) => Err(self.damaged(0, "the header is another run's")),
            Err(HeaderFault::Damaged) => Err(self.damaged(0, "the header is damaged")),
            Err(HeaderFault::UnknownFormat(version)) => {
                Err(IndexError::UnknownFormat { path: self.path.to_owned(), version })
            }
        }
    }

    fn footer(&self) -> Result<(Footer, Offsets), IndexError> {
        let tail_bytes = wide(TAIL_BYTES);
        let tail_offset = self.bytes.saturating_sub(tail_bytes);
        let tail = self.read(tail_offset, tail_bytes)?;
        let damaged = |Malformed| self.damaged(tail_offset, "the footer is damaged");
        let length = Footer::length(&tail).map_err(damaged)?;
        let start = tail_offset.checked_sub(length).ok_or(Malformed).map_err(damaged)?;
        let bytes = self.read(start, length.saturating_add(tail_bytes))?;
        let footer = Footer::decode(&bytes).map_err(damaged)?;
        let offsets = footer.offsets().map_err(damaged)?;
        if offsets.footer == start {
            Ok((footer, offsets))
        } else {
            Err(self.damaged(start, "the parts do not make up the file"))
        }
    }

    fn names_fence(&self, footer: &Footer, offsets: Offsets) -> Result<Box<[u64]>, IndexError> {
        let bytes = footer.names.pages.saturating_mul(8);
        let bytes = self.checked(offsets.names_fence, bytes, footer.names.fence_checksum)?;
        Ok(bytes.as_chunks().0.iter().map(|first| u64::from_le_bytes(*first)).collect())
    }

    fn filter(&self, footer: &Footer, offsets: Offsets) -> Result<Filter, IndexError> {
        let read = Filter::read(self.file, offsets.filter, footer.names.filter_lines);
        let (filter, checksum) =
            read.map_err(|source| IndexError::Io { path: self.path.to_owned(), source })?;
        if checksum == footer.names.filter_checksum {
            Ok(filter)
        } else {
            Err(self.damaged(offsets.filter, "the filter does not match its checksum"))
        }
    }

    fn fence(&self, table: Table, footer: &Footer, at: &Offsets) -> Result<Fence, IndexError> {
        let part = table.of(&footer.tables);
        let (blocks, fence) = *table.of(&at.tables);
        let bytes = self.checked(fence, part.fence_bytes, part.fence_checksum)?;
        Fence::decode(&bytes, blocks, part.bytes)
            .map_err(|Malformed| self.damaged(fence, "a fence does not decode"))
    }

    fn checked(&self, offset: u64, bytes: u64, checksum: u64) -> Result<Vec<u8>, IndexError> {
        let bytes = self.read(offset, bytes)?;
        if xxh3_64(&bytes) == checksum {
            Ok(bytes)
        } else {
            Err(self.damaged(offset, "a fence does not match its checksum"))
        }
    }

    fn read(&self, offset: u64, bytes: u64) -> Result<Vec<u8>, IndexError> {
        if offset.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            return Err(self.damaged(self.bytes, "the file is too short"));
        }
        let mut read = vec![0; narrow(bytes)];
        match self.file.read_exact_at(&mut read, offset) {
            Ok(()) => Ok(read),
            Err(source) => Err(IndexError::Io { path: self.path.to_owned(), source }),
        }
    }

    fn damaged(&self, offset: u64, what: &'static str) -> IndexError {
        IndexError::Damaged { path: self.path.to_owned(), offset, what }
    }
}
