//! The engine against the naive one: whatever is done to both, they answer alike.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use taximeter_kernel::aggregate::Window;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Mode, Scope};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{
    Appended, Cancel, EventQuery, Grain, NewEvent, REQUEST_KEY_KEPT_S, RequestKey, Series,
};

use crate::naive::Naive;
use crate::support::{MIDNIGHT, Place, SEVEN, block_on, customer, meter};

const HOUR: i64 = 3_600;
const CASES: u32 = 100;
const STEPS: usize = 200;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<NewEvent>),
    Cancel(Cancel),
    Total(Series, Option<Window>, Period),
    Totals(Series, Option<Window>, Period, Grain),
    Events(EventQuery),
    /// The identifier of which customer.
    Find(Scope, u8, u8),
    Reopen,
    /// So many seconds pass.
    Wait(i64),
}

fn a_scope() -> impl Strategy<Value = Scope> {
    (prop_oneof![9 => Just("acct_a"), 1 => Just("acct_b")], prop::bool::weighted(0.9)).prop_map(
        |(account, live)| Scope {
            account: Id::parse(account).unwrap(),
            mode: Mode::from_live(live),
        },
    )
}

fn a_series() -> impl Strategy<Value = Series> {
    (a_scope(), 0_u8..2, 0_u8..3).prop_map(|(scope, of_meter, of_customer)| Series {
        scope,
        meter: meter(&format!("mtr_{of_meter}")),
        customer: customer(&format!("cus_{of_customer}")),
    })
}

/// Mostly of this hour, some late, few hours and seconds, so that many meet.
fn a_timestamp() -> impl Strategy<Value = i64> {
    let hour = prop_oneof![6 => Just(7), 3 => 0_i64..24, 1 => -40_i64..40];
    let second = prop_oneof![Just(0), Just(3_599), 0_i64..40];
    (hour, second).prop_map(|(hour, second)| MIDNIGHT + hour * HOUR + second)
}

/// Never so large that an hour overflows: what then happens has its own tests.
fn a_value() -> impl Strategy<Value = (i128, u8)> {
    (-1_000_i128..1_000, 0_u8..4)
}

/// An event as sent, without the times that the clock gives it.
fn an_event() -> impl Strategy<Value = NewEvent> {
    let request = prop::option::weighted(0.3, (0_u128..60, 0_u64..2));
    let names = (0_u8..2, 0_u8..120);
    (a_series(), names, a_timestamp(), a_value(), request).prop_map(
        |(series, (event_name, identifier), timestamp, (mantissa, scale), request)| NewEvent {
            scope: series.scope,
            meter: series.meter,
            customer: series.customer,
            event_name: format!("name {event_name}"),
            identifier: format!("identifier {identifier}"),
            timestamp: Timestamp(timestamp),
            value: Decimal::new(mantissa, scale).unwrap(),
            payload: vec![("value".to_owned(), format!("{mantissa} / {scale}"))],
            received: Timestamp(0),
            request: request.map(|(key, fingerprint)| RequestKey { key, fingerprint }),
        },
    )
}

fn a_cancel() -> impl Strategy<Value = Cancel> {
    let customer_name = prop::option::of(0_u8..3);
    (a_scope(), 0_u8..2, 0_u8..120, customer_name).prop_map(
        |(scope, event_name, identifier, of_customer)| Cancel {
            scope,
            event_name: format!("name {event_name}"),
            identifier: format!("identifier {identifier}"),
            customer: of_customer.map(|number| customer(&format!("cus_{number}"))),
            now: Timestamp(0),
            window_s: 2 * HOUR,
        },
    )
}

fn a_period() -> impl Strategy<Value = Period> {
    (a_timestamp(), a_timestamp())
        .prop_map(|(start, end)| Period { start: Timestamp(start), end: Timestamp(end) })
}

fn a_window() -> impl Strategy<Value = Option<Window>> {
    prop_oneof![Just(None), Just(Some(Window::Hour)), Just(Some(Window::Day))]
}

fn a_step() -> impl Strategy<Value = Step> {
    let grain = prop_oneof![Just(Grain::Hour), Just(Grain::Day)];
    let query = (a_series(), a_period(), 0_u64..200, 0_usize..7)
        .prop_map(|(series, period, after, limit)| EventQuery { series, period, after, limit });
    let wait = prop_oneof![6 => 1_i64..100, 1 => Just(REQUEST_KEY_KEPT_S)];
    prop_oneof![
        40 => prop::collection::vec(an_event(), 1..4).prop_map(Step::Append),
        15 => a_cancel().prop_map(Step::Cancel),
        15 => (a_series(), a_window(), a_period()).prop_map(|(s, w, p)| Step::Total(s, w, p)),
        15 => (a_series(), a_window(), a_period(), grain)
            .prop_map(|(s, w, p, g)| Step::Totals(s, w, p, g)),
        15 => query.prop_map(Step::Events),
        5 => (a_scope(), 0_u8..3, 0_u8..120).prop_map(|(s, c, i)| Step::Find(s, c, i)),
        1 => Just(Step::Reopen),
        5 => wait.prop_map(Step::Wait),
    ]
}

struct Both {
    place: Place,
    naive: Naive,
    now: i64,
}

impl Both {
    fn step(mut self, step: Step) -> Self {
        match step {
            Step::Append(mut batch) => {
                for event in &mut batch {
                    event.received = Timestamp(self.now);
                }
                let expected: Vec<Appended> =
                    batch.iter().map(|event| self.naive.append(event.clone())).collect();
                assert_eq!(block_on(self.place.engine.append(batch)).unwrap(), expected);
            }
            Step::Cancel(order) => {
                let order = Cancel { now: Timestamp(self.now), ..order };
                let expected = self.naive.cancel(&order);
                assert_eq!(block_on(self.place.engine.cancel(order)).unwrap(), expected);
            }
            Step::Total(series, window, period) => {
                let total = self.place.engine.total(&series, window, period).unwrap();
                assert_eq!(total, self.naive.total(&series, window, period));
            }
            Step::Totals(series, window, period, grain) => {
                let totals = self.place.engine.totals(&series, window, period, grain).unwrap();
                assert_eq!(totals, self.naive.totals(&series, window, period, grain));
            }
            Step::Events(query) => {
                let events = self.place.engine.events(&query).unwrap();
                assert_eq!(events, self.naive.events(&query));
            }
            Step::Find(scope, of_customer, identifier) => {
                let customer = customer(&format!("cus_{of_customer}"));
                let identifier = format!("identifier {identifier}");
                let found = self.place.engine.event_by_identifier(&scope, &customer, &identifier);
                let expected = self.naive.event_by_identifier(&scope, &customer, &identifier);
                assert_eq!(found.unwrap().as_ref(), expected);
            }
            Step::Reopen => self.place = self.place.reopened(),
            Step::Wait(seconds) => self.now += seconds,
        }
        self
    }
}

#[test]
fn the_engine_answers_like_the_naive_one_after_every_step() {
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        max_shrink_time: 20_000,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(a_step(), STEPS), |steps| {
            let both = Both { place: Place::new(), naive: Naive::default(), now: SEVEN };
            let both = steps.into_iter().fold(both, Both::step);
            // What the run found is what a restart finds.
            both.step(Step::Reopen).everything_agrees();
            Ok(())
        })
        .unwrap();
}

impl Both {
    fn everything_agrees(self) {
        let naive = &self.naive;
        for event in &naive.events {
            let found = self.place.engine.event_by_identifier(
                &event.scope,
                &event.customer,
                &event.identifier,
            );
            assert_eq!(found.unwrap().as_ref(), Some(event));
        }
    }
}
