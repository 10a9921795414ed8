//! A segment: one file of the log. Its name is its number; its header says where it begins.
//!
//! ```text
//! magic 8 | version 4 | number 4 | first seq 8 | checksum 8 | frames | zeros
//! ```

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{Malformed, Reader};
use crate::log::disk::Disk;

/// The bytes before the first frame.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 32;

const MAGIC: [u8; 8] = *b"TXMTRLOG";
const VERSION: u32 = 2;
const CHECKED_BYTES: usize = 24;
const SUFFIX: &str = ".log";
const SEALED_SUFFIX: &str = ".zlog";
const UNFINISHED_SUFFIX: &str = ".new";

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    pub(crate) first_seq: u64,
}

/// Why a segment's header says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged,
    UnknownFormat(u32),
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

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
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
            Ok((version, _)) => Err(HeaderFault::UnknownFormat(version)),
            Err(Malformed) => Err(HeaderFault::Damaged),
        }
    }
}

/// The file of segment `number`.
pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(file_name(number))
}

pub(crate) fn file_name(number: u32) -> String {
    format!("{number:010}{SUFFIX}")
}

/// How a segment is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it was written.
    Raw,
    /// Compressed.
    Sealed,
}

/// The segments in `dir`, ascending. Removes what a crash left half created, and what was compressed
/// already.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<(u32, Form)>> {
    let mut found: BTreeMap<u32, Form> = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(UNFINISHED_SUFFIX) {
            fs::remove_file(entry.path())?;
        } else if let Some(Ok(number)) = name.strip_suffix(SEALED_SUFFIX).map(str::parse) {
            // It has its name only since it is whole and durable.
            if found.insert(number, Form::Sealed) == Some(Form::Raw) {
                fs::remove_file(path(dir, number))?;
            }
        } else if let Some(Ok(number)) = name.strip_suffix(SUFFIX).map(str::parse) {
            match found.entry(number) {
                Entry::Occupied(_) => fs::remove_file(entry.path())?,
                Entry::Vacant(vacant) => {
                    vacant.insert(Form::Raw);
                }
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Creates a segment of `bytes` zeros behind its header. It has its name only once it is whole, so
/// a segment with an unreadable header is never the trace of a crash.
pub(crate) fn create(
    dir: &Path,
    header: SegmentHeader,
    bytes: u64,
    disk: &dyn Disk,
) -> io::Result<File> {
    let path = path(dir, header.number);
    let unfinished = path.with_extension("new");
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
    disk.allocate(&file, bytes)?;
    disk.write_all_at(&file, &header.encode(), 0)?;
    disk.sync_all(&file)?;
    fs::rename(&unfinished, &path)?;
    disk.sync_all(&File::open(dir)?)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader { number: 3, first_seq: 101 };

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        assert_eq!(HEADER.encode().len(), SEGMENT_HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&HEADER.encode()), Ok(HEADER));
    }

    #[test]
    fn a_changed_header_is_damaged() {
        let bytes = HEADER.encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert_eq!(SegmentHeader::decode(&changed), Err(HeaderFault::Damaged), "{at}");
            assert_eq!(SegmentHeader::decode(&bytes[..at]), Err(HeaderFault::Damaged), "{at}");
        }
    }

    #[test]
    fn a_half_created_segment_is_removed_and_not_listed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("0000000000.new"), b"half").unwrap();
        fs::write(dir.path().join("0000000010.log"), b"").unwrap();
        fs::write(dir.path().join("0000000009.log"), b"").unwrap();
        fs::write(dir.path().join("notes.txt"), b"not ours").unwrap();
        assert_eq!(list(dir.path()).unwrap(), [(9, Form::Raw), (10, Form::Raw)]);
        assert!(!dir.path().join("0000000000.new").exists());
    }
}
