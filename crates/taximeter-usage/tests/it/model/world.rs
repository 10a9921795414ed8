//! What may happen to an engine: random events, corrections and questions, of few names and few
//! times, so that they meet.

use taximeter_kernel::aggregate::{Aggregation, Formula, Measure, Window};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Customer, Id, Meter, Mode, Scope};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{
    Action, Amendment, Correction, DimensionFilter, EventQuery, Order, RequestKey, Series,
    UsageQuery,
};

use super::random::Random;
use crate::support::{DAY, HOUR, MIDNIGHT, SEVEN, Sent, customer, meter, percentile};

/// How many combinations of dimension values a customer may have for a meter: few, so that some
/// events bring one too many.
pub(crate) const SERIES_MAX: usize = 7;

const VALUES: [&str; 6] = ["", "eu", "us-east-1", "us-east-2", "größer", "eu\u{0}"];

pub(crate) struct MeterOf {
    pub(crate) id: Id<Meter>,
    pub(crate) aggregation: Aggregation,
    event_name: String,
    dimensions: usize,
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) customers: Vec<Id<Customer>>,
    pub(crate) meters: Vec<MeterOf>,
    /// How many identifiers there are.
    identifiers: u64,
    pub(crate) now: i64,
    /// What was sent last, to be sent again.
    recent: Vec<Sent>,
    /// What was corrected last, to be corrected again.
    corrected: Option<Sent>,
}

fn aggregations() -> Vec<Aggregation> {
    let mut formulas: Vec<Formula> =
        Formula::WORDS.iter().filter_map(|word| Formula::parse(word, None)).collect();
    for tenths in ["50", "99.9"] {
        formulas.push(percentile(tenths).formula);
    }
    let windows = [None, Some(Window::Hour), Some(Window::Day)];
    let with = |formula: Formula| windows.map(|window| Aggregation { formula, window });
    formulas.into_iter().flat_map(with).collect()
}

