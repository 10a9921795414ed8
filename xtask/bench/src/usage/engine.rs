//! The engine alone, beside raw appends of as many bytes to the same disk.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use taximeter_usage::Engine;

use super::cast::{Cast, Ready};
use super::direct::Feed;
use super::options::Options;
use super::quiet::{Used, Watch, rounds};
use super::workload::Workload;
use super::{made_up_scope, now_s, scratch, settings, sizes};
use crate::figures::median;
use crate::words::{Asked, Better, grouped, per_second, tenths};

const EVENTS: u64 = 5_000_000;
const CUSTOMERS: usize = 100_000;
/// Of how many events it is measured what one takes up in the log.
const SAMPLE_EVENTS: u64 = 200_000;

const OF_RAW: Asked = Asked {
    what: "engine alone against raw append + fdatasync of the same bytes, batch by batch",
    better: Better::More,
    required: 500,
    goal: 800,
    shown: tenths,
    unit: " %",
};

#[derive(Debug, Clone, Copy)]
struct Round {
    engine: u64,
    /// Each batch is synced.
    raw: u64,
    /// So many batches as wait at once are synced together.
    raw_together: u64,
    used: Used,
}

/// Measures the engine and the disk in turn.
pub(crate) fn measure(directory: &Path, options: &Options) -> Result<(), String> {
    let events = options.events.unwrap_or(EVENTS);
    let customers = options.customers.unwrap_or(CUSTOMERS);
    let now_s = now_s()?;
    let workload = Workload { seed: 7, customers, now_s, spread_s: 0, events, large_each: 0 };
    let cast = Cast::made_up(made_up_scope()?, customers)?;
    // Made beforehand, so that only what the engine's users do is measured.
    let ready: Vec<Ready> = (0..events).map(|number| workload.ready(number)).collect();
    let new = workload.count_new(0, events);
    let home = scratch(directory)?;
    let bytes = log_bytes(home.path(), options, &cast, &ready)?;
    println!(
        "engine: {} events a round on an empty directory, in batches of {}, {} at once, from one \
         thread; {} customers; {} bytes of log per event",
        grouped(events),
        grouped(options.batch),
        options.in_flight,
        grouped(u64::try_from(customers).unwrap_or(0)),
        tenths(bytes * 10 / events),
    );
    let measure = |round| {
        let engine = appended(directory, options, &cast, &ready, new)?;
        let batches = events.div_ceil(options.batch);
        let append = |at_once: u64| {
            let took = raw(directory, bytes, bytes.div_ceil(batches) * at_once)?;
            Ok::<_, String>(per_second(events, took))
        };
        let at_once = u64::try_from(options.in_flight).unwrap_or(1);
        let round_of = Round {
            engine: per_second(events, engine.0),
            raw: append(1)?,
            raw_together: append(at_once)?,
            used: engine.1,
        };
        println!(
            "  round {round}: engine {} events/s; raw {} events/s batch by batch, {} with \
             {at_once} batches a sync; CPU {} µs/event; others {} %",
            grouped(round_of.engine),
            grouped(round_of.raw),
            grouped(round_of.raw_together),
            tenths(round_of.used.load_us * 10 / events),
            round_of.used.others_percent,
        );
        Ok(round_of)
    };
    let rounds = rounds(options.rounds(), measure, |round: &Round| round.used.others_percent)?;
    let of = |value: fn(&Round) -> u64| median(rounds.iter().map(value));
    println!("the engine alone: {} events/s", grouped(of(|it| it.engine)));
    println!("{}", OF_RAW.beside(of(|it| it.engine * 1_000 / it.raw.max(1))));
    println!(
        "against raw appends of all batches in flight, synced together: {} %",
        tenths(of(|it| it.engine * 1_000 / it.raw_together.max(1)))
    );
    Ok(())
}

fn open(directory: &Path, options: &Options) -> Result<Engine, String> {
    Engine::open(directory, settings(options)).map_err(|error| error.to_string())
}

/// How many bytes of log all events come to, by a sample of them.
fn log_bytes(
    directory: &Path,
    options: &Options,
    cast: &Cast,
    ready: &[Ready],
) -> Result<u64, String> {
    let all = u64::try_from(ready.len()).unwrap_or(0);
    let end = all.min(SAMPLE_EVENTS);
    let engine = open(directory, options)?;
    feed(&engine, options, cast, ready, end)?;
    let bytes = sizes::written(directory)?;
    engine.close();
    Ok(u64::try_from(u128::from(bytes) * u128::from(all) / u128::from(end.max(1))).unwrap_or(0))
}

fn feed(
    engine: &Engine,
    options: &Options,
    cast: &Cast,
    ready: &[Ready],
    end: u64,
) -> Result<super::direct::Fed, String> {
    let ready = |number: u64| ready[usize::try_from(number).unwrap_or(0)];
    let Options { batch, in_flight, .. } = *options;
    Feed { engine, cast, ready, first: 0, end, batch, in_flight, step: 0 }.run()
}

fn appended(
    directory: &Path,
    options: &Options,
    cast: &Cast,
    ready: &[Ready],
    new: u64,
) -> Result<(Duration, Used), String> {
    let home = scratch(directory)?;
    let engine = open(home.path(), options)?;
    let watch = Watch::start(Vec::new())?;
    let fed = feed(&engine, options, cast, ready, u64::try_from(ready.len()).unwrap_or(0))?;
    let used = watch.stop()?;
    engine.close();
    if fed.recorded != new {
        return Err(format!("{} of {new} events were recorded", fed.recorded));
    }
    Ok((fed.took, used))
}

/// Appends so many bytes, `piece` at a time, each followed by fdatasync; the space is there before.
fn raw(directory: &Path, bytes: u64, piece: u64) -> Result<Duration, String> {
    let home = scratch(directory)?;
    let path = home.path().join("raw");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::create(&path).map_err(failed)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)
        .map_err(|error| failed(error.into()))?;
    file.sync_all().map_err(failed)?;
    let content = vec![0x5a; usize::try_from(piece).unwrap_or(1)];
    let started = Instant::now();
    let mut at = 0;
    while at < bytes {
        let length = piece.min(bytes - at);
        let content = &content[..usize::try_from(length).unwrap_or(0)];
        std::os::unix::fs::FileExt::write_all_at(&file, content, at).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        at += length;
    }
    Ok(started.elapsed())
}
