//! A customer whose events and corrections a seed determines, and what is known of them: a process
//! that is killed and the test that kills it come to the same by themselves.

use std::collections::BTreeMap;

use taximeter_kernel::aggregate::{Aggregation, Measure};
use taximeter_kernel::id::{Customer, Id};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{
    Action, Amendment, Appended, Corrected, Correction, Engine, Event, Standing,
};

use crate::model::random::Random;
use crate::support::{
    AVERAGE, COUNT, HOUR, LAST, MAX, MIN, SEVEN, SUM, Sent, UNIQUE, WEIGHTED, batch, block_on,
    cancel, counted, customer, event_at, number, percentile, request,
};

pub(super) const LANES: u64 = 3;
/// The lane whose events have request keys.
const WITH_REQUESTS: u64 = 2;
/// Of so many steps the last is a correction.
const CYCLE: u64 = 4;
const VALUES: [&str; 3] = ["", "eu", "us"];

/// All that is done in one call.
#[derive(Debug)]
pub(super) enum Step {
    Append(Vec<Sent>),
    Correct(Vec<Correction>),
}

/// What became of an event or an order, as one process tells the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Recorded(u64),
    /// It was there.
    Held(u64),
    Done(u64),
    NothingToDo,
}

pub(super) fn aggregations() -> [Aggregation; 9] {
    [SUM, COUNT, LAST, MAX, MIN, UNIQUE, AVERAGE, WEIGHTED, percentile("50")]
}

pub(super) fn customer_of(lane: u64) -> Id<Customer> {
    customer(&format!("cus_{lane}"))
}

impl Step {
    /// Step `at` of a lane.
    pub(super) fn of(seed: u64, lane: u64, at: u64) -> Self {
        let mut random = Random::new(seed ^ (lane << 60) ^ at.wrapping_mul(0xd6e8_feb8_6659_fd93));
        if at % CYCLE == CYCLE - 1 {
            Self::Correct(corrections(&mut random, seed, lane, at))
        } else {
            let events = 1 + random.below(5);
            Self::Append((0..events).map(|nth| event(&mut random, lane, at, nth)).collect())
        }
    }

    /// Does it, and gives what came of it.
    pub(super) fn run(self, engine: &Engine) -> Vec<Outcome> {
        match self {
            Self::Append(sent) => {
                let appended = block_on(engine.append(batch(&sent))).unwrap();
                appended.iter().map(Outcome::of_appended).collect()
            }
            Self::Correct(orders) => {
                let corrected = block_on(engine.correct(orders)).unwrap();
                corrected.into_iter().map(Outcome::of_corrected).collect()
            }
        }
    }
}

fn event(random: &mut Random, lane: u64, at: u64, nth: u64) -> Sent {
    let aggregation = *random.one(&aggregations());
    let timestamp = SEVEN + random.from(-20, 20) * HOUR + random.from(0, 40);
    let sent = event_at(&format!("{lane}.{at}.{nth}"), timestamp, "0");
    let key = u128::from(at) << 64 | u128::from(nth);
    Sent {
        received: Timestamp(SEVEN + i64::try_from(at).unwrap()),
        customer: customer_of(lane),
        measure: measure(random, aggregation),
        dimensions: dimensions(random, aggregation),
        request: if lane == WITH_REQUESTS { request(key, lane) } else { None },
        ..counted(aggregation, sent)
    }
}

fn measure(random: &mut Random, aggregation: Aggregation) -> Measure {
    if aggregation.formula.counts_members() {
        Measure::Member(random.below(13).into())
    } else {
        number(&format!("{}.{}", random.from(-101, 101), random.below(8)))
    }
}

/// One meter has a dimension.
fn dimensions(random: &mut Random, aggregation: Aggregation) -> Vec<String> {
    if aggregation == COUNT { vec![(*random.one(&VALUES)).to_owned()] } else { Vec::new() }
}

