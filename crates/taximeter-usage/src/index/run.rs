//! A run: a file of the index, and what of it is held in memory.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::index::Table;
use crate::index::error::IndexError;
use crate::index::fence::Fence;
use crate::index::filter::Filter;
use crate::index::layout::{Footer, HEADER_BYTES};
use crate::index::names::Names;
use crate::index::numbers::{Malformed, wide};
use crate::index::open::{self, Opened};
use crate::index::pages::{PAGE_BYTES, Page, SLACK_BYTES, seq_bits};
use crate::index::rows::Rows;

/// What a run's file is called behind its number.
pub(crate) const SUFFIX: &str = ".idx";
/// What it is called before it.
pub(crate) const PREFIX: &str = "run-";

/// How much of a table is read at once by a scan, and by what reads it all.
const SCAN_BYTES: u64 = 64 << 10;
const STREAM_BYTES: u64 = 256 << 10;

/// The file of run `number`.
pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{number:010}{SUFFIX}"))
}

/// A whole run. It can be read for as long as it is held, even when its file has lost its name.
#[derive(Debug)]
pub(crate) struct Run {
    path: PathBuf,
    file: File,
    number: u32,
    bytes: u64,
    footer: Footer,
    filter: Filter,
    /// The first key of each page of names.
    names: Box<[u64]>,
    tables: [Fence; Table::ALL.len()],
}

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunStats {
    pub(crate) number: u32,
    pub(crate) level: u8,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Of the file.
    pub(crate) bytes: u64,
    pub(crate) names: u64,
    /// Of each table.
    pub(crate) rows: [u64; Table::ALL.len()],
    /// Of memory, for the filter.
    pub(crate) filter_bytes: u64,
    /// Of memory, for where pages and blocks begin.
    pub(crate) fence_bytes: u64,
}

impl Run {
    /// Opens run `number`, whose file is at `path`.
    pub(crate) fn open(path: PathBuf, number: u32) -> Result<Self, IndexError> {
        let Opened { file, bytes, footer, filter, names, tables } = open::open(&path, number)?;
        Ok(Self { path, file, number, bytes, footer, filter, names, tables })
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn level(&self) -> u8 {
        self.footer.level
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.footer.first_seq
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.footer.last_seq
    }

    /// What was given when it was finished.
    pub(crate) fn meta(&self) -> &[u8] {
        &self.footer.meta
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn filter_bytes(&self) -> u64 {
        self.filter.bytes()
    }

    /// How many bytes of memory it takes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.filter_bytes().saturating_add(self.fence_bytes())
    }

    pub(crate) fn stats(&self) -> RunStats {
        RunStats {
            number: self.number,
            level: self.footer.level,
            first_seq: self.footer.first_seq,
            last_seq: self.footer.last_seq,
            bytes: self.bytes,
            names: self.footer.names.count,
            rows: self.footer.tables.map(|table| table.count),
            filter_bytes: self.filter_bytes(),
            fence_bytes: self.fence_bytes(),
        }
    }

    /// Whether names of `key` may be there; if not, there certainly are none. Reads no file.
    #[inline]
    pub(crate) fn may_hold(&self, key: u64) -> bool {
        self.filter.may_hold(key)
    }

    /// The positions of `key`, ascending.
    pub(crate) fn names_get(&self, key: u64) -> Result<Vec<u64>, IndexError> {
        let mut found = Vec::new();
        if self.may_hold(key) {
            self.names_between(key, key, |_, seq| found.push(seq))?;
        }
        Ok(found)
    }

    /// The names whose keys have these upper 32 bits, in order.
    pub(crate) fn names_prefix(&self, high: u32) -> Result<Vec<(u64, u64)>, IndexError> {
        let first = u64::from(high) << 32;
        let mut found = Vec::new();
        self.names_between(first, first | u64::from(u32::MAX), |key, seq| found.push((key, seq)))?;
        Ok(found)
    }

    /// Gives the rows of `table` from the key `from` on, and before `to` if there is one, to
    /// `visit`, until it breaks.
    pub(crate) fn scan<E: From<IndexError>>(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        let fence = table.of(&self.tables);
        let mut rows = Rows::between(&self.path, &self.file, fence, SCAN_BYTES, (from, to))?;
        while rows.advance()? {
            if to.is_some_and(|to| rows.key() >= to) {
                break;
            }
            if visit(rows.key(), rows.value())?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The value of `key` in `table`.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let mut found = None;
        let mut above = key.to_vec();
        above.push(0);
        let visit = |_: &[u8], value: &[u8]| {
            found = Some(value.to_vec());
            Ok::<_, IndexError>(ControlFlow::Break(()))
        };
        match self.scan(table, key, Some(&above), visit)? {
            ControlFlow::Break(()) | ControlFlow::Continue(()) => Ok(found),
        }
    }

    /// All rows of `table`.
    pub(crate) fn rows(&self, table: Table) -> Rows<'_> {
        Rows::all(&self.path, &self.file, table.of(&self.tables), STREAM_BYTES)
    }

    /// All names.
    pub(crate) fn names(&self) -> Names<'_> {
        Names::of(self)
    }

    fn fence_bytes(&self) -> u64 {
        let names = wide(self.names.len()).saturating_mul(8);
        self.tables.iter().fold(names, |sum, fence| sum.saturating_add(fence.bytes()))
    }

    fn names_between(
        &self,
        first: u64,
        last: u64,
        mut visit: impl FnMut(u64, u64),
    ) -> Result<(), IndexError> {
        let mut bytes = [0; PAGE_BYTES + SLACK_BYTES];
        // The page before the first that begins with the key may end with it.
        let before = self.names.partition_point(|begin| *begin < first).saturating_sub(1);
        for (number, begin) in self.names.iter().enumerate().skip(before) {
            if *begin > last {
                break;
            }
            let offset = page_offset(wide(number));
            let page = bytes.get_mut(..PAGE_BYTES).unwrap_or_default();
            self.read_at(page, offset)?;
            let mut read = || {
                let page = self.page(&bytes)?;
                for (index, key) in page.keys().enumerate() {
                    let key = key?;
                    if key > last {
                        break;
                    }
                    if key >= first {
                        visit(key, page.seq(index)?);
                    }
                }
                Ok(())
            };
            read().map_err(|Malformed| self.damaged_page(offset))?;
        }
        Ok(())
    }

    /// How many pages of names there are.
    pub(crate) fn pages(&self) -> u64 {
        self.footer.names.pages
    }

    /// The page of names at the start of `bytes`.
    pub(crate) fn page<'a>(&self, bytes: &'a [u8]) -> Result<Page<'a>, Malformed> {
        let Footer { first_seq, last_seq, .. } = self.footer;
        Page::open(bytes, first_seq, seq_bits(first_seq, last_seq))
    }

    /// That the page of names at `offset` is not what was written.
    pub(crate) fn damaged_page(&self, offset: u64) -> IndexError {
        let what = "a page of names does not match its checksum";
        IndexError::Damaged { path: self.path.clone(), offset, what }
    }

    /// Reads bytes of the file.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), IndexError> {
        let read = self.file.read_exact_at(bytes, offset);
        read.map_err(|source| IndexError::Io { path: self.path.clone(), source })
    }
}

/// Where in the file a page of names begins.
pub(crate) fn page_offset(page: u64) -> u64 {
    page.saturating_mul(wide(PAGE_BYTES)).saturating_add(HEADER_BYTES)
}
