//! Random steps against what the log should hold.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u64>),
    Mark,
    Prepare,
    Compress(prop::sample::Index),
    Drop(prop::sample::Index),
    Reopen(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => prop::collection::vec(1_u64..20, 1..4).prop_map(Step::Append),
        1 => Just(Step::Mark),
        1 => Just(Step::Prepare),
        2 => index().prop_map(Step::Compress),
        1 => index().prop_map(Step::Drop),
        1 => index().prop_map(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_done_the_log_holds_what_was_appended(
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let place = tempfile::tempdir().unwrap();
        let (mut log, _) = open(place.path()).unwrap();
        let mut first_seq = 1;
        let mut end_seq = 1;
        for step in steps {
            match step {
                Step::Append(chunks) => {
                    append(&mut log, &chunks);
                    end_seq += chunks.iter().sum::<u64>();
                }
                Step::Mark => log.mark().unwrap(),
                Step::Prepare => {
                    prepare_next(&log);
                }
                Step::Compress(which) => {
                    let covered = u64::try_from(which.index(usize::try_from(end_seq).unwrap()));
                    while log.reader.compress_next(covered.unwrap(), &OsDisk).unwrap() {}
                }
                Step::Drop(which) => {
                    let before = which.index(usize::try_from(end_seq).unwrap());
                    log.reader.drop_before(u64::try_from(before).unwrap()).unwrap();
                    let kept = log.reader.first_seq();
                    prop_assert!(kept >= first_seq);
                    first_seq = kept;
                }
                Step::Reopen(which) => {
                    drop(log);
                    let kept = usize::try_from(end_seq - first_seq + 1).unwrap();
                    let after = first_seq - 1 + u64::try_from(which.index(kept)).unwrap();
                    let (opened, next_seq) = open_after(place.path(), after).unwrap();
                    prop_assert_eq!(next_seq, end_seq);
                    log = opened;
                }
            }
            prop_assert_eq!(log.next_seq(), end_seq);
        }
        check(&log.reader, first_seq, end_seq);
        for before in [first_seq + 1, end_seq, first_seq.midpoint(end_seq)] {
            let mut back = Vec::new();
            let scan = log.reader.scan_back(before, &mut |seq, _| {
                back.push(seq);
                Ok(if back.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            });
            scan.unwrap();
            let expected: Vec<u64> =
                (first_seq..before.min(end_seq)).rev().take(3).collect();
            prop_assert_eq!(back, expected);
        }
    }
}
