//! Tests of records, from writing to reading.

mod retaining;

use proptest::prelude::*;

use taximeter_kernel::aggregate::{Aggregation, Formula, Window};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Kind, Scope};
use taximeter_kernel::time::Timestamp;

use super::*;
use crate::codec::Malformed;
use crate::event::Event;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        ".{0,9}",
        any::<[u8; 16]>().prop_map(|uuid| Text::Uuid(uuid).to_string()),
        "[a-z]{100,300}",
    ]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![Just(1_795_244_400), 1_795_244_000_i64..1_795_246_000, any::<i64>()]
}

fn number() -> impl Strategy<Value = Decimal> {
    let mantissa = prop_oneof![(-13_i128..101), any::<i64>().prop_map(i128::from), any::<i128>()];
    (mantissa, 0_u8..=18).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).unwrap())
}

fn measure() -> impl Strategy<Value = Measure> {
    prop_oneof![number().prop_map(Measure::Number), any::<u128>().prop_map(Measure::Member)]
}

/// Where a payload value comes from.
#[derive(Debug, Clone)]
enum Value {
    Customer,
    Measure,
    Dimension(prop::sample::Index),
    Other(String),
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Customer),
        Just(Value::Measure),
        any::<prop::sample::Index>().prop_map(Value::Dimension),
        text().prop_map(Value::Other),
    ]
}

/// A text that can be an id.
fn id_text() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("b".to_owned()), "[a-z_]{1,9}", "[a-z]{100,255}"]
}

fn aggregation() -> impl Strategy<Value = Aggregation> {
    let window = prop::option::of(prop_oneof![Just(Window::Hour), Just(Window::Day)]);
    let formula = prop_oneof![Just(Formula::Sum), Just(Formula::Last), Just(Formula::UniqueCount)];
    (formula, window).prop_map(|(formula, window)| Aggregation { formula, window })
}

fn event() -> BoxedStrategy<Event> {
    let names = (id_text(), any::<bool>(), id_text(), aggregation(), text(), id_text(), text());
    let request = prop::option::of((any::<u128>(), any::<u64>()));
    let lists = (
        prop_oneof![
            4 => prop::collection::vec(text(), 0..3),
            1 => prop::collection::vec(text(), 15..20),
        ],
        prop::collection::vec((text(), value()), 0..4),
    );
    (names, time(), time(), measure(), lists, request, prop::option::of(text()))
        .prop_map(
            |(names, timestamp, received, measure, (dimensions, payload), request, backfill)| {
                let (account, live, meter, aggregation, event_name, customer, identifier) = names;
                let value = |value| match value {
                    Value::Customer => customer.clone(),
                    Value::Measure => match measure {
                        Measure::Number(number) => number.to_string(),
                        Measure::Member(member) => member.to_string(),
                    },
                    Value::Dimension(at) if !dimensions.is_empty() => at.get(&dimensions).clone(),
                    Value::Dimension(_) => String::new(),
                    Value::Other(text) => text,
                };
                let payload = payload.into_iter().map(|(key, from)| (key, value(from))).collect();
                Event {
                    seq: 0,
                    standing: Standing::Counts,
                    scope: Scope { account: id(&account), mode: Mode::from_live(live) },
                    meter: id(&meter),
                    aggregation,
                    customer: id(&customer),
                    event_name,
                    identifier,
                    timestamp: Timestamp(timestamp),
                    received: Timestamp(received),
                    measure,
                    payload,
                    dimensions,
                    request: request.map(|(key, fingerprint)| RequestKey { key, fingerprint }),
                    backfill,
                }
            },
        )
        .boxed()
}

fn id<K: Kind>(text: &str) -> Id<K> {
    Id::parse(text).unwrap()
}

