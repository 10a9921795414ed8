//! Small values that the tests share.

use std::borrow::Cow;

use taximeter_kernel::aggregate::{Aggregation, Formula, Measure, Percentile, Window};
use taximeter_kernel::id::{Customer, Id, Meter, Mode, Scope};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{
    Action, Amendment, Appended, Batch, Corrected, Correction, Engine, Event, EventQuery, NewEvent,
    Order, RequestKey, Series, Standing, TooLarge, UsageQuery,
};
use tempfile::TempDir;

use crate::settings::Setting;

/// 2026-11-21T07:00:00Z, the start of a UTC hour.
pub(crate) const SEVEN: i64 = 1_795_244_400;
pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 24 * HOUR;
/// The start of its day.
pub(crate) const MIDNIGHT: i64 = SEVEN - 7 * HOUR;
pub(crate) const ALWAYS: Period = Period { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) };

pub(crate) const SUM: Aggregation = of(Formula::Sum);
pub(crate) const COUNT: Aggregation = of(Formula::Count);
pub(crate) const LAST: Aggregation = of(Formula::Last);
pub(crate) const MAX: Aggregation = of(Formula::Max);
pub(crate) const MIN: Aggregation = of(Formula::Min);
pub(crate) const UNIQUE: Aggregation = of(Formula::UniqueCount);
pub(crate) const AVERAGE: Aggregation = of(Formula::Average);
pub(crate) const WEIGHTED: Aggregation = of(Formula::WeightedSum);

const fn of(formula: Formula) -> Aggregation {
    Aggregation { formula, window: None }
}

pub(crate) const fn by(window: Window, formula: Formula) -> Aggregation {
    Aggregation { formula, window: Some(window) }
}

pub(crate) fn percentile(text: &str) -> Aggregation {
    of(Formula::Percentile(Percentile::parse(text).unwrap()))
}

/// An event as a client sends it, owned.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) scope: Scope,
    pub(crate) received: Timestamp,
    pub(crate) meter: Id<Meter>,
    pub(crate) aggregation: Aggregation,
    pub(crate) event_name: String,
    pub(crate) customer: Id<Customer>,
    pub(crate) identifier: String,
    pub(crate) timestamp: Timestamp,
    pub(crate) measure: Measure,
    pub(crate) dimensions: Vec<String>,
    pub(crate) payload: Vec<(String, String)>,
    pub(crate) request: Option<RequestKey>,
    pub(crate) backfill: Option<String>,
}

impl Sent {
    /// Puts it onto a batch.
    pub(crate) fn push_onto(&self, batch: &mut Batch) -> Result<(), TooLarge> {
        let dimensions: Vec<&str> = self.dimensions.iter().map(String::as_str).collect();
        let pair = |(key, value): &'_ (String, String)| {
            (Cow::Owned(key.clone()), Cow::Owned(value.clone()))
        };
        let payload: Vec<(Cow<'_, str>, Cow<'_, str>)> = self.payload.iter().map(pair).collect();
        batch.push(&NewEvent {
            meter: &self.meter,
            aggregation: self.aggregation,
            event_name: &self.event_name,
            customer: &self.customer,
            identifier: &self.identifier,
            timestamp: self.timestamp,
            measure: self.measure,
            dimensions: &dimensions,
            payload: &payload,
            request: self.request,
            backfill: self.backfill.as_deref(),
        })
    }

    /// What is to be read back once it is recorded.
    pub(crate) fn recorded(&self, seq: u64) -> Event {
        let Self { scope, received, meter, aggregation, event_name, customer, .. } = self.clone();
        let Self { identifier, timestamp, measure, dimensions, payload, .. } = self.clone();
        Event {
            seq,
            standing: Standing::Counts,
            scope,
            meter,
            aggregation,
            customer,
            event_name,
            identifier,
            timestamp,
            measure,
            dimensions,
            payload,
            received,
            request: self.request,
            backfill: self.backfill.clone(),
        }
    }
}

/// Events of one scope that came in at one time.
pub(crate) fn batch(sent: &[Sent]) -> Batch {
    let first = sent.first().expect("at least one event");
    let mut batch = Batch::new(first.scope.clone(), first.received);
    for one in sent {
        assert_eq!((&one.scope, one.received), (&first.scope, first.received));
        one.push_onto(&mut batch).unwrap();
    }
    batch
}

/// An engine in a directory of its own.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) setting: &'static Setting,
    pub(crate) engine: Engine,
}

impl Place {
    pub(crate) fn new(setting: &'static Setting) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), (setting.options)()).unwrap();
        Self { dir, setting, engine }
    }

    /// The same place after a restart.
    pub(crate) fn reopened(self) -> Self {
        self.engine.close();
        let engine = Engine::open(self.dir.path(), (self.setting.options)()).unwrap();
        Self { engine, ..self }
    }

    /// Appends events that came in together.
    pub(crate) fn append_all(&self, sent: &[Sent]) -> Vec<Appended> {
        let appended = block_on(self.engine.append(batch(sent))).unwrap();
        assert_eq!(appended.len(), sent.len());
        self.chores();
        appended
    }

    /// Appends one event.
    pub(crate) fn append(&self, sent: &Sent) -> Appended {
        self.append_all(std::slice::from_ref(sent)).remove(0)
    }

