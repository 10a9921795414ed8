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

/// Which of 70 records are kept: in runs, so that some groups lose all and some nothing.
fn keeps() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec((any::<bool>(), 1_usize..40), 70).prop_map(|runs| {
        let runs = runs.into_iter().flat_map(|(keep, length)| vec![keep; length]);
        runs.take(70).collect()
    })
}

/// Which of 70 records are kept, of which few or many are not.
fn scattered() -> impl Strategy<Value = Vec<bool>> {
    prop_oneof![Just(0.03), Just(0.5), Just(0.97)]
        .prop_flat_map(|kept| prop::collection::vec(prop::bool::weighted(kept), 70))
}

fn mask() -> impl Strategy<Value = Vec<bool>> {
    prop_oneof![keeps(), scattered()]
}

fn bytes_of(chunk: &Chunk) -> Vec<u8> {
    let mut bytes = Vec::new();
    chunk.write_to(&mut bytes);
    bytes
}

fn only(records: &[Record], keeps: &[bool]) -> Vec<Record> {
    let kept = records.iter().zip(keeps).filter(|(_, keep)| **keep);
    kept.map(|(record, _)| record.clone()).collect()
}

fn usual_batch(events: u32) -> Vec<Record> {
    (0..events).map(|number| Record::Event(usual(number))).collect()
}

/// [`long_ago`] without its third record.
fn with_a_short_group() -> Vec<u8> {
    bytes_of(&chunk_of(&long_ago()).retain(|number| number != 2).unwrap())
}

/// Where the sizes of the groups of [`with_a_short_group`] begin.
const SIZES_AT: usize = 2 + 0x1e;

proptest! {
    #[test]
    fn a_chunk_keeps_the_records_it_is_told_to(records in records(70), keeps in mask()) {
        let chunk = chunk_of(&records).retain(|number| keeps[number]).unwrap();
        let bytes = bytes_of(&chunk);
        let left = only(&records, &keeps);
        prop_assert_eq!(usize::try_from(chunk.records()).unwrap(), left.len());
        prop_assert!(bytes.len() <= chunk.bytes());
        for (number, record) in (0_u32..).zip(&left) {
            prop_assert_eq!(&nth(&bytes, number), record);
        }
        prop_assert_eq!(read(&bytes), Ok(left));
    }

    #[test]
    fn a_chunk_loses_records_again_and_again(
        records in records(70), masks in prop::collection::vec(mask(), 2..5),
    ) {
        let mut chunk = chunk_of(&records);
        let mut left = records;
        for keeps in masks {
            chunk = chunk.retain(|number| keeps[number]).unwrap();
            left = only(&left, &keeps);
            prop_assert_eq!(&read(&bytes_of(&chunk)).unwrap(), &left);
        }
    }

    #[test]
    fn a_chunk_that_loses_records_does_not_grow(mut records in records(70), keeps in mask()) {
        for record in &mut records {
            let (Record::Event(event)
            | Record::Standing { event, .. }
            | Record::Amended { event, .. }) = record;
            event.received = Timestamp(1_795_244_413);
        }
        let whole = chunk_of(&records);
        let left = whole.retain(|number| keeps[number]).unwrap();
        prop_assert!(left.bytes() <= whole.bytes());
        prop_assert!(bytes_of(&left).len() <= bytes_of(&whole).len());
    }

    #[test]
    fn the_groups_of_a_chunk_are_read_wherever_it_is_parted(
        records in records(70), keeps in mask(), parted_at in 0_usize..6,
    ) {
        let bytes = bytes_of(&chunk_of(&records).retain(|number| keeps[number]).unwrap());
        let mut groups = Vec::new();
        if let Some(mut chunk) = Chunks::new(&bytes).next().unwrap() {
            while let Some(group) = chunk.next_group().unwrap() {
                groups.push(group);
            }
        }
        let (first, second) = groups.split_at(parted_at.min(groups.len()));
        let mut parted = Vec::new();
        let put = put_groups(&mut parted, first) + put_groups(&mut parted, second);
        let left = only(&records, &keeps);
        prop_assert_eq!(usize::try_from(put).unwrap(), left.len());
        prop_assert_eq!(read(&parted), Ok(left));
    }

    #[test]
    fn a_chunk_with_short_groups_cut_short_is_malformed(length: prop::sample::Index) {
        let bytes = with_a_short_group();
        let length = length.index(bytes.len() - 1) + 1;
        prop_assert_eq!(read(&bytes[..length]), Err(Malformed));
    }

    #[test]
    fn changed_bytes_with_short_groups_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        skipped in 0_u32..23,
    ) {
        let mut bytes = with_a_short_group();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read(&bytes).ok();
        Cursor::new(&bytes).skip(skipped).ok();
    }

    #[test]
    fn random_sizes_of_groups_never_panic(sizes in prop::collection::vec(0_u8..20, 0..9)) {
        let mut bytes = with_a_short_group();
        bytes.splice(SIZES_AT..SIZES_AT + 4, sizes);
        read(&bytes).ok();
        Cursor::new(&bytes).skip(17).ok();
    }
}

