//! What a teller knows of one customer, and what it may therefore expect.
//!
//! Event number k of a ledger uses ten to the power of k, in millionths. So the decimal digits of
//! a total say of each event how often it was counted: `100000.000001` is the first and the last
//! event, once each. A lost event is a 0, one that was counted twice is a 2, and neither can make
//! up for the other.

use serde_json::Value;

use super::client::{Answer, Post};

/// The events of one ledger: as many as an amount of money has digits.
pub(crate) const EVENTS: usize = 12;
/// How many of them are below 1.
const DECIMALS: usize = 6;
/// The name of the events that are sent.
pub(crate) const EVENT_NAME: &str = "crashes";

/// How often each event of a ledger was counted.
pub(crate) type Counts = [u8; EVENTS];

/// One customer, its subscription and its usage.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// `t3-l17`: the 17th ledger of the third teller.
    pub(crate) name: String,
    pub(crate) customer: Object,
    pub(crate) subscription: Object,
    pub(crate) events: Vec<Event>,
}

impl Ledger {
    pub(crate) fn new(name: String, price: &str) -> Self {
        let customer = Object {
            path: "/v1/customers",
            form: format!("metadata[ledger]={name}"),
            idempotency_key: format!("{name}-customer"),
            answer: None,
        };
        let subscription = Object {
            path: "/v1/subscriptions",
            form: format!("items[0][price]={price}&metadata[ledger]={name}"),
            idempotency_key: format!("{name}-subscription"),
            answer: None,
        };
        let events = (0..EVENTS).map(|place| Event::new(&name, place)).collect();
        Self { name, customer, subscription, events }
    }

    /// The places of the events whose acknowledgement is still to come.
    pub(crate) fn open_events(&self) -> Vec<usize> {
        let open = |place: &usize| !matches!(self.events[*place].fate, Fate::Counted(_));
        (0..EVENTS).filter(open).collect()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.subscription.answer.is_some() && self.open_events().is_empty()
    }
}

/// An object of the control plane that is made under an idempotency key.
#[derive(Debug)]
pub(crate) struct Object {
    path: &'static str,
    form: String,
    idempotency_key: String,
    /// The acknowledged answer.
    pub(crate) answer: Option<String>,
}

impl Object {
    /// The request that makes it; `more` is what its form says besides.
    pub(crate) fn post(&self, more: &str) -> Post {
        let (path, form) = (self.path, format!("{}{more}", self.form));
        Post { path, form, idempotency_key: Some(self.idempotency_key.clone()) }
    }

    /// Takes an answer of 200: the first, or the same again.
    pub(crate) fn settle(&mut self, answer: Answer) {
        assert_eq!(answer.status, 200, "{}: {}", self.idempotency_key, answer.body);
        match &self.answer {
            None => self.answer = Some(answer.body),
            Some(acknowledged) => {
                assert!(answer.replayed, "{} was made anew", self.idempotency_key);
                assert_eq!(answer.body, *acknowledged, "{}", self.idempotency_key);
            }
        }
    }

    pub(crate) fn id(&self) -> Option<String> {
        let answer: Value = serde_json::from_str(self.answer.as_ref()?).unwrap();
        Some(answer["id"].as_str().unwrap().to_owned())
    }
}

/// An event and what is known of it.
#[derive(Debug)]
pub(crate) struct Event {
    /// Its amount: one digit.
    value: String,
    identifier: Option<String>,
    idempotency_key: Option<String>,
    pub(crate) fate: Fate,
}

/// What is known of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is in no total.
    Absent,
    /// It was sent and the server died before it answered.
    Unknown,
    /// It was not acknowledged, and a total shows it.
    Present,
    /// It was acknowledged, with this answer if there was one to keep.
    Counted(Option<String>),
}

impl Event {
    fn new(ledger: &str, place: usize) -> Self {
        let name = format!("{ledger}-e{place}");
        // A retry is known by its identifier, by its idempotency key, or by both.
        let (identifier, idempotency_key) = match place % 3 {
            0 => (Some(name), None),
            1 => (None, Some(name)),
            _ => (Some(name.clone()), Some(name)),
        };
        Self { value: weight(place), identifier, idempotency_key, fate: Fate::Absent }
    }

