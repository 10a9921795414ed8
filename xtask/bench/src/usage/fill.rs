//! A data directory with very many events, which other parts measure.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use taximeter_kernel::id::{Customer, Id, Meter, Mode, Scope};
use taximeter_kernel::time::{DAY_S, HOUR_S, Period, Timestamp};
use taximeter_usage::{Engine, Series, UsageQuery};

use super::burst::{STEP_EVENTS, SUSTAINED};
use super::cast::{AGGREGATION, Cast, made_up_customers};
use super::direct::{Fed, Feed};
use super::options::Options;
use super::quiet::Watch;
use super::stage::{Home, make_customers, make_meters};
use super::totals::Totals;
use super::workload::{METERS, Workload};
use super::{made_up_scope, memory_bytes, now_s, scratch, settings, sizes};
use crate::client::Client;
use crate::machine::{self, Memory};
use crate::words::{grouped, per_second};

const EVENTS: u64 = 100_000_000;
const EVENTS_SUSTAINED: u64 = 50_000_000;
const CUSTOMERS: usize = 100_000;
/// The totals of the customers with most events are held against what was appended, and those of one
/// of so many others.
const CUSTOMERS_CHECKED: usize = 1_000;
const CUSTOMERS_CHECKED_EACH: usize = 97;
/// How many of the customers the server knows; the others only have events.
const KNOWN: usize = 100;
/// What was filled is said in this file.
const FACTS: &str = "bench.json";

/// What a filled directory holds.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) home: Home,
    pub(crate) events: u64,
    pub(crate) now_s: i64,
    pub(crate) customers: usize,
    /// The events of the large customer, and what they add up to.
    pub(crate) large: (u64, u64),
    pub(crate) scope: Scope,
    pub(crate) meters: Vec<Id<Meter>>,
    pub(crate) known: Vec<Id<Customer>>,
    pub(crate) memory: Memory,
    pub(crate) memory_bytes: u64,
    pub(crate) seed: u64,
}

/// Where the filled directory is, or will be.
pub(crate) fn place(directory: &Path, options: &Options) -> PathBuf {
    options.data.clone().unwrap_or_else(|| directory.join("bench-filled"))
}

/// Makes the directory.
pub(crate) fn fill(directory: &Path, options: &Options) -> Result<(), String> {
    let data = place(directory, options);
    if data.exists() {
        return Err(format!("{} exists: remove it, or name another with --data", data.display()));
    }
    fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    let events = options.events.unwrap_or(EVENTS);
    let customers = options.customers.unwrap_or(CUSTOMERS);
    let workload = Workload {
        seed: 101,
        customers,
        now_s: now_s()?,
        spread_s: options.spread_s(),
        events,
        large_each: (events / options.large_events).max(2),
    };
    let home = Home::at(&data, &options.server);
    let server = home.start()?;
    let mut client = Client::connect(server.address)?;
    let meters = make_meters(&mut client)?;
    let known = make_customers(&mut client, KNOWN.min(customers))?;
    drop(client);
    server.stop()?;
    let scope = home.scope()?;
    let mut ids = known.clone();
    ids.extend(made_up_customers(known.len(), customers)?);
    let cast = Cast::new(scope.clone(), meters.clone(), ids);
    let engine = Engine::open(&home.usage(), settings(options)).map_err(|it| it.to_string())?;
    println!(
        "fill: {} events of {customers} customers and 8 meters into {}",
        grouped(events),
        data.display()
    );
    let (fed, memory) = feed(&engine, options, &cast, &workload)?;
    println!("{}", settle(&engine)?);
    let large = check(&engine, &cast, &workload, fed.recorded)?;
    engine.close();
    told(&fed, memory, options);
    let filled = Filled {
        home,
        events,
        now_s: workload.now_s,
        customers,
        large,
        scope,
        meters,
        known,
        memory,
        memory_bytes: memory_bytes(options),
        seed: workload.seed,
    };
    filled.store()
}

