//! Servers that are killed, or stopped, while clients use them: all that was acknowledged is there,
//! once, and the rest is there whole or not at all.
//!
//! Tellers fill ledgers: a customer, its subscription, its events. Each request can be recognised
//! when it is sent again, by an idempotency key, by an identifier, or by both. After each kill the
//! totals are held against what the tellers know, before anybody sends anything again; then each
//! teller goes on where it was cut off, and what the totals showed must be what its retry is told.
//!
//! A process that is killed leaves to the operating system what it has written, synced or not. That
//! an acknowledgement waits for the disk is tested in `taximeter-usage`, with disks that fail.
//!
//! An endpoint is told of all that the tellers make, and answers. In the end it has been told of each
//! event that is there, and of nothing else: what was undone told nobody.
//!
//! What is sent and when the server is killed follow from a seed, which is printed; how far the
//! server has come by then does not. `TAXIMETER_CRASH_SEED` repeats a seed, `TAXIMETER_CRASH_KILLS`
//! asks for more than the usual kills.

mod books;
mod client;
mod ledger;
mod random;
mod renewals;
mod teller;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use taximeter_db::testing;
use tempfile::TempDir;

use crate::server::Server;
use crate::webhooks::receiver::Endpoint;
use books::{Books, Doubts, Unanswered};
use client::SECRET_KEY;
use ledger::EVENT_NAME;
use random::Random;
use teller::{Teller, Until};

/// The clients that are at work at once.
const TELLERS: usize = 8;
/// How often the server is killed at work, unless told otherwise.
const KILLS: u64 = 32;
/// How often it is killed while it starts on nothing.
const KILLS_AT_FIRST_START: u64 = 4;
/// After so many kills at work it is killed once more, while it starts on what a kill left.
const KILLS_PER_RESTART: u64 = 4;
/// How often it is asked to stop.
const STOPS: usize = 5;
/// Fewer answers than this come between a start and its end.
const ANSWERS_MAX: u64 = 160;
/// How long after the last awaited answer the server is ended, at most.
const DELAY_US_MAX: u64 = 4_000;
/// A start that is killed has this long, at most; it needs about as long.
const START_MS_MAX: u64 = 120;
/// Tellers that get no answer for so long wait in vain.
const SILENCE_MAX: Duration = Duration::from_secs(30);