/// Of events that came before, now and then two of the same.
fn corrections(random: &mut Random, seed: u64, lane: u64, at: u64) -> Vec<Correction> {
    let mut orders: Vec<Correction> = Vec::new();
    for _ in 0..1 + random.below(3) {
        let cycle = at / CYCLE - random.below((at / CYCLE).min(7) + 1);
        let Step::Append(sent) = Step::of(seed, lane, cycle * CYCLE + random.below(CYCLE - 1))
        else {
            panic!("only the last of a cycle is a correction")
        };
        let sent = random.one(&sent);
        let amendment = Amendment {
            timestamp: Timestamp(sent.timestamp.0 + random.from(-HOUR, HOUR)),
            measure: measure(random, sent.aggregation),
            dimensions: dimensions(random, sent.aggregation),
            payload: vec![("value".to_owned(), format!("amended at {at}"))],
        };
        let action = match random.below(4) {
            0 | 1 => Action::Cancel,
            2 => Action::Restore,
            _ => Action::Amend(Box::new(amendment)),
        };
        let is_amend = |action: &Action| matches!(action, Action::Amend(_));
        // Of two orders for one event it could not be told how far they came, unless each leaves a
        // version.
        let mut same = orders.iter().filter(|order| order.identifier == sent.identifier);
        if same.all(|order| is_amend(&order.action) && is_amend(&action)) {
            let now = Timestamp(sent.received.0 + 7);
            let customer = Some(customer_of(lane));
            orders.push(Correction { customer, now, action, ..cancel(&sent.identifier) });
        }
    }
    orders
}

impl Outcome {
    fn of_appended(appended: &Appended) -> Self {
        match appended {
            Appended::Recorded(seq) => Self::Recorded(*seq),
            Appended::Duplicate(seq) => Self::Held(*seq),
            Appended::Replayed(event) => Self::Held(event.seq),
            other => panic!("{other:?}"),
        }
    }

    fn of_corrected(corrected: Corrected) -> Self {
        match corrected {
            Corrected::Done(seq) => Self::Done(seq),
            Corrected::NothingToDo => Self::NothingToDo,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn to_word(self) -> String {
        match self {
            Self::Recorded(seq) => format!("recorded:{seq}"),
            Self::Held(seq) => format!("held:{seq}"),
            Self::Done(seq) => format!("done:{seq}"),
            Self::NothingToDo => "nothing:0".to_owned(),
        }
    }

    pub(super) fn parse(word: &str) -> Self {
        let (kind, seq) = word.split_once(':').unwrap();
        let seq = seq.parse().unwrap();
        match kind {
            "recorded" => Self::Recorded(seq),
            "held" => Self::Held(seq),
            "done" => Self::Done(seq),
            "nothing" => Self::NothingToDo,
            other => panic!("{other}"),
        }
    }
}

/// What must be there of a lane.
#[derive(Debug)]
pub(super) struct Lane {
    seed: u64,
    lane: u64,
    /// The step that was not acknowledged yet.
    pub(super) next: u64,
    /// Every version by its place in the order.
    pub(super) versions: BTreeMap<u64, Event>,
    /// The place of the version that stands, by identifier.
    current: BTreeMap<String, u64>,
    /// How many places in the order it has taken.
    pub(super) records: u64,
}

/// What there was of a step that was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unacknowledged {
    Absent,
    InPart,
    Present,
}

impl Lane {
    pub(super) fn new(seed: u64, lane: u64) -> Self {
        let (versions, current) = (BTreeMap::new(), BTreeMap::new());
        Self { seed, lane, next: 0, versions, current, records: 0 }
    }