/// As the fill, into a directory that is removed again.
pub(crate) fn sustained(directory: &Path, options: &Options) -> Result<(), String> {
    let events = options.events.unwrap_or(EVENTS_SUSTAINED);
    let customers = options.customers.unwrap_or(CUSTOMERS);
    let (now_s, spread_s) = (now_s()?, options.spread_s());
    let workload = Workload { seed: 103, customers, now_s, spread_s, events, large_each: 0 };
    let cast = Cast::made_up(made_up_scope()?, customers)?;
    let home = scratch(directory)?;
    let engine = Engine::open(home.path(), settings(options)).map_err(|it| it.to_string())?;
    println!("sustained: {} events of {customers} customers, past HTTP", grouped(events));
    let (fed, memory) = feed(&engine, options, &cast, &workload)?;
    check(&engine, &cast, &workload, fed.recorded)?;
    told(&fed, memory, options);
    println!("{}", SUSTAINED.beside(per_second(events, fed.took)));
    println!("{}", settle(&engine)?);
    engine.close();
    sizes::print(home.path(), fed.recorded)?;
    Ok(())
}

fn feed(
    engine: &Engine,
    options: &Options,
    cast: &Cast,
    workload: &Workload,
) -> Result<(Fed, Memory), String> {
    let before = machine::memory("self")?;
    let watch = Watch::start(Vec::new())?;
    let ready = |number| workload.ready(number);
    let (end, batch, in_flight) = (workload.events, options.batch, options.in_flight);
    let fed =
        Feed { engine, cast, ready, first: 0, end, batch, in_flight, step: STEP_EVENTS }.run()?;
    let (memory, used) = (machine::memory("self")?, watch.stop()?);
    println!(
        "  {} µs of processor time per event, others had {} %; this process held {} MiB before",
        used.load_us / workload.events.max(1),
        used.others_percent,
        before.rss_kib / 1_024,
    );
    Ok((fed, memory))
}

fn told(fed: &Fed, memory: Memory, options: &Options) {
    let events = fed.recorded + fed.duplicates;
    println!(
        "  {} events/s with the making of events in it; {} recorded, {} copies",
        grouped(per_second(events, fed.took)),
        grouped(fed.recorded),
        grouped(fed.duplicates),
    );
    println!("{}", memory_line(memory, memory_bytes(options)));
}

/// What the process held, beside the setting.
pub(crate) fn memory_line(memory: Memory, setting: u64) -> String {
    let setting = setting / 1_024 / 1_024;
    let mib = |kib: u64| grouped(kib / 1_024);
    let within = if memory.peak_kib / 1_024 <= setting { "within" } else { "NOT within" };
    format!(
        "=> memory: {} MiB at the end ({} MiB without pages of files), {} MiB at most: {within} the \
         setting of {} MiB",
        mib(memory.rss_kib),
        mib(memory.anonymous_kib),
        mib(memory.peak_kib),
        grouped(setting),
    )
}

/// Waits until everything is in the index, merged and compressed, and says how long it took.
pub(crate) fn settle(engine: &Engine) -> Result<String, String> {
    let started = Instant::now();
    engine.flush().map_err(|error| error.to_string())?;
    let flushed = started.elapsed();
    engine.tidy().map_err(|error| error.to_string())?;
    let stats = engine.stats().map_err(|error| error.to_string())?;
    Ok(format!(
        "  flush {} ms, then merging and compressing to the end {} ms; an index of {} runs, {} MiB of \
         it in memory",
        grouped(u64::try_from(flushed.as_millis()).unwrap_or(0)),
        grouped(u64::try_from((started.elapsed() - flushed).as_millis()).unwrap_or(0)),
        stats.runs,
        stats.index_memory_bytes / 1_024 / 1_024,
    ))
}

