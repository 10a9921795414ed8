//! A segment: one file of the log. Its name is its number; its header says where it begins.
//!
//! ```text
//! magic 8 | version 4 | number 4 | first seq 8 | checksum 8 | frames | zeros
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::fault::{Fault, wide};
use crate::codec::{Malformed, Reader};
use crate::log::disk::Disk;

/// The bytes before the first frame.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 32;

const MAGIC: [u8; 8] = *b"TXMTRLOG";
const VERSION: u32 = 2;
const CHECKED_BYTES: usize = 24;
const UNFINISHED_SUFFIX: &str = ".new";
const SPARE_SUFFIX: &str = ".next";

/// How a segment is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// As it was written.
    Raw,
    /// Compressed, which only full segments are.
    Sealed,
}

impl Form {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Raw => ".log",
            Self::Sealed => ".zlog",
        }
    }

    /// The file of segment `number`.
    pub(crate) fn path(self, dir: &Path, number: u32) -> PathBuf {
        dir.join(format!("{number:010}{}", self.suffix()))
    }
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    pub(crate) first_seq: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.first_seq.to_le_bytes());
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let read = || {
            let mut reader = Reader::new(bytes);
            let checked = reader.bytes(CHECKED_BYTES)?;
            let checksum = u64::from_le_bytes(reader.array()?);
            let mut header = Reader::new(checked);
            if header.array::<8>()? != MAGIC || xxh3_64(checked) != checksum {
                return Err(Malformed);
            }
            let version = u32::from_le_bytes(header.array()?);
            let number = u32::from_le_bytes(header.array()?);
            let first_seq = u64::from_le_bytes(header.array()?);
            Ok((version, Self { number, first_seq }))
        };
        match read() {
            Ok((VERSION, header)) => Ok(header),
            Ok((version, _)) => Err(Fault::UnknownFormat(version)),
            Err(Malformed) => Err(Fault::damaged(0, "segment header is unreadable")),
        }
    }
}

/// Reads the header of the raw segment at `path`.
pub(crate) fn read_header(path: &Path) -> Result<SegmentHeader, Fault> {
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    File::open(path)?.take(wide(SEGMENT_HEADER_BYTES)).read_to_end(&mut bytes)?;
    SegmentHeader::decode(&bytes)
}

/// The forms that a segment has files of: two after a crash while it was being sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Forms {
    pub(crate) raw: bool,
    pub(crate) sealed: bool,
}

/// The segments in `dir` by number.
pub(crate) fn list(dir: &Path) -> io::Result<BTreeMap<u32, Forms>> {
    let mut segments: BTreeMap<u32, Forms> = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        for form in [Form::Raw, Form::Sealed] {
            let number = name.strip_suffix(form.suffix()).map(str::parse);
            let Some(Ok(number)) = number else { continue };
            let forms = segments.entry(number).or_default();
            match form {
                Form::Raw => forms.raw = true,
                Form::Sealed => forms.sealed = true,
            }
        }
    }
    Ok(segments)
}

/// Removes what a crash left half written or prepared for later.
pub(crate) fn remove_unfinished(dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_unfinished = name
            .to_str()
            .is_some_and(|name| name.ends_with(UNFINISHED_SUFFIX) || name.ends_with(SPARE_SUFFIX));
        if is_unfinished {
            disk.remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Opens a file that is to become `path` once it is whole.
pub(crate) fn create_unfinished(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut unfinished = path.to_owned().into_os_string();
    unfinished.push(UNFINISHED_SUFFIX);
    Ok((create_new(Path::new(&unfinished))?, unfinished.into()))
}

/// Where a segment is kept until it has a number.
pub(crate) fn spare_path(dir: &Path) -> PathBuf {
    dir.join(format!("spare{SPARE_SUFFIX}"))
}

pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
}

/// Creates a segment of `bytes` zeros behind its header. It has its name only once it is whole, so
/// a segment with an unreadable header is never the trace of a crash.
pub(crate) fn create(
    dir: &Path,
    header: SegmentHeader,
    bytes: u64,
    disk: &dyn Disk,
) -> io::Result<File> {
    let path = Form::Raw.path(dir, header.number);
    let (file, unfinished) = create_unfinished(&path)?;
    disk.allocate(&file, bytes)?;
    disk.write_all_at(&file, &header.encode(), 0)?;
    disk.sync_all(&file)?;
    rename(&unfinished, &path, dir, disk)?;
    Ok(file)
}

/// Gives a synced file its name, durably.
pub(crate) fn rename(from: &Path, to: &Path, dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    disk.rename(from, to)?;
    sync_names(dir, disk)
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_names(dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    disk.sync_all(&File::open(dir)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::disk::OsDisk;

    const HEADER: SegmentHeader = SegmentHeader { number: 3, first_seq: 101 };

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        assert_eq!(HEADER.encode().len(), SEGMENT_HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&HEADER.encode()).unwrap(), HEADER);
    }

    #[test]
    fn a_changed_header_is_damaged() {
        let is_damaged =
            |bytes: &[u8]| matches!(SegmentHeader::decode(bytes), Err(Fault::Damaged { .. }));
        let bytes = HEADER.encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(is_damaged(&changed), "{at}");
            assert!(is_damaged(&bytes[..at]), "{at}");
        }
    }

    #[test]
    fn what_was_half_written_is_removed_and_other_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let left = ["0000000010.log", "0000000009.zlog", "0000000009.log", "notes.txt"];
        let removed = ["0000000011.log.new", "0000000008.zlog.new", "spare.next"];
        for name in left.iter().chain(&removed) {
            fs::write(dir.path().join(name), b"half").unwrap();
        }
        remove_unfinished(dir.path(), &OsDisk).unwrap();
        let both = Forms { raw: true, sealed: true };
        let listed: Vec<(u32, Forms)> = list(dir.path()).unwrap().into_iter().collect();
        assert_eq!(listed, [(9, both), (10, Forms { raw: true, sealed: false })]);
        for name in left {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        for name in removed {
            assert!(!dir.path().join(name).exists(), "{name}");
        }
    }
}
