//! What was written to a run is read from it.

use std::ops::ControlFlow;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::{Content, new_run};
use crate::index::{IndexError, Run, RunWriter, Table};
use crate::log::disk::OsDisk;

/// Keys as hashes are, keys that share their upper half, and keys that are close or the same.
fn keys() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0_u64..5, any::<u32>()).prop_map(|(high, low)| (high << 32) | u64::from(low)),
        0_u64..13,
        Just(u64::MAX),
    ]
}

fn rows(count: usize) -> impl Strategy<Value = super::Rows> {
    let key = prop_oneof![vec(any::<u8>(), 0..13), vec(0_u8..3, 0..30)];
    let value = prop_oneof![9 => vec(any::<u8>(), 0..101), 1 => vec(any::<u8>(), 0..20_000)];
    btree_map(key, value, 0..count)
}

fn write(content: &Content, first_seq: u64, last_seq: u64) -> (tempfile::TempDir, Run) {
    let dir = tempfile::tempdir().unwrap();
    let run = content.write(dir.path(), new_run(3, first_seq, last_seq), &OsDisk).unwrap();
    (dir, run)
}

fn scan(run: &Run, table: Table, from: &[u8], to: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let end = run.scan(table, from, to, |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        Ok::<_, IndexError>(ControlFlow::Continue(()))
    });
    assert_eq!(end.unwrap(), ControlFlow::Continue(()));
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn names_are_found_by_key_and_by_prefix(
        mut names in vec((keys(), 0_u64..100_000), 0..2_000),
        others in vec(keys(), 20),
        first_seq in prop_oneof![Just(1), 1_u64..1 << 60],
    ) {
        names.iter_mut().for_each(|(_, seq)| *seq += first_seq);
        names.sort_unstable();
        let content = Content { names, ..Content::default() };
        let (_dir, run) = write(&content, first_seq, first_seq + 100_000);
        prop_assert_eq!(&Content::read(&run).unwrap(), &content);
        for key in content.names.iter().map(|(key, _)| *key).step_by(13).chain(others) {
            let all = || content.names.iter().copied();
            let expected: Vec<u64> = all().filter(|name| name.0 == key).map(|name| name.1).collect();
            prop_assert!(expected.is_empty() || run.may_hold(key));
            prop_assert_eq!(run.names_get(key).unwrap(), expected);
            let high = u32::try_from(key >> 32).unwrap();
            let expected: Vec<_> = all().filter(|name| name.0 >> 32 == key >> 32).collect();
            prop_assert_eq!(run.names_prefix(high).unwrap(), expected);
        }
    }

    #[test]
    fn rows_are_found_by_key_and_by_range(
        cells in rows(300),
        dims in rows(13),
        bounds in vec(vec(0_u8..3, 0..7), 20),
    ) {
        let rows = [cells, super::Rows::new(), dims];
        let content = Content { rows, ..Content::default() };
        let (_dir, run) = write(&content, 1, 1);
        prop_assert_eq!(&Content::read(&run).unwrap(), &content);
        for table in Table::ALL {
            let expected = table.of(&content.rows);
            for pair in bounds.windows(2) {
                let (from, to) = (&pair[0], &pair[1]);
                let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
                let above: Vec<_> = expected.range(from.clone()..).map(owned).collect();
                prop_assert_eq!(&scan(&run, table, from, None), &above);
                let between: Vec<_> = above.into_iter().filter(|(key, _)| key < to).collect();
                prop_assert_eq!(scan(&run, table, from, Some(to)), between);
                prop_assert_eq!(run.get(table, from).unwrap(), expected.get(from).cloned());
            }
            for (key, value) in expected.iter().step_by(7) {
                prop_assert_eq!(run.get(table, key).unwrap(), Some(value.clone()));
            }
        }
    }
}

#[test]
fn one_key_may_have_more_names_than_a_page_holds() {
    let names: Vec<(u64, u64)> = [(6, 1), (6, 2)]
        .into_iter()
        .chain((1..=7_001).map(|seq| (7, seq)))
        .chain([(8, 7_001)])
        .collect();
    let (_dir, run) = write(&Content { names, ..Content::default() }, 1, 7_001);
    assert_eq!(run.names_get(6).unwrap(), [1, 2]);
    assert_eq!(run.names_get(7).unwrap(), (1..=7_001).collect::<Vec<u64>>());
    assert_eq!(run.names_get(8).unwrap(), [7_001]);
    assert_eq!(run.names_get(9).unwrap(), []);
    assert_eq!(run.names_prefix(0).unwrap().len(), 7_004);
}