    /// The next step was acknowledged.
    pub(super) fn acknowledged(&mut self, at: u64, outcomes: &[Outcome]) {
        assert_eq!(at, self.next, "one step after the other");
        match Step::of(self.seed, self.lane, at) {
            Step::Append(sent) => {
                assert_eq!(sent.len(), outcomes.len());
                for (sent, outcome) in sent.iter().zip(outcomes) {
                    match (self.current.get(&sent.identifier), outcome) {
                        (None, Outcome::Recorded(seq)) => self.add(sent.recorded(*seq)),
                        (Some(held), Outcome::Held(seq)) => assert_eq!(held, seq, "{sent:?}"),
                        other => panic!("{other:?}: {sent:?}"),
                    }
                }
            }
            Step::Correct(orders) => {
                assert_eq!(orders.len(), outcomes.len());
                for (order, outcome) in orders.iter().zip(outcomes) {
                    match (self.effect(order), outcome) {
                        (Some(standing), Outcome::Done(seq)) => self.correct(order, standing, *seq),
                        (None, Outcome::NothingToDo) => {}
                        other => panic!("{other:?}: {order:?}"),
                    }
                }
            }
        }
        self.next += 1;
    }

    fn add(&mut self, event: Event) {
        assert_eq!(self.current.insert(event.identifier.clone(), event.seq), None);
        assert_eq!(self.versions.insert(event.seq, event), None);
        self.records += 1;
    }

    fn standing(&self, identifier: &str) -> Standing {
        self.versions[&self.current[identifier]].standing
    }

    /// How the event stands behind the order, if that changes anything.
    fn effect(&self, order: &Correction) -> Option<Standing> {
        match (self.standing(&order.identifier), &order.action) {
            (Standing::Counts, Action::Cancel) => Some(Standing::Cancelled),
            (Standing::Cancelled, Action::Restore) => Some(Standing::Counts),
            (Standing::Counts, Action::Amend(_)) => Some(Standing::Amended),
            _ => None,
        }
    }

    fn correct(&mut self, order: &Correction, standing: Standing, seq: u64) {
        let event = self.versions.get_mut(&self.current[&order.identifier]).unwrap();
        event.standing = standing;
        if let Action::Amend(amendment) = &order.action {
            let Amendment { timestamp, measure, dimensions, payload } = (**amendment).clone();
            let standing = Standing::Counts;
            let old = event.clone();
            let by = Event { seq, standing, timestamp, measure, dimensions, payload, ..old };
            assert_eq!(self.versions.insert(seq, by), None);
            self.current.insert(order.identifier.clone(), seq);
        }
        self.records += 1;
    }

    /// Takes what was found of the step that was not acknowledged for done. What else was found is
    /// for the caller to compare.
    pub(super) fn resolve(&mut self, found: &BTreeMap<u64, Event>) -> Unacknowledged {
        let (mut present, mut absent) = (0, 0);
        match Step::of(self.seed, self.lane, self.next) {
            Step::Append(sent) => {
                for sent in sent {
                    // Sent a second time, it may have been there.
                    if self.current.contains_key(&sent.identifier) {
                        continue;
                    }
                    let mut found = found.values();
                    match found.find(|event| event.identifier == sent.identifier) {
                        Some(event) => self.add(sent.recorded(event.seq)),
                        None => absent += 1,
                    }
                    present += u64::from(self.current.contains_key(&sent.identifier));
                }
                assert!(present == 0 || absent == 0, "a batch is there as a whole or not at all");
            }
            Step::Correct(orders) => {
                for order in orders {
                    let Some(standing) = self.effect(&order) else { continue };
                    let seq = self.current[&order.identifier];
                    let is_done = found.get(&seq).is_some_and(|event| event.standing == standing);
                    // An amendment left a version; no other order needs a place.
                    let mut versions = found.range(seq + 1..);
                    let by = versions.find(|(_, event)| event.identifier == order.identifier);
                    if is_done {
                        assert_eq!(absent, 0, "one order after the other");
                        self.correct(&order, standing, by.map_or(0, |(seq, _)| *seq));
                        present += 1;
                    } else {
                        absent += 1;
                    }
                }
            }
        }
        match (present, absent) {
            (0, _) => Unacknowledged::Absent,
            (_, 0) => Unacknowledged::Present,
            _ => Unacknowledged::InPart,
        }
    }
}
