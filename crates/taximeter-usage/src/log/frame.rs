//! A frame: the records of one group commit under one checksum.
//!
//! ```text
//! magic 4 | payload bytes 4 | first seq 8 | records 4 | kind 1 | version 1 | 0 0 | checksum 8 | payload
//! ```
//! Numbers are little-endian. The checksum is XXH3-64 of the payload, seeded with that of all that
//! stands before it. The payload is chunks of records; the records' places in the order follow one
//! another from the first.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::block::Records;
use crate::codec::{Malformed, Reader};
use crate::record::Chunk;

/// The most bytes of records in one frame.
pub(crate) const FRAME_PAYLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The bytes before the payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 32;

const MAGIC: [u8; 4] = *b"TXFR";
const CHECKED_BYTES: usize = 24;
const VERSION: u8 = 2;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// It holds what one group commit recorded.
    Records,
    /// It holds nothing. What stands before it was synced and read back, so if a frame before it is
    /// damaged, that is no write cut short by a crash.
    Mark,
}

impl FrameKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Records => 1,
            Self::Mark => 2,
        }
    }

    fn parse(byte: u8) -> Option<Self> {
        [Self::Records, Self::Mark].into_iter().find(|kind| kind.byte() == byte)
    }
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// They were changed or cut short since they were written, or never were a frame.
    Damaged(&'static str),
    /// They are as written, by a version that knows more.
    UnknownFormat(u8),
}

/// The fields before the payload, not yet to be believed.
struct Header<'a> {
    magic: [u8; 4],
    payload_bytes: u32,
    first_seq: u64,
    records: u32,
    kind: u8,
    version: u8,
    /// All of the above as bytes.
    checked: &'a [u8],
    checksum: u64,
}

impl<'a> Header<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let checked = reader.bytes(CHECKED_BYTES)?;
        let checksum = u64::from_le_bytes(reader.array()?);
        let mut fields = Reader::new(checked);
        Ok(Self {
            magic: fields.array()?,
            payload_bytes: u32::from_le_bytes(fields.array()?),
            first_seq: u64::from_le_bytes(fields.array()?),
            records: u32::from_le_bytes(fields.array()?),
            kind: fields.byte()?,
            version: fields.byte()?,
            checked,
            checksum,
        })
    }
}

/// A frame whose checksum is right.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) first_seq: u64,
    pub(crate) records: u32,
    /// Header and payload.
    pub(crate) bytes: usize,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the frame at the start of `bytes`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, FrameFault> {
        const SHORT: FrameFault = FrameFault::Damaged("frame is cut short");
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader).map_err(|Malformed| SHORT)?;
        if header.magic != MAGIC {
            return Err(FrameFault::Damaged("no frame begins here"));
        }
        let length = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX);
        if length > FRAME_PAYLOAD_BYTES_MAX {
            return Err(FrameFault::Damaged("frame length is beyond the limit"));
        }
        let payload = reader.bytes(length).map_err(|Malformed| SHORT)?;
        if checksum_of(header.checked, payload) != header.checksum {
            return Err(FrameFault::Damaged("frame checksum does not match"));
        }
        let kind = match (header.version, FrameKind::parse(header.kind)) {
            (VERSION, Some(kind)) => kind,
            (VERSION, None) => return Err(FrameFault::UnknownFormat(header.kind)),
            (newer, _) => return Err(FrameFault::UnknownFormat(newer)),
        };
        let Header { first_seq, records, .. } = header;
        let bytes = FRAME_HEADER_BYTES.saturating_add(length);
        Ok(Self { kind, first_seq, records, bytes, payload })
    }

    /// Its records, if it stands at `offset` in a file.
    pub(crate) fn records_at(&self, offset: u64) -> Records<'a> {
        let Self { first_seq, records, payload, .. } = *self;
        Records { first_seq, records, payload, offset }
    }

    /// Chunks of records.
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

fn checksum_of(header: &[u8], payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, xxh3_64(header))
}

/// A frame being written. The buffer is used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    records: u32,
}

