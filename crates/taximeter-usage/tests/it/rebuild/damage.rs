//! A check reads every byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use taximeter_usage::{OpenError, tools};

use super::Lived;

/// About how many bytes of each file are changed, one after the other.
const PLACES: usize = 40;
/// The beginning and the end of a file are changed byte by byte.
const EDGE_BYTES: usize = 9;

/// What holds something: a segment that is prepared and holds nothing yet may be there or not.
fn files_in(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &PathBuf| path.is_file() && !path.ends_with("spare.next");
    let mut paths: Vec<PathBuf> = paths.filter(holds).collect();
    paths.sort();
    paths
}

/// Where the mark begins that ends a log which was closed: from there on a write may have been cut
/// short.
fn end_of(bytes: &[u8]) -> usize {
    const MARK: [u8; 8] = *b"TXFR\0\0\0\0";
    bytes.windows(MARK.len()).rposition(|window| window == MARK).expect("a mark ends it")
}

fn places(length: usize) -> BTreeSet<usize> {
    let edges = (0..EDGE_BYTES.min(length)).flat_map(|at| [at, length - 1 - at]);
    edges.chain((0..length).step_by(length / PLACES + 1)).collect()
}

/// Changes a byte of `file` after the other, and has each found.
fn check(lived: &Lived, file: &Path, kinds: &mut BTreeSet<String>) {
    let whole = fs::read(file).unwrap();
    let is_last = file.extension().is_some_and(|suffix| suffix == "log")
        && !file.with_file_name(next_name(file)).exists();
    let length = if is_last { end_of(&whole) } else { whole.len() };
    for at in places(length) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(file, changed).unwrap();
        match tools::verify(lived.path()) {
            Err(OpenError::Damaged { path, .. } | OpenError::UnknownFormat { path, .. }) => {
                assert_eq!(path, file, "byte {at}");
            }
            other => panic!("byte {at} of {}: {other:?}", file.display()),
        }
    }
    fs::write(file, whole).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    kinds.insert(name.rsplit('.').next().unwrap().to_owned());
}

/// The segment behind `file`, were there one.
fn next_name(file: &Path) -> String {
    let number: u32 = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    format!("{:010}.log", number + 1)
}

#[test]
fn a_byte_that_changed_in_any_file_is_found_and_the_file_named() {
    let lived = Lived::through(107);
    let before = tools::verify(lived.path()).unwrap();
    let mut kinds = BTreeSet::new();
    let shard = lived.path().join("shard-0");
    let log = files_in(&shard);
    // The first, the last, and some in between.
    let log = log.iter().step_by(log.len() / 5 + 1).chain(log.last());
    for file in log.chain(&files_in(&lived.index())) {
        check(&lived, file, &mut kinds);
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    assert_eq!(kinds, ["MANIFEST", "idx", "log", "zlog"]);
    assert_eq!(tools::verify(lived.path()).unwrap(), before);
}
