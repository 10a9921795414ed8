//! The runs of a shard: which there are, and how that changes.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::index::error::IndexError;
use crate::index::manifest::{Manifest, RunEntry};
use crate::index::merge::follows;
use crate::index::run::{self, PREFIX, Run, SUFFIX};
use crate::index::sink::UNFINISHED_SUFFIX;
use crate::log::create_dir;
use crate::log::disk::Disk;

/// The runs in a directory. One thread may add runs while another merges and many read.
#[derive(Debug)]
pub(crate) struct Index {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    /// Held while the manifest is replaced.
    manifest: Mutex<Manifest>,
    /// Held for a moment only.
    runs: RwLock<Arc<[Arc<Run>]>>,
}

impl Index {
    /// Opens the index in `dir`, an empty one where there is none, and removes the files that a
    /// crash left there.
    pub(crate) fn open(dir: &Path, disk: Arc<dyn Disk>) -> Result<Self, IndexError> {
        let failed = |source| IndexError::Io { path: dir.to_owned(), source };
        create_dir(dir, disk.as_ref()).map_err(failed)?;
        let manifest = Manifest::load(dir)?.unwrap_or_default();
        let runs = open_runs(dir, &manifest)?;
        remove_leftovers(dir, &manifest).map_err(failed)?;
        Ok(Self {
            dir: dir.to_owned(),
            disk,
            manifest: Mutex::new(manifest),
            runs: RwLock::new(runs.into()),
        })
    }

    /// Where the files of new runs go.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The runs as they are now, oldest first.
    pub(crate) fn runs(&self) -> Arc<[Arc<Run>]> {
        Arc::clone(&self.runs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The last position of the log that the runs cover, 0 if there are none.
    pub(crate) fn watermark(&self) -> u64 {
        self.runs().last().map_or(0, |run| run.last_seq())
    }

    /// How many bytes of memory the runs take.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.runs().iter().fold(0, |sum, run| sum.saturating_add(run.memory_bytes()))
    }

    /// A number for a new run, which no other has or gets.
    pub(crate) fn next_number(&self) -> Result<u32, IndexError> {
        let mut manifest = self.lock();
        let number = manifest.next_number;
        let what = "the numbers of runs are used up";
        manifest.next_number = number.checked_add(1).ok_or_else(|| self.refused(what))?;
        Ok(number)
    }

    /// Adds a run that continues the last. After an error of the operating system nobody knows
    /// whether the run will be there after a restart; in this process it is not.
    pub(crate) fn add(&self, run: Run) -> Result<(), IndexError> {
        let mut manifest = self.lock();
        if !follows(manifest.watermark(), run.first_seq()) {
            return Err(self.refused("a run that does not continue the last"));
        }
        let mut changed = manifest.clone();
        changed.runs.push(RunEntry::of(&run));
        changed.store(&self.dir, self.disk.as_ref())?;
        *manifest = changed;
        let before = self.runs();
        self.publish(before.iter().cloned().chain([Arc::new(run)]).collect());
        Ok(())
    }

    /// Puts `run` into the place of those in `range`, which it was merged of, and removes their
    /// files. After an error of the operating system nobody knows which of them will be there after
    /// a restart; in this process it is those before.
    pub(crate) fn replace(&self, range: Range<usize>, run: Run) -> Result<(), IndexError> {
        let mut manifest = self.lock();
        let before = self.runs();
        let replaced = before.get(range.clone()).unwrap_or_default();
        let covered = replaced.first().zip(replaced.last());
        let covered = covered.map(|(first, last)| (first.first_seq(), last.last_seq()));
        if covered != Some((run.first_seq(), run.last_seq())) {
            return Err(self.refused("a run that does not cover those it replaces"));
        }
        let mut changed = manifest.clone();
        drop(changed.runs.splice(range.clone(), [RunEntry::of(&run)]));
        changed.store(&self.dir, self.disk.as_ref())?;
        *manifest = changed;
        let mut runs = before.to_vec();
        drop(runs.splice(range, [Arc::new(run)]));
        self.publish(runs.into());
        for run in replaced {
            if let Err(error) = self.disk.remove_file(run.path()) {
                // It is of no use to anyone any more; the next start removes it.
                tracing::warn!(file = %run.path().display(), %error, "cannot remove a merged run");
            }
        }
        Ok(())
    }

    fn publish(&self, runs: Arc<[Arc<Run>]>) {
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = runs;
    }

    /// The manifest is changed as the last step only, so a panic leaves it as it was.
    fn lock(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, what: &'static str) -> IndexError {
        IndexError::Refused { path: self.dir.clone(), what }
    }
}

/// Opens the runs that the manifest names.
pub(crate) fn open_runs(dir: &Path, manifest: &Manifest) -> Result<Vec<Arc<Run>>, IndexError> {
    let mut runs = Vec::with_capacity(manifest.runs.len());
    for entry in &manifest.runs {
        let run = Run::open(run::path(dir, entry.number), entry.number)?;
        if RunEntry::of(&run) != *entry {
            let what = "it is not the run that the manifest names";
            return Err(IndexError::Damaged { path: run.path().to_owned(), offset: 0, what });
        }
        runs.push(Arc::new(run));
    }
    Ok(runs)
}

/// Removes the files of ours that the manifest does not name.
fn remove_leftovers(dir: &Path, manifest: &Manifest) -> io::Result<()> {
    let named: BTreeSet<PathBuf> =
        manifest.runs.iter().map(|entry| run::path(dir, entry.number)).collect();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_run = name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        if name.ends_with(UNFINISHED_SUFFIX) || (is_run && !named.contains(&path)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
