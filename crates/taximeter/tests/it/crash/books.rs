//! What a server has, held against what the tellers know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::client::{Answer, Connection, Post};
use super::ledger::{Counts, EVENTS, Fate, Ledger, counts_of_money, counts_of_usage};
use super::teller::Teller;

const HOUR_S: i64 = 3_600;

/// What an end may leave of a request that it kept from being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// All of it or nothing: the server was killed.
    WholeOrNothing,
    /// Nothing: the server stopped as it was asked to.
    Nothing,
}

/// How often events were in doubt, and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    pub(crate) found: usize,
    pub(crate) not_found: usize,
}

/// A line to a server that nobody else talks to.
#[derive(Debug)]
pub(crate) struct Books {
    line: Connection,
    meter: String,
}

impl Books {
    pub(crate) fn open(address: &str, meter: &str) -> Self {
        let line = Connection::open(address).expect("a server");
        Self { line, meter: meter.to_owned() }
    }

    /// Holds one ledger against its totals, and notes what became of events in doubt.
    pub(crate) fn check(&mut self, ledger: &mut Ledger, left: Unanswered, doubts: &mut Doubts) {
        let Some(customer) = ledger.customer.id() else { return };
        let counted = self.usage(&customer, ledger);
        if let Some(subscription) = ledger.subscription.id() {
            assert_eq!(self.money(&subscription), counted, "{}: usage and money", ledger.name);
        }
        for (place, event) in ledger.events.iter_mut().enumerate() {
            let count = counted[place];
            let expected = match event.fate {
                Fate::Absent => count == 0,
                Fate::Present | Fate::Counted(_) => count == 1,
                Fate::Unknown if left == Unanswered::Nothing => count == 0,
                Fate::Unknown => count <= 1,
            };
            assert!(expected, "{} {place}: counted {count} times: {event:?}", ledger.name);
            if event.fate == Fate::Unknown {
                let (fate, doubt) = if count == 1 {
                    (Fate::Present, &mut doubts.found)
                } else {
                    (Fate::Absent, &mut doubts.not_found)
                };
                event.fate = fate;
                *doubt += 1;
            }
        }
    }

    fn usage(&mut self, customer: &str, ledger: &Ledger) -> Counts {
        let made: Value = json(ledger.customer.answer.as_ref().expect("a customer"));
        let minute = made["created"].as_i64().unwrap() / 60 * 60;
        let (start, end) = (minute - HOUR_S, minute + HOUR_S);
        let summaries = self.read(&format!(
            "/v1/billing/meters/{}/event_summaries?customer={customer}&start_time={start}\
             &end_time={end}",
            self.meter
        ));
        let totals = summaries["data"].as_array().unwrap();
        assert_eq!(totals.len(), 1, "{summaries}");
        counts_of_usage(&totals[0]["aggregated_value"].to_string())
    }

    fn money(&mut self, subscription: &str) -> Counts {
        let form = format!("subscription={subscription}");
        let path = "/v1/invoices/create_preview";
        let preview = self.line.post(&Post { path, form, idempotency_key: None });
        counts_of_money(&ok(&preview.expect("a server"))["total"].to_string())
    }

    /// Checks that no ledger has two objects of a kind among the newest, and after an end that
    /// answered everything, none that its teller does not know.
    pub(crate) fn check_newest(&mut self, tellers: &[Teller], left: Unanswered) {
        let answered = answered(tellers);
        for (path, answered) in [
            ("/v1/customers?limit=100", &answered.customers),
            ("/v1/subscriptions?limit=100&status=all", &answered.subscriptions),
        ] {
            let page = self.read(path);
            let stored = by_ledger(page["data"].as_array().unwrap());
            for (ledger, id) in &stored {
                match answered.get(ledger) {
                    Some(known) => assert_eq!(id, known, "{path} of {ledger}"),
                    None => assert_ne!(left, Unanswered::Nothing, "{path} has {ledger}"),
                }
            }
        }
    }

    /// Checks that the objects are those that were acknowledged, with one event in the outbox each.
    pub(crate) fn check_all(&mut self, tellers: &[Teller]) {
        let answered = answered(tellers);
        for (path, kind, answered) in [
            ("/v1/customers?", "customer.created", &answered.customers),
            (
                "/v1/subscriptions?status=all&",
                "customer.subscription.created",
                &answered.subscriptions,
            ),
        ] {
            assert_eq!(by_ledger(&self.list(path)), *answered, "{path}");
            let events = self.list(&format!("/v1/events?type={kind}&"));
            let objects: Vec<Value> =
                events.iter().map(|event| event["data"]["object"].clone()).collect();
            assert_eq!(by_ledger(&objects), *answered, "{kind}");
        }
    }

    /// The ids of all events.
    pub(crate) fn event_ids(&mut self) -> BTreeSet<String> {
        let events = self.list("/v1/events?");
        events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// All pages of a list.
    fn list(&mut self, path: &str) -> Vec<Value> {
        let mut rows: Vec<Value> = Vec::new();
        loop {
            let after = rows.last().map_or_else(String::new, |row| {
                format!("&starting_after={}", row["id"].as_str().unwrap())
            });
            let page = self.read(&format!("{path}limit=100{after}"));
            rows.extend_from_slice(page["data"].as_array().unwrap());
            if page["has_more"] == false {
                return rows;
            }
        }
    }

    fn read(&mut self, path: &str) -> Value {
        ok(&self.line.get(path).expect("a server"))
    }

    /// Makes an object and returns its id.
    pub(crate) fn make(&mut self, path: &'static str, form: &str) -> String {
        let post = Post { path, form: form.to_owned(), idempotency_key: None };
        let made = ok(&self.line.post(&post).expect("a server"));
        made["id"].as_str().unwrap().to_owned()
    }
}

/// The ids that were acknowledged, by ledger.
struct Answered {
    customers: BTreeMap<String, String>,
    subscriptions: BTreeMap<String, String>,
}

fn answered(tellers: &[Teller]) -> Answered {
    let ledgers = || tellers.iter().flat_map(|teller| &teller.ledgers);
    let customers = ledgers().filter_map(|it| Some((it.name.clone(), it.customer.id()?)));
    let subscriptions = ledgers().filter_map(|it| Some((it.name.clone(), it.subscription.id()?)));
    Answered { customers: customers.collect(), subscriptions: subscriptions.collect() }
}

/// The ids of objects by their ledgers, each of which has one.
fn by_ledger(objects: &[Value]) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for object in objects {
        let word = |value: &Value| value.as_str().expect("a text").to_owned();
        let (ledger, id) = (word(&object["metadata"]["ledger"]), word(&object["id"]));
        if let Some(other) = ids.insert(ledger.clone(), id.clone()) {
            panic!("{ledger} has both {other} and {id}");
        }
    }
    ids
}

/// How many events all ledgers hold.
pub(crate) fn events(tellers: &[Teller]) -> usize {
    tellers.iter().map(|teller| teller.ledgers.len() * EVENTS).sum()
}

fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    json(&answer.body)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}
