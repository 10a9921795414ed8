//! What an operator does with the files of an engine that is not running.

mod files;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use taximeter_kernel::time::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use crate::engine::{self, Engine, Options, shard_dir};
use crate::error::{OpenError, ReadError};
use crate::event::Event;
use crate::index::{Index, Manifest, Run, Table, verify as verify_index};
use crate::log::disk::{Disk, OsDisk};
use crate::log::{LogReader, check};
use crate::record::Record;
use crate::totals::merged::each_merged_row;
use crate::totals::rows::read_change;

pub use files::{Files, Size, files, indexed_seq};

/// Makes `dir` this tool's own, which makes no directory where there is none.
fn lock(dir: &Path, disk: &dyn Disk) -> Result<File, OpenError> {
    if dir.is_dir() { engine::lock(dir, disk) } else { Err(OpenError::Missing(dir.to_owned())) }
}

/// What [`verify`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The place in the order of the first record that is still there.
    pub first_seq: u64,
    /// The place of the last record, 0 when there is none.
    pub last_seq: u64,
    /// How many files the log has.
    pub segments: u64,
    /// How many runs the index has.
    pub runs: u64,
    /// The place of the last record that the index covers; a restart reads what is behind it.
    pub indexed_seq: u64,
}

/// Reads every byte of the log and the index in `dir` and checks it, without changing anything.
///
/// # Errors
/// [`OpenError::Missing`]; else as for [`Engine::open`]: the first damage found, by file and place.
pub fn verify(dir: &Path) -> Result<Verified, OpenError> {
    let disk = OsDisk;
    let _locked = lock(dir, &disk)?;
    let shard = shard_dir(dir);
    let log = check(&shard)?;
    let index = verify_index(&shard.join("index"))?;
    if index.watermark > log.last_seq {
        let what = "log is shorter than what was derived from it";
        return Err(OpenError::Damaged { path: shard, offset: 0, what });
    }
    Ok(Verified {
        first_seq: log.first_seq,
        last_seq: log.last_seq,
        segments: log.segments,
        runs: index.runs,
        indexed_seq: index.watermark,
    })
}

/// Deletes the index in `dir` and makes it anew from the log. Cut short, it leaves the old index or a
/// part of the new one, from which a start goes on.
///
/// # Errors
/// [`OpenError::Missing`]; [`OpenError::Incomplete`] when the first events are deleted already, whose totals are only in
/// the index; else as for [`Engine::open`].
pub fn rebuild_index(dir: &Path, options: Options) -> Result<(), OpenError> {
    rebuild_index_on(dir, options, Arc::new(OsDisk))
}

pub(crate) fn rebuild_index_on(
    dir: &Path,
    options: Options,
    disk: Arc<dyn Disk>,
) -> Result<(), OpenError> {
    {
        let _locked = lock(dir, disk.as_ref())?;
        let shard = shard_dir(dir);
        let first_seq = check(&shard)?.first_seq;
        if first_seq > 1 {
            return Err(OpenError::Incomplete { first_seq });
        }
        let index = shard.join("index");
        if index.is_dir() {
            // It alone says which runs there are: a start removes those that it does not name.
            Manifest::remove(&index, disk.as_ref())?;
        }
    }
    let engine = Engine::open_on(dir, options, disk)?;
    engine.flush().and_then(|()| engine.tidy()).map_err(OpenError::Read)?;
    engine.close();
    Ok(())
}

/// One step of the log, as [`dump`] gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An event was recorded.
    Recorded(Event),
    /// The event stopped counting at this instant.
    Cancelled(Event, Timestamp),
    /// The event counts again since this instant.
    Restored(Event, Timestamp),
    /// The event takes the place of the version at this place in the order.
    Amended(Event, u64),
}

/// Gives every step of the log in `dir` from the place `from` on to `each`, in order, until it
/// breaks.
///
/// # Errors
/// As for [`Engine::open`].
pub fn dump(
    dir: &Path,
    from: u64,
    each: &mut dyn FnMut(u64, Step) -> ControlFlow<()>,
) -> Result<(), OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let _locked = lock(dir, disk.as_ref())?;
    let reader = LogReader::open(&shard_dir(dir), disk)?;
    let visited = reader.scan(from, &mut |seq, record| {
        let step = match record {
            Record::Event(event) => Step::Recorded(event),
            Record::Standing { standing, event, .. } => {
                let at = event.received;
                if standing == crate::event::Standing::Counts {
                    Step::Restored(event, at)
                } else {
                    Step::Cancelled(event, at)
                }
            }
            Record::Amended { event_seq, event, .. } => Step::Amended(event, event_seq),
        };
        Ok(each(seq, step))
    });
    visited.map_err(OpenError::Read)
}

/// A number that stands for all that the index in `dir` says, however it is divided into runs: two
/// indexes of the same log have the same.
///
/// # Errors
/// As for [`Engine::open`].
pub fn index_digest(dir: &Path) -> Result<u64, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let _locked = lock(dir, disk.as_ref())?;
    let index = Index::open(&shard_dir(dir).join("index"), disk)?;
    let runs = index.runs();
    let mut hasher = Xxh3::new();
    digest(&runs, &mut hasher).map_err(OpenError::Read)?;
    Ok(hasher.digest())
}

fn digest(runs: &[Arc<Run>], hasher: &mut Xxh3) -> Result<(), ReadError> {
    let mut names: Vec<(u64, u64)> = Vec::new();
    for run in runs {
        let mut of_run = run.names();
        loop {
            let buffered = of_run.buffered()?;
            let count = buffered.len();
            if count == 0 {
                break;
            }
            names.extend_from_slice(buffered);
            of_run.consume(count);
        }
    }
    names.sort_unstable();
    for (hash, seq) in names {
        hasher.update(&hash.to_le_bytes());
        hasher.update(&seq.to_le_bytes());
    }
    for table in Table::ALL {
        each_merged_row(runs, table, &mut |key, value| {
            let mut plain = Vec::new();
            let value = if table == Table::Cells {
                // How a total came about, by adding or anew, is not what it says.
                let unreadable = |_| ReadError::Inconsistent("a total is unreadable");
                let change = read_change(value).map_err(unreadable)?;
                if change.is_nothing() {
                    return Ok(());
                }
                change.cell.encode(&mut plain);
                plain.as_slice()
            } else {
                value
            };
            hasher.update(&u64::try_from(key.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(key);
            hasher.update(value);
            Ok(())
        })?;
    }
    Ok(())
}
