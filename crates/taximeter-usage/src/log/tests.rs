//! Tests of the log as a whole.

mod faults;
mod model;
mod recovery;
mod sealing;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taximeter_kernel::aggregate::{Aggregation, Formula, Measure};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Mode, Scope};
use taximeter_kernel::time::Timestamp;
use tempfile::TempDir;

use super::frame::FrameBuffer;
use super::reader::LogReader;
use super::{Log, check as verify};
use crate::error::{OpenError, ReadError};
use crate::event::{Event, Standing};
use crate::log::disk::{Disk, OsDisk};
use crate::record::{ChunkEncoder, Record};

const SEGMENT_BYTES: u64 = 2_048;

/// The record that the tests put at `seq`: mostly an event, now and then a correction of it.
fn record(seq: u64) -> Record {
    let event = event(seq);
    match seq % 11 {
        5 => Record::Standing { standing: Standing::Cancelled, event_seq: seq, event },
        _ => Record::Event(event),
    }
}

fn event(seq: u64) -> Event {
    let value = i64::try_from(seq).unwrap();
    let customer = format!("cus_{}", seq % 7);
    let seed = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Event {
        seq,
        standing: Standing::Counts,
        scope: Scope { account: Id::parse("acct_a").unwrap(), mode: Mode::Live },
        meter: Id::parse(&format!("mtr_{}", seq % 3)).unwrap(),
        aggregation: Aggregation { formula: Formula::Sum, window: None },
        event_name: "calls".to_owned(),
        identifier: format!("{:08x}-0007-000d-0065-{:012x}", seed >> 32, seed & 0xffff_ffff),
        timestamp: Timestamp(1_795_244_400 + value),
        received: Timestamp(1_795_244_413 + value),
        measure: Measure::Number(Decimal::from_int(value)),
        dimensions: vec![format!("model {}", seq % 5)],
        payload: vec![
            ("stripe_customer_id".to_owned(), customer.clone()),
            ("value".to_owned(), seq.to_string()),
        ],
        customer: Id::parse(&customer).unwrap(),
        request: None,
        backfill: None,
    }
}

/// A frame of the events from `first_seq` on, in chunks of so many.
fn frame(first_seq: u64, chunks: &[u64]) -> FrameBuffer {
    let mut buffer = FrameBuffer::default();
    buffer.clear();
    let mut seq = first_seq;
    for records in chunks {
        let mut chunk = ChunkEncoder::new();
        for _ in 0..*records {
            record(seq).push_to(&mut chunk);
            seq += 1;
        }
        buffer.push(&chunk.finish());
    }
    buffer
}

fn append(log: &mut Log, chunks: &[u64]) {
    let mut buffer = frame(log.next_seq(), chunks);
    log.append(&mut buffer).unwrap();
}

fn open_on(
    dir: &Path,
    disk: Arc<dyn Disk>,
    after_seq: u64,
) -> Result<(Log, Vec<(u64, Record)>), OpenError> {
    let mut applied = Vec::new();
    let reader = Arc::new(LogReader::new(dir.to_owned(), Arc::clone(&disk)));
    let log = Log::open(Arc::clone(&reader), SEGMENT_BYTES, disk, after_seq, &mut |seq, view| {
        let record = Record::of(seq, view).unwrap();
        // What is applied can be read meanwhile, unless there is damage behind it.
        if let Ok(read) = reader.record(seq) {
            assert_eq!(read, Some(record.clone()));
        }
        applied.push((seq, record));
        Ok(())
    })?;
    Ok((log, applied))
}

fn open_after(dir: &Path, after_seq: u64) -> Result<(Log, u64), OpenError> {
    let (log, applied) = open_on(dir, Arc::new(OsDisk), after_seq)?;
    let expected: Vec<(u64, Record)> =
        (after_seq + 1..log.next_seq()).map(|seq| (seq, record(seq))).collect();
    assert_eq!(applied, expected, "what is behind the watermark is applied, in order");
    let next_seq = log.next_seq();
    Ok((log, next_seq))
}

/// Opens the log and gives the place in the order that comes next, after checking those before it.
fn open(dir: &Path) -> Result<(Log, u64), OpenError> {
    open_after(dir, 0)
}

/// Takes all there is.
fn collect(into: &mut Vec<(u64, Record)>) -> impl FnMut(u64, Record) -> Visited {
    |seq, record| {
        into.push((seq, record));
        Ok(ControlFlow::Continue(()))
    }
}

type Visited = Result<ControlFlow<()>, ReadError>;

/// Every way of reading gives the records from `first_seq` to before `end_seq`.
fn check(reader: &LogReader, first_seq: u64, end_seq: u64) {
    assert_eq!((reader.first_seq(), reader.segments().end_seq()), (first_seq, end_seq));
    let expected: Vec<(u64, Record)> = (first_seq..end_seq).map(|seq| (seq, record(seq))).collect();
    let mut scanned = Vec::new();
    reader.scan(0, &mut collect(&mut scanned)).unwrap();
    assert_eq!(scanned, expected);
    let mut back = Vec::new();
    reader.scan_back(u64::MAX, &mut collect(&mut back)).unwrap();
    back.reverse();
    assert_eq!(back, expected);
    let seqs: Vec<u64> = (0..end_seq + 3).collect();
    let mut read = Vec::new();
    reader.records(&seqs, &mut |record| read.push(record)).unwrap();
    assert_eq!(read, expected.iter().map(|(_, record)| record.clone()).collect::<Vec<_>>());
    let events: Vec<Event> = (first_seq..end_seq).filter(|seq| seq % 11 != 5).map(event).collect();
    let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(reader.events(&seqs).unwrap(), events);
}

/// Compresses every full segment.
fn seal_all(log: &Log) {
    while log.reader.compress_next(u64::MAX, &OsDisk).unwrap() {}
}

/// Compresses the oldest full segment.
fn seal_one(log: &Log) {
    assert!(log.reader.compress_next(u64::MAX, &OsDisk).unwrap());
}

/// Has a segment prepared, as when the active one is half full.
fn prepare_next(log: &Log) -> bool {
    log.reader.spare().want(SEGMENT_BYTES);
    log.reader.prepare_next(&OsDisk).unwrap()
}

/// A directory with several segments of events in frames of different sizes.
fn several_segments(dir: &Path) -> Log {
    let (mut log, _) = open(dir).unwrap();
    for number in 0..12 {
        append(&mut log, &[number % 5 + 1, 7]);
    }
    append(&mut log, &[40]);
    append(&mut log, &[1]);
    assert!(files(dir, ".log").len() > 4, "{:?}", files(dir, ".log"));
    log
}

fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        names.filter(|path| path.to_str().unwrap().ends_with(suffix)).collect();
    files.sort();
    files
}

fn copy_of(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, copy.path().join(from.file_name().unwrap())).unwrap();
    }
    copy
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn assert_damaged<T: std::fmt::Debug>(result: Result<T, OpenError>, in_path: &Path, at: usize) {
    match result {
        Err(OpenError::Damaged { path, offset, .. }) => {
            assert_eq!((path, offset), (in_path.to_owned(), u64::try_from(at).unwrap()));
        }
        other => panic!("{other:?}"),
    }
}