    /// Appends one event that must be recorded, and gives its place in the order.
    pub(crate) fn record(&self, sent: &Sent) -> u64 {
        match self.append(sent) {
            Appended::Recorded(seq) => seq,
            other => panic!("not recorded: {other:?}"),
        }
    }

    pub(crate) fn correct(&self, order: Correction) -> Corrected {
        let corrected = block_on(self.engine.correct(vec![order])).unwrap();
        self.chores();
        corrected[0]
    }

    /// Gives an order that must be carried out, and gives its place in the order.
    pub(crate) fn correct_done(&self, order: Correction) -> u64 {
        match self.correct(order) {
            Corrected::Done(seq) => seq,
            other => panic!("not done: {other:?}"),
        }
    }

    fn chores(&self) {
        for chore in self.setting.chores {
            chore(&self.engine);
        }
    }

    /// What is recorded at that place.
    pub(crate) fn at(&self, seq: u64) -> Event {
        self.engine.event_at(seq).unwrap().expect("an event at this place")
    }

    /// The quantity and the number of events that `aggregation` gives for [`series`].
    pub(crate) fn usage(&self, aggregation: Aggregation, period: Period) -> (String, u64) {
        self.usage_of(&UsageQuery::of(series(aggregation), aggregation), period)
    }

    pub(crate) fn usage_of(&self, query: &UsageQuery, period: Period) -> (String, u64) {
        let usage = self.engine.usage_in(query, period).unwrap();
        assert!(!usage.approximate);
        (usage.quantity.to_string(), usage.events)
    }

    /// Holds the quantity that `aggregation` gives for [`series`] in a period.
    pub(crate) fn check(&self, aggregation: Aggregation, period: Period, quantity: &str) {
        let (found, _) = self.usage(aggregation, period);
        assert_eq!(found, quantity, "{aggregation:?} {period:?}");
    }

    /// All events of the customer of [`event`], oldest first.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.engine.events(&events_query(Order::Oldest)).unwrap().events
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

/// The meter that counts in that way.
pub(crate) fn meter(aggregation: Aggregation) -> Id<Meter> {
    let Aggregation { formula, window } = aggregation;
    let window = window.map_or("", Window::as_str);
    let tenths = formula.percentile().map_or(0, Percentile::as_tenths);
    Id::parse(&format!("mtr_{}{tenths}{window}", formula.as_str())).unwrap()
}

pub(crate) fn number(text: &str) -> Measure {
    Measure::Number(text.parse().unwrap())
}

/// An event of 1 at seven o'clock, to be added up.
pub(crate) fn event(identifier: &str) -> Sent {
    Sent {
        scope: scope(),
        received: Timestamp(SEVEN + 13),
        meter: meter(SUM),
        aggregation: SUM,
        event_name: "calls".to_owned(),
        customer: customer("cus_a"),
        identifier: identifier.to_owned(),
        timestamp: Timestamp(SEVEN),
        measure: number("1"),
        dimensions: Vec::new(),
        payload: vec![("value".to_owned(), "1".to_owned())],
        request: None,
        backfill: None,
    }
}

/// The same event at another time with another value.
pub(crate) fn event_at(identifier: &str, timestamp: i64, value: &str) -> Sent {
    Sent { timestamp: Timestamp(timestamp), measure: number(value), ..event(identifier) }
}

/// The same event counted in another way.
pub(crate) fn counted(aggregation: Aggregation, sent: Sent) -> Sent {
    Sent { aggregation, meter: meter(aggregation), ..sent }
}

pub(crate) fn request(key: u128, fingerprint: u64) -> Option<RequestKey> {
    Some(RequestKey { key, fingerprint })
}

/// An order to cancel [`event`].
pub(crate) fn cancel(identifier: &str) -> Correction {
    Correction {
        scope: scope(),
        event_name: "calls".to_owned(),
        identifier: identifier.to_owned(),
        customer: None,
        now: Timestamp(SEVEN + 100),
        window_s: Some(DAY),
        action: Action::Cancel,
    }
}

pub(crate) fn restore(identifier: &str) -> Correction {
    Correction { action: Action::Restore, ..cancel(identifier) }
}

/// An order to count another value at another time in place of [`event`]'s.
pub(crate) fn amend(identifier: &str, timestamp: i64, value: &str) -> Correction {
    let amendment = Amendment {
        timestamp: Timestamp(timestamp),
        measure: number(value),
        dimensions: Vec::new(),
        payload: vec![("value".to_owned(), value.to_owned())],
    };
    Correction { action: Action::Amend(Box::new(amendment)), ..cancel(identifier) }
}

/// The series of [`event`] as counted in that way.
pub(crate) fn series(aggregation: Aggregation) -> Series {
    Series { scope: scope(), meter: meter(aggregation), customer: customer("cus_a") }
}

pub(crate) fn events_query(order: Order) -> EventQuery {
    EventQuery {
        scope: scope(),
        customer: Some(customer("cus_a")),
        meter: None,
        period: None,
        order,
        after: None,
        limit: 1_000,
    }
}

pub(crate) fn period(start: i64, end: i64) -> Period {
    Period { start: Timestamp(start), end: Timestamp(end) }
}
