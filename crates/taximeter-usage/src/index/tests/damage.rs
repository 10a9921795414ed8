//! No changed bit of a run is taken for what was written.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::{Content, write_small};
use crate::index::fence::Fence;
use crate::index::pages::{PAGE_BYTES, Page, SLACK_BYTES};
use crate::index::{Index, IndexError, Run, verify};
use crate::log::disk::OsDisk;

fn is_damage(error: &IndexError) -> bool {
    matches!(error, IndexError::Damaged { .. })
}

#[test]
fn every_changed_byte_is_found_at_opening_or_reading() {
    let dir = tempfile::tempdir().unwrap();
    let run = write_small(dir.path(), 3, 1);
    let path = run.path().to_owned();
    let bytes = fs::read(&path).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for (at, byte) in (0_u64..).zip(&bytes) {
        file.write_all_at(&[byte ^ (1 << (at % 8))], at).unwrap();
        let read = Run::open(path.clone(), 3).and_then(|run| Content::read(&run));
        let error = read.expect_err("what changed was not noticed");
        assert!(is_damage(&error), "{at}: {error:?}");
        file.write_all_at(&[*byte], at).unwrap();
    }
    Content::read(&Run::open(path, 3).unwrap()).unwrap();
}

#[test]
fn a_file_of_any_other_length_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let run = write_small(dir.path(), 3, 1);
    let path = run.path().to_owned();
    let mut bytes = fs::read(&path).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for length in (0..bytes.len()).rev().step_by(7) {
        file.set_len(length.try_into().unwrap()).unwrap();
        let error = Run::open(path.clone(), 3).unwrap_err();
        assert!(is_damage(&error), "{length}: {error:?}");
    }
    bytes.push(0);
    fs::write(&path, &bytes).unwrap();
    assert!(is_damage(&Run::open(path, 3).unwrap_err()));
}

#[test]
fn damage_is_told_with_its_place_and_stops_a_lookup() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<(u64, u64)> = (1..=2_003).map(|seq| (seq << 40, seq)).collect();
    let content = Content { names, ..Content::default() };
    let run = content.write(dir.path(), super::new_run(3, 1, 2_003), &OsDisk).unwrap();
    let file = OpenOptions::new().write(true).open(run.path()).unwrap();
    // The second page: the header is as large as a page.
    file.write_all_at(b"?", 2 * 4_096 + 101).unwrap();
    let keys = || (1_u64..=2_003).map(|seq| seq << 40);
    let results: Vec<_> = keys().map(|key| run.names_get(key)).collect();
    let damaged = results.iter().filter(|result| match result {
        Err(IndexError::Damaged { path, offset, .. }) => path == run.path() && *offset == 8_192,
        Err(other) => panic!("{other:?}"),
        Ok(found) => found.len() != 1,
    });
    assert!((200..1_000).contains(&damaged.count()));
    let error = Content::read(&run).unwrap_err();
    assert!(matches!(error, IndexError::Damaged { offset: 8_192, .. }), "{error:?}");
}

#[test]
fn a_file_under_the_name_of_another_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let run = write_small(dir.path(), 3, 1);
    let other = crate::index::run::path(dir.path(), 4);
    fs::copy(run.path(), &other).unwrap();
    assert!(is_damage(&Run::open(other, 4).unwrap_err()));
}

#[test]
fn an_index_is_verified_whole_or_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(verify(&dir.path().join("none")).unwrap(), crate::index::Summary::default());
    let index = Index::open(dir.path(), std::sync::Arc::new(OsDisk)).unwrap();
    for first_seq in [1, 8, 15] {
        let number = index.next_number().unwrap();
        index.add(write_small(dir.path(), number, first_seq)).unwrap();
    }
    let summary = verify(dir.path()).unwrap();
    assert_eq!((summary.runs, summary.watermark), (3, 21));
    assert_eq!((summary.names, summary.rows), (21, [24; 3]));
    let path = index.runs()[1].path().to_owned();
    assert!(summary.bytes > 2 * path.metadata().unwrap().len());
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"?", 4_096 + 700).unwrap();
    let error = verify(dir.path()).unwrap_err();
    assert!(matches!(error, IndexError::Damaged { path: found, .. } if found == path));
}

proptest! {
    #[test]
    fn bytes_of_any_kind_under_a_right_checksum_do_no_harm(
        mut bytes in proptest::collection::vec(any::<u8>(), PAGE_BYTES + SLACK_BYTES),
        fence in proptest::collection::vec(any::<u8>(), 0..50),
        bits in 0_u32..=56,
    ) {
        let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[8..PAGE_BYTES]);
        bytes[..8].copy_from_slice(&checksum.to_le_bytes());
        let page = Page::open(&bytes, 7, bits).unwrap();
        let read = page.keys().enumerate().map(|(index, key)| Ok((key?, page.seq(index)?)));
        drop(read.collect::<Result<Vec<_>, crate::index::numbers::Malformed>>());
        drop(Fence::decode(&fence, 13, 101));
    }
}
