//! Reading all names of a run in order.

use crate::index::error::IndexError;
use crate::index::numbers::{Malformed, narrow, wide};
use crate::index::pages::{PAGE_BYTES, SLACK_BYTES};
use crate::index::run::{Run, page_offset};

/// How many pages are read at a time.
const STREAM_PAGES: u64 = 64;

/// All names of a run in order, read many pages at a time.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    run: &'a Run,
    next_page: u64,
    /// Some pages, and what must be readable behind the last.
    buffer: Vec<u8>,
    /// Where in it the next page begins.
    at: usize,
    /// The names of the page before that one.
    entries: Vec<(u64, u64)>,
    next: usize,
}

impl<'a> Names<'a> {
    pub(crate) fn of(run: &'a Run) -> Self {
        Self { run, next_page: 0, buffer: Vec::new(), at: 0, entries: Vec::new(), next: 0 }
    }

    /// The names that were read and not consumed; none after the last.
    pub(crate) fn buffered(&mut self) -> Result<&[(u64, u64)], IndexError> {
        if self.next >= self.entries.len() {
            self.next = 0;
            self.entries.clear();
            self.next_page()?;
        }
        Ok(self.entries.get(self.next..).unwrap_or_default())
    }

    /// Goes on behind the first `count` of the names that were read.
    pub(crate) fn consume(&mut self, count: usize) {
        self.next = self.next.saturating_add(count);
    }

    fn next_page(&mut self) -> Result<(), IndexError> {
        if self.at.saturating_add(SLACK_BYTES) >= self.buffer.len() && !self.fill()? {
            return Ok(());
        }
        let bytes = self.buffer.get(self.at..).unwrap_or_default();
        let entries = &mut self.entries;
        let mut read = || {
            let page = self.run.page(bytes)?;
            for (index, key) in page.keys().enumerate() {
                entries.push((key?, page.seq(index)?));
            }
            Ok(())
        };
        read().map_err(|Malformed| {
            let left = wide(self.buffer.len().saturating_sub(self.at.saturating_add(SLACK_BYTES)));
            self.run.damaged_page(page_offset(self.next_page).saturating_sub(left))
        })?;
        self.at = self.at.saturating_add(PAGE_BYTES);
        Ok(())
    }

    /// Reads the next pages; false if there are none.
    fn fill(&mut self) -> Result<bool, IndexError> {
        let pages = self.run.pages().saturating_sub(self.next_page).min(STREAM_PAGES);
        if pages == 0 {
            return Ok(false);
        }
        let bytes = narrow(pages).saturating_mul(PAGE_BYTES);
        self.buffer.resize(bytes.saturating_add(SLACK_BYTES), 0);
        let read = self.buffer.get_mut(..bytes).unwrap_or_default();
        let offset = page_offset(self.next_page);
        self.run.read_at(read, offset)?;
        self.next_page = self.next_page.saturating_add(pages);
        self.at = 0;
        Ok(true)
    }
}
