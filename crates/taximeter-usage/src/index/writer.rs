//! Writes a run file in one pass.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::index::Table;
use crate::index::blocks::RowsBuilder;
use crate::index::error::IndexError;
use crate::index::filter::FilterBuilder;
use crate::index::layout::{Footer, HEADER_BYTES, NamesPart, TablePart, covers, encode_header};
use crate::index::numbers::wide;
use crate::index::pages::NamesBuilder;
use crate::index::run::{self, Run};
use crate::index::sink::Sink;
use crate::log::disk::Disk;

/// What is known of a run before it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRun {
    /// From [`crate::index::Index::next_number`].
    pub(crate) number: u32,
    /// The first position of the log that the run covers.
    pub(crate) first_seq: u64,
    /// The last one.
    pub(crate) last_seq: u64,
    /// 0 when flushed from memory, else one more than the runs it is merged of.
    pub(crate) level: u8,
    /// How many names there will be, at most: the filter is made for so many.
    pub(crate) names_max: u64,
}

/// A run that is being written: first all names, then the rows of each table in the order of
/// [`Table::ALL`]. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct RunWriter<'a> {
    new: NewRun,
    sink: Sink<'a>,
    filter: FilterBuilder,
    part: Part,
    /// Where in the file it begins.
    part_offset: u64,
    names: NamesPart,
    tables: [TablePart; Table::ALL.len()],
}

/// What is being written.
#[derive(Debug)]
enum Part {
    Names(Box<NamesBuilder>),
    Rows(Table, Box<RowsBuilder>),
    Done,
}

impl<'a> RunWriter<'a> {
    /// Begins a run in `dir`.
    pub(crate) fn create(dir: &Path, new: NewRun, disk: &'a dyn Disk) -> Result<Self, IndexError> {
        let path = run::path(dir, new.number);
        if !covers(new.first_seq, new.last_seq) {
            return Err(IndexError::Refused { path, what: "positions that no run can cover" });
        }
        let mut sink = Sink::create(path, disk)?;
        sink.write(&encode_header(new.number))?;
        Ok(Self {
            new,
            sink,
            filter: FilterBuilder::for_keys(new.names_max),
            part: Part::Names(Box::new(NamesBuilder::new(new.first_seq, new.last_seq))),
            part_offset: HEADER_BYTES,
            names: NamesPart::default(),
            tables: [TablePart::default(); Table::ALL.len()],
        })
    }

    /// Appends a name. Names come in order of key, then position.
    pub(crate) fn push_name(&mut self, key: u64, seq: u64) -> Result<(), IndexError> {
        let Part::Names(names) = &mut self.part else {
            return Err(self.refused("a name after the rows"));
        };
        if seq < self.new.first_seq || seq > self.new.last_seq {
            return Err(self.refused("a name outside of the run"));
        }
        if names.count() >= self.new.names_max {
            return Err(self.refused("more names than the filter is made for"));
        }
        self.filter.insert(key);
        names.push(key, seq, &mut self.sink)
    }

    /// Appends a row. Rows come in order of table, then key.
    pub(crate) fn push(
        &mut self,
        table: Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), IndexError> {
        loop {
            match &mut self.part {
                Part::Rows(current, rows) if *current == table => {
                    return rows.push(key, value, &mut self.sink);
                }
                Part::Rows(current, _) if *current > table => {
                    return Err(self.refused("tables out of order"));
                }
                Part::Names(_) | Part::Rows(..) | Part::Done => self.next_part()?,
            }
        }
    }

    /// Ends the run, with whatever the caller wants to know of it later, and returns it once it is
    /// durable.
    pub(crate) fn finish(mut self, meta: &[u8]) -> Result<Run, IndexError> {
        while !matches!(self.part, Part::Done) {
            self.next_part()?;
        }
        let footer = Footer {
            level: self.new.level,
            first_seq: self.new.first_seq,
            last_seq: self.new.last_seq,
            names: self.names,
            tables: self.tables,
            meta: meta.to_vec(),
        };
        self.sink.write(&footer.encode())?;
        let path = self.sink.path().to_owned();
        self.sink.finish()?;
        Run::open(path, self.new.number)
    }

    fn next_part(&mut self) -> Result<(), IndexError> {
        match std::mem::replace(&mut self.part, Part::Done) {
            Part::Names(names) => {
                self.end_names(*names)?;
                self.part = Part::Rows(Table::Cells, Box::default());
            }
            Part::Rows(table, rows) => {
                let (count, fence) = rows.finish(&mut self.sink)?;
                self.end_table(table, count, &fence)?;
                if let Some(next) = table.next() {
                    self.part = Part::Rows(next, Box::default());
                }
            }
            Part::Done => return Err(self.refused("rows after an error")),
        }
        self.part_offset = self.sink.offset();
        Ok(())
    }

    fn end_names(&mut self, names: NamesBuilder) -> Result<(), IndexError> {
        let (count, fence) = names.finish(&mut self.sink)?;
        let bytes: Vec<u8> = fence.iter().flat_map(|first| first.to_le_bytes()).collect();
        self.sink.write(&bytes)?;
        let filter = std::mem::replace(&mut self.filter, FilterBuilder::for_keys(0)).finish();
        self.names = NamesPart {
            count,
            pages: wide(fence.len()),
            fence_checksum: xxh3_64(&bytes),
            filter_lines: filter.lines(),
            filter_checksum: filter.write(|part| self.sink.write(part))?,
        };
        Ok(())
    }

    fn end_table(&mut self, table: Table, count: u64, fence: &[u8]) -> Result<(), IndexError> {
        let end = self.sink.offset();
        self.sink.write(fence)?;
        let bytes = end.saturating_sub(self.part_offset);
        let part = TablePart {
            count,
            bytes,
            fence_bytes: wide(fence.len()),
            fence_checksum: xxh3_64(fence),
        };
        *table.of_mut(&mut self.tables) = part;
        Ok(())
    }

    fn refused(&self, what: &'static str) -> IndexError {
        IndexError::Refused { path: self.sink.path().to_owned(), what }
    }
}
