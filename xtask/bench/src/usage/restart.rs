//! From SIGKILL under load to ready, on a directory with very many events.

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use super::cast::Cast;
use super::fill::Filled;
use super::now_s;
use super::options::Options;
use super::stage::make_customers;
use super::stream::{Load, Maker, Source, run};
use super::workload::Workload;
use crate::client::Client;
use crate::figures::{median, micros};
use crate::server::Server;
use crate::words::{Asked, Better, grouped, millis};

/// Events are of customers that are new in each round, so that their totals can be told apart.
const CUSTOMERS: usize = 20;

const READY: Asked = Asked {
    what: "restart after SIGKILL, to ready, median",
    better: Better::Less,
    required: 5_000_000,
    goal: 1_000_000,
    shown: millis,
    unit: " ms",
};

/// One round.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// From the start of the program to the first 200 of `/readyz`.
    ready_us: u64,
    /// How many events were sent since the start before.
    tail: u64,
}

/// Kills and restarts the server, after more and more events.
pub(crate) fn measure(directory: &Path, options: &Options) -> Result<(), String> {
    let filled = Filled::load(directory, options)?;
    println!(
        "restart: {} events and those of the rounds; the server is killed while events come in \
         through the stream; the system's cache stays warm",
        grouped(filled.events)
    );
    let (mut server, us) = start(&filled)?;
    println!("  first start, after a clean stop: {} ms", millis(us));
    let (count, mut rounds) = (options.rounds(), Vec::new());
    for place in 1..=count {
        let tail =
            options.tail * u64::try_from(place).unwrap_or(1) / u64::try_from(count).unwrap_or(1);
        let (restarted, round) = kill(&filled, options, server, (place, tail.max(1)))?;
        server = restarted;
        rounds.push(round);
    }
    server.stop()?;
    let most = rounds.iter().max_by_key(|round| round.ready_us);
    if let Some(most) = most {
        println!("  longest: {} ms, after {} events", millis(most.ready_us), grouped(most.tail));
    }
    println!("{}", READY.beside(median(rounds.iter().map(|round| round.ready_us))));
    Ok(())
}

fn start(filled: &Filled) -> Result<(Server, u64), String> {
    let started = Instant::now();
    let server = filled.home.start()?;
    Client::connect(server.address)?.get("/readyz")?;
    Ok((server, micros(started.elapsed())))
}

/// Sends so many events and kills the server among them.
fn kill(
    filled: &Filled,
    options: &Options,
    server: Server,
    (place, tail): (usize, u64),
) -> Result<(Server, Round), String> {
    let mut client = Client::connect(server.address)?;
    let ids = make_customers(&mut client, CUSTOMERS)?;
    drop(client);
    let cast = Rc::new(Cast::new(filled.scope.clone(), filled.meters.clone(), ids));
    let now_s = now_s()?;
    let workload = Workload {
        seed: u64::try_from(now_s).unwrap_or(0),
        customers: CUSTOMERS,
        now_s,
        spread_s: 0,
        // Enough that it never ends before it is killed.
        events: tail * 2 + 1_000_000,
        large_each: 0,
    };
    let source = Source::Made(Box::new(Maker::new(workload, &cast, server.address)?));
    let connections = options.connections;
    let load = Load { server, connections, source, step: u64::MAX, kill_at: Some(tail) };
    let outcome = run(load)?;
    let (server, ready_us) = start(filled)?;
    let Source::Made(maker) = &outcome.source else { return Err("nothing was sent".to_owned()) };
    let least = outcome.answered_totals(&workload);
    let mut client = Client::connect(server.address)?;
    let checked = least.check(&maker.totals, &mut client, &cast, now_s)?;
    println!(
        "  round {place}: killed after {} events, ready after {} ms; {checked} hold all that was \
         acknowledged",
        grouped(tail),
        millis(ready_us),
    );
    Ok((server, Round { ready_us, tail }))
}
