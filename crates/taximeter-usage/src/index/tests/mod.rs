//! Tests of runs as a whole, and what they share.

mod damage;
mod faults;
mod merging;
mod reading;
mod set;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::index::{Combine, IndexError, NewRun, Run, RunWriter, Table};
use crate::log::disk::{Disk, OsDisk};

/// The rows of one table.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a run holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Content {
    /// In order.
    names: Vec<(u64, u64)>,
    rows: [Rows; 3],
}

fn new_run(number: u32, first_seq: u64, last_seq: u64) -> NewRun {
    NewRun { number, first_seq, last_seq, level: 0, names_max: 101 }
}

impl Content {
    fn write(&self, dir: &Path, new: NewRun, disk: &dyn Disk) -> Result<Run, IndexError> {
        let names_max = self.names.len().try_into().unwrap();
        let mut writer = RunWriter::create(dir, NewRun { names_max, ..new }, disk)?;
        for (key, seq) in &self.names {
            writer.push_name(*key, *seq)?;
        }
        for table in Table::ALL {
            for (key, value) in table.of(&self.rows) {
                writer.push(table, key, value)?;
            }
        }
        writer.finish(format!("meta {}", new.number).as_bytes())
    }

    /// All that a run holds.
    fn read(run: &Run) -> Result<Self, IndexError> {
        let mut content = Self::default();
        let mut names = run.names();
        while let [first, rest @ ..] = names.buffered()? {
            content.names.push(*first);
            content.names.extend(rest);
            let count = 1 + rest.len();
            names.consume(count);
        }
        for table in Table::ALL {
            let mut rows = run.rows(table);
            while rows.advance()? {
                let row = (rows.key().to_vec(), rows.value().to_vec());
                table.of_mut(&mut content.rows).extend([row]);
            }
        }
        Ok(content)
    }
}

/// A small run over seven positions: a name and a row at each, and one row of its own.
fn small(number: u32, first_seq: u64) -> (NewRun, Content) {
    let mut content = Content::default();
    for seq in first_seq..first_seq + 7 {
        content.names.push((seq.wrapping_mul(0x1234_5678_9abc_def1), seq));
        for table in Table::ALL {
            let rows = table.of_mut(&mut content.rows);
            rows.insert(format!("series {}", seq % 13).into_bytes(), vec![b'v'; 3]);
            rows.insert(format!("own {number:04}").into_bytes(), Vec::new());
        }
    }
    content.names.sort_unstable();
    (new_run(number, first_seq, first_seq + 6), content)
}

fn write_small(dir: &Path, number: u32, first_seq: u64) -> Run {
    let (new, content) = small(number, first_seq);
    content.write(dir, new, &OsDisk).unwrap()
}

/// One value after the other.
#[derive(Debug)]
struct Concatenate;

impl Combine for Concatenate {
    fn combine(
        &mut self,
        _: Table,
        _: &[u8],
        values: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        assert!(values.len() > 1 && out.is_empty());
        out.extend(values.concat());
        Ok(())
    }

    fn meta(&mut self, metas: &[&[u8]]) -> Result<Vec<u8>, &'static str> {
        Ok(metas.join(&b'+'))
    }
}

fn merge(dir: &Path, number: u32, runs: &[Arc<Run>], disk: &dyn Disk) -> Result<Run, IndexError> {
    crate::index::merge(dir, number, runs, &mut Concatenate, &mut |_, _| true, disk)
}
