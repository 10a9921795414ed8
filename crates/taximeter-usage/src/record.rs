//! The records of the log: an event, or the cancelling of one.

use taximeter_kernel::aggregate::{Aggregation, Measure};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Kind, Mode, Scope};
use taximeter_kernel::time::Timestamp;

use crate::codec::{Malformed, Reader, put_length, put_signed, put_text, put_unsigned};
use crate::event::{Event, RequestKey, Standing};

const EVENT: u8 = 1;
const CORRECTION: u8 = 2;
const TEST: u8 = 0;
const LIVE: u8 = 1;
const WITHOUT_REQUEST: u8 = 0;
const WITH_REQUEST: u8 = 1;

/// One step of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Event(Event),
    Correction(CorrectionRecord),
}

/// The event at `event_seq` is corrected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CorrectionRecord {
    pub(crate) event_seq: u64,
    pub(crate) now: Timestamp,
    pub(crate) change: Change,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Cancelled,
    Restored,
    Amended(Box<Event>),
}

pub(crate) fn put_event(out: &mut Vec<u8>, event: &Event) {
    out.push(EVENT);
    put_event_fields(out, event);
}

fn put_event_fields(out: &mut Vec<u8>, event: &Event) {
    put_scope(out, &event.scope);
    put_text(out, event.meter.as_str());
    out.extend_from_slice(&event.aggregation.to_bytes());
    put_text(out, event.customer.as_str());
    put_text(out, &event.event_name);
    put_text(out, &event.identifier);
    put_signed(out, event.timestamp.0.into());
    put_signed(out, event.received.0.into());
    match event.measure {
        Measure::Number(value) => {
            out.push(value.scale());
            put_signed(out, value.mantissa());
        }
        Measure::Member(member) => {
            out.push(u8::MAX);
            out.extend_from_slice(&member.to_le_bytes());
        }
    }
    match event.request {
        None => out.push(WITHOUT_REQUEST),
        Some(request) => {
            out.push(WITH_REQUEST);
            out.extend_from_slice(&request.key.to_le_bytes());
            out.extend_from_slice(&request.fingerprint.to_le_bytes());
        }
    }
    put_length(out, event.dimensions.len());
    for value in &event.dimensions {
        put_text(out, value);
    }
    put_length(out, event.payload.len());
    for (key, value) in &event.payload {
        put_text(out, key);
        put_text(out, value);
    }
    put_text(out, event.backfill.as_deref().unwrap_or(""));
}

pub(crate) fn put_correction(out: &mut Vec<u8>, correction: &CorrectionRecord) {
    out.push(CORRECTION);
    put_unsigned(out, correction.event_seq.into());
    put_signed(out, correction.now.0.into());
    match &correction.change {
        Change::Cancelled => out.push(0),
        Change::Restored => out.push(1),
        Change::Amended(event) => {
            out.push(2);
            put_event_fields(out, event);
        }
    }
}

fn put_scope(out: &mut Vec<u8>, scope: &Scope) {
    out.push(match scope.mode {
        Mode::Test => TEST,
        Mode::Live => LIVE,
    });
    put_text(out, scope.account.as_str());
}

impl Record {
    /// Reads a record that fills `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let record = match reader.byte()? {
            EVENT => Self::Event(read_event(&mut reader)?),
            CORRECTION => Self::Correction(read_correction(&mut reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}

fn read_event(reader: &mut Reader<'_>) -> Result<Event, Malformed> {
    Ok(Event {
        seq: 0,
        standing: Standing::Counts,
        scope: read_scope(reader)?,
        meter: read_id(reader)?,
        aggregation: Aggregation::from_bytes(reader.array()?).ok_or(Malformed)?,
        customer: read_id(reader)?,
        event_name: reader.text()?.to_owned(),
        identifier: reader.text()?.to_owned(),
        timestamp: read_timestamp(reader)?,
        received: read_timestamp(reader)?,
        measure: read_measure(reader)?,
        request: read_request(reader)?,
        dimensions: read_texts(reader)?,
        payload: read_payload(reader)?,
        backfill: Some(reader.text()?.to_owned()).filter(|id| !id.is_empty()),
    })
}

fn read_correction(reader: &mut Reader<'_>) -> Result<CorrectionRecord, Malformed> {
    Ok(CorrectionRecord {
        event_seq: u64::try_from(reader.unsigned()?).map_err(|_| Malformed)?,
        now: read_timestamp(reader)?,
        change: match reader.byte()? {
            0 => Change::Cancelled,
            1 => Change::Restored,
            2 => Change::Amended(Box::new(read_event(reader)?)),
            _ => return Err(Malformed),
        },
    })
}

fn read_texts(reader: &mut Reader<'_>) -> Result<Vec<String>, Malformed> {
    let count = reader.length()?;
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(reader.text()?.to_owned());
    }
    Ok(texts)
}

fn read_scope(reader: &mut Reader<'_>) -> Result<Scope, Malformed> {
    let mode = match reader.byte()? {
        TEST => Mode::Test,
        LIVE => Mode::Live,
        _ => return Err(Malformed),
    };
    Ok(Scope { account: read_id(reader)?, mode })
}

fn read_id<K: Kind>(reader: &mut Reader<'_>) -> Result<Id<K>, Malformed> {
    Id::parse(reader.text()?).map_err(|_| Malformed)
}

fn read_timestamp(reader: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
    i64::try_from(reader.signed()?).map(Timestamp).map_err(|_| Malformed)
}

fn read_measure(reader: &mut Reader<'_>) -> Result<Measure, Malformed> {
    match reader.byte()? {
        u8::MAX => Ok(Measure::Member(u128::from_le_bytes(reader.array()?))),
        scale => {
            let value = Decimal::new(reader.signed()?, scale).map_err(|_| Malformed)?;
            Ok(Measure::Number(value))
        }
    }
}

fn read_request(reader: &mut Reader<'_>) -> Result<Option<RequestKey>, Malformed> {
    match reader.byte()? {
        WITHOUT_REQUEST => Ok(None),
        WITH_REQUEST => Ok(Some(RequestKey {
            key: u128::from_le_bytes(reader.array()?),
            fingerprint: u64::from_le_bytes(reader.array()?),
        })),
        _ => Err(Malformed),
    }
}

fn read_payload(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, Malformed> {
    let pairs = reader.length()?;
    // No capacity by `pairs`: the count is not to be trusted before the pairs are there.
    let mut payload = Vec::new();
    for _ in 0..pairs {
        payload.push((reader.text()?.to_owned(), reader.text()?.to_owned()));
    }
    Ok(payload)
}
