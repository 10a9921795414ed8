//! Sealing segments, dropping them, and reading meanwhile.

use super::*;
use crate::log::recover::first_seq_in;
use crate::log::sealed;
use crate::log::segment::Form;

#[test]
fn sealed_segments_hold_what_the_raw_ones_held() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    let (reader, end_seq) = (Arc::clone(&log.reader), log.next_seq());
    check(&reader, 1, end_seq);
    let segments = files(place.path(), ".log").len();
    seal_all(&log);
    assert_eq!(files(place.path(), ".log").len(), 1);
    assert_eq!(files(place.path(), ".zlog").len(), segments - 1);
    check(&reader, 1, end_seq);
    assert!(!log.reader.compress_next(u64::MAX, &OsDisk).unwrap());
    drop(log);
    let (log, next_seq) = open(place.path()).unwrap();
    assert_eq!(next_seq, end_seq);
    check(&log.reader, 1, end_seq);
}

#[test]
fn the_segment_that_is_being_filled_is_not_sealed() {
    let place = tempfile::tempdir().unwrap();
    let (mut log, _) = open(place.path()).unwrap();
    append(&mut log, &[3]);
    assert!(!log.reader.compress_next(u64::MAX, &OsDisk).unwrap());
}

#[test]
fn a_large_batch_is_parted_into_blocks_that_are_read_alone() {
    let place = tempfile::tempdir().unwrap();
    let (mut log, _) = open(place.path()).unwrap();
    append(&mut log, &[10_000, 1, 9_999]);
    append(&mut log, &[1, 7]);
    append(&mut log, &[100]);
    let end_seq = log.next_seq();
    seal_all(&log);
    // The first one has no room for so large a frame.
    let path = &files(place.path(), ".zlog")[1];
    let (_, blocks) = sealed::open(path).unwrap();
    assert!(blocks.len() > 5, "{blocks:?}");
    check(&log.reader, 1, end_seq);
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_is_never_read_as_if_it_were_whole() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    let end_seq = log.next_seq();
    seal_all(&log);
    drop(log);
    let path = files(place.path(), ".zlog")[1].clone();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, changed).unwrap();
        for error in [open(place.path()).map(|_| ()), verify(place.path()).map(|_| ())] {
            match error {
                Err(OpenError::Damaged { path: named, .. }) => assert_eq!(named, path, "{at}"),
                other => panic!("{at}: {other:?}"),
            }
        }
        // With a watermark behind it the blocks are not read at start, but when they are needed.
        if let Ok((log, _)) = open_after(place.path(), end_seq - 1) {
            let read = log.reader.scan(0, &mut |_, _| Ok(ControlFlow::Continue(())));
            assert!(matches!(read, Err(ReadError::Damaged { .. })), "{at}: {read:?}");
        }
    }
}

#[test]
fn a_sealed_segment_cut_short_anywhere_refuses_to_open() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    let end_seq = log.next_seq();
    seal_all(&log);
    drop(log);
    let path = files(place.path(), ".zlog")[1].clone();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        // Even when nothing in it is to be applied.
        let opened = open_after(place.path(), end_seq - 1);
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{length}: {opened:?}");
    }
}

#[test]
fn of_two_forms_the_sealed_one_counts_if_it_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    let end_seq = log.next_seq();
    let raw = files(place.path(), ".log")[1].clone();
    let raw_bytes = fs::read(&raw).unwrap();
    seal_one(&log);
    seal_one(&log);
    drop(log);
    let sealed = files(place.path(), ".zlog")[1].clone();
    let sealed_bytes = fs::read(&sealed).unwrap();
    fs::write(&raw, &raw_bytes).unwrap();
    for at in (0..sealed_bytes.len()).step_by(7) {
        let mut changed = sealed_bytes.clone();
        changed[at] ^= 0x40;
        fs::write(&sealed, changed).unwrap();
        assert_eq!(verify(place.path()).unwrap().sealed_segments, 1);
        assert_eq!(open(place.path()).unwrap().1, end_seq);
        assert!(raw.exists() && !sealed.exists(), "{at}");
    }
    fs::write(&sealed, &sealed_bytes).unwrap();
    assert_eq!(open(place.path()).unwrap().1, end_seq);
    assert!(!raw.exists() && sealed.exists());
}