/// Holds what was recorded, and the totals of many customers, against what was appended. Returns how
/// many events the large customer has, and what they add up to.
fn check(
    engine: &Engine,
    cast: &Cast,
    workload: &Workload,
    recorded: u64,
) -> Result<(u64, u64), String> {
    let (mut totals, mut new, mut large) = (Totals::of_none(workload.customers), 0, 0);
    for number in 0..workload.events {
        let draw = workload.draw(number);
        if draw.number == number {
            totals.add(&draw);
            new += 1;
            large += u64::from(workload.large_each > 0 && (draw.customer, draw.meter) == (0, 0));
        }
    }
    if recorded != new {
        return Err(format!("{recorded} of {new} events were recorded"));
    }
    let few = 0..workload.customers.min(CUSTOMERS_CHECKED);
    let others = (0..workload.customers).step_by(CUSTOMERS_CHECKED_EACH);
    let mut checked = 0;
    for customer in few.chain(others) {
        for meter in 0..METERS {
            let (counted, expected) =
                (total(engine, cast, (meter, customer), workload)?, totals.of(meter, customer));
            if counted != expected {
                let customer = &cast.customers[customer];
                return Err(format!("{customer} used {expected}, and {counted} was counted"));
            }
            checked += 1;
        }
    }
    println!("  {} totals are exact", grouped(checked));
    Ok((large, totals.of(0, 0)))
}

fn total(
    engine: &Engine,
    cast: &Cast,
    (meter, customer): (usize, usize),
    workload: &Workload,
) -> Result<u64, String> {
    let (meter, customer) = (cast.meters[meter].clone(), cast.customers[customer].clone());
    let series = Series { scope: cast.scope.clone(), meter, customer };
    let days = i64::try_from(workload.spread_s).unwrap_or(0) + 40 * DAY_S;
    let period =
        Period { start: Timestamp(workload.now_s - days), end: Timestamp(workload.now_s + HOUR_S) };
    let usage = engine.usage_in(&UsageQuery::of(series, AGGREGATION), period);
    let usage = usage.map_err(|error| error.to_string())?;
    u64::try_from(usage.quantity.whole()).map_err(|error| error.to_string())
}

impl Filled {
    /// Reads what was filled.
    pub(crate) fn load(directory: &Path, options: &Options) -> Result<Self, String> {
        let data = place(directory, options);
        let path = data.join(FACTS);
        let text = fs::read_to_string(&path).map_err(|error| {
            format!("{}: {error}; make it with `bench usage fill`", path.display())
        })?;
        let facts: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let home = Home::at(&data, &options.server);
        Self::read(&facts, home).ok_or_else(|| format!("{}: not of this version", path.display()))
    }

    fn read(facts: &Value, home: Home) -> Option<Self> {
        fn ids<K: taximeter_kernel::id::Kind>(list: &Value) -> Option<Vec<Id<K>>> {
            list.as_array()?.iter().map(|it| Id::parse(it.as_str()?).ok()).collect()
        }
        let number = |name: &str| facts[name].as_u64();
        Some(Self {
            home,
            events: number("events")?,
            now_s: facts["now_s"].as_i64()?,
            customers: usize::try_from(number("customers")?).ok()?,
            large: (number("large_events")?, number("large_sum")?),
            scope: Scope { account: Id::parse(facts["account"].as_str()?).ok()?, mode: Mode::Test },
            meters: ids(&facts["meters"])?,
            known: ids(&facts["known"])?,
            memory: Memory {
                rss_kib: number("rss_kib")?,
                anonymous_kib: number("anonymous_kib")?,
                peak_kib: number("peak_kib")?,
            },
            memory_bytes: number("memory_bytes")?,
            seed: number("seed")?,
        })
    }

    fn store(&self) -> Result<(), String> {
        fn texts<K>(ids: &[Id<K>]) -> Vec<String> {
            ids.iter().map(ToString::to_string).collect()
        }
        let facts = json!({
            "events": self.events,
            "now_s": self.now_s,
            "customers": self.customers,
            "large_events": self.large.0,
            "large_sum": self.large.1,
            "account": self.scope.account.as_str(),
            "meters": texts(&self.meters),
            "known": texts(&self.known),
            "rss_kib": self.memory.rss_kib,
            "anonymous_kib": self.memory.anonymous_kib,
            "peak_kib": self.memory.peak_kib,
            "memory_bytes": self.memory_bytes,
            "seed": self.seed,
        });
        let path = self.home.data.join(FACTS);
        fs::write(&path, facts.to_string()).map_err(|error| format!("{}: {error}", path.display()))
    }
}
