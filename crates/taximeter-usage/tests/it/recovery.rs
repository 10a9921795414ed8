//! Restarts on logs that a crash or a bad disk left behind.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use taximeter_usage::{
    Appended, Engine, Event, EventQuery, OpenError, Order, ReadError, UsageQuery,
};
use tempfile::TempDir;

use crate::settings::{Setting, raw_log};
use crate::support::{
    ALWAYS, Place, SEVEN, SUM, Sent, amend, batch, block_on, cancel, event, event_at, events_query,
    request, restore, series,
};

/// A log that these tests change byte by byte.
const RAW: &Setting = &Setting { name: "raw log", options: raw_log, chores: &[] };

/// What a crashed engine leaves: a copy of its files while it runs.
struct Crashed {
    dir: TempDir,
    /// What was acknowledged, in order.
    acknowledged: Vec<Event>,
}

const SEGMENT: &str = "shard-0/0000000000.log";

/// Bytes of header before the first frame of a segment, and of a frame before its records.
const HEADER_BYTES: usize = 32;

fn crashed(events: usize) -> Crashed {
    let place = Place::new(RAW);
    let acknowledged = (0..events)
        .map(|number| {
            let second = i64::try_from(number).unwrap();
            let sent = event_at(&format!("e{number}"), SEVEN + second, "1.5");
            sent.recorded(place.record(&sent))
        })
        .collect();
    Crashed { dir: copy_of(place.dir.path()), acknowledged }
}

