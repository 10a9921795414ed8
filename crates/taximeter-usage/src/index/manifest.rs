//! The manifest: which runs count.
//!
//! ```text
//! checksum 8 | magic 8 | version 4 | next number | runs: number, first seq, last seq, level
//! ```
//!
//! It is replaced as a whole, so it is always one of before and after.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::index::error::IndexError;
use crate::index::merge::follows;
use crate::index::numbers::{Malformed, put, take, take_array, wide};
use crate::index::run::Run;
use crate::index::sink::Sink;
use crate::log::disk::Disk;

const NAME: &str = "MANIFEST";
const MAGIC: [u8; 8] = *b"TXMTRMAN";
const VERSION: u32 = 1;

/// What the manifest says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// No file of a run had this number or a higher one when the manifest was written.
    pub(crate) next_number: u32,
    /// The runs, oldest first. They cover the log from its first position on without a gap.
    pub(crate) runs: Vec<RunEntry>,
}

/// What the manifest says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunEntry {
    pub(crate) number: u32,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) level: u8,
}

impl RunEntry {
    pub(crate) fn of(run: &Run) -> Self {
        Self {
            number: run.number(),
            first_seq: run.first_seq(),
            last_seq: run.last_seq(),
            level: run.level(),
        }
    }
}

/// The file of the manifest.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

impl Manifest {
    /// The manifest in `dir`, if there is one.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, IndexError> {
        let path = path(dir);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(IndexError::Io { path, source }),
        };
        let damaged = |what| IndexError::Damaged { path: path.clone(), offset: 0, what };
        match Self::decode(&bytes) {
            Ok((VERSION, manifest)) if manifest.is_contiguous() => Ok(Some(manifest)),
            Ok((VERSION, _)) => Err(damaged("its runs do not follow each other")),
            Ok((version, _)) => Err(IndexError::UnknownFormat { path, version }),
            Err(Malformed) => Err(damaged("it does not match its checksum")),
        }
    }

    /// Returns once this is durably the manifest in `dir`. After an error it may be or not.
    pub(crate) fn store(&self, dir: &Path, disk: &dyn Disk) -> Result<(), IndexError> {
        let mut sink = Sink::create(path(dir), disk)?;
        sink.write(&self.encode())?;
        sink.finish()
    }

    /// Returns once there durably is none in `dir`, whose runs are of no use from then on.
    pub(crate) fn remove(dir: &Path, disk: &dyn Disk) -> Result<(), IndexError> {
        let path = path(dir);
        let removed = match disk.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::File::open(dir).and_then(|dir| disk.sync_all(&dir)),
        };
        removed.map_err(|source| IndexError::Io { path, source })
    }

    /// The last position that the runs cover, 0 if there are none.
    pub(crate) fn watermark(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.last_seq)
    }

    fn is_contiguous(&self) -> bool {
        let before = std::iter::once(0).chain(self.runs.iter().map(|run| run.last_seq));
        let follow = before.zip(&self.runs).all(|(last, run)| follows(last, run.first_seq));
        follow && self.runs.iter().all(|run| run.first_seq <= run.last_seq)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 8];
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        put(&mut out, self.next_number.into());
        put(&mut out, wide(self.runs.len()));
        for RunEntry { number, first_seq, last_seq, level } in &self.runs {
            put(&mut out, u64::from(*number));
            put(&mut out, *first_seq);
            put(&mut out, *last_seq);
            out.push(*level);
        }
        if let Some((checksum, checked)) = out.split_first_chunk_mut() {
            *checksum = xxh3_64(checked).to_le_bytes();
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<(u32, Self), Malformed> {
        let (checksum, checked) = bytes.split_first_chunk().ok_or(Malformed)?;
        let mut rest = checked;
        if take_array(&mut rest)? != MAGIC || xxh3_64(checked) != u64::from_le_bytes(*checksum) {
            return Err(Malformed);
        }
        let version = u32::from_le_bytes(take_array(&mut rest)?);
        if version != VERSION {
            return Ok((version, Self::default()));
        }
        let next_number = take_number(&mut rest)?;
        let count = take(&mut rest)?;
        let mut runs = Vec::new();
        for _ in 0..count {
            let number = take_number(&mut rest)?;
            let (first_seq, last_seq) = (take(&mut rest)?, take(&mut rest)?);
            let [level] = take_array(&mut rest)?;
            runs.push(RunEntry { number, first_seq, last_seq, level });
        }
        if rest.is_empty() { Ok((version, Self { next_number, runs })) } else { Err(Malformed) }
    }
}

fn take_number(rest: &mut &[u8]) -> Result<u32, Malformed> {
    u32::try_from(take(rest)?).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::disk::OsDisk;

    fn manifest() -> Manifest {
        let entry =
            |number, first_seq, last_seq| RunEntry { number, first_seq, last_seq, level: 3 };
        Manifest { next_number: 13, runs: vec![entry(7, 1, 700), entry(11, 701, 701)] }
    }

    #[test]
    fn a_manifest_loads_as_it_was_stored_and_none_where_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::load(dir.path()).unwrap(), None);
        manifest().store(dir.path(), &OsDisk).unwrap();
        assert_eq!(Manifest::load(dir.path()).unwrap(), Some(manifest()));
        assert_eq!(manifest().watermark(), 701);
    }

    #[test]
    fn a_changed_or_cut_manifest_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = manifest().encode();
        let check = |bytes: &[u8]| {
            fs::write(path(dir.path()), bytes).unwrap();
            let loaded = Manifest::load(dir.path());
            assert!(matches!(loaded, Err(IndexError::Damaged { .. })), "{loaded:?}");
        };
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            check(&changed);
            check(&bytes[..at]);
        }
    }

    #[test]
    fn a_manifest_of_a_later_format_or_with_a_gap_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = manifest().encode();
        bytes[16] = 7;
        let checksum = xxh3_64(&bytes[8..]).to_le_bytes();
        bytes[..8].copy_from_slice(&checksum);
        fs::write(path(dir.path()), bytes).unwrap();
        let loaded = Manifest::load(dir.path());
        assert!(matches!(loaded, Err(IndexError::UnknownFormat { version: 7, .. })), "{loaded:?}");
        for gap in 0..2 {
            let mut manifest = manifest();
            manifest.runs[gap].first_seq += 1;
            manifest.store(dir.path(), &OsDisk).unwrap();
            let loaded = Manifest::load(dir.path());
            assert!(matches!(loaded, Err(IndexError::Damaged { .. })), "{loaded:?}");
        }
    }
}