#[test]
fn only_the_group_that_loses_a_record_is_written_anew() {
    let records = usual_batch(50);
    let whole = chunk_of(&records);
    let left = whole.retain(|number| number != 20).unwrap();
    let groups_of = |chunk: &Chunk| -> Vec<(u32, Vec<u8>)> {
        chunk.groups().map(|group| (group.records, group.bytes.to_vec())).collect()
    };
    let mut expected = groups_of(&whole);
    let alone = chunk_of(&[&records[16..20], &records[21..32]].concat());
    expected[1] = groups_of(&alone).remove(0);
    assert_eq!(groups_of(&left), expected);
    assert_eq!(left.shapes(), whole.shapes());
}

#[test]
fn a_group_that_loses_all_its_records_is_left_out() {
    let left = chunk_of(&usual_batch(50)).retain(|number| !(16..32).contains(&number)).unwrap();
    assert_eq!(left.groups().map(|group| group.records).collect::<Vec<u32>>(), [16, 16, 2]);
    assert_eq!(chunk_of(&usual_batch(50)).retain(|_| false), Ok(Chunk::default()));
}

#[test]
fn each_record_is_asked_for_once_and_in_order() {
    let mut asked = Vec::new();
    let chunk = chunk_of(&usual_batch(37));
    chunk
        .retain(|number| {
            asked.push(number);
            number % 7 != 3
        })
        .unwrap();
    assert_eq!(asked, (0..37).collect::<Vec<usize>>());
}

#[test]
fn a_record_behind_a_gap_has_the_shape_it_had() {
    let mut records = usual_batch(19);
    for number in [0, 1, 7, 8, 16] {
        let Record::Event(event) = &mut records[number] else { continue };
        event.event_name = format!("f{number}");
    }
    for lost in 0..18 {
        let left = chunk_of(&records).retain(|number| number != lost && number != lost + 1);
        let mut expected = records.clone();
        expected.drain(lost..=lost + 1);
        assert_eq!(read(&bytes_of(&left.unwrap())), Ok(expected), "{lost}");
    }
}

#[test]
fn a_group_of_no_or_too_many_records_or_no_bytes_is_malformed() {
    let bytes = with_a_short_group();
    assert_eq!(bytes[0], 18);
    assert_eq!(bytes[SIZES_AT..SIZES_AT + 2], [0, 15]);
    for records in [0, 16, 17, 18, 19, 0x7f] {
        let mut changed = bytes.clone();
        changed[SIZES_AT + 1] = records;
        assert_eq!(read(&changed), Err(Malformed), "{records}");
        assert!(Chunks::new(&changed).next().is_err(), "{records}");
    }
    let mut changed = bytes.clone();
    changed.splice(SIZES_AT + 2..SIZES_AT + 4, [0]);
    assert!(Chunks::new(&changed).next().is_err());
    let mut fewer = bytes;
    fewer[0] = 15;
    assert!(Chunks::new(&fewer).next().is_err(), "the last group never says how many it has");
}
