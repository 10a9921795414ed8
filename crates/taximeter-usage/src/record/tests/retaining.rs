//! Tests of chunks without some of their records.

use super::*;

/// The `number`th of a batch of small events.
fn small(number: u32) -> Event {
    let mut event = usual(number);
    event.scope.account = id("a");
    event.meter = id("m");
    event.event_name = "e".to_owned();
    event.identifier = format!("i{number}");
    event.customer = id(if number % 7 < 4 { "c" } else { "d" });
    event.payload = vec![("k".to_owned(), event.customer.to_string())];
    event.dimensions = vec!["x".to_owned()];
    event
}

/// A group and three records: a cancellation, an amended event, and one of another shape.
fn long_ago() -> Vec<Record> {
    let mut records: Vec<Record> = (0..19).map(|number| Record::Event(small(number))).collect();
    records[5] = Record::Standing {
        standing: Standing::Cancelled,
        event_seq: 13,
        event: Event { seq: 13, ..small(5) },
    };
    let was = Was {
        timestamp: 1_795_244_401,
        measure: Measure::Number(Decimal::from_int(7)),
        dimensions: vec!["y".to_owned()],
    };
    records[17] = Record::Amended { event_seq: 101, was, event: small(17) };
    records[18] = Record::Event(Event { event_name: "f".to_owned(), ..small(18) });
    records
}

/// [`long_ago`] as it was written when only a chunk's last group could have fewer records.
const LONG_AGO: &[u8] =
    b"\x13\x1e\x01\x01\x00\x00\x00\x01a\x01m\x01e\x01\x01\x01k\x01\x01\x00\x00\x00\x01a\x01m\x01f\
    \x01\x01\x01k\x99\x013\t\xfa\x85\x8a\xb0\r\x19\x01c\x02i0\xca\x01\x01x\x00y\x02\x02i1\xcc\x01\
    \x00y\x02\x02i2\xce\x01\x00y\x02\x02i3\xd0\x01\x00i\x02\x01d\x02i4\xd2\x01\x00|\x00\r\x02\x02i5\
    \xd4\x01\x00y\x02\x02i6\xd6\x01\x00i\x02\x01c\x02i7\xd8\x01\x00y\x02\x02i8\xda\x01\x00y\x02\x02\
    i9\xdc\x01\x00y\x02\x03i10\xde\x01\x00i\x02\x01d\x03i11\xe0\x01\x00y\x02\x03i12\xe2\x01\x00y\
    \x17\x03i13\xe4\x01\x00i\x02\x01c\x03i14\xe6\x01\x00y\x02\x03i15\xe8\x01\x00\t\xfa\x85\x8a\xb0\
    \r\x13\x01c\x03i16\xea\x01\x01x\x00{\x00e\xe2\x85\x8a\xb0\r\x00\x0e\x01\x01y\x02\x03i17\xec\x01\
    \x00a\x01\x02\x01d\x03i18\xee\x01\x00";

#[test]
fn a_chunk_written_long_ago_is_read() {
    let records = long_ago();
    assert_eq!(read(LONG_AGO).as_ref(), Ok(&records));
    for (number, record) in (0_u32..).zip(&records) {
        assert_eq!(&nth(LONG_AGO, number), record, "{number}");
    }
}

#[test]
fn a_whole_batch_is_written_as_it_was_long_ago() {
    assert_eq!(written(&[long_ago()]), LONG_AGO);
}

/// The record after `number` others.
fn nth(bytes: &[u8], number: u32) -> Record {
    let mut cursor = Cursor::new(bytes);
    cursor.skip(number).unwrap();
    Record::of(0, &cursor.next().unwrap().unwrap()).unwrap()
}