fn record() -> BoxedStrategy<Record> {
    prop_oneof![
        8 => event().prop_map(Record::Event),
        1 => (any::<bool>(), any::<u64>(), event()).prop_map(|(cancels, event_seq, event)| {
            let standing = if cancels { Standing::Cancelled } else { Standing::Counts };
            Record::Standing { standing, event_seq, event: Event { seq: event_seq, ..event } }
        }),
        1 => (any::<u64>(), event(), event()).prop_map(|(event_seq, was, event)| {
            let Event { timestamp, measure, dimensions, .. } = was;
            let was = Was { timestamp: timestamp.0, measure, dimensions };
            Record::Amended { event_seq, was, event }
        }),
    ]
    .boxed()
}

/// Records of which many repeat things of the one before.
fn records(most: usize) -> impl Strategy<Value = Vec<Record>> {
    let step = (record(), any::<[bool; 6]>());
    prop::collection::vec(step, 0..most).prop_map(|steps| {
        let mut records: Vec<Record> = Vec::new();
        for (mut record, repeats) in steps {
            if let (Record::Event(event), Some(Record::Event(before))) =
                (&mut record, records.last())
            {
                repeat(event, before, repeats);
            }
            records.push(record);
        }
        records
    })
}

fn repeat(event: &mut Event, before: &Event, repeats: [bool; 6]) {
    let [scope, meter, customer, received, keys, dimensions] = repeats;
    if scope {
        event.scope = before.scope.clone();
    }
    if meter {
        event.meter.clone_from(&before.meter);
        event.event_name.clone_from(&before.event_name);
        event.aggregation = before.aggregation;
    }
    if customer {
        event.customer.clone_from(&before.customer);
    }
    if received {
        event.received = before.received;
    }
    if keys {
        event.payload.clone_from(&before.payload);
    }
    if dimensions {
        event.dimensions.clone_from(&before.dimensions);
    }
}

fn chunk_of(records: &[Record]) -> Chunk {
    let mut chunk = ChunkEncoder::new();
    for record in records {
        record.push_to(&mut chunk);
    }
    chunk.finish()
}