impl FrameBuffer {
    /// Forgets what it holds.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(FRAME_HEADER_BYTES, 0);
        self.records = 0;
    }

    pub(crate) fn push(&mut self, chunk: &Chunk) {
        chunk.write_to(&mut self.bytes);
        self.records = self.records.saturating_add(chunk.records());
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Fills in the header and gives the finished frame; `None` when it holds more than
    /// [`FRAME_PAYLOAD_BYTES_MAX`].
    pub(crate) fn finish(&mut self, kind: FrameKind, first_seq: u64) -> Option<&[u8]> {
        let (header, payload) = self.bytes.split_at_mut_checked(FRAME_HEADER_BYTES)?;
        if payload.len() > FRAME_PAYLOAD_BYTES_MAX {
            return None;
        }
        let mut checked = Vec::with_capacity(FRAME_HEADER_BYTES);
        checked.extend_from_slice(&MAGIC);
        checked.extend_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
        checked.extend_from_slice(&first_seq.to_le_bytes());
        checked.extend_from_slice(&self.records.to_le_bytes());
        checked.extend_from_slice(&[kind.byte(), VERSION, 0, 0]);
        let checksum = checksum_of(&checked, payload);
        checked.extend_from_slice(&checksum.to_le_bytes());
        header.copy_from_slice(&checked);
        Some(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ChunkEncoder, Cursor, EventRecord, View};
    use proptest::prelude::*;
    use taximeter_kernel::aggregate::Measure;
    use taximeter_kernel::decimal::Decimal;
    use taximeter_kernel::id::Mode;

    fn event(timestamp: i64) -> EventRecord<'static, &'static str, &'static str, &'static str> {
        EventRecord {
            account: "acct_a",
            mode: Mode::Live,
            meter: "mtr_a",
            aggregation: [1, 0, 0, 0],
            event_name: "calls",
            customer: "cus_a",
            identifier: "a",
            timestamp,
            received: 13,
            measure: Measure::Number(Decimal::ONE),
            dimensions: &[],
            payload: &[],
            request: None,
            backfill: None,
        }
    }

    /// A frame of two chunks with so many records.
    fn frame(first: i64, second: i64) -> Vec<u8> {
        let mut buffer = FrameBuffer::default();
        buffer.clear();
        for events in [first, second] {
            let mut chunk = ChunkEncoder::new();
            for timestamp in 0..events {
                chunk.push(&event(timestamp));
            }
            buffer.push(&chunk.finish());
        }
        buffer.finish(FrameKind::Records, 7).unwrap().to_vec()
    }

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        let bytes = frame(3, 17);
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!((frame.kind, frame.first_seq, frame.records), (FrameKind::Records, 7, 20));
        assert_eq!(frame.bytes, bytes.len());
        let mut cursor = Cursor::new(frame.payload());
        for expected in (0..3).chain(0..17) {
            let Some(View::Event(event)) = cursor.next().unwrap() else { panic!("{expected}") };
            assert_eq!(event.timestamp, expected);
        }
        assert!(cursor.next().unwrap().is_none());
    }

    #[test]
    fn a_flipped_bit_anywhere_is_detected() {
        let bytes = frame(1, 2);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let fault = Frame::parse(&flipped).unwrap_err();
                assert!(matches!(fault, FrameFault::Damaged(_)), "{at}.{bit}: {fault:?}");
            }
        }
    }

    #[test]
    fn a_frame_cut_short_anywhere_is_detected() {
        let bytes = frame(1, 2);
        for length in 0..bytes.len() {
            assert!(Frame::parse(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_frame_of_a_newer_version_is_told_from_a_damaged_one() {
        let mut bytes = frame(1, 0);
        bytes[21] = 3;
        let checksum = checksum_of(&bytes[..24], &bytes[32..]);
        bytes[24..32].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Frame::parse(&bytes).unwrap_err(), FrameFault::UnknownFormat(3));
    }

    proptest! {
        #[test]
        fn parsing_random_bytes_never_panics(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            Frame::parse(&tail).ok();
            let mut with_magic = MAGIC.to_vec();
            with_magic.extend_from_slice(&tail);
            Frame::parse(&with_magic).ok();
        }
    }
}
