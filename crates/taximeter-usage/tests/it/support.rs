//! Small values that the tests share.

use taximeter_kernel::id::{Customer, Id, Meter, Mode, Scope};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{Appended, Cancel, Engine, Event, NewEvent, Options, RequestKey, Series};
use tempfile::TempDir;

/// 2026-11-21T07:00:00Z, the start of a UTC hour.
pub(crate) const SEVEN: i64 = 1_795_244_400;
/// The start of its day.
pub(crate) const MIDNIGHT: i64 = SEVEN - 7 * 3_600;

pub(crate) const SMALL: Options =
    Options { segment_bytes: 4_096, queue_events_max: 1_000, queue_bytes_max: 1_000_000 };

/// An engine in a directory of its own.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) engine: Engine,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), SMALL).unwrap();
        Self { dir, engine }
    }

    /// The same place after a restart.
    pub(crate) fn reopened(self) -> Self {
        self.engine.close();
        let engine = Engine::open(self.dir.path(), SMALL).unwrap();
        Self { dir: self.dir, engine }
    }

    /// Appends one event.
    pub(crate) fn append(&self, event: NewEvent) -> Appended {
        let mut appended = block_on(self.engine.append(vec![event])).unwrap();
        assert_eq!(appended.len(), 1);
        appended.remove(0)
    }

    /// Appends one event that must be recorded.
    pub(crate) fn record(&self, event: NewEvent) -> Event {
        match self.append(event) {
            Appended::Recorded(event) => event,
            other => panic!("not recorded: {other:?}"),
        }
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn scope() -> Scope {
    Scope { account: Id::parse("acct_a").unwrap(), mode: Mode::Live }
}

pub(crate) fn customer(name: &str) -> Id<Customer> {
    Id::parse(name).unwrap()
}

pub(crate) fn meter(name: &str) -> Id<Meter> {
    Id::parse(name).unwrap()
}

/// An event of 1 at seven o'clock.
pub(crate) fn event(identifier: &str) -> NewEvent {
    NewEvent {
        scope: scope(),
        meter: meter("mtr_calls"),
        customer: customer("cus_a"),
        event_name: "calls".to_owned(),
        identifier: identifier.to_owned(),
        timestamp: Timestamp(SEVEN),
        value: 1.into(),
        payload: vec![("value".to_owned(), "1".to_owned())],
        received: Timestamp(SEVEN + 13),
        request: None,
    }
}

/// The same event at another time with another value.
pub(crate) fn event_at(identifier: &str, timestamp: i64, value: &str) -> NewEvent {
    NewEvent { timestamp: Timestamp(timestamp), value: value.parse().unwrap(), ..event(identifier) }
}

pub(crate) fn request(key: u128, fingerprint: u64) -> Option<RequestKey> {
    Some(RequestKey { key, fingerprint })
}

pub(crate) fn cancel(identifier: &str) -> Cancel {
    Cancel {
        scope: scope(),
        event_name: "calls".to_owned(),
        identifier: identifier.to_owned(),
        customer: None,
        now: Timestamp(SEVEN + 100),
        window_s: 86_400,
    }
}

pub(crate) fn series() -> Series {
    Series { scope: scope(), meter: meter("mtr_calls"), customer: customer("cus_a") }
}

pub(crate) fn period(start: i64, end: i64) -> Period {
    Period { start: Timestamp(start), end: Timestamp(end) }
}

pub(crate) const ALWAYS: Period = Period { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) };