#[test]
fn a_value_of_some_megabytes_is_one_row() {
    let mut content = Content::default();
    let value: Vec<u8> = (0..3_000_017_u32).map(|number| number.to_le_bytes()[1]).collect();
    for (key, value) in [("a", &value[..7]), ("b", &value[..]), ("c", &value[..13])] {
        content.rows[1].insert(key.into(), value.to_vec());
    }
    let (_dir, run) = write(&content, 1, 1);
    assert_eq!(Content::read(&run).unwrap(), content);
    assert_eq!(scan(&run, Table::Postings, b"b", Some(b"c")), [(b"b".to_vec(), value)]);
}

#[test]
fn a_scan_ends_when_its_visitor_breaks_or_fails() {
    let mut content = Content::default();
    content.rows[0].extend([(b"a".to_vec(), Vec::new()), (b"b".to_vec(), Vec::new())]);
    let (_dir, run) = write(&content, 1, 1);
    let mut visits = 0;
    let end = run.scan(Table::Cells, b"", None, |_, _| {
        visits += 1;
        Ok::<_, IndexError>(ControlFlow::Break(()))
    });
    assert_eq!((end.unwrap(), visits), (ControlFlow::Break(()), 1));
    let failed = run.scan(Table::Cells, b"", None, |_, _| {
        Err(IndexError::Refused { path: "/a".into(), what: "enough" })
    });
    assert!(matches!(failed, Err(IndexError::Refused { what: "enough", .. })), "{failed:?}");
}

#[test]
fn a_run_is_read_after_its_file_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (new, content) = super::small(3, 1);
    let run = content.write(dir.path(), new, &OsDisk).unwrap();
    std::fs::remove_file(run.path()).unwrap();
    assert_eq!(Content::read(&run).unwrap(), content);
}

#[test]
fn a_run_tells_its_size_and_what_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let run = super::write_small(dir.path(), 3, 101);
    let stats = run.stats();
    assert_eq!((stats.number, stats.level), (3, 0));
    assert_eq!((stats.first_seq, stats.last_seq), (101, 107));
    assert_eq!((stats.names, stats.rows), (7, [8; 3]));
    assert_eq!(stats.bytes, run.path().metadata().unwrap().len());
    assert_eq!(stats.filter_bytes, 64);
    assert_eq!(run.memory_bytes(), stats.filter_bytes + stats.fence_bytes);
    assert_eq!(run.meta(), b"meta 3");
}

#[test]
fn what_comes_out_of_order_or_out_of_bounds_is_refused_and_leaves_nothing() {
    let check = |what: &str, write: &dyn Fn(&mut RunWriter<'_>) -> Result<(), IndexError>| {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = RunWriter::create(dir.path(), new_run(3, 101, 107), &OsDisk).unwrap();
        let refused = write(&mut writer).unwrap_err();
        assert!(matches!(refused, IndexError::Refused { what: found, .. } if found == what));
        drop(writer);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    };
    check("names out of order", &|run| {
        run.push_name(7, 103)?;
        run.push_name(7, 102)
    });
    check("a name outside of the run", &|run| run.push_name(7, 100));
    check("a name outside of the run", &|run| run.push_name(7, 108));
    check("more names than the filter is made for", &|run| {
        (0..102).try_for_each(|key| run.push_name(key, 101))
    });
    check("a name after the rows", &|run| {
        run.push(Table::Cells, b"a", b"")?;
        run.push_name(7, 101)
    });
    check("rows out of order", &|run| {
        run.push(Table::Cells, b"ab", b"")?;
        run.push(Table::Cells, b"aa", b"")
    });
    check("rows out of order", &|run| {
        run.push(Table::Cells, b"", b"")?;
        run.push(Table::Cells, b"", b"")
    });
    check("tables out of order", &|run| {
        run.push(Table::Dims, b"a", b"")?;
        run.push(Table::Cells, b"b", b"")
    });
    check("a row is too large", &|run| run.push(Table::Cells, &[0; 65_537], b""));
    let dir = tempfile::tempdir().unwrap();
    for (first_seq, last_seq) in [(0, 7), (8, 7), (1, u64::MAX)] {
        let created = RunWriter::create(dir.path(), new_run(3, first_seq, last_seq), &OsDisk);
        assert!(matches!(created, Err(IndexError::Refused { .. })), "{first_seq} {last_seq}");
    }
}
