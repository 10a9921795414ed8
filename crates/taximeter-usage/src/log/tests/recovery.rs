//! Opening logs that a crash or a bad disk left behind.

use super::*;
use crate::log::fault::wide;
use crate::log::frame::{FRAME_HEADER_BYTES, Frame};
use crate::log::segment::SEGMENT_HEADER_BYTES;

/// Where each frame of the segment begins, and where the last one ends.
fn frame_offsets(segment: &[u8]) -> Vec<usize> {
    let mut offsets = vec![SEGMENT_HEADER_BYTES];
    while let Ok(frame) = Frame::parse(&segment[*offsets.last().unwrap()..]) {
        offsets.push(offsets.last().unwrap() + frame.bytes);
    }
    offsets
}

/// A log of one segment with four frames that a crash left, the frames' places, and its file.
fn crashed() -> (TempDir, Vec<usize>, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let (mut log, _) = open(place.path()).unwrap();
    for chunks in [[1, 1], [1, 2], [1, 1], [2, 1]] {
        append(&mut log, &chunks);
    }
    let copy = copy_of(place.path());
    let path = copy.path().join("0000000000.log");
    let offsets = frame_offsets(&fs::read(&path).unwrap());
    assert_eq!(offsets.len(), 5);
    (copy, offsets, path)
}

#[test]
fn a_log_cut_short_anywhere_in_its_last_frame_keeps_the_frames_before_it() {
    let (dir, offsets, _) = crashed();
    let ends = [1, 3, 6, 8, 11];
    let before = (SEGMENT_HEADER_BYTES..offsets[3]).step_by(13);
    for length in before.chain(offsets[3]..offsets[4] + 9).chain([2_048]) {
        let copy = copy_of(dir.path());
        change(&copy.path().join("0000000000.log"), |bytes| bytes.truncate(length));
        let whole = offsets.iter().filter(|offset| **offset <= length).count() - 1;
        let (mut log, next_seq) = open(copy.path()).unwrap();
        assert_eq!(next_seq, ends[whole], "cut to {length}");
        check(&log.reader, 1, next_seq);
        // The log goes on from there, and what was cut off does not come back.
        append(&mut log, &[1]);
        drop(log);
        assert_eq!(open(copy.path()).unwrap().1, next_seq + 1, "cut to {length}");
    }
}

#[test]
fn a_flipped_bit_before_the_last_frame_refuses_to_open_and_names_the_place() {
    let (dir, offsets, _) = crashed();
    for at in 0..offsets[4] {
        let copy = copy_of(dir.path());
        let path = copy.path().join("0000000000.log");
        change(&path, |bytes| bytes[at] ^= 1 << (at % 8));
        if at < offsets[3] {
            let frame = offsets.iter().rfind(|offset| **offset <= at).copied().unwrap_or(0);
            assert_damaged(open(copy.path()), &path, frame);
            assert_damaged(verify(copy.path()), &path, frame);
        } else {
            // Like a write that the crash cut short: it was the last, so it is cut off.
            let torn_bytes = verify(copy.path()).unwrap().torn_bytes;
            assert_eq!(torn_bytes, wide(offsets[4] - offsets[3]));
            assert_eq!(open(copy.path()).unwrap().1, 8, "flipped {at}");
        }
    }
}

#[test]
fn after_a_mark_a_flipped_bit_in_any_record_refuses_to_open() {
    let (dir, _, path) = crashed();
    // Opening marks what it found.
    drop(open(dir.path()).unwrap());
    let offsets = frame_offsets(&fs::read(&path).unwrap());
    assert_eq!(offsets.len(), 6);
    for at in SEGMENT_HEADER_BYTES..offsets[5] {
        let copy = copy_of(dir.path());
        let path = copy.path().join("0000000000.log");
        change(&path, |bytes| bytes[at] ^= 0x20);
        if at < offsets[4] {
            let frame = offsets.iter().rfind(|offset| **offset <= at).unwrap();
            assert_damaged(open(copy.path()), &path, *frame);
        } else {
            assert_eq!(open(copy.path()).unwrap().1, 11, "flipped {at}");
        }
    }
}

#[test]
fn opening_again_and_again_adds_one_mark() {
    let (dir, offsets, path) = crashed();
    for _ in 0..3 {
        drop(open(dir.path()).unwrap());
        let again = frame_offsets(&fs::read(&path).unwrap());
        assert_eq!(again.last().unwrap() - offsets[4], FRAME_HEADER_BYTES);
    }
}

#[test]
fn a_segment_without_a_whole_header_refuses_to_open() {
    let (dir, _, _) = crashed();
    for length in 0..SEGMENT_HEADER_BYTES {
        let copy = copy_of(dir.path());
        let path = copy.path().join("0000000000.log");
        change(&path, |bytes| bytes.truncate(length));
        assert_damaged(open(copy.path()), &path, 0);
    }
}

#[test]
fn frames_of_other_formats_are_not_read() {
    let (dir, offsets, path) = crashed();
    change(&path, |bytes| {
        let frame = &mut bytes[offsets[1]..offsets[2]];
        frame[21] = 1;
        let seed = xxhash_rust::xxh3::xxh3_64(&frame[..24]);
        let checksum = xxhash_rust::xxh3::xxh3_64_with_seed(&frame[32..], seed);
        frame[24..32].copy_from_slice(&checksum.to_le_bytes());
    });
    let opened = open(dir.path());
    assert!(matches!(opened, Err(OpenError::UnknownFormat { version: 1, .. })), "{opened:?}");
}

