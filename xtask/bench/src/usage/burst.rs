//! Events through the stream: bursts, beside PostgreSQL or not, and many more without a pause.

use std::path::Path;
use std::rc::Rc;

use super::cast::Cast;
use super::options::{Options, Part};
use super::postgres::{self, Peer};
use super::quiet::{Used, Watch, rounds};
use super::stage::{Home, make_customers, make_meters};
use super::stream::{Load, Maker, Outcome, Source, run};
use super::totals::Totals;
use super::workload::Workload;
use super::{now_s, scratch};
use crate::client::Client;
use crate::figures::median;
use crate::machine;
use crate::server::Server;
use crate::words::{Asked, Better, grouped, per_second, tenths};

const EVENTS: u64 = 5_000_000;
const EVENTS_SUSTAINED: u64 = 50_000_000;
const CUSTOMERS: usize = 1_000;
/// How often a long run says how fast it is.
pub(crate) const STEP_EVENTS: u64 = 5_000_000;

const BURST: Asked = Asked {
    what: "durable events/s through the v2 stream, 100 per request, burst",
    better: Better::More,
    required: 500_000,
    goal: 1_000_000,
    shown: grouped,
    unit: "",
};
/// For the sustained parts, over HTTP or not.
pub(crate) const SUSTAINED: Asked = Asked {
    what: "durable events/s, sustained, with index, merges and the memory bound on",
    better: Better::More,
    required: 250_000,
    goal: 500_000,
    shown: grouped,
    unit: "",
};
const OF_POSTGRES: Asked = Asked {
    what: "burst against a PostgreSQL events table of a peer's shape, same rounds",
    better: Better::More,
    required: 150,
    goal: 300,
    shown: tenths,
    unit: " x",
};

/// One round.
#[derive(Debug, Clone, Copy)]
struct Round {
    per_second: u64,
    p50_us: u64,
    p99_us: u64,
    used: Used,
    events: u64,
    postgres: Option<postgres::Round>,
}

/// A burst on an empty data directory in each round, and as many rounds of PostgreSQL if wanted.
pub(crate) fn bursts(directory: &Path, options: &Options) -> Result<(), String> {
    let events = options.events.unwrap_or(EVENTS);
    let peer = match (options.wants(Part::Postgres), &options.postgres_url) {
        (false, _) => None,
        (true, Some(url)) => Some(Peer::prepare(url, options.postgres_events)?),
        (true, None) => return Err("the part `postgres` needs --postgres-url".to_owned()),
    };
    println!(
        "stream: {} events a round, each on an empty data directory without a warm-up; {} \
         connections, 100 events a request, bodies made beforehand; {} customers, 8 meters",
        grouped(events),
        options.connections,
        grouped(u64::try_from(options.customers.unwrap_or(CUSTOMERS)).unwrap_or(0)),
    );
    let measure = |round| {
        let postgres = peer.as_ref().map(Peer::round).transpose()?;
        let round = burst(directory, options, round, events, postgres)?;
        Ok(round)
    };
    let disturbed = |round: &Round| {
        let postgres = round.postgres.map_or(0, |it| it.others_percent);
        round.used.others_percent.max(postgres)
    };
    let rounds = rounds(options.rounds(), measure, disturbed)?;
    let of = |value: fn(&Round) -> u64| median(rounds.iter().map(value));
    println!(
        "request p50 {} µs, p99 {} µs; server CPU {} µs/event",
        grouped(of(|it| it.p50_us)),
        grouped(of(|it| it.p99_us)),
        tenths(of(|it| it.used.measured_us * 10 / it.events)),
    );
    println!("{}", BURST.beside(of(|it| it.per_second)));
    if peer.is_some() {
        println!(
            "PostgreSQL: {} rows/s",
            grouped(of(|it| it.postgres.map_or(0, |postgres| postgres.per_second)))
        );
        let ratio = |round: &Round| {
            round.postgres.map_or(0, |it| round.per_second * 10 / it.per_second.max(1))
        };
        println!("{}", OF_POSTGRES.beside(median(rounds.iter().map(ratio))));
    }
    Ok(())
}

fn burst(
    directory: &Path,
    options: &Options,
    round: usize,
    events: u64,
    postgres: Option<postgres::Round>,
) -> Result<Round, String> {
    let home = scratch(directory)?;
    let stage = Stage::set(&home.path().join("data"), options, events, CUSTOMERS)?;
    let mut maker = stage.maker()?;
    let requests = maker.all()?;
    let (expected, new) = (maker.totals.clone(), maker.new);
    let Stage { server, cast, workload } = stage;
    let watch = Watch::start(vec![server.pid()])?;
    let outcome = run(load(server, options, Source::Prepared(requests)))?;
    let used = watch.stop()?;
    check_counts(&outcome, events, new)?;
    let checked = finish(outcome.server, &expected, &cast, &workload)?;
    let round = Round {
        per_second: per_second(events, outcome.took),
        p50_us: outcome.requests.p50_us,
        p99_us: outcome.requests.p99_us,
        used,
        events,
        postgres,
    }
    .told(round);
    println!("  {} recorded, {} copies; {checked} are exact", grouped(new), grouped(events - new));
    Ok(round)
}

