//! A merged run holds what the runs held.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Content, merge, new_run, write_small};
use crate::index::{Combine, IndexError, NewRun, Run, Table};
use crate::log::disk::OsDisk;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_merger_is_the_union_however_the_log_was_split(
        events in vec((any::<u16>(), 0_u8..5, vec(any::<u8>(), 0..300)), 1..700),
        cuts in vec(any::<prop::sample::Index>(), 0..7),
        kept in 1_u64..5,
    ) {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(events.len())).collect();
        ends.push(events.len());
        ends.sort_unstable();
        ends.dedup();
        let dir = tempfile::tempdir().unwrap();
        let mut runs: Vec<Arc<Run>> = Vec::new();
        let mut union = Content::default();
        let (mut start, mut number) = (0, 0);
        for end in ends.into_iter().filter(|end| *end > 0) {
            let mut content = Content::default();
            for (seq, (key, table, value)) in (1_u64..).zip(&events).take(end).skip(start) {
                let key = u64::from(*key).wrapping_mul(0x0101_0101_0101);
                content.names.push((key, seq));
                if let Some(table) = Table::ALL.get(usize::from(*table)) {
                    let row = (key % 101).to_be_bytes().to_vec();
                    table.of_mut(&mut content.rows).entry(row.clone()).or_default().extend(value);
                    table.of_mut(&mut union.rows).entry(row).or_default().extend(value);
                }
            }
            union.names.extend(content.names.iter().filter(|name| name.0 % 5 < kept));
            content.names.sort_unstable();
            let (first, last) = (start + 1, end);
            let new = new_run(number, first.try_into().unwrap(), last.try_into().unwrap());
            runs.push(Arc::new(content.write(dir.path(), new, &OsDisk).unwrap()));
            (start, number) = (end, number + 1);
        }
        union.names.sort_unstable();
        let keep = &mut |key, _| key % 5 < kept;
        let merged =
            crate::index::merge(dir.path(), 99, &runs, &mut super::Concatenate, keep, &OsDisk)
                .unwrap();
        prop_assert_eq!(Content::read(&merged).unwrap(), union);
        prop_assert_eq!(merged.first_seq(), 1);
        prop_assert_eq!(merged.last_seq(), u64::try_from(events.len()).unwrap());
    }
}

#[test]
fn a_merged_run_is_a_level_above_and_has_the_meta_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let runs = [(3, 1, 0), (5, 8, 2)].map(|(number, first_seq, level)| {
        let (new, content) = super::small(number, first_seq);
        Arc::new(content.write(dir.path(), NewRun { level, ..new }, &OsDisk).unwrap())
    });
    let merged = merge(dir.path(), 7, &runs, &OsDisk).unwrap();
    assert_eq!((merged.number(), merged.level()), (7, 3));
    assert_eq!((merged.first_seq(), merged.last_seq()), (1, 14));
    assert_eq!(merged.meta(), b"meta 3+meta 5");
}

#[test]
fn runs_that_are_not_next_to_each_other_are_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let run = |number, first_seq| Arc::new(write_small(dir.path(), number, first_seq));
    let (first, second, third) = (run(1, 1), run(2, 8), run(3, 15));
    let check = |runs: &[&Arc<Run>]| {
        let runs: Vec<Arc<Run>> = runs.iter().map(|run| Arc::clone(run)).collect();
        let refused = merge(dir.path(), 7, &runs, &OsDisk).unwrap_err();
        assert!(matches!(refused, IndexError::Refused { .. }), "{refused:?}");
    };
    check(&[]);
    check(&[&first, &third]);
    check(&[&second, &first]);
    check(&[&first, &first]);
}

/// Finds fault with every value.
#[derive(Debug)]
struct Reject;

impl Combine for Reject {
    fn combine(
        &mut self,
        _: Table,
        _: &[u8],
        _: &[&[u8]],
        _: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        Err("a value makes no sense")
    }

    fn meta(&mut self, _: &[&[u8]]) -> Result<Vec<u8>, &'static str> {
        Err("meta makes no sense")
    }
}

#[test]
fn values_that_do_not_combine_are_damage_and_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    // The second run repeats a row of the first.
    let runs =
        [(1, 1), (2, 8)].map(|(number, first)| Arc::new(write_small(dir.path(), number, first)));
    let merged = crate::index::merge(dir.path(), 7, &runs, &mut Reject, &mut |_, _| true, &OsDisk);
    let IndexError::Damaged { path, what, .. } = merged.unwrap_err() else {
        panic!("values that do not combine are damage");
    };
    assert_eq!((path.as_path(), what), (runs[0].path(), "a value makes no sense"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}