    pub(crate) fn post(&self, customer: &str) -> Post {
        let identifier = self.identifier.as_ref();
        let identifier = identifier.map_or_else(String::new, |it| format!("&identifier={it}"));
        let form = format!(
            "event_name={EVENT_NAME}&payload[stripe_customer_id]={customer}&payload[value]={}\
             {identifier}",
            self.value
        );
        let idempotency_key = self.idempotency_key.clone();
        Post { path: "/v1/billing/meter_events", form, idempotency_key }
    }

    /// Takes the answers to copies that were sent at once; one that is missing broke off.
    pub(crate) fn settle(&mut self, answers: &[Option<Answer>]) {
        let mut recorded = 0;
        let mut body = match &self.fate {
            Fate::Counted(body) => body.clone(),
            Fate::Absent | Fate::Unknown | Fate::Present => None,
        };
        for answer in answers.iter().flatten() {
            if self.refuses_duplicate(answer) {
                continue;
            }
            assert_eq!(answer.status, 200, "{self:?}: {}", answer.body);
            recorded += usize::from(!answer.replayed);
            let first = body.get_or_insert_with(|| answer.body.clone());
            assert_eq!(*first, answer.body, "a replay differs from the answer it repeats");
        }
        let all_answered = answers.iter().all(Option::is_some);
        let expected = match &self.fate {
            Fate::Absent if all_answered => recorded == 1,
            // The one that was recorded may be the one that broke off.
            Fate::Absent => recorded <= 1,
            Fate::Present | Fate::Counted(_) => recorded == 0,
            Fate::Unknown => panic!("a broken connection was used again"),
        };
        assert!(expected, "recorded {recorded} times: {self:?} {answers:?}");
        if answers.iter().any(Option::is_some) {
            self.fate = Fate::Counted(body);
        } else if self.fate == Fate::Absent {
            self.fate = Fate::Unknown;
        }
    }

    /// Whether the answer says that the identifier is taken, as it should without a key.
    fn refuses_duplicate(&self, answer: &Answer) -> bool {
        let (Some(identifier), None) = (&self.identifier, &self.idempotency_key) else {
            return false;
        };
        let said = format!("An event already exists with identifier {identifier}.");
        answer.status == 400 && answer.body.contains(&said)
    }
}

/// Ten to the power of `place`, in millionths: `0.000001`, `0.00001` … `100000`.
fn weight(place: usize) -> String {
    match place.checked_sub(DECIMALS) {
        None => format!("0.{}1", "0".repeat(DECIMALS - place - 1)),
        Some(zeros) => format!("1{}", "0".repeat(zeros)),
    }
}

/// Reads a total of usage: `100000.000001` is one of the first and one of the last.
pub(crate) fn counts_of_usage(total: &str) -> Counts {
    let (whole, decimals) = total.split_once('.').unwrap_or((total, ""));
    assert!(decimals.len() <= DECIMALS, "{total}");
    counts(&format!("{whole}{decimals:0<DECIMALS$}"))
}

/// Reads a total of money, at a price of a million minor units: `100000000001` is the same.
pub(crate) fn counts_of_money(total: &str) -> Counts {
    counts(total)
}

fn counts(digits: &str) -> Counts {
    let digits = format!("{digits:0>EVENTS$}");
    assert_eq!(digits.len(), EVENTS, "more than all events: {digits}");
    let mut counts = Counts::default();
    for (count, digit) in counts.iter_mut().rev().zip(digits.bytes()) {
        *count = digit.checked_sub(b'0').filter(|it| *it < 10).expect("a digit");
    }
    counts
}

#[test]
fn a_total_says_how_often_each_event_was_counted() {
    assert_eq!([0, 5, 6, 11].map(weight), ["0.000001", "0.1", "1", "100000"]);
    let check = |usage, money, expected: &[(usize, u8)]| {
        let mut counts = Counts::default();
        for (place, count) in expected {
            counts[*place] = *count;
        }
        assert_eq!((counts_of_usage(usage), counts_of_money(money)), (counts, counts));
    };
    check("0", "0", &[]);
    check("100000.000001", "100000000001", &[(0, 1), (11, 1)]);
    check("2.1", "2100000", &[(5, 1), (6, 2)]);
    check("30", "30000000", &[(7, 3)]);
}
