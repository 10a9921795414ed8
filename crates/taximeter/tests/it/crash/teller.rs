//! One client of several: fills ledger after ledger, and takes up again where a crash left it.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::client::{Answer, Broken, Connection};
use super::ledger::{Fate, Ledger};
use super::random::Random;

/// How long a database may hold on to what a dead server had begun.
const IN_USE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many acknowledged events are sent again after a restart.
const RESENT: usize = 3;

/// How long a teller works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until its connection breaks.
    Broken,
    /// Until its ledger is complete.
    Complete,
}

#[derive(Debug)]
pub(crate) struct Teller {
    number: usize,
    random: Random,
    price: String,
    pub(crate) ledgers: Vec<Ledger>,
    /// The ledgers before this one were complete before the server was last started.
    pub(crate) settled: usize,
}

/// What a teller works with until the server dies.
struct Shift<'a> {
    lines: [Connection; 2],
    answered: &'a Sender<()>,
}

impl Teller {
    pub(crate) fn new(number: usize, random: Random, price: String) -> Self {
        let mut teller = Self { number, random, price, ledgers: Vec::new(), settled: 0 };
        teller.open_ledger();
        teller
    }

    fn open_ledger(&mut self) {
        let name = format!("t{}-l{}", self.number, self.ledgers.len());
        self.ledgers.push(Ledger::new(name, &self.price));
    }

    /// Works for as long as it is told, or until its connection breaks. Each answer is told to
    /// `answered`.
    pub(crate) fn work(&mut self, address: &str, until: Until, answered: &Sender<()>) {
        // Only the last may be incomplete.
        self.settled = self.ledgers.len() - 1;
        let open = || Connection::open(address);
        let (Ok(first), Ok(second)) = (open(), open()) else { return };
        let mut shift = Shift { lines: [first, second], answered };
        let mut worked = self.resend(&mut shift);
        while worked.is_ok() {
            if self.ledgers[self.settled..].iter().all(Ledger::is_complete) {
                if until == Until::Complete {
                    return;
                }
                self.open_ledger();
            }
            worked = self.step(&mut shift);
        }
    }

    /// Sends again what was acknowledged: the answer must be the same.
    fn resend(&mut self, shift: &mut Shift<'_>) -> Result<(), Broken> {
        let place = self.random.index(self.ledgers.len());
        let ledger = &mut self.ledgers[place];
        if ledger.customer.answer.is_some() {
            make_customer(ledger, shift)?;
        }
        if ledger.subscription.answer.is_some() {
            make_subscription(ledger, shift)?;
        }
        for _ in 0..RESENT {
            let event = self.random.index(ledger.events.len());
            if matches!(ledger.events[event].fate, Fate::Counted(_)) {
                record(ledger, &[event], shift)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, shift: &mut Shift<'_>) -> Result<(), Broken> {
        let ledger = self.ledgers.last_mut().expect("a ledger");
        if ledger.customer.answer.is_none() {
            return make_customer(ledger, shift);
        }
        if ledger.subscription.answer.is_none() {
            return make_subscription(ledger, shift);
        }
        let open = ledger.open_events();
        let one = open[self.random.index(open.len())];
        let other = open[self.random.index(open.len())];
        match self.random.below(3) {
            0 => record(ledger, &[one], shift),
            // The same event over both lines at once.
            1 => record(ledger, &[one, one], shift),
            _ => record(ledger, &[one, other], shift),
        }
    }
}

fn make_customer(ledger: &mut Ledger, shift: &mut Shift<'_>) -> Result<(), Broken> {
    let answer = shift.ask_until_free(&ledger.customer.post(""))?;
    ledger.customer.settle(answer);
    Ok(())
}

fn make_subscription(ledger: &mut Ledger, shift: &mut Shift<'_>) -> Result<(), Broken> {
    let customer = ledger.customer.id().expect("a customer");
    let answer =
        shift.ask_until_free(&ledger.subscription.post(&format!("&customer={customer}")))?;
    ledger.subscription.settle(answer);
    Ok(())
}

/// Sends one event over each line, and then waits for the answers.
fn record(ledger: &mut Ledger, places: &[usize], shift: &mut Shift<'_>) -> Result<(), Broken> {
    let customer = ledger.customer.id().expect("a customer");
    let lines = shift.lines.iter_mut().zip(places);
    let sent = lines.map(|(line, place)| line.send(&ledger.events[*place].post(&customer)));
    let sent: Vec<Result<(), Broken>> = sent.collect();
    let lines = shift.lines.iter_mut().zip(sent);
    let answers = lines.map(|(line, sent)| sent.and_then(|()| line.receive()).ok());
    let answers: Vec<Option<Answer>> = answers.collect();
    for answer in answers.iter().flatten() {
        shift.tell(answer);
    }
    match (places, answers.as_slice()) {
        ([one, other], [first, second]) if one != other => {
            ledger.events[*one].settle(std::slice::from_ref(first));
            ledger.events[*other].settle(std::slice::from_ref(second));
        }
        _ => ledger.events[places[0]].settle(&answers),
    }
    if answers.iter().all(Option::is_some) { Ok(()) } else { Err(Broken) }
}

impl Shift<'_> {
    /// Asks until nothing else holds the key. The database may still be busy with what a server
    /// asked of it before it was killed.
    fn ask_until_free(&mut self, post: &super::client::Post) -> Result<Answer, Broken> {
        let started = Instant::now();
        loop {
            let answer = self.lines[0].post(post)?;
            if answer.status != 409 {
                self.tell(&answer);
                return Ok(answer);
            }
            assert!(started.elapsed() < IN_USE_TIMEOUT, "{post:?}: {}", answer.body);
        }
    }

    fn tell(&self, _: &Answer) {
        // Nobody counts any more once the server is to be stopped.
        let _uncounted = self.answered.send(());
    }
}
