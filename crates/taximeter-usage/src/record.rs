//! The records of the log: an event, or the cancelling of one.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Kind, Mode, Scope};
use taximeter_kernel::time::Timestamp;

use crate::codec::{Malformed, Reader, put_length, put_signed, put_text, put_unsigned};
use crate::event::{NewEvent, RequestKey};

const EVENT: u8 = 1;
const CANCEL: u8 = 2;
const TEST: u8 = 0;
const LIVE: u8 = 1;
const WITHOUT_REQUEST: u8 = 0;
const WITH_REQUEST: u8 = 1;

/// One step of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Event(NewEvent),
    Cancel(CancelRecord),
}

/// The event at `event_seq` counts no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CancelRecord {
    pub(crate) scope: Scope,
    pub(crate) identifier: String,
    pub(crate) event_seq: u64,
    pub(crate) now: Timestamp,
}

pub(crate) fn put_event(out: &mut Vec<u8>, event: &NewEvent) {
    out.push(EVENT);
    put_scope(out, &event.scope);
    put_text(out, event.meter.as_str());
    put_text(out, event.customer.as_str());
    put_text(out, &event.event_name);
    put_text(out, &event.identifier);
    put_signed(out, event.timestamp.0.into());
    put_signed(out, event.received.0.into());
    put_signed(out, event.value.mantissa());
    out.push(event.value.scale());
    match event.request {
        None => out.push(WITHOUT_REQUEST),
        Some(request) => {
            out.push(WITH_REQUEST);
            out.extend_from_slice(&request.key.to_le_bytes());
            out.extend_from_slice(&request.fingerprint.to_le_bytes());
        }
    }
    put_length(out, event.payload.len());
    for (key, value) in &event.payload {
        put_text(out, key);
        put_text(out, value);
    }
}

pub(crate) fn put_cancel(out: &mut Vec<u8>, cancel: &CancelRecord) {
    out.push(CANCEL);
    put_scope(out, &cancel.scope);
    put_text(out, &cancel.identifier);
    put_unsigned(out, cancel.event_seq.into());
    put_signed(out, cancel.now.0.into());
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
            CANCEL => Self::Cancel(read_cancel(&mut reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}

fn read_event(reader: &mut Reader<'_>) -> Result<NewEvent, Malformed> {
    Ok(NewEvent {
        scope: read_scope(reader)?,
        meter: read_id(reader)?,
        customer: read_id(reader)?,
        event_name: reader.text()?.to_owned(),
        identifier: reader.text()?.to_owned(),
        timestamp: read_timestamp(reader)?,
        received: read_timestamp(reader)?,
        value: read_decimal(reader)?,
        request: read_request(reader)?,
        payload: read_payload(reader)?,
    })
}

fn read_cancel(reader: &mut Reader<'_>) -> Result<CancelRecord, Malformed> {
    Ok(CancelRecord {
        scope: read_scope(reader)?,
        identifier: reader.text()?.to_owned(),
        event_seq: u64::try_from(reader.unsigned()?).map_err(|_| Malformed)?,
        now: read_timestamp(reader)?,
    })
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

fn read_decimal(reader: &mut Reader<'_>) -> Result<Decimal, Malformed> {
    let mantissa = reader.signed()?;
    Decimal::new(mantissa, reader.byte()?).map_err(|_| Malformed)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        match record {
            Record::Event(event) => put_event(&mut bytes, event),
            Record::Cancel(cancel) => put_cancel(&mut bytes, cancel),
        }
        bytes
    }

    fn scope() -> impl Strategy<Value = Scope> {
        ("acct_[a-z]{1,9}", any::<bool>()).prop_map(|(account, live)| Scope {
            account: Id::parse(&account).unwrap(),
            mode: Mode::from_live(live),
        })
    }

    fn record() -> impl Strategy<Value = Record> {
        let ids = ("mtr_[a-z]{1,9}", "cus_[a-z]{1,9}", ".{0,9}", ".{0,9}");
        let times = (any::<i64>(), any::<i64>());
        let value = (any::<i128>(), 0_u8..=18);
        let request = prop::option::of((any::<u128>(), any::<u64>()));
        let payload = prop::collection::vec((".{0,9}", ".{0,9}"), 0..4);
        let event = (scope(), ids, times, value, request, payload).prop_map(
            |(scope, ids, times, value, request, payload)| {
                Record::Event(NewEvent {
                    scope,
                    meter: Id::parse(&ids.0).unwrap(),
                    customer: Id::parse(&ids.1).unwrap(),
                    event_name: ids.2,
                    identifier: ids.3,
                    timestamp: Timestamp(times.0),
                    received: Timestamp(times.1),
                    value: Decimal::new(value.0, value.1).unwrap(),
                    payload,
                    request: request.map(|(key, fingerprint)| RequestKey { key, fingerprint }),
                })
            },
        );
        let cancel = (scope(), ".{0,9}", any::<u64>(), any::<i64>()).prop_map(
            |(scope, identifier, event_seq, now)| {
                Record::Cancel(CancelRecord { scope, identifier, event_seq, now: Timestamp(now) })
            },
        );
        prop_oneof![event, cancel]
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_it_was_written(record in record()) {
            prop_assert_eq!(Record::decode(&encoded(&record)), Ok(record));
        }

        #[test]
        fn a_record_cut_short_or_with_bytes_left_over_is_malformed(record in record()) {
            let mut bytes = encoded(&record);
            for length in 0..bytes.len() {
                prop_assert_eq!(Record::decode(&bytes[..length]), Err(Malformed));
            }
            bytes.push(0);
            prop_assert_eq!(Record::decode(&bytes), Err(Malformed));
        }

        #[test]
        fn decoding_random_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Record::decode(&bytes).ok();
        }

        #[test]
        fn decoding_a_record_with_changed_bytes_never_panics(
            record in record(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = encoded(&record);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            Record::decode(&bytes).ok();
        }
    }
}
