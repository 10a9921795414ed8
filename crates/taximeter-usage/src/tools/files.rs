//! What an engine's files say without being opened: also while it runs.

use std::fs;
use std::io;
use std::path::Path;

use crate::engine::shard_dir;
use crate::error::OpenError;
use crate::index::Manifest;

/// Files of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// How many there are.
    pub files: u64,
    /// Their lengths, added up.
    pub bytes: u64,
}

impl Size {
    fn add(&mut self, bytes: u64) {
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What an engine has on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    /// Segments of the log as they were written, the one that is being filled among them.
    pub log: Size,
    /// Segments of the log that were compressed.
    pub sealed: Size,
    /// Runs of the index.
    pub index: Size,
    /// Room that is prepared, files that are being written, and the little ones.
    pub other: Size,
}

impl Files {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> Size {
        let kinds = [self.log, self.sealed, self.index, self.other];
        kinds.into_iter().fold(Size::default(), |sum, kind| Size {
            files: sum.files.saturating_add(kind.files),
            bytes: sum.bytes.saturating_add(kind.bytes),
        })
    }
}

/// What is in `dir`. A file that comes or goes meanwhile is counted or not.
///
/// # Errors
/// What the operating system says.
pub fn files(dir: &Path) -> io::Result<Files> {
    let mut files = Files::default();
    let shard = shard_dir(dir);
    for dir in [dir, &shard, &shard.join("index")] {
        count(dir, &mut files)?;
    }
    Ok(files)
}

fn count(dir: &Path, files: &mut Files) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let path = entry.path();
        let kind = match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("log") => &mut files.log,
            Some("zlog") => &mut files.sealed,
            Some("idx") => &mut files.index,
            _ => &mut files.other,
        };
        kind.add(metadata.len());
    }
    Ok(())
}

/// The place of the last record that the index in `dir` covers, 0 when there is none. While the index
/// is made, it grows.
///
/// # Errors
/// [`OpenError::Damaged`], [`OpenError::UnknownFormat`] and [`OpenError::Io`].
pub fn indexed_seq(dir: &Path) -> Result<u64, OpenError> {
    let manifest = Manifest::load(&shard_dir(dir).join("index"))?;
    Ok(manifest.map_or(0, |manifest| manifest.watermark()))
}