#[test]
fn a_damaged_segment_is_not_sealed() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    let path = files(place.path(), ".log")[0].clone();
    change(&path, |bytes| bytes[90] ^= 1);
    let sealed = log.reader.compress_next(u64::MAX, &OsDisk);
    assert!(matches!(sealed, Err(ReadError::Damaged { .. })), "{sealed:?}");
    assert!(files(place.path(), ".zlog").is_empty() && files(place.path(), ".new").is_empty());
    assert!(path.exists());
}

#[test]
fn what_is_dropped_is_whole_segments_from_the_beginning() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    let end_seq = log.next_seq();
    let reader = Arc::clone(&log.reader);
    seal_one(&log);
    assert_eq!(reader.drop_before(1).unwrap(), 0);
    let mut first_seq = 1;
    for seq in 1..=end_seq + 7 {
        let segments = files(place.path(), "log").len();
        let dropped = reader.drop_before(seq).unwrap();
        let kept = reader.first_seq();
        assert_eq!(files(place.path(), "log").len(), segments - dropped);
        assert!(kept >= first_seq && kept <= seq, "{seq}");
        if kept != first_seq {
            assert_eq!(reader.record(kept - 1).unwrap(), None);
            assert_eq!(first_seq_in(place.path()).unwrap(), kept);
            check(&reader, kept, end_seq);
        }
        first_seq = kept;
    }
    assert_eq!(files(place.path(), "log").len(), 1, "the last segment stays");
    drop(log);
    let path = &files(place.path(), ".log")[0];
    let number: u32 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let before = Form::Raw.path(place.path(), number - 1);
    assert_damaged(open(place.path()), &before, 0);
    let (mut log, next_seq) = open_after(place.path(), first_seq - 1).unwrap();
    assert_eq!(next_seq, end_seq);
    append(&mut log, &[3]);
    check(&log.reader, first_seq, end_seq + 3);
    assert_eq!(verify(place.path()).unwrap().first_seq, first_seq);
}

#[test]
fn reading_goes_on_while_segments_are_sealed_and_dropped() {
    let place = tempfile::tempdir().unwrap();
    let mut log = several_segments(place.path());
    let (reader, keeper) = (Arc::clone(&log.reader), Arc::clone(&log.reader));
    std::thread::scope(|scope| {
        let tidying = scope.spawn(move || {
            for _ in 0..20 {
                append(&mut log, &[5, 7]);
                prepare_next(&log);
                seal_all(&log);
                keeper.drop_before(log.next_seq() - 40).unwrap();
            }
        });
        while !tidying.is_finished() {
            let end_seq = reader.segments().end_seq();
            for seq in (1..end_seq).step_by(7) {
                if let Some(read) = reader.record(seq).unwrap() {
                    assert_eq!(read, record(seq));
                }
            }
            let scan = reader.scan(0, &mut |seq, read| {
                assert_eq!(read, record(seq));
                Ok(ControlFlow::Continue(()))
            });
            scan.unwrap();
        }
        tidying.join().unwrap();
    });
}

#[test]
fn a_prepared_segment_is_used_when_it_is_large_enough() {
    let place = tempfile::tempdir().unwrap();
    let (mut log, _) = open(place.path()).unwrap();
    assert!(prepare_next(&log));
    assert!(!prepare_next(&log));
    let spare = place.path().join("spare.next");
    assert_eq!(fs::metadata(&spare).unwrap().len(), SEGMENT_BYTES);
    append(&mut log, &[1]);
    append(&mut log, &[70]);
    assert!(spare.exists(), "it was too small");
    append(&mut log, &[9]);
    assert!(!spare.exists());
    append(&mut log, &[1]);
    assert!(prepare_next(&log));
    let end_seq = log.next_seq();
    check(&log.reader, 1, end_seq);
    drop(log);
    let (log, _) = open(place.path()).unwrap();
    assert!(!spare.exists(), "what was prepared does not outlive the log");
    check(&log.reader, 1, end_seq);
}