/// The chunks of `batches`, one after another.
fn written(batches: &[Vec<Record>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for batch in batches {
        chunk_of(batch).write_to(&mut bytes);
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<Record>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let mut records = Vec::new();
    while let Some(view) = cursor.next()? {
        records.push(Record::of(0, &view)?);
    }
    Ok(records)
}

proptest! {
    #[test]
    fn records_read_back_as_they_were_written(
        batches in prop::collection::vec(records(40), 0..4),
    ) {
        prop_assert_eq!(read(&written(&batches)), Ok(batches.concat()));
    }

    #[test]
    fn each_record_is_found_without_those_before_it(
        batches in prop::collection::vec(records(40), 1..4),
    ) {
        let bytes = written(&batches);
        let records = batches.concat();
        for (number, record) in (0_u32..).zip(&records) {
            let mut cursor = Cursor::new(&bytes);
            cursor.skip(number).unwrap();
            prop_assert_eq!(&Record::of(0, &cursor.next().unwrap().unwrap()).unwrap(), record);
            if number > 7 {
                let mut cursor = Cursor::new(&bytes);
                cursor.skip(3).unwrap();
                cursor.next().unwrap();
                cursor.skip(number - 4).unwrap();
                prop_assert_eq!(&Record::of(0, &cursor.next().unwrap().unwrap()).unwrap(), record);
            }
        }
        let all = u32::try_from(records.len()).unwrap();
        let mut cursor = Cursor::new(&bytes);
        cursor.skip(all).unwrap();
        prop_assert!(cursor.next().unwrap().is_none());
        prop_assert_eq!(Cursor::new(&bytes).skip(all + 1), Err(Malformed));
    }

    #[test]
    fn a_chunk_takes_up_no_more_than_it_says(records in records(40)) {
        let mut encoder = ChunkEncoder::new();
        for record in &records {
            record.push_to(&mut encoder);
        }
        let said = encoder.bytes();
        let chunk = encoder.finish();
        prop_assert_eq!(chunk.bytes(), said);
        let mut bytes = Vec::new();
        chunk.write_to(&mut bytes);
        prop_assert!(bytes.len() <= said);
    }

    #[test]
    fn chunks_cut_short_are_malformed_or_fewer(records in records(20)) {
        let bytes = written(std::slice::from_ref(&records));
        for length in 0..bytes.len() {
            let read = read(&bytes[..length]);
            prop_assert!(read == Err(Malformed) || length == 0 && read == Ok(Vec::new()));
        }
    }

    #[test]
    fn reading_random_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read(&bytes).ok();
        Cursor::new(&bytes).skip(17).ok();
    }

    #[test]
    fn reading_changed_bytes_never_panics(
        records in records(20),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = written(&[records]);
        if !bytes.is_empty() {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        read(&bytes).ok();
    }
}

/// The `number`th of a batch of usual events: a model's tokens, from many customers.
fn usual(number: u32) -> Event {
    let customer = format!("cus_{number:014}");
    let seed = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Event {
        seq: 0,
        standing: Standing::Counts,
        scope: Scope { account: id("acct_1PgafmB7WZ01zgkW"), mode: Mode::Live },
        meter: id("mtr_1PgafmB7WZ01zgkW6dKueIc5"),
        aggregation: Aggregation { formula: Formula::Sum, window: None },
        event_name: "tokens_used".to_owned(),
        identifier: Text::Uuid(seed.to_be_bytes()).to_string(),
        timestamp: Timestamp(1_795_244_400 + i64::from(number % 13)),
        received: Timestamp(1_795_244_413),
        measure: Measure::Number(Decimal::from_int(i64::from(number) + 101)),
        dimensions: vec!["large-model1".to_owned()],
        payload: vec![
            ("stripe_customer_id".to_owned(), customer.clone()),
            ("value".to_owned(), (number + 101).to_string()),
        ],
        customer: id(&customer),
        request: None,
        backfill: None,
    }
}

#[test]
fn a_usual_event_is_small() {
    let one_by_one: Vec<Vec<Record>> = (0..100).map(|n| vec![Record::Event(usual(n))]).collect();
    let single = written(&one_by_one).len();
    let batch: Vec<Record> = one_by_one.concat();
    let together = written(&[batch]).len();
    let mut same_customer: Vec<Record> = Vec::new();
    for number in 0..100 {
        let mut event = usual(number);
        event.customer = id("cus_00000000000001");
        event.payload[0].1 = event.customer.to_string();
        event.dimensions[0] = format!("large-model{}", number % 7);
        same_customer.push(Record::Event(event));
    }
    let of_one_customer = written(&[same_customer]).len();
    assert!(single < 16_000, "{single} for 100 in batches of their own");
    assert!(together < 4_500, "{together} for 100 in one batch");
    assert!(of_one_customer < 4_000, "{of_one_customer} for 100 of one customer");
}

/// The bytes of a chunk of one usual event, and where its record begins.
fn one_usual() -> (Vec<u8>, usize) {
    let mut chunk = ChunkEncoder::new();
    chunk.push(&record_of(&usual(7)));
    let mut bytes = Vec::new();
    chunk.finish().write_to(&mut bytes);
    let shapes = usize::from(bytes[1]);
    (bytes, 2 + shapes + 1)
}

#[test]
fn a_record_of_an_unknown_kind_is_malformed() {
    let (bytes, record) = one_usual();
    assert_eq!(bytes[record] & flags::KIND, flags::EVENT);
    for kind in [0, 6, 7] {
        let mut changed = bytes.clone();
        changed[record] = bytes[record] & !flags::KIND | kind;
        assert_eq!(read(&changed), Err(Malformed), "{kind}");
    }
}

#[test]
fn the_first_record_of_a_group_cannot_repeat_an_event() {
    let (bytes, record) = one_usual();
    for same in [flags::SAME_CUSTOMER, flags::SAME_RECEIVED, flags::SAME_DIMENSIONS] {
        let mut changed = bytes.clone();
        changed[record] |= same;
        assert_eq!(read(&changed), Err(Malformed), "{same}");
    }
}

#[test]
fn a_shape_that_is_not_there_is_malformed() {
    let (mut bytes, record) = one_usual();
    bytes[record] &= !flags::SAME_SHAPE;
    assert_eq!(read(&bytes), Err(Malformed));
}