impl World {
    /// A few meters out of all that there can be.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let account = |name: &str, mode| Scope { account: Id::parse(name).unwrap(), mode };
        let scopes = vec![
            account("acct_a", Mode::Live),
            account("acct_a", Mode::Test),
            account("acct_b", Mode::Live),
        ];
        let all = aggregations();
        let mut meters: Vec<MeterOf> = Vec::new();
        while meters.len() < 4 {
            let aggregation = *random.one(&all);
            let id = meter(aggregation);
            if meters.iter().any(|meter| meter.id == id) {
                continue;
            }
            let dimensions = random.index(4);
            // Meters may share a name if their events look alike: an order to amend goes by name.
            let members = aggregation.formula.counts_members();
            let event_name = format!("name {dimensions} {members}");
            meters.push(MeterOf { id, aggregation, event_name, dimensions });
        }
        let identifiers = *random.one(&[50, 500, 5_000]);
        let customers = ["cus_a", "cus_b", "cus_with_a_longer_name"].map(customer).to_vec();
        let (now, recent, corrected) = (SEVEN, Vec::new(), None);
        Self { random, scopes, customers, meters, identifiers, now, recent, corrected }
    }

    fn scope(&mut self) -> Scope {
        let which = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2];
        self.scopes[*self.random.one(&which)].clone()
    }

    fn customer(&mut self) -> Id<Customer> {
        self.random.one(&self.customers).clone()
    }

    /// Names that are easily taken for one another, some of them in the form of a UUID.
    fn identifier(&mut self) -> String {
        let number = self.random.below(self.identifiers);
        match number % 5 {
            0 => format!("0b9c2f3e-7a11-4d52-9f6b-{number:012x}"),
            1 => format!("0B9C2F3E-7A11-4D52-9F6B-{:012X}", number - 1),
            2 => format!("0b9c2f3e7a114d529f6b{:012x}", number - 2),
            3 => number.to_string(),
            _ => format!("{number} {}", "ß".repeat(usize::try_from(number % 97).unwrap())),
        }
    }

    /// Mostly of this hour, some late, few hours and seconds, so that many meet.
    pub(crate) fn timestamp(&mut self) -> Timestamp {
        let hour = match self.random.below(20) {
            0..12 => (self.now - MIDNIGHT) / HOUR,
            12..18 => self.random.from(-5, 30),
            18 => self.random.from(-40 * 24, 40),
            _ => -MIDNIGHT / HOUR + self.random.from(-30, 30),
        };
        let second = match self.random.below(3) {
            0 => 0,
            1 => HOUR - 1,
            _ => self.random.from(0, 40),
        };
        Timestamp(MIDNIGHT + hour * HOUR + second)
    }

    fn measure(&mut self, formula: Formula) -> Measure {
        if formula.counts_members() {
            let member = u128::from(self.random.below(9));
            return Measure::Member(if self.random.chance(50) {
                member
            } else {
                u128::MAX - member
            });
        }
        let scale = u8::try_from(self.random.below(4)).unwrap();
        let (mantissa, scale) = match self.random.below(10) {
            0 => (self.random.from(-999_999_999_999_999, 999_999_999_999_999), scale),
            1 => (self.random.from(-9, 9), 18),
            2 => (0, 0),
            _ => (self.random.from(-1_000, 1_000), scale),
        };
        Measure::Number(Decimal::new(mantissa.into(), scale).unwrap())
    }

    fn dimensions(&mut self, length: usize) -> Vec<String> {
        // The more dimensions, the fewer values, so that combinations meet.
        let values = VALUES.len() / length.max(1);
        (0..length).map(|_| (*self.random.one(&VALUES[..values])).to_owned()).collect()
    }

    fn payload(&mut self, of: &Id<Customer>, measure: Measure) -> Vec<(String, String)> {
        let value = match measure {
            Measure::Number(value) => value.to_string(),
            Measure::Member(member) => member.to_string(),
        };
        let pairs = [
            ("stripe_customer_id", of.as_str().to_owned()),
            ("value", value),
            ("region", (*self.random.one(&VALUES)).to_owned()),
            ("value", "again".to_owned()),
        ];
        let kept = usize::try_from(self.random.below(5)).unwrap();
        pairs.into_iter().take(kept).map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn request(&mut self) -> Option<RequestKey> {
        let key = self.random.below(60);
        // Two keys that agree in their lower half.
        let key = u128::from(key) << *self.random.one(&[0, 64]);
        let fingerprint = self.random.below(2);
        self.random.chance(20).then_some(RequestKey { key, fingerprint })
    }

    fn event(&mut self, scope: &Scope) -> Sent {
        if self.random.chance(10)
            && let Some(again) = self.again(scope)
        {
            return again;
        }
        let customer = self.customer();
        let at = self.random.index(self.meters.len());
        let MeterOf { id, aggregation, event_name, dimensions } = &self.meters[at];
        let (id, aggregation, event_name) = (id.clone(), *aggregation, event_name.clone());
        let dimensions = *dimensions;
        let measure = self.measure(aggregation.formula);
        Sent {
            scope: scope.clone(),
            received: Timestamp(self.now),
            meter: id,
            aggregation,
            event_name,
            identifier: self.identifier(),
            timestamp: self.timestamp(),
            measure,
            dimensions: self.dimensions(dimensions),
            payload: self.payload(&customer, measure),
            request: self.request(),
            backfill: self.random.chance(5).then(|| "backfill_7".to_owned()),
            customer,
        }
    }

    /// An event that was sent before, now and then under another identifier.
    fn again(&mut self, scope: &Scope) -> Option<Sent> {
        let other = self.identifier();
        let same = self.random.chance(60);
        let before: Vec<&Sent> = self.recent.iter().filter(|sent| sent.scope == *scope).collect();
        let before = (*before.get(self.random.index(before.len().max(1)))?).clone();
        let received = Timestamp(self.now);
        let identifier = if same { before.identifier.clone() } else { other };
        Some(Sent { received, identifier, ..before })
    }

    /// From one event to fifty.
    pub(crate) fn events(&mut self) -> Vec<Sent> {
        let scope = self.scope();
        let most = *self.random.one(&[1, 1, 3, 3, 10, 50]);
        let length = 1 + self.random.below(most);
        let sent: Vec<Sent> = (0..length).map(|_| self.event(&scope)).collect();
        self.recent.extend(sent.iter().cloned());
        let forgotten = self.recent.len().saturating_sub(100);
        self.recent.drain(..forgotten);
        sent
    }

    /// Mostly of an event that was sent, mostly in time.
    pub(crate) fn correction(&mut self) -> Correction {
        let scope = self.scope();
        let recent = self.random.index(self.recent.len().max(1));
        let sent = match (self.random.below(10), &self.corrected, self.recent.get(recent)) {
            (0..3, Some(sent), _) | (3..9, _, Some(sent)) => sent.clone(),
            _ => self.event(&scope),
        };
        self.corrected = Some(sent.clone());
        Correction {
            scope: if self.random.chance(95) { sent.scope.clone() } else { scope },
            event_name: if self.random.chance(97) { sent.event_name.clone() } else { "?".into() },
            customer: self.random.chance(70).then(|| sent.customer.clone()),
            now: Timestamp(self.now),
            window_s: *self.random.one(&[None, Some(2 * HOUR), Some(DAY), Some(DAY)]),
            action: match self.random.below(4) {
                0 | 1 => Action::Cancel,
                2 => Action::Restore,
                _ => Action::Amend(Box::new(self.amendment(&sent))),
            },
            identifier: sent.identifier,
        }
    }

    fn amendment(&mut self, sent: &Sent) -> Amendment {
        let measure = self.measure(sent.aggregation.formula);
        let moved = self.random.chance(50);
        let regrouped = self.random.chance(50);
        let dimensions = self.dimensions(sent.dimensions.len());
        Amendment {
            timestamp: if moved { self.timestamp() } else { sent.timestamp },
            measure,
            dimensions: if regrouped { dimensions } else { sent.dimensions.clone() },
            payload: self.payload(&sent.customer, measure),
        }
    }

    /// Some seconds pass, now and then an hour or a day.
    pub(crate) fn wait(&mut self) {
        self.now += match self.random.below(20) {
            0 => DAY,
            1 => HOUR,
            _ => self.random.from(1, 100),
        };
    }

    pub(crate) fn usage_query(&mut self, position: u64) -> UsageQuery {
        let (scope, customer) = (self.scope(), self.customer());
        let MeterOf { id, aggregation, dimensions, .. } = self.random.one(&self.meters);
        let (aggregation, dimensions) = (*aggregation, *dimensions);
        let series = Series { scope, meter: id.clone(), customer };
        let mut filters = Vec::new();
        let mut group_by: Vec<usize> = Vec::new();
        if dimensions > 0 {
            while self.random.chance(25) {
                let length = self.random.index(4);
                let dimension = self.random.index(dimensions);
                let values = (0..length).map(|_| (*self.random.one(&VALUES)).to_owned()).collect();
                filters.push(DimensionFilter { dimension, values });
            }
            if self.random.chance(40) {
                group_by = (0..dimensions).filter(|_| self.random.chance(60)).collect();
            }
            if self.random.chance(50) {
                group_by.reverse();
            }
        }
        let as_of = self.random.chance(35).then(|| self.random.below(position + 7));
        UsageQuery { series, aggregation, filters, group_by, as_of }
    }

    pub(crate) fn boundaries(&mut self) -> Vec<Timestamp> {
        let step = *self.random.one(&[HOUR, DAY, 2 * DAY]);
        match self.random.below(8) {
            // Everything.
            0 => vec![Timestamp(-100 * DAY), Timestamp(self.now + 100 * DAY)],
            // Whole hours or days.
            1..=4 => {
                let start = self.timestamp().0.div_euclid(step) * step;
                let spans = self.random.from(1, 30);
                (0..=spans).map(|span| Timestamp(start + span * step)).collect()
            }
            // As they come.
            _ => {
                let number = self.random.below(5) + 1;
                let mut boundaries: Vec<Timestamp> =
                    (0..number).map(|_| self.timestamp()).collect();
                boundaries.sort_unstable();
                boundaries
            }
        }
    }

    pub(crate) fn events_query(&mut self, position: u64) -> EventQuery {
        let (start, end) = (self.timestamp(), self.timestamp());
        let meter = self.random.one(&self.meters).id.clone();
        EventQuery {
            scope: self.scope(),
            customer: self.random.chance(60).then(|| self.customer()),
            meter: self.random.chance(40).then_some(meter),
            period: self.random.chance(40).then_some(Period { start, end }),
            order: *self.random.one(&[Order::Newest, Order::Oldest]),
            after: self.random.chance(50).then(|| self.random.below(position + 2)),
            limit: 1 + self.random.index(20),
        }
    }

    /// A scope, perhaps a customer, and an identifier.
    pub(crate) fn name(&mut self) -> (Scope, Option<Id<Customer>>, String) {
        let customer = self.random.chance(50).then(|| self.customer());
        (self.scope(), customer, self.identifier())
    }
}
