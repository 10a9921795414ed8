//! All that an engine answers about its lanes.

use std::collections::BTreeMap;

use taximeter_kernel::aggregate::{Aggregation, Counted, usage_of};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{Engine, Event, EventQuery, Order, Series, Standing, UsageGroup, UsageQuery};

use super::lane::{LANES, aggregations, customer_of};
use crate::support::{COUNT, HOUR, SEVEN, events_query, meter, scope};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) position: u64,
    /// Of each lane, by the place in the order.
    pub(super) lanes: Vec<BTreeMap<u64, Event>>,
    usage: Vec<Vec<UsageGroup>>,
}

/// What the totals are asked for.
fn boundaries() -> Vec<Timestamp> {
    let hours = [-1_000, -20, -7, -1, 0, 1, 13, 1_000];
    hours.map(|hour| Timestamp(SEVEN + hour * HOUR)).to_vec()
}

fn questions() -> Vec<UsageQuery> {
    let mut questions = Vec::new();
    for lane in 0..LANES {
        for aggregation in aggregations() {
            let series =
                Series { scope: scope(), meter: meter(aggregation), customer: customer_of(lane) };
            questions.push(UsageQuery::of(series.clone(), aggregation));
            if aggregation == COUNT {
                let query = UsageQuery::of(series, aggregation);
                questions.push(UsageQuery { group_by: vec![0], ..query });
            }
        }
    }
    questions
}

fn page_through(engine: &Engine, mut query: EventQuery) -> BTreeMap<u64, Event> {
    let mut found = BTreeMap::new();
    loop {
        let page = engine.events(&query).unwrap();
        for event in page.events {
            assert!(found.insert(event.seq, event).is_none(), "a place is listed once");
        }
        query.after = page.next;
        if query.after.is_none() {
            return found;
        }
    }
}

impl Seen {
    pub(super) fn by(engine: &Engine) -> Self {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let customer = Some(customer_of(lane));
                page_through(engine, EventQuery { customer, ..events_query(Order::Oldest) })
            })
            .collect();
        // The same by the log itself, backwards.
        let all = page_through(
            engine,
            EventQuery { customer: None, limit: 101, ..events_query(Order::Newest) },
        );
        assert_eq!(all.len(), lanes.iter().map(BTreeMap::len).sum::<usize>());
        for (seq, event) in lanes.iter().flatten() {
            assert_eq!(all.get(seq), Some(event));
        }
        let questions = questions();
        let usage = questions.iter().map(|query| engine.usage(query, &boundaries()).unwrap());
        let seen = Self { position: engine.position().unwrap(), usage: usage.collect(), lanes };
        seen.totals_are_those_of_its_events();
        seen
    }

    fn totals_are_those_of_its_events(&self) {
        let lanes = &self.lanes;
        let mut usage = self.usage.iter();
        for query in questions() {
            let lane =
                lanes.iter().zip(0..).find(|(_, lane)| customer_of(*lane) == query.series.customer);
            let (events, _) = lane.unwrap();
            let mut groups: BTreeMap<Vec<String>, Vec<Counted>> = BTreeMap::new();
            if query.group_by.is_empty() {
                groups.entry(Vec::new()).or_default();
            }
            let counted = events.values().filter(|event| {
                event.meter == query.series.meter && event.standing == Standing::Counts
            });
            for event in counted {
                let Event { seq, timestamp, measure, .. } = *event;
                let by = query.group_by.iter().map(|by| event.dimensions[*by].clone());
                let group = groups.entry(by.collect()).or_default();
                group.push(Counted { seq, timestamp, measure });
            }
            let mut found = usage.next().unwrap().clone();
            // A group whose events were all cancelled may be given.
            found.retain(|group| groups.contains_key(&group.dimensions));
            let expected: Vec<UsageGroup> = groups
                .into_iter()
                .map(|(dimensions, events)| UsageGroup {
                    dimensions,
                    usage: plainly(query.aggregation, &events),
                })
                .collect();
            assert_eq!(found, expected, "{query:?}");
        }
    }
}

fn plainly(
    aggregation: Aggregation,
    events: &[Counted],
) -> Vec<taximeter_kernel::aggregate::Usage> {
    let boundaries = boundaries();
    let spans = boundaries.windows(2).map(|ends| Period { start: ends[0], end: ends[1] });
    spans.map(|span| usage_of(aggregation, span, events).unwrap()).collect()
}
