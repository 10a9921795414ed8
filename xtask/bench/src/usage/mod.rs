//! What the usage engine does: through the stream, beside PostgreSQL, alone, and with very many events.

mod burst;
mod cast;
mod direct;
mod engine;
mod fill;
mod options;
mod postgres;
mod quiet;
mod restart;
mod sizes;
mod stage;
mod stream;
mod summary;
mod totals;
mod wire;
mod workload;

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use taximeter_kernel::id::{Id, Mode, Scope};
use taximeter_usage::Engine;
use tempfile::TempDir;

use crate::words::{Asked, Better, grouped, tenths};
pub(crate) use options::USAGE;
use options::{Options, Part};

use crate::machine;

const BYTES: Asked = Asked {
    what: "bytes on disk per event, everything counted",
    better: Better::Less,
    required: 2_000,
    goal: 800,
    shown: tenths,
    unit: "",
};

/// Measures what the words ask for, below `directory`.
pub(crate) fn run(directory: &Path, words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let started = Instant::now();
    println!("{}", machine::describe(directory));
    println!("load of the last minute before: {}", machine::load());
    println!("engine: {:?}", settings(&options));
    for part in &options.parts {
        println!("\n## {part:?}");
        match part {
            // Beside each other in each round.
            Part::Stream if options.wants(Part::Postgres) => println!("measured with PostgreSQL"),
            Part::Stream | Part::Postgres => burst::bursts(directory, &options)?,
            Part::Sustained if options.direct => fill::sustained(directory, &options)?,
            Part::Sustained => burst::sustained(directory, &options)?,
            Part::Engine => engine::measure(directory, &options)?,
            Part::Fill => fill::fill(directory, &options)?,
            Part::Disk => disk(directory, &options)?,
            Part::Memory => memory(directory, &options)?,
            Part::Summary => summary::measure(directory, &options)?,
            Part::Restart => restart::measure(directory, &options)?,
        }
    }
    println!("\nload of the last minute after: {}", machine::load());
    println!("Took {} s.", started.elapsed().as_secs());
    Ok(())
}

/// What a filled directory takes up once everything is in the index, merged and compressed.
fn disk(directory: &Path, options: &Options) -> Result<(), String> {
    let filled = fill::Filled::load(directory, options)?;
    let usage = filled.home.usage();
    let engine = Engine::open(&usage, settings(options)).map_err(|error| error.to_string())?;
    println!("{}", fill::settle(&engine)?);
    let recorded = engine.position().map_err(|error| error.to_string())?;
    engine.close();
    println!("disk: {} events in {}", grouped(recorded), usage.display());
    println!("{}", BYTES.beside(sizes::print(&usage, recorded)?));
    Ok(())
}

/// What was measured when the directory was filled.
fn memory(directory: &Path, options: &Options) -> Result<(), String> {
    let filled = fill::Filled::load(directory, options)?;
    println!(
        "memory: at the end of the fill of {} events, {} customers, 8 meters; this is what was \
         measured then, in the process of the fill",
        grouped(filled.events),
        filled.customers
    );
    println!("{}", fill::memory_line(filled.memory, filled.memory_bytes));
    Ok(())
}

/// The engine's settings: its own unless others are asked for.
fn settings(options: &Options) -> taximeter_usage::Options {
    let mut settings = taximeter_usage::Options::default();
    if let Some(mib) = options.memory_mib {
        settings.memory_bytes = mib * 1_024 * 1_024;
    }
    settings
}

/// The engine's bound on its memory.
fn memory_bytes(options: &Options) -> u64 {
    u64::try_from(settings(options).memory_bytes).unwrap_or(u64::MAX)
}

/// A directory that is removed with its content when this is dropped.
fn scratch(directory: &Path) -> Result<TempDir, String> {
    let made = tempfile::Builder::new().prefix("bench-").tempdir_in(directory);
    made.map_err(|error| format!("{}: {error}", directory.display()))
}

fn made_up_scope() -> Result<Scope, String> {
    let account = Id::parse("acct_benchbenchbench").map_err(|error| error.to_string())?;
    Ok(Scope { account, mode: Mode::Test })
}

#[expect(clippy::disallowed_methods, reason = "events happen when they are sent")]
fn now_s() -> Result<i64, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    i64::try_from(since.as_secs()).map_err(|error| error.to_string())
}