#[test]
fn a_kill_at_any_moment_loses_nothing_and_doubles_nothing_on_sqlite() {
    kill_again_and_again(&mut House::on_sqlite());
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_doubles_nothing_on_postgres() {
    on_postgres(kill_again_and_again);
}

#[test]
fn a_stop_answers_all_that_it_does_on_sqlite() {
    stop_again_and_again(&mut House::on_sqlite());
}

#[test]
fn a_stop_answers_all_that_it_does_on_postgres() {
    on_postgres(stop_again_and_again);
}

/// Runs on a PostgreSQL database of its own, if there is a server for tests.
fn on_postgres(run: fn(&mut House)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Some(database) = runtime.block_on(testing::postgres()) else {
        println!("not run: {} is not set", testing::POSTGRES_URL_VARIABLE);
        return;
    };
    run(&mut House::new("PostgreSQL", vec!["--database-url".to_owned(), database.url()]));
    drop(database);
}

/// Everything that outlives a server, and a seed.
struct House {
    database: &'static str,
    arguments: Vec<String>,
    directory: TempDir,
    endpoint: Endpoint,
    random: Random,
}

impl House {
    fn on_sqlite() -> Self {
        Self::new("SQLite", Vec::new())
    }

    fn new(database: &'static str, more: Vec<String>) -> Self {
        let seed = asked("TAXIMETER_CRASH_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
        println!("{database}: TAXIMETER_CRASH_SEED={seed}");
        // A claim of a server that was killed ends by itself on PostgreSQL: soon.
        let mut arguments =
            ["--secret-key", SECRET_KEY, "--webhooks-timeout", "1s"].map(str::to_owned).to_vec();
        arguments.extend(more);
        let directory = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::well();
        Self { database, arguments, directory, endpoint, random: Random::new(seed) }
    }

    fn start(&self) -> Server {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Server::start(self.directory.path(), &arguments)
    }

    fn kill_at_start(&mut self) {
        let delay = Duration::from_millis(self.random.below(START_MS_MAX));
        kill_at_start(self.directory.path(), &self.arguments, delay);
    }

    /// Makes what all ledgers need; returns the tellers and the id of the meter.
    fn open(&mut self) -> (Vec<Teller>, String) {
        let server = self.start();
        let mut books = Books::open(server.address(), "");
        let endpoint = format!("enabled_events[]=*&url={}", self.endpoint.url);
        books.make("/v1/webhook_endpoints", &endpoint);
        let meter = format!(
            "display_name=Crashes&event_name={EVENT_NAME}&default_aggregation[formula]=sum"
        );
        let meter = books.make("/v1/billing/meters", &meter);
        let price = format!(
            "currency=usd&unit_amount=1000000&product_data[name]=Crashes\
             &recurring[interval]=month&recurring[usage_type]=metered&recurring[meter]={meter}"
        );
        let price = books.make("/v1/prices", &price);
        server.stop();
        let teller = |number| Teller::new(number, self.random.fork(), price.clone());
        ((0..TELLERS).map(teller).collect(), meter)
    }
}

#[expect(clippy::disallowed_methods, reason = "who looks for a failure says how")]
fn asked(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("a number"))
}

fn kill_again_and_again(house: &mut House) {
    let started = Instant::now();
    for _ in 0..KILLS_AT_FIRST_START {
        house.kill_at_start();
    }
    let (mut tellers, meter) = house.open();
    let mut doubts = Doubts::default();
    let kills = asked("TAXIMETER_CRASH_KILLS").unwrap_or(KILLS);
    for kill in 1..=kills {
        if kill % KILLS_PER_RESTART == 0 {
            house.kill_at_start();
        }
        let server = house.start();
        check(house, &server, &mut tellers, &meter, (Unanswered::WholeOrNothing, &mut doubts));
        work(house, &server, &mut tellers, "KILL");
        assert_eq!(server.wait(), None, "it ended before it was killed");
    }
    let server = house.start();
    check(house, &server, &mut tellers, &meter, (Unanswered::WholeOrNothing, &mut doubts));
    finish(&server, &mut tellers, &meter);
    server.stop();
    // A restart without a crash must come to the same, too.
    let server = house.start();
    check_all(&server, &mut tellers, &meter);
    let (told, again) = check_told(house, &server);
    println!("{}: told of {told} events, and of {again} of them once more", house.database);
    println!(
        "{}: {kills} kills at work and {} at start, {} events; of those in doubt {} were there and \
         {} were not; {:?}",
        house.database,
        KILLS_AT_FIRST_START + kills / KILLS_PER_RESTART,
        books::events(&tellers),
        doubts.found,
        doubts.not_found,
        started.elapsed()
    );
    assert!(doubts.found + doubts.not_found > 0, "no kill met an event under way");
}

fn stop_again_and_again(house: &mut House) {
    let (mut tellers, meter) = house.open();
    let mut doubts = Doubts::default();
    for _ in 0..STOPS {
        let server = house.start();
        check(house, &server, &mut tellers, &meter, (Unanswered::Nothing, &mut doubts));
        work(house, &server, &mut tellers, "TERM");
        assert_eq!(server.wait(), Some(0));
    }
    let server = house.start();
    check(house, &server, &mut tellers, &meter, (Unanswered::Nothing, &mut doubts));
    finish(&server, &mut tellers, &meter);
    check_told(house, &server);
    println!(
        "{}: {STOPS} stops, {} events; {} were turned away unread",
        house.database,
        books::events(&tellers),
        doubts.not_found
    );
}

/// Holds what changed since the last start against the server, and of each teller one older ledger.
fn check(
    house: &mut House,
    server: &Server,
    tellers: &mut [Teller],
    meter: &str,
    (left, doubts): (Unanswered, &mut Doubts),
) {
    let mut books = Books::open(server.address(), meter);
    for teller in &mut *tellers {
        if teller.settled > 0 {
            let older = house.random.index(teller.settled);
            books.check(&mut teller.ledgers[older], left, doubts);
        }
        for ledger in &mut teller.ledgers[teller.settled..] {
            books.check(ledger, left, doubts);
        }
    }
    books.check_newest(tellers, left);
}

/// Lets the tellers work and sends the server a signal in the middle of it.
fn work(house: &mut House, server: &Server, tellers: &mut [Teller], signal: &str) {
    let answers = house.random.below(ANSWERS_MAX);
    let delay = Duration::from_micros(house.random.below(DELAY_US_MAX));
    let (answered, answer) = channel();
    let address = server.address();
    std::thread::scope(|scope| {
        for teller in tellers {
            let answered = answered.clone();
            scope.spawn(move || teller.work(address, Until::Broken, &answered));
        }
        for _ in 0..answers {
            answer.recv_timeout(SILENCE_MAX).expect("answers");
        }
        wait(delay);
        server.signal(signal);
    });
}

/// Lets the tellers complete their ledgers, and holds everything against the server.
fn finish(server: &Server, tellers: &mut [Teller], meter: &str) {
    let (answered, _answer) = channel();
    let address = server.address();
    std::thread::scope(|scope| {
        for teller in &mut *tellers {
            let answered = answered.clone();
            scope.spawn(move || teller.work(address, Until::Complete, &answered));
        }
    });
    check_all(server, tellers, meter);
}

fn check_all(server: &Server, tellers: &mut [Teller], meter: &str) {
    let mut books = Books::open(server.address(), meter);
    let ledgers = tellers.iter_mut().flat_map(|teller| &mut teller.ledgers);
    for ledger in ledgers {
        assert!(ledger.is_complete(), "{ledger:?}");
        books.check(ledger, Unanswered::Nothing, &mut Doubts::default());
    }
    books.check_all(tellers);
}

/// Waits until the endpoint has been told of every event that is there, and checks that it was told
/// of no other. Returns of how many, and how many calls told of one once more.
fn check_told(house: &House, server: &Server) -> (usize, usize) {
    let mut books = Books::open(server.address(), "");
    let events = books.event_ids();
    let (mut told, mut calls) = (BTreeSet::new(), 0);
    while told.len() < events.len() {
        let event = house.endpoint.next().event();
        let id = event["id"].as_str().expect("an id").to_owned();
        assert!(events.contains(&id), "told of what did not happen: {event}");
        told.insert(id);
        calls += 1;
    }
    (told.len(), calls - told.len())
}

/// Starts a server and kills it, mostly before it is ready.
fn kill_at_start(dir: &Path, arguments: &[String], delay: Duration) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_taximeter"))
        .env_clear()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir", dir.to_str().unwrap()])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait(delay);
    assert_eq!(server.try_wait().unwrap(), None, "it ended by itself");
    server.kill().unwrap();
    server.wait().unwrap();
}

fn wait(delay: Duration) {
    let (_sender, nothing): (_, Receiver<()>) = channel();
    let _timeout = nothing.recv_timeout(delay);
}