impl Round {
    fn told(self, round: usize) -> Self {
        let postgres = self.postgres.map_or(String::new(), |postgres| {
            format!(
                "; PostgreSQL {} rows/s, p50 {} µs a batch, its CPU {} µs/row, others {} %",
                grouped(postgres.per_second),
                grouped(postgres.p50_us),
                tenths(postgres.cpu_tenth_us),
                postgres.others_percent,
            )
        });
        println!(
            "  round {round}: {} events/s, server CPU {} µs/event, load CPU {} µs/event, others {} \
             %{postgres}",
            grouped(self.per_second),
            tenths(self.used.measured_us * 10 / self.events),
            tenths(self.used.load_us * 10 / self.events),
            self.used.others_percent,
        );
        self
    }
}

/// A server and whose events it will get.
struct Stage {
    server: Server,
    cast: Rc<Cast>,
    workload: Workload,
}

impl Stage {
    /// Starts a server on an empty directory and makes its meters and customers.
    fn set(data: &Path, options: &Options, events: u64, customers: usize) -> Result<Self, String> {
        let customers = options.customers.unwrap_or(customers);
        let home = Home::at(data, &options.server);
        let server = home.start()?;
        let mut client = Client::connect(server.address)?;
        let meters = make_meters(&mut client)?;
        let ids = make_customers(&mut client, customers)?;
        let cast = Rc::new(Cast::new(home.scope()?, meters, ids));
        let now_s = now_s()?;
        let seed = u64::try_from(now_s).unwrap_or(0);
        let workload = Workload { seed, customers, now_s, spread_s: 0, events, large_each: 0 };
        Ok(Self { server, cast, workload })
    }

    fn maker(&self) -> Result<Maker, String> {
        Maker::new(self.workload, &self.cast, self.server.address)
    }
}

fn check_counts(outcome: &Outcome, events: u64, new: u64) -> Result<(), String> {
    let (recorded, duplicates) = (outcome.recorded, outcome.duplicates);
    if (recorded, recorded + duplicates) == (new, events) {
        return Ok(());
    }
    Err(format!("{recorded} of {new} events were recorded, and {duplicates} were duplicates"))
}

fn load(server: Server, options: &Options, source: Source) -> Load {
    let connections = options.connections;
    Load { server, connections, source, step: STEP_EVENTS, kill_at: None }
}

/// Holds the server's totals against what was sent, and stops it.
fn finish(
    server: Server,
    expected: &Totals,
    cast: &Cast,
    workload: &Workload,
) -> Result<String, String> {
    let mut client = Client::connect(server.address)?;
    let checked = expected.check(expected, &mut client, cast, workload.now_s)?;
    drop(client);
    server.stop()?;
    Ok(checked)
}

/// Very many events through the stream, made in the thread of the load as they are sent.
pub(crate) fn sustained(directory: &Path, options: &Options) -> Result<(), String> {
    let events = options.events.unwrap_or(EVENTS_SUSTAINED);
    println!(
        "sustained: {} events over HTTP, made as they are sent; {} connections",
        grouped(events),
        options.connections
    );
    let one = |round| sustain(directory, options, round, events);
    let kept = rounds(options.rounds.unwrap_or(1), one, |round| round.used.others_percent)?;
    println!("{}", SUSTAINED.beside(median(kept.iter().map(|round| round.per_second))));
    Ok(())
}

fn sustain(
    directory: &Path,
    options: &Options,
    round: usize,
    events: u64,
) -> Result<Round, String> {
    let home = scratch(directory)?;
    let stage = Stage::set(&home.path().join("data"), options, events, CUSTOMERS)?;
    let source = Source::Made(Box::new(stage.maker()?));
    let Stage { server, cast, workload } = stage;
    let watch = Watch::start(vec![server.pid()])?;
    let outcome = run(load(server, options, source))?;
    let used = watch.stop()?;
    for (place, step) in outcome.steps.iter().enumerate() {
        println!(
            "    to {} M: {} events/s, server holds {} MiB",
            (u64::try_from(place).unwrap_or(0) + 1) * STEP_EVENTS / 1_000_000,
            grouped(step.per_second),
            grouped(step.rss_kib / 1_024),
        );
    }
    let Source::Made(maker) = &outcome.source else { return Err("nothing was sent".to_owned()) };
    check_counts(&outcome, events, maker.new)?;
    let memory = machine::memory(&outcome.server.pid())?;
    let (took, requests) = (outcome.took, outcome.requests);
    let checked = finish(outcome.server, &maker.totals, &cast, &workload)?;
    println!(
        "  {checked} are exact; memory {} MiB at the end, {} MiB at most",
        grouped(memory.rss_kib / 1_024),
        grouped(memory.peak_kib / 1_024),
    );
    let (p50_us, p99_us) = (requests.p50_us, requests.p99_us);
    let per_second = per_second(events, took);
    Ok(Round { per_second, p50_us, p99_us, used, events, postgres: None }.told(round))
}
