//! What a bad disk may do to the log besides: the last frame may be cut short, nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use taximeter_usage::{Engine, OpenError, tools};

use super::seen::Seen;
use super::{open, unless_locked};
use crate::model::random::Random;
use crate::settings::small;

/// Bytes before the first frame of a segment, and of a frame before its records.
const HEADER_BYTES: usize = 32;
const MARK: u8 = 2;

struct Frame {
    start: usize,
    end: usize,
    first_seq: u64,
    is_mark: bool,
}

/// The segment that was being filled, and its frames.
fn last_segment(dir: &Path) -> Option<(PathBuf, Vec<u8>, Vec<Frame>)> {
    let files = fs::read_dir(dir.join("shard-0")).ok()?;
    let paths = files.map(|entry| entry.unwrap().path());
    let path = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "log")).max()?;
    let bytes = fs::read(&path).unwrap();
    let mut frames = Vec::new();
    let mut start = HEADER_BYTES;
    while let Some([b'T', b'X', b'F', b'R', header @ ..]) = bytes.get(start..start + HEADER_BYTES) {
        let length = u32::from_le_bytes(header[..4].try_into().unwrap());
        let end = start + HEADER_BYTES + usize::try_from(length).unwrap();
        let first_seq = u64::from_le_bytes(header[4..12].try_into().unwrap());
        frames.push(Frame { start, end, first_seq, is_mark: header[16] == MARK });
        start = end;
    }
    Some((path, bytes, frames))
}

/// What was damaged, so that a test can see whether it met all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Damage {
    LastFrameCut,
    LastFrameFlipped,
    /// The index holds what the last frame holds, so that no crash cut it short.
    IndexedFrame,
    EarlierFrame,
    /// A frame that the index covers: a start may leave it alone, a check may not.
    EarlierIndexedFrame,
}

/// Damages what a killed process left in `dir`, which is not needed any more, and holds the engine
/// to what it must say then.
pub(super) fn damage(dir: &Path, seen: &Seen, random: &mut Random) -> Option<Damage> {
    let indexed_seq = unless_locked(|| tools::verify(dir)).unwrap().indexed_seq;
    let (path, mut bytes, frames) = last_segment(dir)?;
    let (last, earlier) = frames.split_last()?;
    let flip = |bytes: &mut Vec<u8>, frame: &Frame, random: &mut Random| {
        let at = frame.start + random.index(frame.end - frame.start);
        bytes[at] ^= 1 << random.below(8);
    };
    if !earlier.is_empty() && random.chance(40) {
        let frame = random.one(earlier);
        flip(&mut bytes, frame, random);
        fs::write(&path, bytes).unwrap();
        is_refused(unless_locked(|| tools::verify(dir)).map(drop), &path, frame.start);
        let is_indexed = frame.first_seq <= indexed_seq;
        let opened = unless_locked(|| Engine::open(dir, small())).map(drop);
        if !is_indexed || opened.is_err() {
            is_refused(opened, &path, frame.start);
        }
        return Some(if is_indexed { Damage::EarlierIndexedFrame } else { Damage::EarlierFrame });
    }
    let cut = random.chance(50);
    if cut {
        bytes.truncate(last.start + 1 + random.index(last.end - last.start - 1));
    } else {
        flip(&mut bytes, last, random);
    }
    fs::write(&path, bytes).unwrap();
    if !last.is_mark && last.first_seq <= indexed_seq {
        let opened = unless_locked(|| Engine::open(dir, small())).map(drop);
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
        return Some(Damage::IndexedFrame);
    }
    let engine = open(dir, small());
    let found = Seen::by(&engine);
    engine.close();
    assert_eq!(found.position, last.first_seq - 1, "all but the last frame is there");
    for (found, seen) in found.lanes.iter().zip(&seen.lanes) {
        assert!(found.keys().eq(seen.range(..last.first_seq).map(|(seq, _)| seq)));
    }
    Some(if cut { Damage::LastFrameCut } else { Damage::LastFrameFlipped })
}

fn is_refused(outcome: Result<(), OpenError>, in_path: &Path, at: usize) {
    match outcome {
        Err(OpenError::Damaged { path, offset, .. }) => {
            assert_eq!((path.as_path(), offset), (in_path, u64::try_from(at).unwrap()));
        }
        other => panic!("{other:?}"),
    }
}