#[test]
fn a_missing_segment_refuses_to_open() {
    let place = tempfile::tempdir().unwrap();
    drop(several_segments(place.path()));
    let segments = files(place.path(), ".log").len();
    for missing in 0..segments {
        let copy = copy_of(place.path());
        let paths = files(copy.path(), ".log");
        fs::remove_file(&paths[missing]).unwrap();
        if missing + 1 < segments {
            assert_damaged(open(copy.path()), &paths[missing], 0);
        } else {
            // The one before it is the last now; who knows how far the log went notices.
            let (_, next_seq) = open(copy.path()).unwrap();
            let shorter = open_after(copy.path(), next_seq);
            assert!(matches!(shorter, Err(OpenError::Damaged { .. })), "{shorter:?}");
        }
    }
}

#[test]
fn a_segment_in_the_place_of_another_refuses_to_open() {
    let place = tempfile::tempdir().unwrap();
    drop(several_segments(place.path()));
    let paths = files(place.path(), ".log");
    fs::copy(&paths[1], &paths[2]).unwrap();
    assert_damaged(open(place.path()), &paths[2], 0);
}

#[test]
fn a_full_segment_with_bytes_left_over_or_missing_refuses_to_open() {
    let place = tempfile::tempdir().unwrap();
    drop(several_segments(place.path()));
    let path = &files(place.path(), ".log")[1];
    let whole = fs::read(path).unwrap();
    let offsets = frame_offsets(&whole);
    let [.., last, end] = offsets[..] else { panic!("{offsets:?}") };
    assert_eq!(end, whole.len(), "a full segment does not end in zeros");
    change(path, |bytes| bytes.push(0));
    assert_damaged(open(place.path()), path, end);
    fs::write(path, &whole[..end - 1]).unwrap();
    assert_damaged(open(place.path()), path, last);
    fs::write(path, &whole[..last]).unwrap();
    assert_damaged(open(place.path()), path, last);
}

#[test]
fn segments_before_the_watermark_are_not_read_at_start() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    let end_seq = log.next_seq();
    drop(log);
    let paths = files(place.path(), ".log");
    change(&paths[1], |bytes| bytes[SEGMENT_HEADER_BYTES + 40] ^= 1);
    assert_damaged(open(place.path()), &paths[1], SEGMENT_HEADER_BYTES);
    assert_damaged(verify(place.path()), &paths[1], SEGMENT_HEADER_BYTES);
    for after_seq in end_seq - 5..end_seq {
        let (log, next_seq) = open_after(place.path(), after_seq).unwrap();
        assert_eq!(next_seq, end_seq);
        let mut from = Vec::new();
        let scan = log.reader.scan(after_seq, &mut |seq, _| {
            from.push(seq);
            Ok(ControlFlow::Continue(()))
        });
        scan.unwrap();
        assert_eq!(from, (after_seq..end_seq).collect::<Vec<_>>());
        // The damage shows once it is read.
        let read = log.reader.scan(1, &mut |_, _| Ok(ControlFlow::Continue(())));
        assert!(matches!(read, Err(ReadError::Damaged { .. })), "{read:?}");
    }
    assert_damaged(open_after(place.path(), end_seq), paths.last().unwrap(), end_of(place.path()));
}

fn end_of(dir: &Path) -> usize {
    let bytes = fs::read(files(dir, ".log").last().unwrap()).unwrap();
    *frame_offsets(&bytes).last().unwrap()
}

#[test]
fn every_watermark_applies_what_is_behind_it() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    seal_one(&log);
    seal_one(&log);
    let end_seq = log.next_seq();
    drop(log);
    for after_seq in 0..end_seq {
        let (log, next_seq) = open_after(place.path(), after_seq).unwrap();
        assert_eq!(next_seq, end_seq);
        drop(log);
    }
}

#[test]
fn an_empty_directory_is_a_log_unless_its_index_holds_something() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(verify(place.path()).unwrap().first_seq, 1);
    let path = place.path().join("0000000000.log");
    assert_damaged(open_after(place.path(), 7), &path, 0);
    let (log, next_seq) = open(place.path()).unwrap();
    assert_eq!(next_seq, 1);
    check(&log.reader, 1, 1);
}

#[test]
fn verify_counts_what_there_is_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    seal_one(&log);
    assert!(prepare_next(&log));
    let records = log.next_seq() - 1;
    let copy = copy_of(place.path());
    fs::write(copy.path().join("0000000002.zlog.new"), b"half").unwrap();
    let last = files(copy.path(), ".log").pop().unwrap();
    let end = end_of(copy.path());
    change(&last, |bytes| bytes[end..end + 13].fill(7));
    let before: Vec<Vec<u8>> =
        files(copy.path(), "").iter().map(|path| fs::read(path).unwrap()).collect();
    let summary = verify(copy.path()).unwrap();
    assert_eq!((summary.first_seq, summary.last_seq), (1, records));
    let segments = u64::try_from(files(copy.path(), "log").len()).unwrap();
    assert_eq!((summary.segments, summary.sealed_segments), (segments, 1));
    assert_eq!(summary.torn_bytes, 13);
    let after: Vec<Vec<u8>> =
        files(copy.path(), "").iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_log_that_nobody_writes_to_is_read_from_any_place_on() {
    let place = tempfile::tempdir().unwrap();
    let log = several_segments(place.path());
    seal_one(&log);
    let end_seq = log.next_seq();
    drop(log);
    for from_seq in [0, 1, 13, end_seq - 1] {
        let mut dumped = Vec::new();
        let reader = LogReader::open(place.path(), Arc::new(OsDisk)).unwrap();
        reader.scan(from_seq, &mut collect(&mut dumped)).unwrap();
        let expected: Vec<_> = (from_seq.max(1)..end_seq).map(|seq| (seq, record(seq))).collect();
        assert_eq!(dumped, expected);
    }
}