fn copy_of(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(&dir.join("shard-0"), &copy.path().join("shard-0"));
    copy
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_into(&path, &copy);
        } else {
            match fs::copy(&path, copy) {
                // What the engine prepares for later comes and goes.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

fn open(dir: &Path) -> Result<Engine, OpenError> {
    Engine::open(dir, raw_log())
}

fn events(engine: &Engine) -> Vec<Event> {
    let query = EventQuery { limit: 1_000, ..events_query(Order::Oldest) };
    engine.events(&query).unwrap().events
}

fn sum(engine: &Engine) -> String {
    let usage = engine.usage_in(&UsageQuery::of(series(SUM), SUM), ALWAYS).unwrap();
    usage.quantity.to_string()
}

/// Where each frame of the segment begins, and where the last one ends.
fn frame_offsets(segment: &[u8]) -> Vec<usize> {
    let mut offsets = vec![HEADER_BYTES];
    loop {
        let start = *offsets.last().unwrap();
        match segment.get(start..start + 8) {
            Some([b'T', b'X', b'F', b'R', length @ ..]) => {
                let length = u32::from_le_bytes(length.try_into().unwrap());
                offsets.push(start + HEADER_BYTES + usize::try_from(length).unwrap());
            }
            _ => return offsets,
        }
    }
}

/// Opens what `change` made of the crashed log's only segment.
fn reopen_changed(
    crashed: &Crashed,
    change: impl FnOnce(&mut Vec<u8>),
) -> (Result<Engine, OpenError>, TempDir) {
    let dir = copy_of(crashed.dir.path());
    let path = dir.path().join(SEGMENT);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    (open(dir.path()), dir)
}

#[test]
fn what_was_acknowledged_before_a_crash_is_there_after_it() {
    let crashed = crashed(7);
    let engine = open(crashed.dir.path()).unwrap();
    assert_eq!(events(&engine), crashed.acknowledged);
    assert_eq!(sum(&engine), "10.5");
}

#[test]
fn a_log_that_was_cut_short_anywhere_in_its_last_frame_keeps_the_frames_before_it() {
    let crashed = crashed(4);
    let bytes = fs::read(crashed.dir.path().join(SEGMENT)).unwrap();
    let offsets = frame_offsets(&bytes);
    assert_eq!(offsets.len(), 5, "one frame for each event");
    let end = offsets[4];
    for length in (HEADER_BYTES..end + 9).chain([bytes.len()]) {
        let whole = offsets.iter().filter(|offset| **offset <= length).count() - 1;
        let (engine, dir) = reopen_changed(&crashed, |bytes| bytes.truncate(length));
        let engine = engine.unwrap();
        assert_eq!(events(&engine), crashed.acknowledged[..whole], "cut to {length}");
        // The log goes on from there, and what was cut off does not come back.
        block_on(engine.append(batch(&[event_at("after", SEVEN, "7")]))).unwrap();
        engine.close();
        assert_eq!(events(&open(dir.path()).unwrap()).len(), whole + 1, "cut to {length}");
    }
}

#[test]
fn a_segment_without_its_header_refuses_to_open() {
    let crashed = crashed(2);
    for length in 0..HEADER_BYTES {
        let (engine, dir) = reopen_changed(&crashed, |bytes| bytes.truncate(length));
        assert_damaged(engine, &dir.path().join(SEGMENT), 0);
    }
}

fn assert_damaged(engine: Result<Engine, OpenError>, in_path: &Path, at: usize) {
    match engine {
        Err(OpenError::Damaged { path, offset, .. }) => {
            assert_eq!((path, offset), (in_path.to_owned(), u64::try_from(at).unwrap()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flipped_bit_before_the_last_frame_refuses_to_open_and_names_the_place() {
    let crashed = crashed(4);
    let bytes = fs::read(crashed.dir.path().join(SEGMENT)).unwrap();
    let offsets = frame_offsets(&bytes);
    let [.., last_frame, end] = offsets[..] else { panic!("{offsets:?}") };
    for at in 0..end {
        let (engine, dir) = reopen_changed(&crashed, |bytes| bytes[at] ^= 1 << (at % 8));
        if at < last_frame {
            let frame = offsets.iter().rfind(|offset| **offset <= at).copied().unwrap_or(0);
            assert_damaged(engine, &dir.path().join(SEGMENT), frame);
        } else {
            // Like a write that the crash cut short: it was the last, so it is cut off.
            assert_eq!(events(&engine.unwrap()), crashed.acknowledged[..3], "flipped {at}");
        }
    }
}

#[test]
fn after_a_clean_close_a_flipped_bit_in_any_event_refuses_to_open() {
    let place = Place::new(RAW);
    for number in 0..3 {
        place.record(&event_at(&number.to_string(), SEVEN, "1.5"));
    }
    place.engine.close();
    let closed = Crashed { dir: copy_of(place.dir.path()), acknowledged: Vec::new() };
    let bytes = fs::read(closed.dir.path().join(SEGMENT)).unwrap();
    let offsets = frame_offsets(&bytes);
    let [.., mark, end] = offsets[..] else { panic!("{offsets:?}") };
    assert_eq!(offsets.len(), 5, "three events and the mark behind them");
    for at in 0..end {
        let (engine, dir) = reopen_changed(&closed, |bytes| bytes[at] ^= 0x20);
        if at < mark {
            let frame = offsets.iter().rfind(|offset| **offset <= at).copied().unwrap_or(0);
            assert_damaged(engine, &dir.path().join(SEGMENT), frame);
        } else {
            assert_eq!(events(&engine.unwrap()).len(), 3, "flipped {at}");
        }
    }
}

#[test]
fn a_restart_protects_what_it_found() {
    let crashed = crashed(3);
    let engine = open(crashed.dir.path()).unwrap();
    let again = Crashed { dir: copy_of(crashed.dir.path()), acknowledged: Vec::new() };
    drop(engine);
    let bytes = fs::read(again.dir.path().join(SEGMENT)).unwrap();
    let last_event = frame_offsets(&bytes)[2];
    let (engine, dir) = reopen_changed(&again, |bytes| bytes[last_event + 40] ^= 1);
    assert_damaged(engine, &dir.path().join(SEGMENT), last_event);
}

#[test]
fn a_last_frame_whose_beginning_never_reached_the_disk_is_cut_off() {
    let crashed = crashed(3);
    let bytes = fs::read(crashed.dir.path().join(SEGMENT)).unwrap();
    let [.., last_frame, end] = frame_offsets(&bytes)[..] else { panic!() };
    let (engine, dir) = reopen_changed(&crashed, |bytes| bytes[last_frame..end - 5].fill(0));
    let engine = engine.unwrap();
    assert_eq!(events(&engine), crashed.acknowledged[..2]);
    engine.close();
    let bytes = fs::read(dir.path().join(SEGMENT)).unwrap();
    let mark_end = last_frame + HEADER_BYTES;
    assert!(bytes[mark_end..].iter().all(|byte| *byte == 0), "what was cut off is gone");
}

#[test]
fn a_frame_that_is_gone_from_between_refuses_to_open() {
    let crashed = crashed(4);
    let bytes = fs::read(crashed.dir.path().join(SEGMENT)).unwrap();
    let offsets = frame_offsets(&bytes);
    let (engine, dir) = reopen_changed(&crashed, |bytes| drop(bytes.drain(offsets[1]..offsets[2])));
    assert_damaged(engine, &dir.path().join(SEGMENT), offsets[1]);
}

/// A log of several full segments, and their paths.
fn several_segments() -> (Crashed, Vec<PathBuf>) {
    let crashed = crashed(100);
    let files = fs::read_dir(crashed.dir.path().join("shard-0")).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    assert!(paths.len() >= 3, "{paths:?}");
    (crashed, paths)
}

#[test]
fn a_log_goes_on_over_several_segments() {
    let (crashed, _) = several_segments();
    let engine = open(crashed.dir.path()).unwrap();
    assert_eq!(events(&engine), crashed.acknowledged);
}

#[test]
fn a_full_segment_that_was_cut_short_or_changed_anywhere_refuses_to_open() {
    let (crashed, paths) = several_segments();
    let whole = fs::read(&paths[1]).unwrap();
    for at in (0..whole.len()).step_by(7) {
        fs::write(&paths[1], &whole[..at]).unwrap();
        let cut = open(crashed.dir.path());
        assert!(matches!(cut, Err(OpenError::Damaged { .. })), "cut to {at}: {cut:?}");
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        fs::write(&paths[1], &changed).unwrap();
        match open(crashed.dir.path()) {
            Err(OpenError::Damaged { path, .. }) => assert_eq!(path, paths[1]),
            other => panic!("changed {at}: {other:?}"),
        }
    }
    fs::write(&paths[1], &whole).unwrap();
    assert_eq!(events(&open(crashed.dir.path()).unwrap()), crashed.acknowledged);
}

#[test]
fn a_missing_segment_refuses_to_open() {
    let (crashed, paths) = several_segments();
    for missing in [0, 1] {
        let kept = fs::read(&paths[missing]).unwrap();
        fs::remove_file(&paths[missing]).unwrap();
        assert_damaged(open(crashed.dir.path()), &paths[missing], 0);
        fs::write(&paths[missing], kept).unwrap();
    }
}

#[test]
fn a_log_that_a_newer_version_wrote_refuses_to_open() {
    let crashed = crashed(1);
    let (engine, _dir) = reopen_changed(&crashed, |bytes| {
        bytes[8] = 9;
        let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..24]);
        bytes[24..32].copy_from_slice(&checksum.to_le_bytes());
    });
    assert!(matches!(engine, Err(OpenError::UnknownFormat { version: 9, .. })), "{engine:?}");
}

#[test]
fn a_refused_log_is_left_as_it_was() {
    let crashed = crashed(3);
    let before = fs::read(crashed.dir.path().join(SEGMENT)).unwrap();
    let (engine, dir) = reopen_changed(&crashed, |bytes| bytes[HEADER_BYTES + 40] ^= 1);
    engine.unwrap_err();
    let after = fs::read(dir.path().join(SEGMENT)).unwrap();
    assert_eq!(after.len(), before.len());
    assert_eq!(after.iter().zip(&before).filter(|(a, b)| a != b).count(), 1);
}

/// Takes the last frame of a crashed place for a write that the crash cut short.
fn without_the_last_frame(place: &Place) -> (Engine, TempDir) {
    let crashed = Crashed { dir: copy_of(place.dir.path()), acknowledged: Vec::new() };
    let bytes = fs::read(crashed.dir.path().join(SEGMENT)).unwrap();
    let end = *frame_offsets(&bytes).last().unwrap();
    let (engine, dir) = reopen_changed(&crashed, |bytes| bytes[end - 1] ^= 1);
    (engine.unwrap(), dir)
}

#[test]
fn a_correction_cut_off_by_a_crash_has_not_happened() {
    for order in [cancel("a"), amend("a", SEVEN + 5, "7")] {
        let place = Place::new(RAW);
        let sent = event_at("a", SEVEN, "3");
        place.record(&sent);
        place.correct_done(order.clone());
        let (engine, _dir) = without_the_last_frame(&place);
        assert_eq!(sum(&engine), "3");
        assert_eq!(events(&engine), [sent.recorded(1)]);
        // Given again, it is carried out.
        block_on(engine.correct(vec![order])).unwrap();
        assert_eq!(engine.position().unwrap(), 2);
        assert_ne!(sum(&engine), "3");
    }
}

#[test]
fn a_restore_cut_off_by_a_crash_leaves_the_event_cancelled() {
    let place = Place::new(RAW);
    place.record(&event_at("a", SEVEN, "3"));
    place.correct_done(cancel("a"));
    place.correct_done(restore("a"));
    let (engine, _dir) = without_the_last_frame(&place);
    assert_eq!(sum(&engine), "0");
}

#[test]
fn a_batch_cut_off_by_a_crash_is_gone_as_a_whole_and_its_names_are_free() {
    let place = Place::new(RAW);
    place.record(&event("first"));
    let sent = |identifier| Sent { request: request(7, 13), ..event(identifier) };
    place.append_all(&[sent("a"), event("b"), event("c")]);
    let (engine, dir) = without_the_last_frame(&place);
    assert_eq!(sum(&engine), "1");
    let again = [sent("d"), event("b"), event("c")];
    let appended = block_on(engine.append(batch(&again))).unwrap();
    assert_eq!(appended, [2, 3, 4].map(Appended::Recorded));
    engine.close();
    assert_eq!(sum(&open(dir.path()).unwrap()), "4");
}

#[test]
fn a_crash_after_any_acknowledgement_keeps_what_was_answered_until_then() {
    let place = Place::new(RAW);
    for number in 0..25 {
        place.record(&event_at(&number.to_string(), SEVEN, "1"));
        if number % 3 == 0 {
            place.correct_done(cancel(&number.to_string()));
        }
        let crashed = copy_of(place.dir.path());
        let engine = open(crashed.path()).unwrap();
        assert_eq!(events(&engine), place.events());
        assert_eq!(sum(&engine), place.usage(SUM, ALWAYS).0);
        assert_eq!(engine.position().unwrap(), place.engine.position().unwrap());
    }
}

#[test]
fn what_the_disk_changed_since_is_never_read_as_if_it_were_whole() {
    let place = Place::new(RAW);
    let sent = event_at("a", SEVEN, "1.5");
    let seq = place.record(&sent);
    let path = place.dir.path().join(SEGMENT);
    let mut bytes = fs::read(&path).unwrap();
    bytes[HEADER_BYTES + 50] ^= 1;
    fs::write(&path, bytes).unwrap();
    match place.engine.event_at(seq) {
        // It was kept in memory.
        Ok(found) => assert_eq!(found, Some(sent.recorded(seq))),
        Err(ReadError::Damaged { path: named, .. }) => assert_eq!(named, path),
        Err(other) => panic!("{other:?}"),
    }
}
