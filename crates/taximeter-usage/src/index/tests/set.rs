//! The set of runs: what a restart and other threads see of it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Content, merge, small, write_small};
use crate::index::{Index, IndexError, pick, run};
use crate::log::disk::OsDisk;

fn open(dir: &Path) -> Index {
    Index::open(dir, Arc::new(OsDisk)).unwrap()
}

/// Adds `runs` small runs.
fn fill(index: &Index, runs: u64) {
    for _ in 0..runs {
        let number = index.next_number().unwrap();
        index.add(write_small(index.dir(), number, index.watermark() + 1)).unwrap();
    }
}

fn numbers(index: &Index) -> Vec<u32> {
    index.runs().iter().map(|run| run.number()).collect()
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[test]
fn runs_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("usage").join("index");
    let index = open(&inner);
    assert_eq!((index.watermark(), index.memory_bytes()), (0, 0));
    fill(&index, 3);
    let reopened = open(&inner);
    assert_eq!(numbers(&reopened), [0, 1, 2]);
    assert_eq!(reopened.watermark(), 21);
    assert_eq!(reopened.memory_bytes(), index.memory_bytes());
    assert!(reopened.memory_bytes() > 3 * 64);
    assert_eq!(reopened.next_number().unwrap(), 3);
}

#[test]
fn a_merged_run_takes_the_place_of_those_it_is_of() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    fill(&index, 5);
    let before = index.runs();
    let contents: Vec<Content> = before.iter().map(|run| Content::read(run).unwrap()).collect();
    let number = index.next_number().unwrap();
    let merged = merge(dir.path(), number, &before[1..4], &OsDisk).unwrap();
    index.replace(1..4, merged).unwrap();
    assert_eq!(numbers(&index), [0, 5, 4]);
    assert_eq!(numbers(&open(dir.path())), [0, 5, 4]);
    assert_eq!(files(dir.path()), 4, "the manifest and three runs");
    for (run, content) in before.iter().zip(&contents) {
        assert_eq!(&Content::read(run).unwrap(), content, "a reader from before goes on");
    }
}

#[test]
fn what_a_crash_left_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()), 2);
    drop(write_small(dir.path(), 7, 15));
    fs::write(dir.path().join("run-0000000008.idx.new"), b"half").unwrap();
    fs::write(dir.path().join("MANIFEST.new"), b"half").unwrap();
    fs::write(dir.path().join("notes.txt"), b"not ours").unwrap();
    let index = open(dir.path());
    assert_eq!(numbers(&index), [0, 1]);
    assert_eq!(files(dir.path()), 4, "the manifest, two runs and the notes");
    fill(&index, 1);
    assert_eq!(open(dir.path()).watermark(), 21);
}

#[test]
fn without_a_manifest_the_index_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()), 2);
    fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    assert_eq!(open(dir.path()).watermark(), 0);
    assert_eq!(files(dir.path()), 0);
}

#[test]
fn a_run_that_is_missing_or_not_the_one_meant_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()), 2);
    let path = run::path(dir.path(), 1);
    fs::remove_file(&path).unwrap();
    let error = Index::open(dir.path(), Arc::new(OsDisk)).unwrap_err();
    assert!(matches!(&error, IndexError::Io { path: found, .. } if *found == path), "{error:?}");
    drop(write_small(dir.path(), 1, 101));
    let error = Index::open(dir.path(), Arc::new(OsDisk)).unwrap_err();
    assert!(matches!(&error, IndexError::Damaged { path: found, .. } if *found == path));
    assert!(path.exists(), "nothing is removed where something is wrong");
}

#[test]
fn a_run_that_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let refused = |result: Result<(), IndexError>| {
        assert!(matches!(result, Err(IndexError::Refused { .. })), "{result:?}");
    };
    refused(index.add(write_small(dir.path(), 101, 2)));
    fill(&index, 3);
    refused(index.add(write_small(dir.path(), 102, 21)));
    refused(index.add(write_small(dir.path(), 103, 23)));
    let runs = index.runs();
    let merged = || merge(dir.path(), 104, &runs[..2], &OsDisk).unwrap();
    refused(index.replace(1..3, merged()));
    refused(index.replace(0..1, merged()));
    refused(index.replace(2..4, merged()));
    refused(index.replace(1..1, merged()));
    assert_eq!(numbers(&index), [0, 1, 2]);
    assert_eq!(numbers(&open(dir.path())), [0, 1, 2]);
}

#[test]
fn runs_are_added_while_others_are_merged_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            fill(&index, 101);
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let runs = index.runs();
                let mut last = 0;
                for run in runs.iter() {
                    assert_eq!(run.first_seq(), last + 1);
                    last = run.last_seq();
                    assert_eq!(run.names_get(u64::MAX).unwrap(), []);
                }
            }
        });
        loop {
            let ended = done.load(Ordering::SeqCst);
            let runs = index.runs();
            let levels: Vec<u8> = runs.iter().map(|run| run.level()).collect();
            match pick(&levels) {
                Some(range) => {
                    let number = index.next_number().unwrap();
                    let merged = merge(dir.path(), number, &runs[range.clone()], &OsDisk).unwrap();
                    index.replace(range, merged).unwrap();
                }
                None if ended => break,
                None => std::thread::yield_now(),
            }
        }
    });
    let reopened = open(dir.path());
    assert_eq!(reopened.watermark(), 707);
    assert!(reopened.runs().len() < 21, "{}", reopened.runs().len());
    for first_seq in (1..=701).step_by(7) {
        for (key, seq) in small(0, first_seq).1.names {
            let runs = reopened.runs();
            let found = runs.iter().flat_map(|run| run.names_get(key).unwrap());
            assert_eq!(found.collect::<Vec<u64>>(), [seq]);
        }
    }
}
