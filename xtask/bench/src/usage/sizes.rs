//! What a directory takes up on disk, by kind of file.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use crate::words::{grouped, tenths};

/// What `stat` counts in.
const BLOCK_BYTES: u64 = 512;

/// Files of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    pub(crate) files: u64,
    /// As long as they are.
    pub(crate) bytes: u64,
    /// What the file system holds for them.
    pub(crate) allocated: u64,
}

/// Sizes by the ending of the name, or the name where there is none.
pub(crate) fn by_kind(directory: &Path) -> Result<BTreeMap<String, Size>, String> {
    let mut kinds = BTreeMap::new();
    walk(directory, &mut |path, metadata| {
        let kind = match path.extension() {
            Some(ending) => format!("*.{}", ending.to_string_lossy()),
            None => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let size: &mut Size = kinds.entry(kind).or_default();
        size.files += 1;
        size.bytes += metadata.len();
        size.allocated += metadata.blocks() * BLOCK_BYTES;
        Ok(())
    })
    .map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(kinds)
}

/// Visits all files below a directory.
pub(crate) fn walk(
    directory: &Path,
    visit: &mut dyn FnMut(&Path, &fs::Metadata) -> io::Result<()>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            walk(&path, visit)?;
        } else {
            visit(&path, &metadata)?;
        }
    }
    Ok(())
}

/// Prints each kind, and returns what all take up, in tenths of a byte per event.
pub(crate) fn print(directory: &Path, events: u64) -> Result<u64, String> {
    println!("| files | number | bytes | on disk | on disk per event |\n|---|--:|--:|--:|--:|");
    let per_event = |size: Size| size.allocated * 10 / events.max(1);
    let mut all = Size::default();
    let row = |kind: &str, size: Size| {
        println!(
            "| {kind} | {} | {} | {} | {} |",
            size.files,
            grouped(size.bytes),
            grouped(size.allocated),
            tenths(per_event(size))
        );
    };
    for (kind, size) in by_kind(directory)? {
        row(&kind, size);
        all.files += size.files;
        all.bytes += size.bytes;
        all.allocated += size.allocated;
    }
    row("all", all);
    Ok(per_event(all))
}

/// How many bytes were written to the files of a log that is still in one piece: they are given their
/// space beforehand, and what was not written yet is zeros.
pub(crate) fn written(directory: &Path) -> Result<u64, String> {
    let mut sum = 0;
    walk(directory, &mut |path, metadata| {
        if path.extension().is_some_and(|it| it == "log") {
            sum += without_zeros(&fs::File::open(path)?, metadata.len())?;
        }
        Ok(())
    })
    .map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(sum)
}

fn without_zeros(file: &fs::File, mut end: u64) -> io::Result<u64> {
    let mut piece = [0; 64 * 1_024];
    while end > 0 {
        let length = usize::try_from(end).unwrap_or(usize::MAX).min(piece.len());
        let start = end - u64::try_from(length).map_err(io::Error::other)?;
        file.read_exact_at(&mut piece[..length], start)?;
        if let Some(last) = piece[..length].iter().rposition(|byte| *byte != 0) {
            return Ok(start + u64::try_from(last).map_err(io::Error::other)? + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Takes a directory's files out of the system's cache, as far as they are on disk already.
pub(crate) fn forget(directory: &Path) -> Result<(), String> {
    walk(directory, &mut |path, _| {
        let file = fs::File::open(path)?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        Ok(())
    })
    .map_err(|error| format!("{}: {error}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_counted_by_kind() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("shard-0");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("1.log"), [7, 0, 13, 0, 0]).unwrap();
        fs::write(inner.join("2.log"), [0; 70_000]).unwrap();
        fs::write(directory.path().join("lock"), "").unwrap();
        let kinds = by_kind(directory.path()).unwrap();
        assert_eq!((kinds["*.log"].files, kinds["*.log"].bytes), (2, 70_005));
        assert_eq!(kinds["lock"], Size { files: 1, bytes: 0, allocated: 0 });
        assert_eq!(written(directory.path()), Ok(3));
        assert_eq!(forget(directory.path()), Ok(()));
    }
}
